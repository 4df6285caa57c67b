import type { Command } from '../../mysql/command.ts';
import type { CaptureNs } from '../../time.ts';

/** Ends that all lanes are past are kept up to so many before they are cut. */
const CUT_ENDS = 1024;

/** One copy of a session that holds locks. */
export interface Holder {
  /** Ordinal of the first of its commands, as far as they were read, that it is not done with; Infinity: of none. */
  readonly openFrom: number;
}

/** The end of a transaction that had written: its COMMIT or ROLLBACK, say. */
interface End {
  command: Command;
  /** When its client asked for it: the transaction had all its locks by then, and gave them up after. */
  at: CaptureNs;
  /** In the order of the lanes; none: it turned out to be no end. */
  copies: readonly Holder[];
}

/**
 * In which order transactions get their locks. Of two that want the same lock, the second was answered after the first had asked for
 * its end: so a write waits until every transaction whose end was asked for before that write was answered has carried out
 * everything up to its end. It then has all its locks, and whoever wants one of them comes after it, as in the recording.
 *
 * The answer to the end does not matter: a server gives locks up before it, so the one who waits may be answered first.
 */
export class LockOrder {
  /** By `at`; those before each lane's mark are done. */
  #ends: End[] = [];
  readonly #marks: number[];
  readonly #known = new WeakMap<Command, End>();
  #cutAt = CUT_ENDS;

  constructor(lanes: number) {
    this.#marks = new Array(lanes).fill(0);
  }

  /** `command` was read, or answered, and ends a transaction that had written; its client asked for that `at`. */
  ends(command: Command, at: CaptureNs, copies: readonly Holder[]): void {
    let i = this.#ends.length;
    while (i > 0 && this.#ends[i - 1].at > at) i--;
    const end = { command, at, copies };
    this.#known.set(command, end);
    this.#ends.splice(i, 0, end);
    // What came about in the meantime is passed again; in all lanes before one of them cuts.
    for (const [lane, mark] of this.#marks.entries()) this.#marks[lane] = Math.min(mark, i);
    for (const lane of this.#marks.keys()) this.passed(lane);
  }

  /** `command` was taken for an end, and is none. */
  endsNot(command: Command): void {
    const end = this.#known.get(command);
    if (end !== undefined) end.copies = [];
  }

  /** Whether `command` is known as an end. */
  has(command: Command): boolean {
    return this.#known.has(command);
  }

  /** Of the transactions that have not all their locks in `lane`, the one that ended first. */
  #first(lane: number): End | undefined {
    return this.#ends[this.#marks[lane]];
  }

  /** When its end was asked for, in the recording; Infinity: there is none. */
  firstOpen(lane: number): CaptureNs {
    return this.#first(lane)?.at ?? Number.POSITIVE_INFINITY;
  }

  /** Its session's copy. */
  firstHolder(lane: number): Holder | undefined {
    return this.#first(lane)?.copies[lane];
  }

  /** Somebody in `lane` got something done: looks who has all its locks by now. */
  passed(lane: number): void {
    let mark = this.#marks[lane];
    while (mark < this.#ends.length && hasItsLocks(this.#ends[mark], lane)) mark++;
    this.#marks[lane] = mark;
    if (mark >= this.#cutAt) this.#cut();
  }

  #cut(): void {
    const n = Math.min(...this.#marks);
    this.#ends.splice(0, n);
    for (const lane of this.#marks.keys()) this.#marks[lane] -= n;
    this.#cutAt = Math.max(...this.#marks) + CUT_ENDS;
  }
}

function hasItsLocks({ command, copies }: End, lane: number): boolean {
  const holder = copies[lane];
  return holder === undefined || holder.openFrom >= command.ordinal;
}
