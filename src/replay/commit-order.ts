import type { Command } from '../mysql/command.ts';
import type { CaptureNs, MonotonicMs } from '../time.ts';
import { DueHeap } from './heap.ts';
import type { Share } from './share.ts';

/** What those may wait who are held, ms, while nothing that they wait for comes about. */
const PATIENCE_MS = 1_000;

/** Slots at the head of the commits before they are cut. */
const CUT_SLOTS = 1024;

/** One copy of a recorded session. */
export interface Orderly {
  readonly copy: number;
  /** Ordinal of the first of its commands, as far as they were read, that it is not done with; Infinity: of none. */
  readonly openFrom: number;
  advance(): void;
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
  /** Who is held, by the commit that it waits for. */
  waiting: DueHeap<Orderly>;
  held: Map<Pick<Orderly, 'copy'>, Hold>;
  /** Let go until the mark moves again. */
  released: Set<Pick<Orderly, 'copy'>>;
  /** When the mark moved last, or, where nobody was held then, somebody was. */
  movedAt: MonotonicMs;
}

/**
 * `--order commit`: holds back each command until every transaction whose commit was answered, in the recording, before that
 * command was sent has committed in the replay. So what a command finds is what it found, whatever the speed. A write waits for
 * those, too, that committed while it was under way: it may have waited for their locks, and is not to take them first.
 *
 * Commits are numbered as their answers are read, which may be late where the capture has gaps. Nobody waits for a commit
 * that was answered later than its own command, so all waits end; but a transaction may wait for a lock that one has who is
 * held, as the replay takes some in an order of its own. So where no commit comes about for PATIENCE_MS, those who are held
 * go until one does, and are counted.
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
      held: new Map(),
      released: new Set(),
      movedAt: 0,
    }));
  }

  /** `command` was read, which copies run. */
  read(command: Command, writes: boolean): void {
    this.#after.set(command, this.#answeredBy(command.at));
    if (writes) this.#writes.add(command);
  }

  /** Whether what it waits for is known only by its answer. */
  waitsForAnswer(command: Command): boolean {
    return this.#writes.has(command);
  }

  /** The answer to `command` was read; `copies` of its session, in the order of the lanes. */
  replied(command: Command, commits: boolean, copies: readonly Orderly[], now: MonotonicMs): void {
    const after = this.#after.get(command);
    if (after === undefined) return;
    const at = command.reply?.at ?? command.at;
    if (this.#writes.has(command)) this.#after.set(command, Math.max(after, this.#answeredBy(at)));
    if (!commits) return;
    this.#commits.push({ at, copies, ordinal: command.ordinal, left: this.#lanes.length });
    this.#end++;
    for (const copy of copies) this.done(copy, now);
  }

  /** `session` is done with a command: answered, lost or skipped. */
  done(session: Pick<Orderly, 'copy'>, now: MonotonicMs): void {
    const lane = this.#laneOf(session);
    if (lane.mark === this.#end || this.#isOpen(lane)) return;
    while (lane.mark < this.#end && !this.#isOpen(lane)) this.#commits[lane.mark++ - this.#base].left--;
    this.#cut();
    lane.movedAt = now;
    lane.released.clear();
    while (lane.waiting.nextDue <= lane.mark) goOn(lane, lane.waiting.pop());
  }

  /**
   * Since when `command`, which `session` is to send next, may go: -Infinity where nothing held it. Infinity: not yet; it is told
   * to `advance` when it may.
   */
  freeAt(session: Orderly, command: Command, now: MonotonicMs): MonotonicMs {
    const lane = this.#laneOf(session);
    const after = this.#after.get(command) ?? 0;
    const hold = lane.held.get(session);
    if (after <= lane.mark || lane.released.has(session)) {
      if (after > lane.mark) this.#watcher.released();
      if (hold === undefined) return Number.NEGATIVE_INFINITY;
      lane.held.delete(session);
      this.#watcher.held(now - hold.since);
      return now;
    }
    if (hold?.waits) return Number.POSITIVE_INFINITY;
    if (lane.waiting.size === 0) lane.movedAt = now;
    lane.held.set(session, { since: hold?.since ?? now, waits: true });
    lane.waiting.push(after, session);
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
    for (const { waiting, movedAt } of this.#lanes)
      if (waiting.size > 0) next = Math.min(next, movedAt + PATIENCE_MS);
    return next;
  }

  /** Lets those go who were held for too long while nothing came about. */
  release(now: MonotonicMs): void {
    for (const lane of this.#lanes) {
      if (lane.waiting.size === 0 || now < lane.movedAt + PATIENCE_MS) continue;
      lane.movedAt = now;
      const held = lane.waiting.drain();
      for (const session of held) lane.released.add(session);
      for (const session of held) goOn(lane, session);
    }
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

function goOn({ held }: Lane, session: Orderly): void {
  const hold = held.get(session);
  if (hold !== undefined) hold.waits = false;
  session.advance();
}
