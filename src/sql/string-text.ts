import { DIALECT } from './dialect.ts';

const BACKSLASH = 0x5c;
const BLANK = 0x20;
const LETTER_N = 0x6e;

/** Letters that stand for control characters after a backslash, NUL and line feed among them: `0bnrtZ`. */
const CONTROLS = new Set(Buffer.from('0bnrtZ'));

/** What a string stands for, and where in the statement each octet of that is. */
export interface StringText {
  octets: Uint8Array;
  /** One more than there are octets: the last is where the text ends. */
  at: Int32Array;
}

/** Reads the string at [from, to) of a statement, a scanner's token of KIND.string. Escaped control characters become blanks. */
export function stringText(octets: Uint8Array, from: number, to: number, dialect: number): StringText {
  const opens = (octets[from] | 0x20) === LETTER_N ? from + 1 : from;
  const quote = octets[opens];
  const end = to - 1 > opens && octets[to - 1] === quote ? to - 1 : to;
  const escapes = (dialect & DIALECT.noBackslashEscapes) === 0;
  const text = new Uint8Array(end - opens);
  const at = new Int32Array(end - opens + 1);
  let length = 0;
  for (let i = opens + 1; i < end; i++) {
    at[length] = i;
    let octet = octets[i];
    if (octet === BACKSLASH && escapes && i + 1 < end) {
      octet = octets[++i];
      if (CONTROLS.has(octet)) octet = BLANK;
    } else if (octet === quote) i++;
    text[length++] = octet;
  }
  at[length] = end;
  return { octets: text.subarray(0, length), at: at.subarray(0, length + 1) };
}
