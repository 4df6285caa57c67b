import type { MonotonicMs } from '../time.ts';
import { CTL } from '../wire/segment.ts';
import { seqAdd, seqDiff, seqLe, seqLt } from '../wire/sequence.ts';
import { RetransmissionTimeout } from './rto.ts';

/** SYNs sent before giving up: after 1 + 2 + 4 + 8 + 16 s, as Linux with tcp_syn_retries = 4. RFC 9293 (3.8.3). */
const MAX_SYNS = 5;

/** Times that data may be sent again before giving up: more than RFC 9293's 100 s (3.8.3, R2) from any RTO. */
const MAX_RETRANSMISSIONS = 10;

/** RFC 9293 (3.7.1): what to assume of a peer that sends no MSS option. */
const DEFAULT_MSS = 536;

/** RFC 6928: initial window, in segments. */
const INITIAL_WINDOW_SEGMENTS = 10;

export const NEVER: MonotonicMs = Number.POSITIVE_INFINITY;

export type SendState = 'syn-sent' | 'open' | 'fin-sent' | 'fin-acked' | 'failed' | 'aborted';

/** Where segments go. Called from `dispatch`, must take them at once: payload is read by `half.copyPayload`. */
export interface SegmentOut {
  /** `length` octets of payload from sequence number `seq` on; `again` where (part of) it was sent before. */
  segment(half: SendHalf, seq: number, flags: number, length: number, again: boolean): void;
}

/**
 * The send half of one TCP connection that we opened (docs/packet-transport.md): SND.UNA, SND.NXT, SND.WND, ISS,
 * retransmission and congestion window. The receive half lives elsewhere, perhaps on another host; what it learns comes
 * in by `established` and `acked`. Pure: no I/O, no clock; `pollAt` says when `dispatch` has something to do again.
 */
export class SendHalf {
  state: SendState = 'syn-sent';
  readonly iss: number;
  /** SND.UNA: oldest octet not acknowledged. */
  una: number;
  /** SND.NXT: next octet to send; goes back to SND.UNA when the retransmission timer expires. */
  nxt: number;
  /** SND.WND in octets, scaled. */
  wnd = 0;
  /** Largest payload of a segment: the peer's MSS or the path's, whichever is less. */
  mss: number;
  /** Whether the peer takes window scaling: our own scaled windows hold only then. */
  windowScaled = false;
  /** Segments that carried something sent before. */
  retransmitted = 0;

  /** One past the last octet ever sent: an ACK beyond it is none of ours. */
  #max: number;
  /** One past the last octet queued. */
  #end: number;
  #finQueued = false;
  /** Octets queued and not yet acknowledged, oldest first; #first counts the slots already let go. */
  #queue: Uint8Array[] = [];
  #first = 0;
  /** Sequence number of #queue[#first]'s first octet. */
  #queueSeq: number;
  #shift = 0;

  #cwnd = 0;
  #ssthresh = Number.MAX_SAFE_INTEGER;
  readonly #rto = new RetransmissionTimeout();
  #deadline: MonotonicMs = 0;
  #tries = 0;
  /** The segment whose round trip is being measured: one past its last octet, and when it went; -1 = none. */
  #timedSeq = 0;
  #timedAt: MonotonicMs = -1;

  /** `mss` is what the path takes (its MTU less the headers); `iss` by RFC 6528. The SYN goes on the next dispatch. */
  constructor(iss: number, mss: number) {
    this.iss = iss;
    this.mss = mss;
    this.una = iss;
    this.nxt = iss;
    this.#max = iss;
    this.#queueSeq = seqAdd(iss, 1);
    this.#end = this.#queueSeq;
  }

  /** When `dispatch` is due; NEVER where only the peer or the user can move things. */
  get pollAt(): MonotonicMs {
    return this.#deadline;
  }

