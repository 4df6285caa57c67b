import type { Command } from '../../mysql/command.ts';
import { isRolledBack } from '../../mysql/rolled-back.ts';
import type { CaptureNs, MonotonicMs } from '../../time.ts';
import type { Share } from '../share.ts';
import { DueHeap } from './heap.ts';
import { LockOrder } from './lock-order.ts';

/** What those may wait who are held, ms, while those that they wait for get nothing done. */
const PATIENCE_MS = 1_000;

/** The same for those who are in a transaction, while a write is under way that may wait for one of their locks. */
const LOCK_PATIENCE_MS = 100;

/** Either may be so many times as long as what is under way took in the recording. */
const PATIENCE_FACTOR = 3;

/** Slots at the head of the commits before they are cut. */
const CUT_SLOTS = 1024;

/** One copy of a recorded session. */
export interface Orderly {
  readonly copy: number;
  /** Ordinal of the first of its commands, as far as they were read, that it is not done with; Infinity: of none. */
  readonly openFrom: number;
  /** The command that waits for the target's answer, */
  readonly underWay: Command | undefined;
  /** and since when. */
  readonly busySince: MonotonicMs;
  /** Whether the target has a transaction of it open. */
  readonly inTransaction: boolean;
  /** How long what is under way may take: `leastMs`, or `factor` times as long as in the recording. */
  patienceMs(leastMs: number, factor: number): number;
  advance(): void;
}

/** What a command did to its session's transaction, by its recorded answer. */
export interface Ended {
  /** It committed something that was written. */
  commits: boolean;
  /** When the client asked for the end of the transaction, where it was one that had written before; undefined: it was not. */
  endedAt: CaptureNs | undefined;
}

/** Who counts what is held. */
export interface HoldWatcher {
  /** A command went that was held for `ms`. */
  held(ms: number): void;
  /** A command went before all that it was to wait for. */
  released(): void;
}

interface Commit {
  /** When it was answered. */
  at: CaptureNs;
  copies: readonly Orderly[];
  ordinal: number;
  /** Lanes in which it has not come about. */
  left: number;
}

/** One session whose next command is held. */
interface Hold {
  since: MonotonicMs;
  /** Whether it is still to be told. */
  waits: boolean;
}

/** One copy of the whole recording: copies do not wait for one another. */
interface Lane {
  index: number;
  /** Commits that have come about, and all before them: answered, or lost. */
  mark: number;
  /** Who is held, by the commit that it waits for, */
  waiting: DueHeap<Orderly>;
  /** and by the moment before which transactions ended whose locks it is not to take before them. */
  forLocks: DueHeap<Orderly>;
  held: Map<Pick<Orderly, 'copy'>, Hold>;
  /** Let go until the mark moves again. */
  released: Set<Pick<Orderly, 'copy'>>;
  /** When those that are waited for got something done, or, where nobody was held then, somebody was. */
  movedAt: MonotonicMs;
  /** When those were let go last who are in a transaction. */
  triedAt: MonotonicMs;
}

/**
 * `--order commit`: holds back each command until every transaction whose commit was answered, in the recording, before that
 * command was sent has committed in the replay. So what a command finds is what it found, whatever the speed. A write waits for
 * those, too, that committed while it was under way: it may have waited for their locks, and is not to take them first. Nor is it to
 * take the locks of those whose end was asked for by then (LockOrder).
 *
 * No wait is in vain. Give each transaction the moment at which its end was asked for. A command waits only for transactions that
 * ended before its own did, and so does, on the target, whoever waits for a lock, as long as transactions want the locks that
 * they wanted in the recording: the transaction that ended first never waits.
 *
 * Commits are numbered as their answers are read, which may be late where the capture has gaps. And the target may lock what the
 * recorded server did not. So where a write that is waited for is under way for LOCK_PATIENCE_MS, those go who are in a
 * transaction; and where nothing that is waited for goes on for PATIENCE_MS, all go, until the next commit. They are counted.
 *
 * Pure: time comes in as an argument.
 */
export class CommitOrder {
  readonly #lanes: Lane[];
  /** Copies in lanes: the first one, and how far apart they are. */
  readonly #first: number;
  readonly #step: number;
  readonly #watcher: HoldWatcher;
  /** How many commits each command is to wait for. */
  readonly #after = new WeakMap<Command, number>();
  readonly #writes = new WeakSet<Command>();
  readonly #locks: LockOrder;
  /** The commits that have not come about in every lane; the first of them is the number `#base`. */
  #commits: Commit[] = [];
  #base = 0;
  #end = 0;

