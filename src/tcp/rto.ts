import type { MonotonicMs } from '../time.ts';

/** RTO before the first measurement, ms. RFC 6298 (2.1). */
const INITIAL_RTO_MS = 1000;

/** RTO of data where the SYN had to be sent again and so measured nothing, ms. RFC 6298 (5.7). */
const UNMEASURED_RTO_MS = 3000;

/** Lower bound on RTO, ms. RFC 6298 (2.4) says 1000; Linux uses 200, and so do we, to react as a real client would. */
const MIN_RTO_MS = 200;

/** Upper bound on RTO, ms. RFC 6298 (2.5) wants at least 60 s where there is one; Linux has 120 s. */
const MAX_RTO_MS = 120_000;

/** Clock granularity G, ms: ours is finer than a millisecond, the timers that use it are not. */
const GRANULARITY_MS = 1;

const MAX_BACK_OFFS = 16;

/** The retransmission timeout of one connection, RFC 6298. Pure: times come in as arguments. */
export class RetransmissionTimeout {
  /** Smoothed round-trip time, ms; 0 before the first measurement. */
  srtt = 0;
  rttvar = 0;
  /** Expirations since the last measurement, or `restore`. */
  backOffs = 0;
  #rto = INITIAL_RTO_MS;

  /** How long to wait for an acknowledgement now, ms, back-off included. */
  get ms(): number {
    return Math.min(MAX_RTO_MS, this.#rto * (1 << this.backOffs));
  }

  /** A round trip measured on a segment that was sent only once (Karn's rule is the caller's to keep). Ends the back-off. */
  measured(rttMs: MonotonicMs): void {
    if (this.srtt === 0) {
      // (2.2) the first measurement
      this.srtt = rttMs;
      this.rttvar = rttMs / 2;
    } else {
      // (2.3) beta = 1/4, alpha = 1/8
      this.rttvar += (Math.abs(this.srtt - rttMs) - this.rttvar) / 4;
      this.srtt += (rttMs - this.srtt) / 8;
    }
    this.#rto = Math.max(MIN_RTO_MS, this.srtt + Math.max(GRANULARITY_MS, 4 * this.rttvar));
    this.backOffs = 0;
  }

  /** (5.5) The timer expired. */
  backOff(): void {
    if (this.backOffs < MAX_BACK_OFFS) this.backOffs++;
  }

  /** The path is known to be alive again. */
  restore(): void {
    this.backOffs = 0;
  }

  /** (5.7) Data begins, and the SYN measured nothing. */
  unmeasured(): void {
    this.#rto = UNMEASURED_RTO_MS;
    this.backOffs = 0;
  }
}
