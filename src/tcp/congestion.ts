/** RFC 6928 (2): segments, and octets, of the initial window. */
const INITIAL_WINDOW_SEGMENTS = 10;
const INITIAL_WINDOW_OCTETS = 14_600;

/** RFC 3465 (2.2, 2.3): how many segments' worth one ACK may add in slow start; one after a time-out. */
const SLOW_START_SEGMENTS = 2;

/** The congestion window of one connection, RFC 5681. All in octets; `segment` is SMSS. */
export class CongestionWindow {
  cwnd = 0;
  ssthresh = Number.MAX_SAFE_INTEGER;

  /** The connection stands. RFC 6928 (2): a SYN that was lost more than once is taken for congestion. */
  open(segment: number, synsLost: number): void {
    this.cwnd = synsLost > 1 ? segment : initialWindow(segment);
  }

  /**
   * An ACK of `newly` octets that came for the first time. RFC 5681 (3.1), counted in octets (RFC 3465). `flight` is what was
   * under way before it: a window that was not used says nothing of the path and does not grow (RFC 7661 4.3).
   */
  acknowledged(newly: number, flight: number, segment: number, afterTimeout: boolean): void {
    if (flight * 2 < this.cwnd) return;
    if (this.cwnd < this.ssthresh) {
      this.cwnd += Math.min(newly, segment * (afterTimeout ? 1 : SLOW_START_SEGMENTS));
    } else this.cwnd += Math.max(1, Math.floor((segment * Math.min(newly, this.cwnd)) / this.cwnd));
  }

  /** A loss that ACKs told of: RFC 5681 (3.2, step 2), RFC 6675 (5, 4.2). */
  lost(flight: number, segment: number): void {
    this.ssthresh = Math.max(flight >>> 1, 2 * segment);
    this.cwnd = this.ssthresh;
  }

  /** The timer expired: RFC 5681 (3.1). On the same segment again ssthresh stays. */
  timedOut(flight: number, segment: number, again: boolean): void {
    if (!again) this.ssthresh = Math.max(flight >>> 1, 2 * segment);
    this.cwnd = segment;
  }

  /** Fast recovery without SACK is over: RFC 6582 (3.2, step 3, option 1), so that no burst follows. */
  recovered(flight: number, segment: number): void {
    this.cwnd = Math.min(this.ssthresh, Math.max(flight, segment) + segment);
  }

  /** Nothing was sent for longer than RTO: RFC 5681 (4.1). */
  idle(segment: number): void {
    this.cwnd = Math.min(this.cwnd, initialWindow(segment));
  }
}

/** RFC 6928 (2). */
function initialWindow(segment: number): number {
  return Math.min(INITIAL_WINDOW_SEGMENTS * segment, Math.max(2 * segment, INITIAL_WINDOW_OCTETS));
}
