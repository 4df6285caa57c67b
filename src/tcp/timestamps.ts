import type { MonotonicMs } from '../time.ts';

/**
 * One tick of TSval, ms; RFC 7323 (5.4) allows 1 ms to 1 s. Coarser than Linux's 1 ms, because two hosts send on one connection:
 * a peer takes a segment whose TSval is one tick behind the newest (Linux's PAWS window), and 10 ms are more than
 * the two clocks ever differ (docs/packet-transport.md).
 */
export const TIMESTAMP_TICK_MS = 10;

/** TSval of segments (RFC 7323 5.4): ticks of the wall clock, so that a tuple used again, also by the next run, gets larger ones. */
export class TimestampClock {
  #epochMs: number;

  /** `epochMs`: ms since 1970 when the monotonic clock that `at` is asked by stood at 0. */
  constructor(epochMs: number) {
    this.#epochMs = epochMs;
  }

  /** TSval at `now`. */
  at(now: MonotonicMs): number {
    return Math.floor((this.#epochMs + now) / TIMESTAMP_TICK_MS) >>> 0;
  }
}
