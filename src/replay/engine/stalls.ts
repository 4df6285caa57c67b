/**
 * Whose fault it is that commands go out late: this process stood still (stopped, or blocked by a disk), or the reader was held up by
 * commands that wait for the target.
 *
 * The event loop is looked at every TICK_MS. A look that comes much later tells that nothing could be sent meanwhile.
 */
import type { MonotonicMs } from '../../time.ts';
import type { LateRead } from '../recorded.ts';

const TICK_MS = 50;

/** What comes no later than this is a busy moment, which shows in the lateness. */
const LEAST_STALL_MS = 250;

/** Where more of the time than this was work, the reader waits because of us. */
const MOST_LOAD = 0.9;

export interface StallWatchOptions {
  now(): MonotonicMs;
  /** What part of the time since the last call this thread was at work, of 1; undefined: not known, and never the cause. */
  load?: (() => number) | undefined;
  /** The reader waits for room. */
  isFull(): boolean;
  /** Nothing could be done for `ms`. */
  stalled(ms: number): void;
}

export class StallWatch {
  readonly #options: StallWatchOptions;
  readonly #timer: NodeJS.Timeout;
  #lookedAt: MonotonicMs;
  /** Of stalls that are over. */
  #stalledMs = 0;
  #wasFull = false;
  #heldMs = 0;

  constructor(options: StallWatchOptions) {
    this.#options = options;
    this.#lookedAt = options.now();
    options.load?.();
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  /** How long this process has stood still so far, the stall that is just over included. Never less than before. */
  get stalledMs(): number {
    return this.#stalledMs + this.#stallAt(this.#options.now());
  }

  /** How long the reader has waited so far because the target had not answered what was read. */
  get heldMs(): number {
    return this.#heldMs;
  }

  close(): void {
    clearInterval(this.#timer);
    this.#tick();
  }

  #tick(): void {
    const { now: nowOf, isFull, load, stalled } = this.#options;
    const now = nowOf();
    const stallMs = this.#stallAt(now);
    if (stallMs > 0) {
      this.#stalledMs += stallMs;
      stalled(stallMs);
    }
    const full = isFull();
    const isAtWork = (load?.() ?? 0) > MOST_LOAD;
    if (full && this.#wasFull && !isAtWork) this.#heldMs += now - this.#lookedAt - stallMs;
    this.#wasFull = full;
    this.#lookedAt = now;
  }

  #stallAt(now: MonotonicMs): number {
    const ms = now - this.#lookedAt - TICK_MS;
    return ms >= LEAST_STALL_MS ? ms : 0;
  }
}

/** How much of what is late came about by one cause: by as much as that lasted meanwhile, and never more than it is late. */
export class Debt {
  #ms = 0;
  #seen: number;

  /** `total` is how long the cause has lasted so far. */
  constructor(total: number) {
    this.#seen = total;
  }

  /** What was late so far is not late any more. */
  forgive(): void {
    this.#ms = 0;
  }

  /** What is late by `lateMs` has it of the cause by so much, which has lasted `total` by now; by `leastMs` at least, for what else is known. */
  of(lateMs: number, total: number, leastMs = 0): number {
    this.#ms = Math.min(Math.max(this.#ms + total - this.#seen, leastMs), Math.max(0, lateMs));
    this.#seen = total;
    return this.#ms;
  }
}

/** When a command goes out, and whose fault it is that it is no earlier: a part of InFlight. */
export interface SendTimes {
  paced: MonotonicMs;
  due: MonotonicMs;
  sent: MonotonicMs;
  oursMs: number;
}

/** The times of a command that is sent `now`; `ours` is its session's debt of our own delays. */
export function sendTimes(
  { paced, readyAt, now }: { paced: MonotonicMs; readyAt: MonotonicMs; now: MonotonicMs },
  { resumedAt, stalledMs }: { resumedAt: MonotonicMs; stalledMs: number },
  late: LateRead | undefined,
  ours: Debt,
): SendTimes {
  // A pause is neither our lateness nor the target's delay.
  const from = Math.max(paced, resumedAt);
  const due = Math.max(from, readyAt, Math.min(now, from + (late?.heldMs ?? 0)));
  return { paced: from, due, sent: now, oursMs: ours.of(now - from, stalledMs, late?.oursMs) };
}
