import { isDigit, KIND, KINDS, MODE, OCTET, SqlText } from '../text.ts';
import { readHints } from './hints.ts';
import type { TokenStore } from './token-store.ts';
import { FLAG, findWord, NO_TOKEN, TOKEN, TOKEN_FLAGS } from './tokens.ts';

/** Executable comments up to this version are executed (MySQL manual, "Comments"). */
const SERVER_VERSION = 90_700;

/**
 * The server's lexer (MySQL manual, "Language Structure"): one pass over a statement's octets, each token into a store. What the
 * server would refuse is read as far as it goes: a string or a comment without an end ends with the text.
 */
export class Lexer {
  readonly #text = new SqlText();
  readonly #store: TokenStore;

  constructor(store: TokenStore) {
    this.#store = store;
  }

  /**
   * Reads the statement at `from`, whose `;` is no token of it. Where it ends: after its `;`, or at `to`. Stops short of that
   * when the store is full, unless `whole`, as whoever wants the statement after it must.
   */
  statement(octets: Uint8Array, from: number, to: number, mode: number, whole: boolean): number {
    this.#text.begin(octets, to, mode);
    const end = this.#statement(from, whole);
    this.#store.end();
    this.#text.end();
    return end;
  }

  #statement(from: number, whole: boolean): number {
    const text = this.#text;
    const store = this.#store;
    const { octets, to } = text;
    const ansiQuotes = (text.mode & MODE.ansiQuotes) !== 0;
    let at = from;
    let inExecutable = false;
    let first = NO_TOKEN;
    let isProgram = false;
    let inBody = false;
    while (at < to && (whole || !store.full)) {
      const octet = octets[at];
      switch (KINDS[octet]) {
        case KIND.space:
          at++;
          break;
        case KIND.word: {
          if (text.peek(at + 1) === OCTET.quote && isPrefix(octet)) {
            at = text.stringEnd(at + 1);
            if ((octet | 0x20) === OCTET.n) store.literal();
            else store.number();
            break;
          }
          // The code of a program in another language, or of a library: only MySQL 9 quotes so.
          if (octet === OCTET.dollar && first === TOKEN.create && store.last(0) === TOKEN.as) {
            const end = text.dollarQuotedEnd(at);
            if (end > at) {
              store.token(TOKEN.dollarQuoted);
              at = end;
              break;
            }
          }
          const begins = store.empty;
          at = this.#word(at);
          const token = store.last(0);
          if (begins) first = token;
          // Statements within a program's body are parts of it.
          if (first === TOKEN.create || first === TOKEN.alter) {
            if (isProgramKind(token)) isProgram = true;
            else if (isProgram && token === TOKEN.begin) inBody = true;
          }
          if ((TOKEN_FLAGS[token] & FLAG.beforeHints) !== 0) at = readHints(text, store, at);
          break;
        }
        case KIND.digit:
          at = this.#numberOrName(at);
          break;
        case KIND.quote:
          at = this.#string(at);
          break;
        case KIND.doubleQuote:
          at = ansiQuotes ? this.#quotedName(at) : this.#string(at);
          break;
        case KIND.backtick:
          at = this.#quotedName(at);
          break;
        case KIND.point:
          if (isDigit(text.peek(at + 1))) {
            at = text.fractionEnd(at + 1);
            store.number();
          } else {
            at = this.#afterName(at);
          }
          break;
        case KIND.at:
          at = this.#variable(at);
          break;
        case KIND.minus:
          at = this.#minus(at);
          break;
        case KIND.slash:
          if (text.peek(at + 1) !== OCTET.star) {
            store.token(octet);
            at++;
          } else if (text.peek(at + 2) === OCTET.not && this.#executes(at + 3)) {
            inExecutable = true;
            at = text.versionEnd(at + 3);
          } else {
            const nests = text.peek(at + 2) === OCTET.not;
            at = text.commentEnd(at + 2, nests);
          }
          break;
        case KIND.star:
          if (inExecutable && text.peek(at + 1) === OCTET.slash) {
            inExecutable = false;
            at += 2;
          } else {
            store.token(octet);
            at++;
          }
          break;
        case KIND.hash:
          at = text.lineEnd(at);
          break;
        case KIND.semicolon:
          at++;
          if (!inBody) return at;
          store.token(octet);
          break;
        case KIND.less:
          at = this.#less(at);
          break;
        case KIND.greater:
          at =
            text.peek(at + 1) === OCTET.equal
              ? this.#pair(at, octet, OCTET.equal, TOKEN.greaterOrEqual)
              : this.#pair(at, octet, octet, TOKEN.shiftRight);
          break;
        case KIND.not:
          at = this.#pair(at, octet, OCTET.equal, TOKEN.notEqual);
          break;
        case KIND.colon:
          at = this.#pair(at, octet, OCTET.equal, TOKEN.assign);
          break;
        case KIND.and:
          at = this.#pair(at, octet, octet, TOKEN.and);
          break;
        case KIND.or:
          at = this.#pair(at, octet, octet, TOKEN.or);
          break;
        case KIND.mark:
          at++;
          store.literal();
          break;
        case KIND.backslash:
          // NULL by its old name, which MariaDB keeps.
          at = this.#pair(at, octet, OCTET.upperN, TOKEN.null);
          break;
        default:
          store.token(octet);
          at++;
      }
    }
    return at;
  }

  /** A keyword, or a name and what hangs on it by periods. */
  #word(from: number): number {
    const text = this.#text;
    const end = text.wordEnd(from);
    if (this.#chainedAt(end)) {
      this.#store.name(text.octets, from, end, 0);
      return this.#afterName(end);
    }
    const bracket = (text.mode & MODE.ignoreSpace) !== 0 ? text.spaceEnd(end) : end;
    this.#keywordOrName(from, end, text.peek(bracket) === OCTET.open);
    return end;
  }

  /** The word that `wordEnd` passed over. */
  #keywordOrName(from: number, end: number, beforeBracket: boolean): void {
    const token = findWord(this.#text.octets, from, end, this.#text.wordHash, beforeBracket);
    if (token !== NO_TOKEN) this.#store.token(token);
    else this.#store.name(this.#text.octets, from, end, 0);
  }

  /** A period right after a name, and right before one. */
  #chainedAt(at: number): boolean {
    return this.#text.peek(at) === OCTET.point && this.#text.inName(at + 1);
  }

  /** The period at `at`, and the name right after it, which is no keyword; and so on. */
  #afterName(at: number): number {
    do {
      this.#store.token(OCTET.point);
      const from = at + 1;
      at = this.#text.nameEnd(from);
      if (at > from) this.#store.name(this.#text.octets, from, at, 0);
    } while (this.#chainedAt(at));
    return at;
  }

  /** `@name`, `@'name'`, `@@name`, `@@global.name`, and the host of `user@host`. */
  #variable(at: number): number {
    const text = this.#text;
    this.#store.token(OCTET.at);
    at++;
    if (text.peek(at) === OCTET.at) {
      this.#store.token(OCTET.at);
      at++;
      if (!text.inName(at)) return at;
      // Keywords even before a period: GLOBAL, SESSION.
      const end = text.wordEnd(at);
      this.#keywordOrName(at, end, false);
      return end;
    }
    const kind = KINDS[text.peek(at)];
    if (kind === KIND.quote || kind === KIND.doubleQuote || kind === KIND.backtick) return at;
    while (text.inName(at) || text.peek(at) === OCTET.point) at++;
    this.#store.literal();
    return at;
  }

  /** What begins with a digit: a number, or a name like `1a`. */
  #numberOrName(from: number): number {
    const text = this.#text;
    const second = text.peek(from + 1);
    let at: number;
    if (text.octets[from] === OCTET.zero && (second === OCTET.x || second === OCTET.b)) {
      at = second === OCTET.x ? text.hexEnd(from + 2) : text.binaryEnd(from + 2);
      if (at > from + 2 && !text.inName(at)) {
        this.#store.number();
        return at;
      }
    } else {
      at = text.digitsEnd(from);
      const end = text.peek(at) === OCTET.point ? text.fractionEnd(at + 1) : text.exponentEnd(at);
      if (end > at) {
        this.#store.number();
        return end;
      }
      if (!text.inName(at)) {
        this.#store.integer(text.octets, from, at);
        return at;
      }
    }
    const end = text.nameEnd(at);
    this.#store.name(text.octets, from, end, 0);
    return this.#chainedAt(end) ? this.#afterName(end) : end;
  }

  #string(at: number): number {
    this.#store.literal();
    return this.#text.stringEnd(at);
  }

  #quotedName(at: number): number {
    const end = this.#text.quotedNameEnd(at);
    this.#store.quotedName(this.#text.octets, at, end);
    return end;
  }

  /** A comment to the end of the line, `->`, `->>` or a minus. */
  #minus(at: number): number {
    const text = this.#text;
    const next = text.peek(at + 1);
    if (next === OCTET.minus && endsDashes(text.peek(at + 2))) return text.lineEnd(at);
    if (next !== OCTET.greater) {
      this.#store.token(OCTET.minus);
      return at + 1;
    }
    const unquotes = text.peek(at + 2) === OCTET.greater;
    this.#store.token(unquotes ? TOKEN.arrowText : TOKEN.arrow);
    return unquotes ? at + 3 : at + 2;
  }

  #less(at: number): number {
    const text = this.#text;
    const next = text.peek(at + 1);
    if (next === OCTET.greater) return this.#pair(at, OCTET.less, next, TOKEN.notEqual);
    if (next !== OCTET.equal) return this.#pair(at, OCTET.less, OCTET.less, TOKEN.shiftLeft);
    const orNull = text.peek(at + 2) === OCTET.greater;
    this.#store.token(orNull ? TOKEN.equalOrNull : TOKEN.lessOrEqual);
    return orNull ? at + 3 : at + 2;
  }

  /** The token that `octet` makes with `second` after it, or `octet` alone. */
  #pair(at: number, octet: number, second: number, token: number): number {
    const both = this.#text.peek(at + 1) === second;
    this.#store.token(both ? token : octet);
    return both ? at + 2 : at + 1;
  }

  /** A server of our version executes the comment whose version, if any, is at `at`. */
  #executes(at: number): boolean {
    const end = this.#text.versionEnd(at);
    let version = 0;
    for (let i = at; i < end; i++) version = version * 10 + this.#text.octets[i] - OCTET.zero;
    return version <= SERVER_VERSION;
  }
}

/** `x'`, `b'` and `n'` begin literals. */
function isPrefix(octet: number): boolean {
  const letter = octet | 0x20;
  return letter === OCTET.x || letter === OCTET.b || letter === OCTET.n;
}

/** `--` begins a comment only before white space, a control character or the end. */
function endsDashes(octet: number): boolean {
  return octet <= 0x20 || octet === 0x7f;
}

function isProgramKind(token: number): boolean {
  return (
    token === TOKEN.procedure || token === TOKEN.function || token === TOKEN.trigger || token === TOKEN.event
  );
}
