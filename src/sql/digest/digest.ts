/**
 * Digests: a statement without its literals, in the text that MySQL's performance_schema has for it (MySQL manual, "Performance
 * Schema Statement Digests and Sampling"). MySQL 9.7's text, whoever the server is; MariaDB's and that of
 * MySQL 8 differ in little, and test/mysql/digest-corpus.ts says in what. The server tells from its grammar what we tell from a token and those before it, and
 * has no digest for what it cannot parse; here everything has one.
 */

import { sqlModeAfter } from '../sql-mode.ts';
import { Lexer } from './lexer.ts';
import { murmur128 } from './murmur128.ts';
import { TokenStore } from './token-store.ts';

/** The server's default of max_digest_length: octets of tokens that a digest is made of. */
export const MAX_DIGEST_LENGTH = 1024;

const decoder = new TextDecoder();

/** Digests one statement after another. Objects are made by `text` and `hash` only. */
export class Digester {
  readonly #store = new TokenStore();
  readonly #lexer = new Lexer(this.#store);
  readonly #bound: number;
  readonly #hash = new Int32Array(4);
  readonly #hashOctets = Buffer.from(this.#hash.buffer);

  /** `maxLength`: octets of tokens, as max_digest_length counts them: 2 each, a name 4 and its own. */
  constructor(maxLength = MAX_DIGEST_LENGTH) {
    this.#bound = maxLength;
  }

  /**
   * Reads the first statement in [from, to), the text of a COM_QUERY or COM_STMT_PREPARE in a character set that contains ASCII, as a
   * session of this `dialect` (DIALECT flags) means it.
   */
  read(octets: Uint8Array, from: number, to: number, dialect: number): void {
    this.#next(octets, from, to, dialect, false);
  }

  /** Reads the first statement too, and to its end: where the next one begins, or `to`. */
  readWhole(octets: Uint8Array, from: number, to: number, dialect: number): number {
    return this.#next(octets, from, to, dialect, true);
  }

  /** Empty statements, a `;` after another, are none. */
  #next(octets: Uint8Array, from: number, to: number, dialect: number, all: boolean): number {
    let at = from;
    do {
      this.#store.begin(this.#bound);
      at = this.#lexer.statement(octets, at, to, dialect, all);
    } while (at < to && this.#store.empty && !this.#store.full);
    return at;
  }

  /** There was nothing but white space, comments and `;`. */
  get empty(): boolean {
    return this.#store.empty && !this.#store.full;
  }

  /** The digest text of the statement that was read. Cut without a sign of it at the bound, as the server's. */
  text(): string {
    return decoder.decode(this.#store.octets.subarray(0, this.#store.length));
  }

  /**
   * 128 bits of the text, in hexadecimal. Not the server's DIGEST: that is of token numbers, which each version of a server has its
   * own. MurmurHash3, for its speed; to tell even millions of texts apart 128 bits are enough.
   */
  hash(): string {
    murmur128(this.#store.octets, 0, this.#store.length, this.#hash);
    return this.#hashOctets.toString('hex');
  }
}

/**
 * All statements in [from, to), which a session of this `dialect` with CLIENT_MULTI_STATEMENTS may send as one command. `each` gets where one begins,
 * which is where the one before ended, and where it ends, after its `;`; `digester` has read it then.
 */
export function eachStatement(
  digester: Digester,
  octets: Uint8Array,
  from: number,
  to: number,
  dialect: number,
  each: (from: number, to: number) => void,
): void {
  let at = from;
  let mode = dialect;
  while (at < to) {
    const next = digester.readWhole(octets, at, to, mode);
    if (!digester.empty) each(at, next);
    if (next < to) mode = sqlModeAfter(octets, at, next, mode);
    at = next;
  }
}
