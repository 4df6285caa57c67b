import type { CaptureNs, MonotonicMs } from '../time.ts';

/**
 * When a recorded moment is due in the replay. Always reckoned from one anchor, never from the previous wait, so that
 * lateness cannot add up.
 */
export class Pacer {
  readonly #speed: number;
  readonly #anchorAt: CaptureNs;
  readonly #anchorMs: MonotonicMs;

  /** `speed` 2 is twice as fast as recorded, Infinity as fast as the target takes it. */
  constructor(speed: number, anchorAt: CaptureNs, anchorMs: MonotonicMs) {
    this.#speed = speed;
    this.#anchorAt = anchorAt;
    this.#anchorMs = anchorMs;
  }

  due(at: CaptureNs): MonotonicMs {
    return this.#anchorMs + (at - this.#anchorAt) / 1e6 / this.#speed;
  }
}
