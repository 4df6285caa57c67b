/** What a token is: as `Token.kind` has it, and `end` where there are no more. */
export const KIND = { end: 0, word: 1, name: 2, string: 3, variable: 4, sign: 5 } as const;

const NEWLINE = 0x0a;
const BANG = 0x21;
const DOUBLE_QUOTE = 0x22;
const HASH = 0x23;
const DOLLAR = 0x24;
const QUOTE = 0x27;
const STAR = 0x2a;
const DASH = 0x2d;
const DOT = 0x2e;
const SLASH = 0x2f;
const COLON = 0x3a;
const EQUALS = 0x3d;
const AT = 0x40;
const LETTER_M = 0x4d;
const BACKSLASH = 0x5c;
const BACKTICK = 0x60;
const NO_BREAK_SPACE = 0xa0;

/** Octets of names and numbers: letters, digits, `_`, `$`, and all beyond ASCII. */
const IN_WORD = new Uint8Array(256).map((_, octet) =>
  octet >= 0x80 || octet === DOLLAR || /\w/.test(String.fromCharCode(octet)) ? 1 : 0,
);

/**
 * Cuts a text into the tokens that `statementsOf` cuts it into, one after another and without an object for each: for
 * texts that must be read to their end, which may be megabytes away.
 */
export class SqlScanner {
  /** One of KIND, of the token at [from, to). */
  kind: number = KIND.end;
  from = 0;
  to = 0;
  readonly #octets: Uint8Array;

  constructor(octets: Uint8Array) {
    this.#octets = octets;
  }

  /** Goes to the next token; at the end, stays there. */
  next(): void {
    const octets = this.#octets;
    const from = this.#skip(this.to);
    this.from = from;
    const octet = octets[from];
    if (from >= octets.length) {
      this.kind = KIND.end;
      this.to = octets.length;
    } else if (IN_WORD[octet] === 1) {
      this.kind = KIND.word;
      this.to = this.#wordEnd(from);
    } else if (octet === QUOTE || octet === DOUBLE_QUOTE) {
      this.kind = KIND.string;
      this.to = this.#stringEnd(from, octet);
    } else if (octet === BACKTICK) {
      this.kind = KIND.name;
      this.to = this.#nameEnd(from);
    } else if (octet === AT) {
      this.kind = KIND.variable;
      this.to = this.#variableEnd(from);
    } else {
      this.kind = KIND.sign;
      this.to = from + (octet === COLON && octets[from + 1] === EQUALS ? 2 : 1);
    }
  }

  /** The first octet of the token. */
  get octet(): number {
    return this.#octets[this.from];
  }

  /** Where the next token begins, behind blanks, comments, and the marks of executable comments. */
  #skip(at: number): number {
    const octets = this.#octets;
    for (;;) {
      const octet = octets[at];
      const second = octets[at + 1];
      if (isBlank(octet)) at++;
      else if (octet === HASH) at = this.#lineEnd(at);
      else if (octet === DASH && second === DASH && (at + 2 >= octets.length || isBlank(octets[at + 2])))
        at = this.#lineEnd(at);
      else if (octet === STAR && second === SLASH) at += 2;
      else if (octet === SLASH && second === STAR) at = this.#commentEnd(at + 2);
      else return at;
    }
  }

  #lineEnd(at: number): number {
    const end = this.#octets.indexOf(NEWLINE, at);
    return end < 0 ? this.#octets.length : end;
  }

  /** `at` is behind the mark that a comment begins with; of an executable one only the mark is skipped. */
  #commentEnd(at: number): number {
    const octets = this.#octets;
    const bang = octets[at] === LETTER_M ? at + 1 : at;
    if (octets[bang] === BANG) {
      at = bang + 1;
      while (octets[at] >= 0x30 && octets[at] <= 0x39) at++;
      return at;
    }
    for (let star = octets.indexOf(STAR, at); star >= 0; star = octets.indexOf(STAR, star + 1)) {
      if (octets[star + 1] === SLASH) return star + 2;
    }
    return octets.length;
  }

  #wordEnd(at: number): number {
    const octets = this.#octets;
    while (IN_WORD[octets[at]] === 1) at++;
    return at;
  }

  /** A string ends at its quote, unless that is doubled or behind a backslash. */
  #stringEnd(from: number, quote: number): number {
    const octets = this.#octets;
    for (let at = from + 1; at < octets.length; at++) {
      if (octets[at] === BACKSLASH) {
        if (at + 1 === octets.length) return at;
        at++;
      } else if (octets[at] === quote) {
        if (octets[at + 1] !== quote) return at + 1;
        at++;
      }
    }
    return octets.length;
  }

  #nameEnd(from: number): number {
    const octets = this.#octets;
    for (let at = octets.indexOf(BACKTICK, from + 1); at >= 0; at = octets.indexOf(BACKTICK, at + 2)) {
      if (octets[at + 1] !== BACKTICK) return at + 1;
    }
    return octets.length;
  }

  /** `@x`, `@@scope.x`, or either with its name in quotes, which nothing escapes there. */
  #variableEnd(from: number): number {
    const octets = this.#octets;
    let at = octets[from + 1] === AT ? from + 2 : from + 1;
    const quote = octets[at];
    if (quote === BACKTICK || quote === QUOTE || quote === DOUBLE_QUOTE) {
      const end = octets.indexOf(quote, at + 1);
      return end < 0 ? at : end + 1;
    }
    while (IN_WORD[octets[at]] === 1 || octets[at] === DOT) at++;
    return at;
  }
}

/** What a regular expression calls white space, as far as an octet can be. Not so past the end. */
function isBlank(octet: number): boolean {
  return octet === 0x20 || (octet >= 0x09 && octet <= 0x0d) || octet === NO_BREAK_SPACE;
}