  /** For the copies of `share`, which has whole ones. */
  constructor(copies: number, watcher: HoldWatcher, { index: first, of: step }: Share) {
    this.#first = first;
    this.#step = step;
    this.#watcher = watcher;
    this.#lanes = Array.from({ length: Math.max(0, Math.ceil((copies - first) / step)) }, (_, index) => ({
      index,
      mark: 0,
      waiting: new DueHeap<Orderly>(),
      forLocks: new DueHeap<Orderly>(),
      held: new Map(),
      released: new Set(),
      movedAt: 0,
      triedAt: 0,
    }));
    this.#locks = new LockOrder(this.#lanes.length);
  }

  /** `command` was read, which `copies` run. `mayEnd`: it ends, if it succeeds, a transaction that has written. */
  read(command: Command, writes: boolean, mayEnd: boolean, copies: readonly Orderly[]): void {
    this.#after.set(command, this.#answeredBy(command.at));
    if (writes) this.#writes.add(command);
    if (mayEnd) this.#locks.ends(command, command.at, copies);
  }

  /** Whether what it waits for is known only by its answer. */
  waitsForAnswer(command: Command): boolean {
    return this.#writes.has(command);
  }

  /** The answer to `command` was read; `copies` of its session, in the order of the lanes. */
  replied(command: Command, { commits, endedAt }: Ended, copies: readonly Orderly[], now: MonotonicMs): void {
    const after = this.#after.get(command);
    if (after === undefined) return;
    const at = command.reply?.at ?? command.at;
    if (isRolledBack(command.reply)) this.#writes.delete(command);
    else if (this.#writes.has(command)) this.#after.set(command, Math.max(after, this.#answeredBy(at)));
    if (endedAt === undefined) this.#locks.endsNot(command);
    else if (!this.#locks.has(command)) this.#locks.ends(command, endedAt, copies);
    if (commits) {
      this.#commits.push({ at, copies, ordinal: command.ordinal, left: this.#lanes.length });
      this.#end++;
    } else if (!this.#locks.has(command)) return;
    for (const copy of copies) this.done(copy, now);
  }

  /** `session` is done with a command: answered, lost or skipped. */
  done(session: Pick<Orderly, 'copy'>, now: MonotonicMs): void {
    const lane = this.#laneOf(session);
    if (this.#isAwaited(lane, session)) lane.movedAt = now;
    if (lane.mark < this.#end && !this.#isOpen(lane)) {
      while (lane.mark < this.#end && !this.#isOpen(lane)) this.#commits[lane.mark++ - this.#base].left--;
      this.#cut();
      lane.movedAt = now;
      lane.released.clear();
      while (lane.waiting.nextDue <= lane.mark) goOn(lane, lane.waiting.pop());
    }
    this.#locks.passed(lane.index);
    while (lane.forLocks.size > 0 && lane.forLocks.nextDue <= this.#locks.firstOpen(lane.index))
      goOn(lane, lane.forLocks.pop());
  }

  /**
   * Since when `command`, which `session` is to send next, may go: -Infinity where nothing held it. Infinity: not yet; it is told
   * to `advance` when it may.
   */
  freeAt(session: Orderly, command: Command, now: MonotonicMs): MonotonicMs {
    const lane = this.#laneOf(session);
    const after = this.#after.get(command) ?? 0;
    const locksOf = this.#writes.has(command) ? (command.reply?.at ?? command.at) : Number.NEGATIVE_INFINITY;
    const isEarly = after > lane.mark || locksOf > this.#locks.firstOpen(lane.index);
    const hold = lane.held.get(session);
    if (!isEarly || lane.released.has(session)) {
      if (isEarly) this.#watcher.released();
      if (hold === undefined) return Number.NEGATIVE_INFINITY;
      lane.held.delete(session);
      this.#watcher.held(now - hold.since);
      return now;
    }
    if (hold?.waits) return Number.POSITIVE_INFINITY;
    if (!isWaitedIn(lane)) lane.movedAt = now;
    lane.held.set(session, { since: hold?.since ?? now, waits: true });
    if (after > lane.mark) lane.waiting.push(after, session);
    else lane.forLocks.push(locksOf, session);
    return Number.POSITIVE_INFINITY;
  }

  /** `session` is over. */
  left(session: Pick<Orderly, 'copy'>): void {
    const lane = this.#laneOf(session);
    lane.held.delete(session);
    lane.released.delete(session);
  }

  /** When `release` may next have somebody to let go; Infinity: nobody is held. */
  get nextAt(): MonotonicMs {
    let next = Number.POSITIVE_INFINITY;
    for (const lane of this.#lanes)
      if (isWaitedIn(lane)) next = Math.min(next, this.#allGoAt(lane), this.#holdersGoAt(lane));
    return next;
  }

  /** Lets those go who were held for too long. */
  release(now: MonotonicMs): void {
    for (const lane of this.#lanes) {
      if (!isWaitedIn(lane)) continue;
      if (now >= this.#allGoAt(lane)) {
        lane.movedAt = now;
        letGo(lane, () => true);
      } else if (now >= this.#holdersGoAt(lane)) {
        lane.triedAt = now;
        letGo(lane, ({ inTransaction }) => inTransaction);
      }
    }
  }

  /** Whose commit those wait for who are held in `lane`; undefined: nobody waits for one. */
  #committer({ waiting, mark, index }: Lane): Orderly | undefined {
    return waiting.size > 0 ? this.#commits[mark - this.#base].copies[index] : undefined;
  }

  /** Whose locks they wait for; undefined: nobody waits for any. */
  #holder({ forLocks, index }: Lane): Orderly | undefined {
    return forLocks.size > 0 ? (this.#locks.firstHolder(index) as Orderly | undefined) : undefined;
  }

  /** Asked at each answer. */
  #isAwaited(lane: Lane, session: Pick<Orderly, 'copy'>): boolean {
    return this.#committer(lane) === session || this.#holder(lane) === session;
  }

  #allGoAt(lane: Lane): MonotonicMs {
    return Math.max(
      lane.movedAt + PATIENCE_MS,
      doneBy(this.#committer(lane), PATIENCE_MS) ?? Number.NEGATIVE_INFINITY,
      doneBy(this.#holder(lane), PATIENCE_MS) ?? Number.NEGATIVE_INFINITY,
    );
  }

  /** Infinity where no write is waited for. */
  #holdersGoAt(lane: Lane): MonotonicMs {
    const at = Math.min(this.#writeDoneBy(this.#committer(lane)), this.#writeDoneBy(this.#holder(lane)));
    return Math.max(at, lane.triedAt + LOCK_PATIENCE_MS);
  }

  #writeDoneBy(awaited: Orderly | undefined): MonotonicMs {
    const command = awaited?.underWay;
    if (command === undefined || !this.#writes.has(command)) return Number.POSITIVE_INFINITY;
    return doneBy(awaited, LOCK_PATIENCE_MS) ?? Number.POSITIVE_INFINITY;
  }

  #laneOf({ copy }: Pick<Orderly, 'copy'>): Lane {
    return this.#lanes[(copy - this.#first) / this.#step];
  }

  /**
   * One past the last commit that was answered by `at`: where octets are missing, commands and answers may be told later than
   * others.
   */
  #answeredBy(at: CaptureNs): number {
    let end = this.#end;
    while (end > this.#base && this.#commits[end - 1 - this.#base].at > at) end--;
    return end;
  }

  /** Whether the commit behind the mark has not come about. */
  #isOpen(lane: Lane): boolean {
    const { copies, ordinal } = this.#commits[lane.mark - this.#base];
    return copies[lane.index].openFrom <= ordinal;
  }

  #cut(): void {
    let n = 0;
    while (n < this.#commits.length && this.#commits[n].left === 0) n++;
    if (n < CUT_SLOTS) return;
    this.#commits.splice(0, n);
    this.#base += n;
  }
}

/** By when what it has under way is to be done; undefined: nothing is. */
function doneBy(awaited: Orderly | undefined, leastMs: number): MonotonicMs | undefined {
  if (awaited?.underWay === undefined) return undefined;
  return awaited.busySince + awaited.patienceMs(leastMs, PATIENCE_FACTOR);
}

function isWaitedIn({ waiting, forLocks }: Lane): boolean {
  return waiting.size > 0 || forLocks.size > 0;
}

/** Of those who are held, lets `some` go until the next commit. */
function letGo(lane: Lane, some: (session: Orderly) => boolean): void {
  const going = [...lane.waiting.take(some), ...lane.forLocks.take(some)];
  for (const session of going) lane.released.add(session);
  for (const session of going) goOn(lane, session);
}

function goOn({ held }: Lane, session: Orderly): void {
  const hold = held.get(session);
  if (hold !== undefined) hold.waits = false;
  session.advance();
}
