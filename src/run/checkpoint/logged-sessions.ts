import type { Done } from '../../replay/resume.ts';
import { type Accounts, addAccounts, emptyAccounts } from '../../report/accounts.ts';
import type { LogVisitor } from './log.ts';

/** Numbers of a page of bits. */
const PAGE = 8 * 4096;

/** Which of many numbers below 2^53. Takes memory by how many of their neighbourhoods occur, and not by the largest. */
class NumberBits {
  readonly #pages = new Map<number, Uint8Array>();

  has(n: number): boolean {
    const page = this.#pages.get(Math.floor(n / PAGE));
    return page !== undefined && (page[(n % PAGE) >> 3] & (1 << (n & 7))) !== 0;
  }

  /** Returns false where it was there. */
  add(n: number): boolean {
    if (this.has(n)) return false;
    const number = Math.floor(n / PAGE);
    let page = this.#pages.get(number);
    if (page === undefined) {
      page = new Uint8Array(PAGE / 8);
      this.#pages.set(number, page);
    }
    page[(n % PAGE) >> 3] |= 1 << (n & 7);
    return true;
  }
}

/** What the log of a share says (log.ts). A record that can't be, after those before it, is refused: it is damage. */
export class LoggedSessions implements Done, LogVisitor {
  /** What the closed sessions add. */
  readonly accounts = emptyAccounts();
  readonly #copies: number;
  readonly #begun = new NumberBits();
  readonly #opened = new NumberBits();
  readonly #closed = new NumberBits();
  #horizon = -1;

  constructor(copies: number) {
    this.#copies = copies;
  }

  begun(session: number, copy: number): string | undefined {
    if (copy >= this.#copies) return `session ${session} began copy ${copy}, and the run has ${this.#copies}`;
    if (this.#closed.has(session)) return `session ${session} began when it was closed`;
    return this.begin(session, copy) ? undefined : `copy ${copy} of session ${session} began twice`;
  }

  opened(session: number, copy: number): string | undefined {
    if (!this.#begun.has(this.#numberOf(session, copy)))
      return `copy ${copy} of session ${session} was opened and had not begun`;
    return this.open(session, copy) ? undefined : `copy ${copy} of session ${session} was opened twice`;
  }

  unknown(horizon: number): undefined {
    this.#horizon = Math.max(this.#horizon, horizon);
  }

  closed(session: number, accounts: Accounts): string | undefined {
    if (!this.#closed.add(session)) return `session ${session} was closed twice`;
    addAccounts(this.accounts, accounts);
    return undefined;
  }

  /** Notes that the copy begins. Returns false where it had before. */
  begin(session: number, copy: number): boolean {
    return this.#begun.add(this.#numberOf(session, copy));
  }

  /** Notes that the copy is opened. Returns false where it had been before. */
  open(session: number, copy: number): boolean {
    return this.#opened.add(this.#numberOf(session, copy));
  }

  isCounted(session: number): boolean {
    return this.#closed.has(session);
  }

  wasOpened(session: number, copy: number): boolean {
    return this.#opened.has(this.#numberOf(session, copy));
  }

  lostBy(session: number, copy: number): 'interrupted' | 'unknown-after-crash' | undefined {
    if (this.#begun.has(this.#numberOf(session, copy))) return 'interrupted';
    return session <= this.#horizon ? 'unknown-after-crash' : undefined;
  }

  #numberOf(session: number, copy: number): number {
    return session * this.#copies + copy;
  }
}
