import type { MonotonicMs } from '../time.ts';
import { CTL, type Segment } from '../wire/segment.ts';
import { seqAdd, seqDiff, seqLe, seqLt } from '../wire/sequence.ts';
import { NEVER } from './send.ts';

/** Window offered, octets. Constant: what arrives in order is consumed at once. */
export const RECEIVE_WINDOW = 1 << 20;

/** Shift offered on our SYN (RFC 7323 2.2). */
export const RECEIVE_SHIFT = 7;

/** SEG.WND of what we send; `scaled` where both ends offered to scale (RFC 7323 2.2: never on the SYN itself). */
export function windowField(scaled: boolean): number {
  return scaled ? RECEIVE_WINDOW >> RECEIVE_SHIFT : 0xffff;
}

/** How long an ACK may wait for a command to carry it, ms. RFC 9293 (3.8.6.3) allows 500; Linux waits 40. */
const DELAYED_ACK_MS = 40;

/** In-order octets that must not wait for their ACK: two full segments, RFC 9293 (3.8.6.3). */
const ACK_AT_ONCE_OCTETS = 2 * 1460;

export type ReceiveState = 'syn-sent' | 'open' | 'fin' | 'reset';

/** What the receive half learns, told in the order of the segment's own steps (RFC 9293 3.10.7). */
export interface ReceiveSink {
  /** SYN-ACK: the options are -1 where absent, the window as on the wire. */
  established(half: ReceiveHalf, mss: number, shift: number, window: number): void;
  /** SEG.ACK and SEG.WND (not scaled) of an acceptable segment. */
  acked(half: ReceiveHalf, ack: number, window: number): void;
  /** The next octets of the stream, valid during the call. RCV.NXT is past them already. */
  data(half: ReceiveHalf, octets: Uint8Array, from: number, to: number): void;
  /** The stream's end. */
  fin(half: ReceiveHalf): void;
  /** The peer reset the connection; `refused` where that was its answer to our SYN. */
  reset(half: ReceiveHalf, refused: boolean): void;
  /** Our SYN met an old connection (challenge ACK or TIME_WAIT): send RST with this SEG.SEQ, then the SYN again. */
  stale(half: ReceiveHalf, seq: number): void;
}

/** A piece of the stream that came before its turn. Owned copy. */
interface Held {
  seq: number;
  octets: Uint8Array;
  fin: boolean;
}

/**
 * The receive half of one TCP connection that we opened (docs/packet-transport.md): IRS, RCV.NXT, reassembly, ACKs. It
 * acknowledges only what it holds or has handed on. Pure: no I/O, no clock. Who owns it sends the ACKs that
 * `ackNow` and `pollAt` ask for, with SEG.SEQ = `peerAck` and SEG.ACK = `rcvNxt`, and then calls `ackSent`.
 */
export class ReceiveHalf {
  state: ReceiveState = 'syn-sent';
  rcvNxt = 0;
  /** The highest SEG.ACK seen: a sequence number at which the peer takes a bare ACK from us. */
  peerAck: number;
  /** An ACK must go at the end of this turn. */
  ackNow = false;
  /** SEG.WND of the segments that we send. */
  windowField = windowField(false);
  readonly #iss: number;
  #held: Held[] = [];
  #heldOctets = 0;
  /** RCV.NXT as the peer last heard of it. */
  #told = 0;
  #deadline: MonotonicMs = NEVER;

  constructor(iss: number) {
    this.#iss = iss;
    this.peerAck = iss;
  }

  /** When a delayed ACK is due. */
  get pollAt(): MonotonicMs {
    return this.#deadline;
  }

