/**
 * What a statement may change, told by its text (MySQL manual, "SQL Statements"; MariaDB documentation, the same). The lexical rules
 * are those of sql/scanner.ts; of the grammar only what announces a change is read. Where in doubt, it is a write.
 *
 * A stored function, or a loadable one, that writes cannot be told from one that does not: a query that calls it counts as a read.
 */
import { DIALECT } from '../dialect.ts';
import { KIND, Scanner, SIGN } from '../scanner.ts';
import { sqlModeAfter } from '../sql-mode.ts';
import { stringText } from '../string-text.ts';
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

const POINT = 0x2e;
const SEMICOLON = 0x3b;

/** Reads one statement after another and says of each what it may change. */
export class StatementReader {
  /** The dialect that the statement read last leaves to those behind it. */
  dialect = 0;
  readonly #scanner = new Scanner();
  readonly #grammar = new StatementGrammar();
  #hasExecutable = false;

  /**
   * The gravest of all statements in [from, to), the text of a COM_QUERY or COM_STMT_PREPARE of a session of this `dialect`. Executable
   * comments of any version, MariaDB's own too, count as text; and, where that is graver, as comments, which they are to some server.
   */
  gravest(octets: Uint8Array, from: number, to: number, dialect: number): StatementKind {
    let kind = this.#gravest(octets, from, to, dialect);
    if (kind !== WRITE && this.#hasExecutable)
      kind = Math.max(kind, this.#gravest(octets, from, to, dialect | DIALECT.plainComments));
    this.#scanner.release();
    return NAMES[kind];
  }

  #gravest(octets: Uint8Array, from: number, to: number, dialect: number): number {
    let kind: number = READ;
    this.#hasExecutable = false;
    this.dialect = dialect;
    for (let at = from; at < to && kind !== WRITE; ) {
      at = this.#read(octets, at, to, this.dialect, false);
      kind = Math.max(kind, this.#grammar.kind);
      this.#hasExecutable ||= this.#scanner.hasExecutable;
    }
    return kind;
  }

  /**
   * Reads the statement at `from` of a text that ends at `to`. Where it ends: after its `;`, or at `to`. Stops short of that where
   * it is known to be a write, unless `whole`.
   */
  read(octets: Uint8Array, from: number, to: number, dialect: number, whole: boolean): number {
    const end = this.#read(octets, from, to, dialect, whole);
    this.#scanner.release();
    return end;
  }

  #read(octets: Uint8Array, from: number, to: number, dialect: number, whole: boolean): number {
    this.#grammar.begin();
    this.#scanner.begin(octets, from, to, dialect);
    this.#scan(whole);
    this.#grammar.end();
    const end = this.#scanner.to;
    this.dialect = end < to && this.#grammar.sets ? sqlModeAfter(octets, from, end, dialect) : dialect;
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

  #scan(whole: boolean): void {
    const scanner = this.#scanner;
    const grammar = this.#grammar;
    while (whole || !grammar.isSettledWrite) {
      const kind = scanner.next();
      const { octets, from, to, hash } = scanner;
      switch (kind) {
        case KIND.end:
        case SEMICOLON:
          return;
        case KIND.word:
          grammar.token(grammar.before === POINT ? TOKEN.other : wordAt(octets, from, to, hash));
          break;
        case KIND.string:
          this.#string();
          break;
        case KIND.variable:
          grammar.token(TOKEN.variable);
          break;
        case KIND.systemVariable:
          grammar.token(wordAt(octets, from + 2, to, hash));
          break;
        case SIGN.assign:
          grammar.token(TOKEN.assign);
          break;
        default:
          grammar.token(kind < SIGN.assign ? kind : TOKEN.other);
      }
    }
  }

  #string(): void {
    const { octets, from, to, dialect } = this.#scanner;
    if (this.#grammar.takesText) {
      const text = stringText(octets, from, to, dialect).octets;
      const kind = new StatementReader().gravest(text, 0, text.length, dialect & ~DIALECT.plainComments);
      this.#grammar.text(NAMES.indexOf(kind));
    } else this.#grammar.token(TOKEN.string);
  }
}