  /** Everything written was acknowledged. */
  get drained(): boolean {
    return seqLe(this.#end, this.una);
  }

  /** Queues octets. They are held by reference until acknowledged. */
  write(octets: Uint8Array): void {
    if (octets.length === 0 || this.#finQueued) return;
    this.#queue.push(octets);
    this.#end = seqAdd(this.#end, octets.length);
  }

  /** Queues FIN behind everything written. */
  close(): void {
    this.#finQueued = true;
  }

  /** Sends RST and nothing more. The segment has SEG.SEQ = SND.NXT, which every peer accepts (RFC 5961 3.2). */
  abort(out: SegmentOut): void {
    if (this.state === 'failed' || this.state === 'aborted') return;
    if (this.state !== 'syn-sent') out.segment(this, this.#max, CTL.rst | CTL.ack, 0, false);
    this.#give('aborted');
  }

  /** The peer reset the connection, or it is otherwise known to be gone. */
  dead(): void {
    this.#give('aborted');
  }

  /** A SYN met an old connection of the same tuple, which was reset just now: try again at once. RFC 9293 (3.5.2). */
  synAgain(now: MonotonicMs): void {
    if (this.state === 'syn-sent') this.#deadline = now;
  }

  /** SYN-ACK. `mss` and `shift` are its options, -1 where absent; `window` is as on the wire (never scaled there). */
  established(mss: number, shift: number, window: number, now: MonotonicMs): void {
    if (this.state !== 'syn-sent') return;
    this.state = 'open';
    this.una = seqAdd(this.iss, 1);
    this.nxt = this.una;
    this.#max = this.una;
    this.mss = Math.min(this.mss, mss < 0 ? DEFAULT_MSS : Math.max(mss, 64));
    this.windowScaled = shift >= 0;
    this.#shift = shift < 0 ? 0 : shift;
    this.wnd = window;
    this.#cwnd = INITIAL_WINDOW_SEGMENTS * this.mss;
    if (this.#tries === 1) this.#rto.measured(now - this.#timedAt);
    this.#rto.restore();
    this.#tries = 0;
    this.#timedAt = -1;
    this.#deadline = NEVER;
  }

  /** The path takes no more than this (ICMP, EMSGSIZE): what goes out from now on is cut to it. */
  limitMss(mss: number): void {
    this.mss = Math.min(this.mss, Math.max(64, mss));
  }

  /** An acceptable segment carried this SEG.ACK and SEG.WND (not scaled). RFC 9293 (3.10.7.4), fifth step. */
  acked(ack: number, window: number, now: MonotonicMs): void {
    if (this.state === 'syn-sent' || seqLt(ack, this.una) || seqLt(this.#max, ack)) return;
    this.wnd = window * 2 ** this.#shift;
    if (ack === this.una) return;
    const newly = seqDiff(ack, this.una);
    this.una = ack;
    if (seqLt(this.nxt, ack)) this.nxt = ack;
    this.#letGo();
    if (this.#timedAt >= 0 && seqLe(this.#timedSeq, ack)) {
      this.#rto.measured(now - this.#timedAt);
      this.#timedAt = -1;
    }
    this.#rto.restore();
    this.#tries = 0;
    // RFC 5681 (3.1): slow start, then congestion avoidance.
    if (this.#cwnd < this.#ssthresh) this.#cwnd += Math.min(newly, this.mss);
    else this.#cwnd += Math.max(1, (this.mss * this.mss) / this.#cwnd);
    if (this.state === 'fin-sent' && ack === seqAdd(this.#end, 1)) this.state = 'fin-acked';
    // RFC 6298 (5.2, 5.3)
    this.#deadline = this.una === this.#max ? NEVER : now + this.#rto.ms;
  }

  /** Sends what may go now: new data, a FIN, or, where the timer expired, the oldest segment again. */
  dispatch(now: MonotonicMs, out: SegmentOut): void {
    if (this.state === 'failed' || this.state === 'aborted' || this.state === 'fin-acked') return;
    if (this.state === 'syn-sent') {
      this.#sendSyn(now, out);
      return;
    }
    if (now >= this.#deadline) this.#expired(now, out);
    if (this.state === 'open' || this.state === 'fin-sent') this.#sendData(now, out);
  }

  /** Copies payload from `seq` on into `target` at `at`. Only for octets that are queued and not acknowledged. */
  copyPayload(seq: number, length: number, target: Uint8Array, at: number): void {
    let i = this.#first;
    let offset = seqDiff(seq, this.#queueSeq);
    while (length > 0) {
      const chunk = this.#queue[i];
      if (offset < chunk.length) {
        const take = Math.min(length, chunk.length - offset);
        if (offset === 0 && take === chunk.length) target.set(chunk, at);
        else target.set(chunk.subarray(offset, offset + take), at);
        at += take;
        length -= take;
        offset += take;
      }
      offset -= chunk.length;
      i++;
    }
  }

  #give(state: 'failed' | 'aborted'): void {
    this.state = state;
    this.#deadline = NEVER;
    this.#queue = [];
    this.#first = 0;
  }

  #sendSyn(now: MonotonicMs, out: SegmentOut): void {
    if (now < this.#deadline) return;
    if (this.#tries === MAX_SYNS) {
      this.#give('failed');
      return;
    }
    out.segment(this, this.iss, CTL.syn, 0, this.#tries > 0);
    if (this.#tries > 0) {
      this.retransmitted++;
      this.#rto.backOff();
    }
    this.#tries++;
    this.nxt = seqAdd(this.iss, 1);
    this.#max = this.nxt;
    this.#timedAt = now;
    this.#deadline = now + this.#rto.ms;
  }

  /** The timer expired: RFC 6298 (5.4 to 5.6), RFC 5681 (3.1); on a closed window, the probe of RFC 9293 (3.8.6.1). */
  #expired(now: MonotonicMs, out: SegmentOut): void {
    if (this.wnd === 0 && seqLt(this.una, this.#end)) {
      // The peer answers probes as long as it lives, so they are not counted as tries.
      this.#emit(this.una, 1, out);
      if (this.nxt === this.una) this.nxt = seqAdd(this.una, 1);
      if (seqLt(this.#max, this.nxt)) this.#max = this.nxt;
      this.#timedAt = -1;
      this.#rto.backOff();
      this.#deadline = now + this.#rto.ms;
      return;
    }
    if (this.una === this.#max) {
      this.#deadline = NEVER;
      return;
    }
    if (this.#tries === MAX_RETRANSMISSIONS) {
      this.#give('failed');
      return;
    }
    this.#tries++;
    this.#rto.backOff();
    this.#timedAt = -1; // Karn: an ACK could be for either sending
    this.#ssthresh = Math.max(seqDiff(this.#max, this.una) / 2, 2 * this.mss);
    this.#cwnd = this.mss;
    this.nxt = this.una;
    this.#deadline = now + this.#rto.ms;
  }

  #sendData(now: MonotonicMs, out: SegmentOut): void {
    const limit = Math.min(this.wnd, this.#cwnd);
    for (;;) {
      const left = seqDiff(this.#end, this.nxt);
      if (left <= 0) break;
      const room = limit - seqDiff(this.nxt, this.una);
      const length = Math.min(left, this.mss, room);
      // Silly window avoidance, RFC 9293 (3.8.6.2.1): a short segment only for want of data, or to an idle peer.
      if (length <= 0 || (length < left && length < this.mss && this.nxt !== this.una)) break;
      this.#emit(this.nxt, length, out);
      this.nxt = seqAdd(this.nxt, length);
      this.#sent(now);
    }
    if (this.#finQueued && this.nxt === this.#end) {
      this.state = 'fin-sent';
      out.segment(this, this.nxt, CTL.fin | CTL.ack, 0, this.#max !== this.#end);
      this.nxt = seqAdd(this.nxt, 1);
      this.#sent(now);
    } else if (this.wnd === 0 && this.#deadline === NEVER && seqLt(this.nxt, this.#end)) {
      this.#deadline = now + this.#rto.ms;
    }
  }

  /** Accounts for SND.NXT having moved: the timer (RFC 6298 5.1), and one round trip at a time to measure. */
  #sent(now: MonotonicMs): void {
    if (seqLt(this.#max, this.nxt)) {
      this.#max = this.nxt;
      if (this.#timedAt < 0 && this.#tries === 0) {
        this.#timedSeq = this.nxt;
        this.#timedAt = now;
      }
    }
    if (this.#deadline === NEVER) this.#deadline = now + this.#rto.ms;
  }

  #emit(seq: number, length: number, out: SegmentOut): void {
    const again = seqLt(seq, this.#max);
    if (again) this.retransmitted++;
    const last = seqAdd(seq, length) === this.#end;
    out.segment(this, seq, last ? CTL.ack | CTL.psh : CTL.ack, length, again);
  }

  /** Lets go of chunks that were acknowledged whole. */
  #letGo(): void {
    while (this.#first < this.#queue.length) {
      const { length } = this.#queue[this.#first];
      if (seqDiff(this.una, this.#queueSeq) < length) break;
      this.#queueSeq = seqAdd(this.#queueSeq, length);
      this.#first++;
    }
    if (this.#first === this.#queue.length) {
      this.#queue.length = 0;
      this.#first = 0;
    } else if (this.#first >= 64) {
      this.#queue.splice(0, this.#first);
      this.#first = 0;
    }
  }
}