  /** An ACK of all up to `ack` went out. */
  ackSent(ack: number): void {
    if (seqLt(this.#told, ack)) this.#told = ack;
    if (seqLt(ack, this.rcvNxt)) return;
    this.ackNow = false;
    this.#deadline = NEVER;
  }

  process(segment: Segment, now: MonotonicMs, sink: ReceiveSink): void {
    if (this.state === 'syn-sent') this.#synSent(segment, sink);
    else if (this.state !== 'reset') this.#synchronized(segment, now, sink);
  }

  /** RFC 9293 (3.10.7.3). */
  #synSent(segment: Segment, sink: ReceiveSink): void {
    const { flags } = segment;
    const acceptable = (flags & CTL.ack) !== 0 && segment.ack === seqAdd(this.#iss, 1);
    if (flags & CTL.rst) {
      if (!acceptable) return;
      this.state = 'reset';
      sink.reset(this, true);
      return;
    }
    if (!(flags & CTL.ack)) return;
    if (!acceptable) {
      sink.stale(this, segment.ack);
      return;
    }
    if (!(flags & CTL.syn)) return;
    this.state = 'open';
    this.rcvNxt = seqAdd(segment.seq, 1);
    this.#told = segment.seq;
    this.peerAck = segment.ack;
    this.ackNow = true;
    const shift = segment.windowShift;
    this.windowField = windowField(shift >= 0);
    sink.established(this, segment.mss, shift, segment.window);
  }

  /** RFC 9293 (3.10.7.4). */
  #synchronized(segment: Segment, now: MonotonicMs, sink: ReceiveSink): void {
    const { flags, seq } = segment;
    const offset = seqDiff(seq, this.rcvNxt);
    if (flags & CTL.rst) {
      // RFC 5961 (3.2): only the exact RCV.NXT resets; in the window, ask; outside, ignore.
      if (offset === 0) {
        this.state = 'reset';
        this.#release();
        sink.reset(this, false);
      } else if (offset > 0 && offset < RECEIVE_WINDOW) {
        this.ackNow = true;
      }
      return;
    }
    if (flags & CTL.syn) {
      // Our ACK of the SYN-ACK was lost, or RFC 5961 (4.2): either way the answer is an ACK.
      this.ackNow = true;
      return;
    }
    if (!(flags & CTL.ack)) return;
    const length = segment.dataLength;
    const fin = (flags & CTL.fin) !== 0 && length === segment.wireDataLength;
    if (offset >= RECEIVE_WINDOW || offset + length + (fin ? 1 : 0) < 0) {
      this.ackNow = true;
      return;
    }
    if (seqLt(this.peerAck, segment.ack)) {
      // The peer has got more from our send half, which acknowledges all that it knows of: nothing is owed for what came
      // before. Where that guess is wrong the peer sends again and is answered at once.
      if (!this.ackNow) this.ackSent(this.rcvNxt);
      this.peerAck = segment.ack;
    }
    sink.acked(this, segment.ack, segment.window);
    if (length === 0 && !fin) {
      // Keepalive or window probe: an octet before RCV.NXT, or none; RFC 9293 (3.8.4) wants it answered.
      if (offset < 0) this.ackNow = true;
      return;
    }
    if (offset > 0) {
      this.#hold(segment, fin);
      this.ackNow = true;
      return;
    }
    if (-offset >= length + (fin && this.state === 'open' ? 1 : 0)) {
      // Nothing new in it: the peer missed our ACK.
      this.ackNow = true;
      return;
    }
    this.#take(segment.octets, segment.dataOffset - offset, segment.dataOffset + length, fin, sink);
    if (this.#held.length > 0) this.#takeHeld(sink);
    this.#schedule(now);
  }

  #take(octets: Uint8Array, from: number, to: number, fin: boolean, sink: ReceiveSink): void {
    if (this.state !== 'open') return;
    if (to > from) {
      this.rcvNxt = seqAdd(this.rcvNxt, to - from);
      sink.data(this, octets, from, to);
    }
    // The sink may have cut the connection.
    if (fin && this.state === 'open') {
      this.rcvNxt = seqAdd(this.rcvNxt, 1);
      this.state = 'fin';
      this.ackNow = true;
      sink.fin(this);
    }
  }

  /** Keeps what came before its turn, in order of sequence; what is held twice is cut when its turn comes. */
  #hold(segment: Segment, fin: boolean): void {
    const { seq, dataOffset, dataLength } = segment;
    if (this.#heldOctets + dataLength > RECEIVE_WINDOW) return;
    let i = this.#held.length;
    while (i > 0 && seqLt(seq, this.#held[i - 1].seq)) i--;
    const before = i > 0 ? this.#held[i - 1] : undefined;
    if (
      before !== undefined &&
      before.seq === seq &&
      before.octets.length >= dataLength &&
      (before.fin || !fin)
    ) {
      return;
    }
    // Not slice(): of a Buffer that is a view, and the block's memory is the next block's soon.
    const octets = new Uint8Array(segment.octets.subarray(dataOffset, dataOffset + dataLength));
    this.#held.splice(i, 0, { seq, octets, fin });
    this.#heldOctets += dataLength;
  }

  #takeHeld(sink: ReceiveSink): void {
    while (this.#held.length > 0) {
      const { seq, octets, fin } = this.#held[0];
      if (!seqLe(seq, this.rcvNxt)) break;
      this.#held.shift();
      this.#heldOctets -= octets.length;
      const skip = -seqDiff(seq, this.rcvNxt);
      if (skip < octets.length || (fin && skip === octets.length))
        this.#take(octets, skip, octets.length, fin, sink);
      this.ackNow = true;
    }
  }

  #schedule(now: MonotonicMs): void {
    if (seqDiff(this.rcvNxt, this.#told) >= ACK_AT_ONCE_OCTETS) this.ackNow = true;
    else if (this.#deadline === NEVER) this.#deadline = now + DELAYED_ACK_MS;
  }

  #release(): void {
    this.#held = [];
    this.#heldOctets = 0;
    this.ackNow = false;
    this.#deadline = NEVER;
  }
}
