import { CTL } from '../wire/segment.ts';
import { seqAdd, seqDiff, seqLe, seqLt } from '../wire/sequence.ts';
import { SendQueue } from './send-queue.ts';

/** NOP, NOP, timestamps (RFC 7323, appendix A): room that each segment loses to them (RFC 6691). */
const TIMESTAMPS_OCTETS = 12;

export type SendState = 'syn-sent' | 'open' | 'fin-sent' | 'fin-acked' | 'failed' | 'aborted';

/** Where segments go. Called from `dispatch`, must take them at once: payload is read by `half.copyPayload`. */
export interface SegmentOut {
  /** `length` octets of payload from sequence number `seq` on; `again` where (part of) it was sent before. */
  segment(half: SendSpace, seq: number, flags: number, length: number, again: boolean): void;
}

/**
 * The send sequence space (RFC 9293 3.3.1) of one connection, and what is in it: octets written, FIN, and how they are cut into
 * segments. When they go is SendHalf's to say.
 */
export class SendSpace {
  state: SendState = 'syn-sent';
  readonly iss: number;
  /** TSval of every segment (`connectionTimestamp`). */
  readonly tsVal: number;
  /** SND.UNA: oldest octet not acknowledged. */
  una: number;
  /** SND.NXT: next octet to send; goes back to SND.UNA when the retransmission timer expires. */
  nxt: number;
  /** SND.WND in octets, scaled. */
  wnd = 0;
  /** The peer's MSS or the path's, whichever is less: payload and TCP options of a segment. */
  mss: number;
  /** Whether segments carry timestamps: whoever writes them puts 12 octets of options in front of the payload. */
  timestamps = false;
  /** Segments that carried something sent before. */
  retransmitted = 0;
  /** SND.MAX, one past the last octet ever sent: an ACK beyond it is none of ours. */
  max: number;
  /** One past the last octet queued: where FIN stands. */
  protected end: number;
  protected finQueued = false;
  protected readonly queue: SendQueue;

  /** `mss` is what the path takes (its MTU less the headers); `iss` by RFC 6528. The SYN goes on the next dispatch. */
  constructor(iss: number, tsVal: number, mss: number) {
    this.iss = iss;
    this.tsVal = tsVal;
    this.mss = mss;
    this.una = iss;
    this.nxt = iss;
    this.max = iss;
    this.end = seqAdd(iss, 1);
    this.queue = new SendQueue(this.end);
  }

  /** Everything written was acknowledged. */
  get drained(): boolean {
    return seqLe(this.end, this.una);
  }

  /** Queues octets. They are held by reference until acknowledged. */
  write(octets: Uint8Array): void {
    if (octets.length === 0 || this.finQueued || this.over) return;
    this.queue.push(octets);
    this.end = seqAdd(this.end, octets.length);
  }

  /** Queues FIN behind everything written. */
  close(): void {
    this.finQueued = true;
  }

  /** Copies payload from `seq` on into `target` at `at`. Only for octets that are queued and not acknowledged. */
  copyPayload(seq: number, length: number, target: Uint8Array, at: number): void {
    this.queue.copy(seq, length, target, at);
  }

  protected get over(): boolean {
    return this.state === 'failed' || this.state === 'aborted';
  }

  /** Octets sent and not acknowledged. */
  protected get outstanding(): number {
    return seqDiff(this.max, this.una);
  }

  /** SMSS: the longest payload. */
  protected get segmentOctets(): number {
    return this.timestamps ? this.mss - TIMESTAMPS_OCTETS : this.mss;
  }

  /** One segment at SND.NXT, which moves. FIN goes with the last octet (RFC 9293 3.10.4). Returns whether any of it is new. */
  protected emitNext(length: number, out: SegmentOut): boolean {
    this.nxt = this.emit(this.nxt, length, out);
    const isNew = seqLt(this.max, this.nxt);
    if (isNew) this.max = this.nxt;
    return isNew;
  }

  /** One segment of what was sent before, from `seq` on and not beyond `limit`. Returns where it ended. */
  protected emitAgain(seq: number, limit: number, out: SegmentOut): number {
    return this.emit(seq, Math.min(this.segmentOctets, seqDiff(limit, seq), seqDiff(this.end, seq)), out);
  }

  /** One octet at SND.UNA whatever the window says. SND.NXT moves where it stood there. */
  protected emitProbe(out: SegmentOut): void {
    const again = seqLt(this.una, this.max);
    if (again) this.retransmitted++;
    out.segment(this, this.una, CTL.ack, 1, again);
    if (this.nxt === this.una) this.nxt = seqAdd(this.una, 1);
    if (seqLt(this.max, this.nxt)) this.max = this.nxt;
  }

  private emit(seq: number, length: number, out: SegmentOut): number {
    const again = seqLt(seq, this.max);
    if (again) this.retransmitted++;
    const end = seqAdd(seq, length);
    const last = end === this.end;
    let flags: number = CTL.ack;
    if (last && length > 0) flags |= CTL.psh;
    if (!last || !this.finQueued) {
      out.segment(this, seq, flags, length, again);
      return end;
    }
    if (this.state === 'open') this.state = 'fin-sent';
    out.segment(this, seq, flags | CTL.fin, length, again);
    return seqAdd(end, 1);
  }
}
