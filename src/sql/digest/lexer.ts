import { DIALECT } from '../dialect.ts';
import { KIND, Scanner, SIGN } from '../scanner.ts';
import { CLASS, CLASSES, OCTET } from '../text.ts';
import { readHints } from './hints.ts';
import type { TokenStore } from './token-store.ts';
import { BEFORE_BRACKET, FLAG, findWord, NO_TOKEN, TOKEN, TOKEN_FLAGS } from './tokens.ts';

const SEMICOLON = 0x3b;
const QUESTION_MARK = 0x3f;

/** Tokens of signs: an octet is its own. */
const SIGN_TOKEN = new Uint16Array(256 + Object.keys(SIGN).length).map((_, sign) => sign);
for (const [name, sign] of Object.entries(SIGN)) SIGN_TOKEN[sign] = TOKEN[name as keyof typeof SIGN];

/** What a digest makes of a scanner's tokens: one pass over a statement's octets, each token into a store. */
export class Lexer {
  readonly #scanner = new Scanner();
  readonly #store: TokenStore;

  constructor(store: TokenStore) {
    this.#store = store;
  }

  /**
   * Reads the statement at `from`, whose `;` is no token of it. Where it ends: after its `;`, or at `to`. Stops short of that
   * when the store is full, unless `whole`, as whoever wants the statement after it must.
   */
  statement(octets: Uint8Array, from: number, to: number, dialect: number, whole: boolean): number {
    const scanner = this.#scanner;
    scanner.begin(octets, from, to, dialect | DIALECT.mysqlComments);
    this.#statement(whole);
    const end = scanner.to;
    this.#store.end();
    scanner.release();
    return end;
  }

  #statement(whole: boolean): void {
    const scanner = this.#scanner;
    const store = this.#store;
    let first = NO_TOKEN;
    let isProgram = false;
    let inBody = false;
    while (whole || !store.full) {
      const kind = scanner.next();
      switch (kind) {
        case KIND.end:
          return;
        case KIND.word: {
          // The code of a program in another language, or of a library: only MySQL 9 quotes so.
          if (first === TOKEN.create && store.last(0) === TOKEN.as && this.#dollarQuoted()) break;
          const begins = first === NO_TOKEN && store.empty;
          const token = this.#keywordOrName(scanner.from);
          if (begins) first = token;
          // Statements within a program's body are parts of it.
          if (first === TOKEN.create || first === TOKEN.alter) {
            if (isProgramKind(token)) isProgram = true;
            else if (isProgram && token === TOKEN.begin) inBody = true;
          }
          if ((TOKEN_FLAGS[token] & FLAG.beforeHints) !== 0) this.#hints();
          break;
        }
        case KIND.name:
          store.name(scanner.octets, scanner.from, scanner.to);
          break;
        case KIND.quotedName:
          store.quotedName(scanner.octets, scanner.from, scanner.to);
          break;
        case KIND.string:
          store.literal();
          break;
        case KIND.integer:
          store.integer(scanner.octets, scanner.from, scanner.to);
          break;
        case KIND.number:
          store.number();
          break;
        case KIND.variable:
          this.#variable();
          break;
        case KIND.systemVariable:
          store.token(OCTET.at);
          store.token(OCTET.at);
          // Keywords even before a period: GLOBAL, SESSION.
          if (scanner.to > scanner.from + 2) this.#keywordOrName(scanner.from + 2);
          break;
        case QUESTION_MARK:
          store.literal();
          break;
        case SEMICOLON:
          if (!inBody) return;
          store.token(kind);
          break;
        default:
          store.token(SIGN_TOKEN[kind]);
      }
    }
  }

  /** The word from `from` to the end of the scanner's token: a keyword, which is returned, or a name. */
  #keywordOrName(from: number): number {
    const { octets, to, hash } = this.#scanner;
    let token = findWord(octets, from, to, hash);
    if (token >= BEFORE_BRACKET) token = this.#isBeforeBracket ? token - BEFORE_BRACKET : NO_TOKEN;
    if (token !== NO_TOKEN) this.#store.token(token);
    else this.#store.name(octets, from, to);
    return token;
  }

  /** Whether an opening bracket follows the word. A system variable is no function. */
  get #isBeforeBracket(): boolean {
    const scanner = this.#scanner;
    const { kind, to, dialect } = scanner;
    const at = (dialect & DIALECT.ignoreSpace) !== 0 ? scanner.spaceEnd(to) : to;
    return kind === KIND.word && scanner.peek(at) === OCTET.open;
  }

  /** Whether something in dollars begins with the token; then goes to its end. */
  #dollarQuoted(): boolean {
    const scanner = this.#scanner;
    const { octets, from } = scanner;
    if (octets[from] !== OCTET.dollar) return false;
    const end = scanner.dollarQuotedEnd(from);
    if (end === from) return false;
    this.#store.token(TOKEN.dollarQuoted);
    scanner.seek(end);
    return true;
  }

  #hints(): void {
    const scanner = this.#scanner;
    const end = readHints(scanner, this.#store, scanner.to);
    if (end > scanner.to) scanner.seek(end);
  }

  /** `@name`, and the host of `user@host`; of a quoted one, what stands in the quotes is a literal, or a name. */
  #variable(): void {
    const { octets, from, to, dialect } = this.#scanner;
    const store = this.#store;
    store.token(OCTET.at);
    const quote = to > from + 1 ? CLASSES[octets[from + 1]] : CLASS.other;
    const isName =
      quote === CLASS.backtick || (quote === CLASS.doubleQuote && (dialect & DIALECT.ansiQuotes) !== 0);
    if (isName) store.quotedName(octets, from + 1, to);
    else store.literal();
  }
}

function isProgramKind(token: number): boolean {
  return (
    token === TOKEN.procedure || token === TOKEN.function || token === TOKEN.trigger || token === TOKEN.event
  );
}
