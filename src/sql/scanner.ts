import { DIALECT } from './dialect.ts';
import { CLASS, CLASSES, isDigit, OCTET, SqlText } from './text.ts';
import { UPPER } from './word-table.ts';

/** Signs of several octets; the sign of a single one is its octet. */
export const SIGN = {
  assign: 256,
  arrow: 257,
  arrowText: 258,
  lessOrEqual: 259,
  greaterOrEqual: 260,
  /** `<>` too. */
  notEqual: 261,
  equalOrNull: 262,
  shiftLeft: 263,
  shiftRight: 264,
  and: 265,
  or: 266,
  /** `\N`: NULL by its old name, which MariaDB keeps. */
  null: 267,
} as const;

/** What a token is that is no sign. */
export const KIND = {
  end: 300,
  /** A keyword, or a name without quotes: `hash` serves to look it up. */
  word: 301,
  /** A name without quotes that no keyword can be: a period is right before it, or right after it with a name behind; or it begins with a digit. */
  name: 302,
  /** In backticks, or in double quotes where they make a name. */
  quotedName: 303,
  /** Its quotes included, and the N of one of the national character set. */
  string: 304,
  /** Decimal digits alone. */
  integer: 305,
  /** Any other number, and literals of bits: X'…', B'…', 0x…, 0b…. */
  number: 306,
  /** `@x`, its name in quotes or not; the host of `user@host`. */
  variable: 307,
  /** `@@x`, of `@@global.x` no more than `@@global`: `hash` is that of the name, which may be empty. */
  systemVariable: 308,
} as const;

/** No token but a comment. */
const COMMENT = -1;

/** Executable comments up to this version are executed by MySQL 9.7 (MySQL manual, "Comments"). */
const MYSQL_VERSION = 90_700;

/**
 * Cuts a text into tokens (MySQL manual, "Language Structure"), one after another and without an object for each. What a server would
 * refuse is read as far as it goes: a string or a comment without an end ends with the text. A token is valid until the next `next`.
 */
export class Scanner extends SqlText {
  /** One of KIND, or of SIGN, or a sign's octet, of the token at [from, to). */
  kind: number = KIND.end;
  from = 0;
  to = 0;
  /** There was an executable comment: as a comment, or as text, the text may read otherwise. */
  hasExecutable = false;
  #inExecutable = false;
  /** Right after a period: a name that begins here is none but a name, and no number. */
  #nameAt = -1;
  /** Right after a name, and right before one: a period, which begins no number. */
  #periodAt = -1;

  /** The text [from, to). `dialect`: DIALECT flags without doubts. `inExecutable`: it may begin within an executable comment. */
  begin(octets: Uint8Array, from: number, to: number, dialect: number, inExecutable = false): void {
    this.octets = octets;
    this.end = to;
    this.dialect = dialect;
    this.hasExecutable = false;
    this.#inExecutable = inExecutable;
    this.seek(from);
  }

  /** Goes on at `at`, with what begins there. */
  seek(at: number): void {
    this.kind = KIND.end;
    this.to = at;
    this.#nameAt = -1;
    this.#periodAt = -1;
  }

  /** Whether the token is this word, which is given in capitals. */
  isWord(word: string): boolean {
    return this.kind === KIND.word && this.reads(this.from, this.to, word);
  }

  /** Whether the token is this name, in quotes or not, given in capitals: for names of ASCII whose case does not matter. */
  isName(name: string): boolean {
    if (this.kind === KIND.quotedName) return this.reads(this.from + 1, this.to - 1, name);
    return (this.kind === KIND.word || this.kind === KIND.name) && this.reads(this.from, this.to, name);
  }

  /** Whether [from, to) is these letters, given in capitals, in whatever case. */
  reads(from: number, to: number, letters: string): boolean {
    if (to - from !== letters.length) return false;
    for (let i = 0; i < letters.length; i++)
      if (UPPER[this.octets[from + i]] !== letters.charCodeAt(i)) return false;
    return true;
  }

