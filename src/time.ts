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

/** The wall clock now, ns since `originSec` seconds after 1970: what a capture would stamp on a packet at this moment. */
export function captureNow(originSec: number): CaptureNs {
  const fine = performance.timeOrigin + performance.now();
  const coarse = Date.now();
  // The wall clock was set, or drifted from the monotonic one, since the process began: then to the millisecond only.
  const nowMs = Math.abs(fine - coarse) > 2 ? coarse + 0.5 : fine;
  return (nowMs - originSec * 1000) * 1e6;
}

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
