/** Tokens as objects, for the few statements that are read back and forth. */
import { KIND, type Scanner, SIGN } from './scanner.ts';

const POINT = 0x2e;
const SEMICOLON = 0x3b;

/** A word, name, number, string, variable or sign of a statement. */
export interface Token {
  /** One of KIND, or a sign, as a scanner's. */
  kind: number;
  /** A word in capitals; a variable in small letters, its scope before it and without its quotes; a name without its quotes. */
  text: string;
  /** Where it stands in the octets. */
  from: number;
  to: number;
}

/** The tokens from the scanner's on to the end of its statement, or `most`, which it stops behind. Octets are characters. */
export function tokensFrom(scanner: Scanner, most: number): Token[] {
  const tokens: Token[] = [];
  while (scanner.kind !== KIND.end && scanner.kind !== SEMICOLON && tokens.length < most) {
    const { kind, from, to } = scanner;
    const token = { kind, text: textOf(scanner), from, to };
    tokens.push(token);
    scanner.next();
    if (kind === KIND.systemVariable) appendRest(token, scanner);
  }
  return tokens;
}

function textOf({ kind, octets, from, to }: Scanner): string {
  const text = Buffer.from(octets.buffer, octets.byteOffset + from, to - from).toString('latin1');
  switch (kind) {
    case KIND.word:
      return text.toUpperCase();
    case KIND.variable:
    case KIND.systemVariable:
      return text.replace(/[`'"]/g, '').toLowerCase();
    case KIND.quotedName: {
      const mark = text[0];
      const name = text.length > 1 && text.endsWith(mark) ? text.slice(1, -1) : text.slice(1);
      return name.replaceAll(mark + mark, mark);
    }
    case SIGN.assign:
      return ':=';
    default:
      return text;
  }
}

/** `@@` and a name in quotes; `@@scope` and a name behind a period. */
function appendRest(variable: Token, scanner: Scanner): void {
  let at = variable.text;
  if (at !== '@@') {
    if (scanner.kind !== POINT) return;
    at += '.';
    scanner.next();
  }
  const { kind, to } = scanner;
  if (kind !== KIND.word && kind !== KIND.name && kind !== KIND.quotedName) return;
  variable.text = at + textOf(scanner).toLowerCase();
  variable.to = to;
  scanner.next();
}
