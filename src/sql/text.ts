/** The text of statements, and where what it is made of ends. */
import { DIALECT } from './dialect.ts';
import { hashOctet, UPPER } from './word-table.ts';

/** Classes of octets, by what a token that begins with one may be. */
export const CLASS = {
  other: 0,
  space: 1,
  word: 2,
  digit: 3,
  quote: 4,
  doubleQuote: 5,
  backtick: 6,
  point: 7,
  at: 8,
  minus: 9,
  slash: 10,
  star: 11,
  hash: 12,
  less: 14,
  greater: 15,
  not: 16,
  colon: 17,
  and: 18,
  or: 19,
  backslash: 21,
  /** A letter that begins a word, or a literal where a quote follows: `x`, `b`, `n`. */
  prefix: 22,
} as const;

export const CLASSES = new Uint8Array(256);
/** An octet in capitals where it may be part of a name without quotes, else 0. All of a multi-octet character of UTF-8 may. */
export const IN_NAME = new Uint8Array(256);

function setClass(characters: string, number: number): void {
  for (const character of characters) CLASSES[character.charCodeAt(0)] = number;
}
setClass('\0\t\n\v\f\r ', CLASS.space);
setClass('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_$', CLASS.word);
setClass('xXbBnN', CLASS.prefix);
CLASSES.fill(CLASS.word, 0x80);
setClass('0123456789', CLASS.digit);
setClass("'", CLASS.quote);
setClass('"', CLASS.doubleQuote);
setClass('`', CLASS.backtick);
setClass('.', CLASS.point);
setClass('@', CLASS.at);
setClass('-', CLASS.minus);
setClass('/', CLASS.slash);
setClass('*', CLASS.star);
setClass('#', CLASS.hash);
setClass('<', CLASS.less);
setClass('>', CLASS.greater);
setClass('!', CLASS.not);
setClass(':', CLASS.colon);
setClass('&', CLASS.and);
setClass('|', CLASS.or);
setClass('\\', CLASS.backslash);
for (let octet = 0; octet < 256; octet++) {
  const number = CLASSES[octet];
  if (number === CLASS.word || number === CLASS.prefix || number === CLASS.digit)
    IN_NAME[octet] = UPPER[octet];
}

/** Octets by their names. */
export const OCTET = {
  newline: 0x0a,
  not: 0x21,
  doubleQuote: 0x22,
  dollar: 0x24,
  quote: 0x27,
  open: 0x28,
  star: 0x2a,
  plus: 0x2b,
  minus: 0x2d,
  point: 0x2e,
  slash: 0x2f,
  zero: 0x30,
  less: 0x3c,
  equal: 0x3d,
  greater: 0x3e,
  at: 0x40,
  upperG: 0x47,
  upperK: 0x4b,
  upperM: 0x4d,
  upperN: 0x4e,
  backslash: 0x5c,
  b: 0x62,
  e: 0x65,
  n: 0x6e,
  x: 0x78,
} as const;

export const isDigit = (octet: number) => CLASSES[octet] === CLASS.digit;

const NOTHING = new Uint8Array(0);

/** Positions are indexes into `octets`; each method takes where something begins and returns where it ends. */
export class SqlText {
  octets: Uint8Array = NOTHING;
  /** Where the text ends. */
  end = 0;
  /** DIALECT flags. */
  dialect = 0;
  /** Of the word that `wordEnd` passed over. */
  hash = 0;

  /** Keeps no hold of the octets. */
  release(): void {
    this.octets = NOTHING;
    this.end = 0;
  }

  /** The octet at `at`, 0 beyond the end. */
  peek(at: number): number {
    return at < this.end ? this.octets[at] : 0;
  }

  /** A name without quotes begins, or goes on, at `at`. */
  inName(at: number): boolean {
    return at < this.end && IN_NAME[this.octets[at]] !== 0;
  }

  nameEnd(at: number): number {
    const { octets, end } = this;
    while (at < end && IN_NAME[octets[at]] !== 0) at++;
    return at;
  }

