/**
 * What a statement may change, told by its text (MySQL manual, "SQL Statements"; MariaDB documentation, the same). The lexical rules
 * are those of sql/text.ts; of the grammar only what announces a change is read. Where in doubt, it is a write.
 *
 * A stored function, or a loadable one, that writes cannot be told from one that does not: a query that calls it counts as a read.
 */
import { KIND, KINDS, OCTET, SqlText } from '../text.ts';
import { StatementGrammar, type TransactionStep } from './statement-grammar.ts';
import { READ, TOKEN, WRITE, wordAt } from './statement-words.ts';

export type { TransactionStep } from './statement-grammar.ts';

/**
 * read: changes nothing. session: changes its own session only: variables, the schema, where transactions begin and end. write:
 * everything else: data, schemas, users, the server, other sessions, locks that others see, and what is not known.
 *
 * CREATE and DROP TEMPORARY TABLE are writes: servers refuse them in a transaction that is READ ONLY, they go to the binary log,
 * and the INSERTs that fill such a table cannot be told from others. So is EXPLAIN of a write, which servers refuse there as well.
 */
export type StatementKind = 'read' | 'session' | 'write';

const NAMES: readonly StatementKind[] = ['read', 'session', 'write'];

/** Reads one statement after another and says of each what it may change. */
export class StatementReader {
  readonly #text = new SqlText();
  readonly #grammar = new StatementGrammar();
  /** Executable comments are text. */
  #executes = true;
  #hasExecutable = false;

  /**
   * The gravest of all statements in [from, to), the text of a COM_QUERY or COM_STMT_PREPARE. `mode` as the lexer's, of which only
   * MODE.noBackslashEscapes matters. Executable comments of any version, MariaDB's own too, count as text; and, where that is
   * graver, as comments, which they are to some server.
   */
  gravest(octets: Uint8Array, from: number, to: number, mode = 0): StatementKind {
    this.#hasExecutable = false;
    const kind = this.#gravest(octets, from, to, mode);
    if (kind === WRITE || !this.#hasExecutable) return NAMES[kind];
    this.#executes = false;
    const other = this.#gravest(octets, from, to, mode);
    this.#executes = true;
    return NAMES[Math.max(kind, other)];
  }

  #gravest(octets: Uint8Array, from: number, to: number, mode: number): number {
    let kind: number = READ;
    for (let at = from; at < to && kind !== WRITE; ) {
      at = this.read(octets, at, to, mode, false);
      kind = Math.max(kind, this.#grammar.kind);
    }
    return kind;
  }

  /**
   * Reads the statement at `from` of a text that ends at `to`. Where it ends: after its `;`, or at `to`. Stops short of that where
   * it is known to be a write, unless `whole`.
   */
  read(octets: Uint8Array, from: number, to: number, mode: number, whole: boolean): number {
    this.#grammar.begin();
    this.#text.begin(octets, to, mode);
    const end = this.#scan(from, whole);
    this.#grammar.end();
    this.#text.end();
    return end;
  }

  /** The kind of the statement that was read last; of one without a word, `read`. */
  get kind(): StatementKind {
    return NAMES[this.#grammar.kind];
  }

  /** What that statement does to the transaction. */
  get step(): TransactionStep | undefined {
    return this.#grammar.step;
  }

  #scan(from: number, whole: boolean): number {
    const text = this.#text;
    const grammar = this.#grammar;
    const { octets, to } = text;
    let at = from;
    let inExecutable = false;
    while (at < to && (whole || !grammar.isSettledWrite)) {
      const octet = octets[at];
      switch (KINDS[octet]) {
        case KIND.space:
          at++;
          break;
        case KIND.word: {
          const end = text.wordEnd(at);
          const isName =
            grammar.before === OCTET.point || (text.peek(end) === OCTET.point && text.inName(end + 1));
          grammar.token(isName ? TOKEN.other : wordAt(octets, at, end, text.wordHash));
          at = end;
          break;
        }
        case KIND.digit: {
          const digits = text.digitsEnd(at);
          at = text.peek(digits) === OCTET.point ? text.fractionEnd(digits + 1) : text.exponentEnd(digits);
          if (at === digits) at = text.nameEnd(at);
          grammar.token(TOKEN.other);
          break;
        }
        case KIND.quote:
        case KIND.doubleQuote:
          at = this.#string(at);
          break;
        case KIND.backtick:
          at = text.quotedNameEnd(at);
          grammar.token(TOKEN.other);
          break;
        case KIND.point:
          if (KINDS[text.peek(at + 1)] === KIND.digit) {
            at = text.fractionEnd(at + 1);
            grammar.token(TOKEN.other);
          } else {
            grammar.token(octet);
            at++;
          }
          break;
        case KIND.at:
          at = this.#variable(at + 1);
          break;
        case KIND.minus:
          if (text.peek(at + 1) === OCTET.minus && endsDashes(text.peek(at + 2))) at = text.lineEnd(at);
          else {
            grammar.token(octet);
            at++;
          }
          break;
        case KIND.slash: {
          const mark = text.peek(at + 1) === OCTET.star ? this.#executableAt(at + 2) : -1;
          if (mark > 0) this.#hasExecutable = true;
          if (mark > 0 && this.#executes) {
            inExecutable = true;
            at = text.versionEnd(mark);
          } else if (mark >= 0) at = text.commentEnd(at + 2, mark > 0);
          else {
            grammar.token(octet);
            at++;
          }
          break;
        }
        case KIND.star:
          if (inExecutable && text.peek(at + 1) === OCTET.slash) {
            inExecutable = false;
            at += 2;
          } else {
            grammar.token(octet);
            at++;
          }
          break;
        case KIND.hash:
          at = text.lineEnd(at);
          break;
        case KIND.semicolon:
          return at + 1;
        case KIND.colon:
          if (text.peek(at + 1) === OCTET.equal) {
            grammar.token(TOKEN.assign);
            at += 2;
          } else {
            grammar.token(octet);
            at++;
          }
          break;
        default:
          grammar.token(octet);
          at++;
      }
    }
    return at;
  }

  /** Behind the mark of an executable comment whose mark may begin at `at`; 0 where it is an ordinary comment. */
  #executableAt(at: number): number {
    const text = this.#text;
    const bang = text.peek(at) === OCTET.upperM ? at + 1 : at;
    return text.peek(bang) === OCTET.not ? bang + 1 : 0;
  }

