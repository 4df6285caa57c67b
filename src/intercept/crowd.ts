import type { MonotonicMs } from '../time.ts';

/** Over how long flows are counted, ms. */
const WINDOW_MS = 2;

/** How much rest each flow of a crowd allows, and at most, ms. */
const REST_PER_FLOW_MS = 0.01;
const MAX_REST_MS = 0.5;

/** Fewer than this are no crowd. */
const LEAST_FLOWS = 8;

/** A flow that can be counted; begin with -1. */
export interface Member {
  seenIn: number;
}

/**
 * How long to let answers gather before the next look at the capture. A wake-up costs ten times what reading a packet
 * costs, so where many flows have traffic they are read in batches; where few have, at once. So latency is small for those
 * who wait for one answer, and throughput large for crowds, whose answers wait for the target longer than for us.
 */
export class Crowd {
  #window = 0;
  #windowEnds: MonotonicMs = 0;
  /** Different flows with traffic in this window, and in the one before it. */
  #flows = 0;
  #flowsBefore = 0;

  /** `member` has traffic. */
  seen(member: Member): void {
    if (member.seenIn === this.#window) return;
    member.seenIn = this.#window;
    this.#flows++;
  }

  restMs(now: MonotonicMs): number {
    if (now >= this.#windowEnds) {
      // A window without any look belongs to nobody.
      this.#flowsBefore = now >= this.#windowEnds + WINDOW_MS ? 0 : this.#flows;
      this.#flows = 0;
      this.#window++;
      this.#windowEnds = now + WINDOW_MS;
    }
    const flows = Math.max(this.#flows, this.#flowsBefore);
    return flows < LEAST_FLOWS ? 0 : Math.min(MAX_REST_MS, flows * REST_PER_FLOW_MS);
  }
}