  /** Goes to the next token, and returns its kind. At the end it stays there. */
  next(): number {
    const { octets, end } = this;
    let at = this.to;
    while (at < end) {
      const octet = octets[at];
      switch (CLASSES[octet]) {
        case CLASS.space:
          at++;
          break;
        case CLASS.prefix:
          if (this.peek(at + 1) === OCTET.quote) return this.#prefixed(octet, at);
          return this.#word(at);
        case CLASS.word:
          return this.#word(at);
        case CLASS.other:
          return this.#token(octet, at, at + 1);
        case CLASS.digit:
          return this.#digits(at);
        case CLASS.quote:
          return this.#token(KIND.string, at, this.stringEnd(at));
        case CLASS.point:
          return this.#period(at);
        default: {
          const kind = this.#rarer(octet, at);
          if (kind !== COMMENT) return kind;
          at = this.to;
        }
      }
    }
    return this.#token(KIND.end, end, end);
  }

  /** The same for an octet that is not as frequent. COMMENT: there is one, and `to` is behind it. */
  #rarer(octet: number, at: number): number {
    switch (CLASSES[octet]) {
      case CLASS.doubleQuote:
        if ((this.dialect & DIALECT.ansiQuotes) === 0)
          return this.#token(KIND.string, at, this.stringEnd(at));
        return this.#token(KIND.quotedName, at, this.quotedNameEnd(at));
      case CLASS.backtick:
        return this.#token(KIND.quotedName, at, this.quotedNameEnd(at));
      case CLASS.at:
        return this.#variable(at);
      case CLASS.minus:
        return this.#beginsLineComment(at) ? this.#skip(this.lineEnd(at)) : this.#minus(at);
      case CLASS.hash:
        return this.#skip(this.lineEnd(at));
      case CLASS.slash:
        return this.peek(at + 1) === OCTET.star
          ? this.#skip(this.#commentEnd(at + 2))
          : this.#token(octet, at, at + 1);
      case CLASS.star:
        if (!this.#inExecutable || this.peek(at + 1) !== OCTET.slash) return this.#token(octet, at, at + 1);
        this.#inExecutable = false;
        return this.#skip(at + 2);
      case CLASS.less:
        return this.#less(at);
      case CLASS.greater:
        return this.peek(at + 1) === OCTET.equal
          ? this.#token(SIGN.greaterOrEqual, at, at + 2)
          : this.#pair(at, octet, octet, SIGN.shiftRight);
      case CLASS.not:
        return this.#pair(at, octet, OCTET.equal, SIGN.notEqual);
      case CLASS.colon:
        return this.#pair(at, octet, OCTET.equal, SIGN.assign);
      case CLASS.and:
        return this.#pair(at, octet, octet, SIGN.and);
      case CLASS.or:
        return this.#pair(at, octet, octet, SIGN.or);
      default:
        return this.#pair(at, octet, OCTET.upperN, SIGN.null);
    }
  }

