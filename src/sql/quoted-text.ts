const BACKSLASH = 0x5c;
const BLANK = 0x20;

/** Letters that stand for control characters behind a backslash, NUL and line feed among them: `0bnrtZ`. */
const CONTROLS = new Set(Buffer.from('0bnrtZ'));

/** What a string stands for, and where in the statement each octet of that is. */
export interface QuotedText {
  octets: Uint8Array;
  /** One more than there are octets: the last is where the text ends. */
  at: Int32Array;
}

/** Reads the string at [from, to), its quotes included, of a statement. Escaped control characters become blanks. */
export function quotedText(octets: Uint8Array, from: number, to: number): QuotedText {
  const quote = octets[from];
  const end = to - 1 > from && octets[to - 1] === quote ? to - 1 : to;
  const text = new Uint8Array(end - from);
  const at = new Int32Array(end - from + 1);
  let length = 0;
  for (let i = from + 1; i < end; i++) {
    at[length] = i;
    let octet = octets[i];
    if (octet === BACKSLASH && i + 1 < end) {
      octet = octets[++i];
      if (CONTROLS.has(octet)) octet = BLANK;
    } else if (octet === quote) i++;
    text[length++] = octet;
  }
  at[length] = end;
  return { octets: text.subarray(0, length), at: at.subarray(0, length + 1) };
}
