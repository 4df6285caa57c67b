/** SQL text as far as a replay must understand it: where it stands in a COM_QUERY, and its words. */

const DASH = 0x2d;
const HASH = 0x23;
const SLASH = 0x2f;
const STAR = 0x2a;
const BANG = 0x21;
const NEWLINE = 0x0a;
const SEMICOLON = 0x3b;
const LETTER_M = 0x4d;

/** Octets of a statement that are looked at. What changes a session says so at its beginning. */
export const MOST_SQL_OCTETS = 64 * 1024;

/** Where the first word of a statement begins, behind blanks, comments and opening brackets. Executable comments are text. */
export function firstWordAt(octets: Uint8Array, from: number): number {
  let at = from;
  for (;;) {
    const octet = octets[at];
    if (octet <= 0x20 || octet === 0x28) at++;
    else if (octet === HASH || (octet === DASH && octets[at + 1] === DASH)) {
      const end = octets.indexOf(NEWLINE, at);
      if (end < 0) return octets.length;
      at = end + 1;
    } else if (octet === SLASH && octets[at + 1] === STAR && !isExecutable(octets, at + 2)) {
      at += 2;
      while (at < octets.length && !(octets[at] === STAR && octets[at + 1] === SLASH)) at++;
      at += 2;
    } else return Math.min(at, octets.length);
  }
}

/** `/*!`, and MariaDB's own `/*M!`. */
function isExecutable(octets: Uint8Array, at: number): boolean {
  return octets[at] === BANG || (octets[at] === LETTER_M && octets[at + 1] === BANG);
}

/** The text at `from`, as far as it is looked at: a character for each octet. */
export function textFrom(octets: Uint8Array, from: number): string {
  const end = Math.min(octets.length, from + MOST_SQL_OCTETS);
  return Buffer.from(octets.buffer, octets.byteOffset + from, end - from).toString('latin1');
}

/**
 * Whether `may` says so of the place where a statement behind a semicolon begins. A semicolon within a string counts, too:
 * the answer is a reason to read the text, no more.
 */
export function laterStatement(
  octets: Uint8Array,
  from: number,
  may: (octets: Uint8Array, at: number) => boolean,
): boolean {
  for (let at = octets.indexOf(SEMICOLON, from); at >= 0; at = octets.indexOf(SEMICOLON, at + 1)) {
    if (at > from + MOST_SQL_OCTETS) return false;
    if (may(octets, firstWordAt(octets, at + 1))) return true;
  }
  return false;
}

/** A word, name, number, string or sign of a statement. */
export interface Token {
  /** In capitals where it is a bare word, in small letters where it is a variable, and without quotes but a string's. */
  text: string;
  /** As it was written. */
  raw: string;
  kind: 'word' | 'name' | 'string' | 'variable' | 'sign';
  /** Where it stands in the text. */
  from: number;
  to: number;
}

/** The kinds of token, by their names below; what is skipped includes the marks of executable comments. */
const TOKEN = new RegExp(
  [
    String.raw`(?<skip>\s+|--(?=\s|$)[^\n]*|#[^\n]*|/\*M?!\d*|\*/|/\*.*?(?:\*/|$))`,
    String.raw`(?<string>'[^'\\]*(?:(?:\\.|'')[^'\\]*)*'?|"[^"\\]*(?:(?:\\.|"")[^"\\]*)*"?)`,
    '(?<name>`[^`]*(?:``[^`]*)*`?)',
    '(?<variable>@@?(?:[\\w$.\\x80-\\xff]+|`[^`]*`|\'[^\']*\'|"[^"]*")?)',
    String.raw`(?<word>[\w$\x80-\xff]+)`,
    '(?<sign>:=|.)',
  ].join('|'),
  'gsy',
);

/**
 * Cuts a text into its statements, each a list of tokens. Of the octets each stands for one character: names are told
 * apart by their octets, whatever their character set. What stands in an executable comment counts as if it stood outside.
 */
export function statementsOf(text: string): Token[][] {
  const statements: Token[][] = [];
  let tokens: Token[] = [];
  for (const match of text.matchAll(TOKEN)) {
    const { string, name, variable, word, sign } = match.groups as Record<string, string | undefined>;
    const [raw] = match;
    const from = match.index;
    const to = from + raw.length;
    if (sign === ';') {
      if (tokens.length > 0) statements.push(tokens);
      tokens = [];
    } else if (word !== undefined) tokens.push({ text: word.toUpperCase(), kind: 'word', raw, from, to });
    else if (name !== undefined)
      tokens.push({ text: name.replace(/^`|`$/g, '').replaceAll('``', '`'), kind: 'name', raw, from, to });
    else if (variable !== undefined)
      tokens.push({ text: variable.replace(/[`'"]/g, '').toLowerCase(), kind: 'variable', raw, from, to });
    else if (string !== undefined) tokens.push({ text: string, kind: 'string', raw, from, to });
    else if (sign !== undefined) tokens.push({ text: sign, kind: 'sign', raw, from, to });
  }
  if (tokens.length > 0) statements.push(tokens);
  return statements;
}