  #skip(to: number): number {
    this.to = to;
    return COMMENT;
  }

  #token(kind: number, from: number, to: number): number {
    this.from = from;
    this.to = to;
    this.kind = kind;
    return kind;
  }

  /** `pair`, where `second` is the octet after `octet` at `at`, or `octet` alone. */
  #pair(at: number, octet: number, second: number, pair: number): number {
    return this.peek(at + 1) === second ? this.#token(pair, at, at + 2) : this.#token(octet, at, at + 1);
  }

  /** A letter and, in quotes, what it says the meaning of. */
  #prefixed(letter: number, from: number): number {
    if (from === this.#nameAt) return this.#word(from);
    const kind = (letter | 0x20) === OCTET.n ? KIND.string : KIND.number;
    return this.#token(kind, from, this.stringEnd(from + 1));
  }

  #period(at: number): number {
    if (at !== this.#periodAt && isDigit(this.peek(at + 1)))
      return this.#token(KIND.number, at, this.fractionEnd(at + 1));
    this.#nameAt = at + 1;
    this.#chain(at + 1);
    return this.#token(OCTET.point, at, at + 1);
  }

  #word(from: number): number {
    if (from === this.#nameAt) return this.#name(from, this.nameEnd(from));
    const at = this.wordEnd(from);
    return this.#token(this.#chain(at) ? KIND.name : KIND.word, from, at);
  }

  /** Whether a period goes on with the name that ends at `at`: right after it, and right before the next. */
  #chain(at: number): boolean {
    if (this.peek(at) !== OCTET.point || !this.inName(at + 1)) return false;
    this.#periodAt = at;
    return true;
  }

  #name(from: number, to: number): number {
    this.#chain(to);
    return this.#token(KIND.name, from, to);
  }

  /** What begins with a digit: a number, or a name like `1a`. */
  #digits(from: number): number {
    if (from === this.#nameAt) return this.#name(from, this.nameEnd(from));
    const second = this.peek(from + 1);
    let at: number;
    if (this.octets[from] === OCTET.zero && (second === OCTET.x || second === OCTET.b)) {
      at = second === OCTET.x ? this.hexEnd(from + 2) : this.binaryEnd(from + 2);
      if (at > from + 2 && !this.inName(at)) return this.#token(KIND.number, from, at);
    } else {
      at = this.digitsEnd(from);
      const end = this.peek(at) === OCTET.point ? this.fractionEnd(at + 1) : this.exponentEnd(at);
      if (end > at) return this.#token(KIND.number, from, end);
      if (!this.inName(at)) return this.#token(KIND.integer, from, at);
    }
    return this.#name(from, this.nameEnd(at));
  }

  #variable(from: number): number {
    let at = from + 1;
    switch (CLASSES[this.peek(at)]) {
      case CLASS.at:
        return this.#token(KIND.systemVariable, from, this.wordEnd(at + 1));
      case CLASS.quote:
        return this.#token(KIND.variable, from, this.stringEnd(at));
      case CLASS.doubleQuote:
        at = (this.dialect & DIALECT.ansiQuotes) === 0 ? this.stringEnd(at) : this.quotedNameEnd(at);
        return this.#token(KIND.variable, from, at);
      case CLASS.backtick:
        return this.#token(KIND.variable, from, this.quotedNameEnd(at));
    }
    while (this.inName(at) || this.peek(at) === OCTET.point) at++;
    return this.#token(KIND.variable, from, at);
  }

  /** `--` begins a comment only before white space, a control character or the end. */
  #beginsLineComment(at: number): boolean {
    if (this.peek(at + 1) !== OCTET.minus) return false;
    const octet = this.peek(at + 2);
    return octet <= 0x20 || octet === 0x7f;
  }

  #minus(at: number): number {
    if (this.peek(at + 1) !== OCTET.greater) return this.#token(OCTET.minus, at, at + 1);
    return this.peek(at + 2) === OCTET.greater
      ? this.#token(SIGN.arrowText, at, at + 3)
      : this.#token(SIGN.arrow, at, at + 2);
  }

  #less(at: number): number {
    const next = this.peek(at + 1);
    if (next === OCTET.greater) return this.#token(SIGN.notEqual, at, at + 2);
    if (next !== OCTET.equal) return this.#pair(at, OCTET.less, OCTET.less, SIGN.shiftLeft);
    return this.peek(at + 2) === OCTET.greater
      ? this.#token(SIGN.equalOrNull, at, at + 3)
      : this.#token(SIGN.lessOrEqual, at, at + 2);
  }

  /** Where a comment ends, or, of one that is executed, its mark; `at` after its opening. */
  #commentEnd(at: number): number {
    const bang = this.peek(at) === OCTET.upperM ? at + 1 : at;
    if (this.peek(bang) !== OCTET.not) return this.commentEnd(at, false);
    this.hasExecutable = true;
    const isMariaDb = bang > at;
    // To MySQL one of MariaDB's own is a comment like any other.
    const nests = !isMariaDb || (this.dialect & DIALECT.mysqlComments) === 0;
    if (!this.#executes(bang + 1, isMariaDb)) return this.commentEnd(at, nests);
    this.#inExecutable = true;
    return this.versionEnd(bang + 1);
  }

  /** Whether the comment whose version, if any, is at `at` is text; `isMariaDb`: it is one of MariaDB's own. */
  #executes(at: number, isMariaDb: boolean): boolean {
    if ((this.dialect & DIALECT.plainComments) !== 0) return false;
    if ((this.dialect & DIALECT.mysqlComments) === 0) return true;
    if (isMariaDb) return false;
    const end = this.versionEnd(at);
    let version = 0;
    for (let i = at; i < end; i++) version = version * 10 + this.octets[i] - OCTET.zero;
    return version <= MYSQL_VERSION;
  }
}