  /** `@x` or `@@scope.x`, `at` behind its first `@`; where it ends, or the quotes of its name begin. */
  #variable(at: number): number {
    const text = this.#text;
    if (text.peek(at) === OCTET.at) {
      const end = text.wordEnd(at + 1);
      this.#grammar.token(wordAt(text.octets, at + 1, end, text.wordHash));
      return end;
    }
    this.#grammar.token(TOKEN.variable);
    while (text.inName(at) || text.peek(at) === OCTET.point) at++;
    return at;
  }

  #string(from: number): number {
    const { octets, mode } = this.#text;
    const to = this.#text.stringEnd(from);
    if (this.#grammar.takesText) {
      const text = textOfString(octets, from, to);
      const kind = new StatementReader().gravest(text, 0, text.length, mode);
      this.#grammar.text(NAMES.indexOf(kind));
    } else this.#grammar.token(TOKEN.string);
    return to;
  }
}

/** `--` begins a comment only before white space, a control character or the end. */
function endsDashes(octet: number): boolean {
  return octet <= 0x20 || octet === 0x7f;
}

/** What the string at [from, to), its quotes included, stands for; escaped control characters are blanks. */
export function textOfString(octets: Uint8Array, from: number, to: number): Uint8Array {
  const raw = Buffer.from(octets.buffer, octets.byteOffset + from + 1, Math.max(0, to - from - 2)).toString(
    'latin1',
  );
  const quote = String.fromCharCode(octets[from]);
  const text = raw.replace(/\\(.)|''|""/gs, (found, escaped: string | undefined) => {
    if (escaped !== undefined) return /[0bnrtZ]/.test(escaped) ? ' ' : escaped;
    return found[0] === quote ? quote : found;
  });
  return Buffer.from(text, 'latin1');
}

const reader = new StatementReader();

/** The gravest of all statements in [from, to): `StatementReader.gravest`. */
export function statementKind(octets: Uint8Array, from: number, to: number, mode = 0): StatementKind {
  return reader.gravest(octets, from, to, mode);
}
