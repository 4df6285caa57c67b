import { TimestampClock } from '../tcp/timestamps.ts';
import type { MonotonicMs } from '../time.ts';

/** Words of the other clock that are remembered: a clock that drifts, or was set, is followed within as many seconds. */
const REMEMBERED = 8;

/**
 * The clock by which the other end of a channel makes its TSval, as far as its words, under way for an unknown time, tell it:
 * of the last few the one that was under way for the shortest time, which is the one that says the most. So it lags
 * behind the other by that time, and never runs ahead.
 */
export class PeerClock {
  /** What the other clock said less what ours said, ms; oldest first. */
  readonly #leads: number[] = [];

  /** The other clock said `theirMs` in a word that came `now`. */
  heard(theirMs: number, now: MonotonicMs): TimestampClock {
    this.#leads.push(theirMs - now);
    if (this.#leads.length > REMEMBERED) this.#leads.shift();
    return new TimestampClock(Math.max(...this.#leads));
  }
}
