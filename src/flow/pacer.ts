import type { CaptureNs, MonotonicMs } from '../time.ts';

/**
 * When a recorded moment is due in the replay. Always reckoned from one anchor, never from the previous wait, so that
 * lateness cannot add up.
 *
 * Setting the speed and pausing move the anchor to the recorded moment that the replay has reached: what is behind it was
 * due and stays so, at the time at which it was; what is due now is due now; what lies ahead comes at the new speed.
 */
export class Pacer {
  #speed: number;
  #paused = false;
  #anchorAt: CaptureNs;
  /** When what lies ahead of the anchor begins; Infinity while paused. */
  #anchorMs: MonotonicMs;
  /** What is recorded at the anchor or before it: when that was due, and how fast it went by. */
  #behindMs: MonotonicMs;
  #behindSpeed: number;
  /** The replay begins no sooner. */
  readonly #startMs: MonotonicMs;

  /** `speed` (0.01 to 1000) 2 is twice as fast as recorded, Infinity as fast as the target takes it. */
  constructor(speed: number, anchorAt: CaptureNs, anchorMs: MonotonicMs) {
    this.#speed = speed;
    this.#anchorAt = anchorAt;
    this.#anchorMs = anchorMs;
    this.#behindMs = anchorMs;
    this.#behindSpeed = speed;
    this.#startMs = anchorMs;
  }

  get speed(): number {
    return this.#speed;
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** Infinity: not before the replay goes on. */
  due(at: CaptureNs): MonotonicMs {
    const ns = at - this.#anchorAt;
    return ns > 0 ? this.#anchorMs + ns / 1e6 / this.#speed : this.#behindMs + ns / 1e6 / this.#behindSpeed;
  }

  /** What is due at `dueMs`, which lies ahead; undefined: at full speed nothing has a time of its own. */
  momentAt(dueMs: MonotonicMs): CaptureNs | undefined {
    const ns = (dueMs - this.#anchorMs) * 1e6 * this.#speed;
    return Number.isFinite(ns) ? this.#anchorAt + ns : undefined;
  }

  /** What `ns` of the recording take at this speed, ms. */
  spanMs(ns: number): number {
    return ns / 1e6 / this.#speed;
  }

  /**
   * From `now` on. `reachedAt` is the recorded moment that the replay has come to: at full speed (Infinity) only the
   * caller knows it, at any other it is reckoned here. While paused, the speed to go on with.
   */
  setSpeed(speed: number, now: MonotonicMs, reachedAt?: CaptureNs): void {
    if (this.#anchorAhead(now)) {
      this.#behindSpeed = speed;
    } else if (!this.#paused) {
      this.#moveAnchor(now, reachedAt);
      this.#anchorMs = now;
    }
    this.#speed = speed;
  }

  /** What is not due by `now` is not due before `resume`. `reachedAt` as for `setSpeed`. */
  pause(now: MonotonicMs, reachedAt?: CaptureNs): void {
    if (this.#paused) return;
    if (this.#anchorAhead(now)) this.#behindMs = Number.POSITIVE_INFINITY;
    else this.#moveAnchor(now, reachedAt);
    this.#anchorMs = Number.POSITIVE_INFINITY;
    this.#paused = true;
  }

  resume(now: MonotonicMs): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#anchorMs = Math.max(now, this.#startMs);
    // Paused before it had begun.
    if (this.#behindMs === Number.POSITIVE_INFINITY) this.#behindMs = this.#anchorMs;
  }

  /** Whether the replay has not begun by `now`. */
  #anchorAhead(now: MonotonicMs): boolean {
    return this.#behindMs > now;
  }

  #moveAnchor(now: MonotonicMs, reachedAt: CaptureNs = this.#anchorAt): void {
    this.#behindSpeed = this.#speed;
    if (this.#speed === Number.POSITIVE_INFINITY) {
      // All of it was due as soon as the full speed began.
      this.#behindMs = this.#anchorMs;
      this.#anchorAt = Math.max(this.#anchorAt, reachedAt);
    } else {
      this.#anchorAt += (now - this.#anchorMs) * 1e6 * this.#speed;
      this.#behindMs = now;
    }
  }
}
