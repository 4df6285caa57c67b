/**
 * The two times of mytape, and the only place where a clock is read for the code that must not read one itself.
 */

/**
 * When a packet was on the wire: nanoseconds since the `originSec` of the source that it came from.
 * A double holds 104 days of them exactly, which a count since 1970 would not fit.
 */
export type CaptureNs = number;

/** Milliseconds (with a fraction) of a clock that never steps back. Good for differences within one process. */
export type MonotonicMs = number;

export interface Clock {
  now(): MonotonicMs;
}

/** The process's monotonic clock. */
export const realClock: Clock = { now: () => performance.now() };

/** A clock that moves only when told to: for tests and simulations. */
export class ManualClock implements Clock {
  #now: MonotonicMs;

  constructor(start: MonotonicMs = 0) {
    this.#now = start;
  }

  now(): MonotonicMs {
    return this.#now;
  }

  advance(ms: number): void {
    this.#now += ms;
  }

  set(now: MonotonicMs): void {
    this.#now = now;
  }
}
