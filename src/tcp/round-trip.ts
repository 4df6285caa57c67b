import type { MonotonicMs } from '../time.ts';
import { seqLe } from '../wire/sequence.ts';
import { RetransmissionTimeout } from './rto.ts';

/**
 * Measures the round trips that RTO is made of, one segment at a time, by the send half's own clock and not by TSecr (RFC 7323 4): our
 * ticks of TSval are 10 ms.
 */
export class RoundTrip extends RetransmissionTimeout {
  /** The segment being measured: one past its last octet, and when it went; -1 = none. */
  #seq = 0;
  #at: MonotonicMs = -1;

  /** New octets up to `end` went, unless another segment is being measured. */
  sent(end: number, now: MonotonicMs): void {
    if (this.#at >= 0) return;
    this.#seq = end;
    this.#at = now;
  }

  /** Karn (RFC 6298 3): something was sent again, and an ACK could be for either sending. */
  again(): void {
    this.#at = -1;
  }

  /** An ACK of new data. `timestamps`: segments carry them. */
  acknowledged(ack: number, timestamps: boolean, now: MonotonicMs): void {
    if (this.#at >= 0 && seqLe(this.#seq, ack)) {
      this.measured(now - this.#at);
      this.#at = -1;
    } else if (timestamps) {
      // With them any ACK measures, also of what was sent twice, and that ends the back-off (RFC 6298 5); without, Karn holds.
      this.restore();
    }
  }
}