  /** The same, and `hash` for a look-up. */
  wordEnd(at: number): number {
    const { octets, end } = this;
    let hash = 0;
    while (at < end) {
      const letter = IN_NAME[octets[at]];
      if (letter === 0) break;
      hash = hashOctet(hash, letter);
      at++;
    }
    this.hash = hash;
    return at;
  }

  spaceEnd(at: number): number {
    while (at < this.end && CLASSES[this.octets[at]] === CLASS.space) at++;
    return at;
  }

  digitsEnd(at: number): number {
    while (isDigit(this.peek(at))) at++;
    return at;
  }

  /** Digits after a number's point, and its exponent. */
  fractionEnd(at: number): number {
    return this.exponentEnd(this.digitsEnd(at));
  }

  /** `at`, where there is none. */
  exponentEnd(at: number): number {
    if ((this.peek(at) | 0x20) !== OCTET.e) return at;
    const sign = this.peek(at + 1);
    const digits = sign === OCTET.plus || sign === OCTET.minus ? at + 2 : at + 1;
    const end = this.digitsEnd(digits);
    return end === digits ? at : end;
  }

  /** Of `0x…` or `0b…`, `at` at its first digit. */
  hexEnd(at: number): number {
    while (isHexDigit(this.peek(at))) at++;
    return at;
  }

  binaryEnd(at: number): number {
    while ((this.peek(at) | 1) === OCTET.zero + 1) at++;
    return at;
  }

  /** `at` at the quote. Within, the quote twice means itself, and a backslash takes the octet after it along. */
  stringEnd(at: number): number {
    const { octets, end } = this;
    const quote = octets[at++];
    const escaping = (this.dialect & DIALECT.noBackslashEscapes) === 0 ? OCTET.backslash : quote;
    while (at < end) {
      const octet = octets[at++];
      if (octet === quote) {
        if (this.peek(at) !== quote) return at;
        at++;
      } else if (octet === escaping) {
        at++;
      }
    }
    return end;
  }

  /** `at` at the quote, which twice means itself; the end is after the other one. */
  quotedNameEnd(at: number): number {
    const { octets, end } = this;
    const quote = octets[at++];
    while (at < end) {
      if (octets[at++] !== quote) continue;
      if (this.peek(at) !== quote) return at;
      at++;
    }
    return end;
  }

  /** `at` at a `$`. What is between a tag, `$$` or `$name$`, and its like; `at` where no tag begins there. */
  dollarQuotedEnd(at: number): number {
    const { octets, end } = this;
    let open = at + 1;
    while (this.inName(open) && octets[open] !== OCTET.dollar) open++;
    if (this.peek(open++) !== OCTET.dollar) return at;
    const tag = open - at;
    for (let close = open; close + tag <= end; close++) {
      let i = 0;
      while (i < tag && octets[close + i] === octets[at + i]) i++;
      if (i === tag) return close + tag;
    }
    return end;
  }

  lineEnd(at: number): number {
    while (at < this.end && this.octets[at] !== OCTET.newline) at++;
    return at;
  }

  /** `at` after its opening. `nests`: it may hold another, as one may that its version keeps from being executed. */
  commentEnd(at: number, nests: boolean): number {
    const octets = this.octets;
    const last = this.end - 1;
    while (at < last) {
      if (octets[at] === OCTET.star && octets[at + 1] === OCTET.slash) return at + 2;
      if (nests && octets[at] === OCTET.slash && octets[at + 1] === OCTET.star) {
        at = this.commentEnd(at + 2, false);
      } else {
        at++;
      }
    }
    return this.end;
  }

  /** Of the version after `/*!`: 5 or 6 digits, or none. */
  versionEnd(at: number): number {
    const end = Math.min(this.digitsEnd(at), at + 6);
    return end < at + 5 ? at : end;
  }
}

function isHexDigit(octet: number): boolean {
  return isDigit(octet) || ((octet | 0x20) >= 0x61 && (octet | 0x20) <= 0x66);
}
