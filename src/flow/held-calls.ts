import type { HeldBudget } from '../tcp/watched.ts';
import type { CaptureNs } from '../time.ts';

/** What one connection may hold back while the keys of its TLS are awaited. */
const MOST_OCTETS = 1024 * 1024;

/** What each call takes beside its octets: small segments, and holes, are not to be had for nothing. */
const CALL_OCTETS = 128;

/** Something of a connection that was handed over and can't be read yet, in order. */
export type HeldCall =
  | { what: 'data'; fromClient: boolean; octets: Uint8Array; at: CaptureNs; caughtUp: boolean }
  | { what: 'gap'; fromClient: boolean; octets: number; at: CaptureNs }
  | { what: 'end'; fromClient: boolean; at: CaptureNs };

/** What came of a connection since its TLS waits for keys, both directions in the order of the wire. */
export class HeldCalls {
  readonly #calls: HeldCall[] = [];
  readonly #budget: HeldBudget;
  #octets = 0;

  /** `budget`: what all connections may hold back together. */
  constructor(budget: HeldBudget) {
    this.#budget = budget;
  }

  /** Whether there is no room for more: it is to be taken, whether the keys are there or not. */
  get isFull(): boolean {
    return this.#octets > MOST_OCTETS || this.#budget.octets > this.#budget.limit;
  }

  /** Octets of `call` are its own. */
  add(call: HeldCall): void {
    this.#calls.push(call);
    const octets = CALL_OCTETS + (call.what === 'data' ? call.octets.length : 0);
    this.#octets += octets;
    this.#budget.octets += octets;
  }

  /** All of it, in order; none is left. */
  take(): HeldCall[] {
    this.#budget.octets -= this.#octets;
    this.#octets = 0;
    return this.#calls.splice(0);
  }
}
