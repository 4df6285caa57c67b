import type { MonotonicMs } from '../time.ts';
import { CTL, type Segment } from '../wire/segment.ts';
import { seqAdd, seqDiff, seqLe } from '../wire/sequence.ts';
import { OutOfOrder } from './out-of-order.ts';
import { type Correction, PeerProgress } from './peer-progress.ts';
import type { PeerOptions, Progress } from './progress.ts';
import { NEVER } from './send.ts';

/**
 * Window offered, octets: what may come before its turn and be held. Constant, so that its right edge never goes back (RFC 9293
 * 3.8.6): what arrives in order is consumed at once, and what is held lies within the window, not in front of it.
 */
export const RECEIVE_WINDOW = 1 << 20;

/** Shift offered on our SYN (RFC 7323 2.2). */
export const RECEIVE_SHIFT = 7;

/** The window where nothing scales it, the SYN's among them: Linux's, 44 full segments of Ethernet. */
const UNSCALED_WINDOW = 64_240;

/** SEG.WND of what we send; `scaled` where both ends offered to scale (RFC 7323 2.2: never on the SYN itself). */
export function windowField(scaled: boolean): number {
  return scaled ? RECEIVE_WINDOW >> RECEIVE_SHIFT : UNSCALED_WINDOW;
}

/** How much older than TS.Recent a segment may be, ticks of the peer's: as in Linux, for what was overtaken on its way. */
const PAWS_TICKS = 1;

/** RFC 7323 (5.5): after this time TS.Recent says nothing any more. */
const TIMESTAMP_STALE_MS = 24 * 86_400_000;

export type ReceiveState = 'syn-sent' | 'open' | 'fin' | 'reset';

/** What the receive half learns, told in the order of the segment's own steps (RFC 9293 3.10.7). The half is its own Progress. */
export interface ReceiveSink {
  /** SYN-ACK. `peer` is the sink's to keep. */
  established(half: ReceiveHalf, peer: PeerOptions): void;
  /** An acceptable segment's ACK, window and SACK blocks: in the half. */
  acked(half: ReceiveHalf): void;
  /** The next octets of the stream, valid during the call. RCV.NXT is past them already. */
  data(half: ReceiveHalf, octets: Uint8Array, from: number, to: number): void;
  /** The stream's end. */
  fin(half: ReceiveHalf): void;
  /** The peer reset the connection; `refused` where that was its answer to our SYN. */
  reset(half: ReceiveHalf, refused: boolean): void;
  /** SND.MAX: no higher SEG.ACK can be right. -1, or left out, where the send half is too far away to ask. */
  sndMax?(half: ReceiveHalf): number;
  /** Our SYN met an old connection (challenge ACK or TIME_WAIT): send RST with this SEG.SEQ, then the SYN again. */
  stale(half: ReceiveHalf, seq: number): void;
}

/** Where a connection stands that another receive half had. */
export interface Standing {
  rcvNxt: number;
  ack: number;
  tsVal: number;
  tsRecent: number;
  peer: PeerOptions;
}

/**
 * The receive half of one TCP connection that we opened (docs/packet-transport.md): IRS, RCV.NXT, reassembly, ACKs. It
 * acknowledges only what it holds or has handed on. Pure: no I/O, no clock. Who owns it sends the ACKs, with SEG.SEQ = `ack` and
 * SEG.ACK = `rcvNxt`.
 */
export class ReceiveHalf extends PeerProgress implements Progress {
  state: ReceiveState = 'syn-sent';
  tsRecent = 0;
  /** TSval of the segments that we send: the SYN's, which the SYN-ACK echoes. 0 before. */
  tsVal = 0;
  /** SEG.WND of the segments that we send. */
  windowField = windowField(false);
  /** When TS.Recent was set; NEVER: not known, but not long ago. */
  #tsRecentAt: MonotonicMs = 0;

  /** One in the middle of a connection: what it does not know the peer tells it with its next segment. */
  static resume({ rcvNxt, ack, tsVal, tsRecent, peer }: Standing): ReceiveHalf {
    const half = new ReceiveHalf(ack);
    half.state = 'open';
    half.rcvNxt = rcvNxt;
    half.told = rcvNxt;
    half.resumeAt(rcvNxt, peer);
    half.tsVal = tsVal;
    half.tsRecent = tsRecent;
    half.#tsRecentAt = NEVER;
    return half;
  }

  process(segment: Segment, now: MonotonicMs, sink: ReceiveSink): void {
    if (this.state === 'syn-sent') this.#synSent(segment, now, sink);
    else if (this.state !== 'reset') this.#synchronized(segment, now, sink);
  }

  /** The same for TS.Recent, by which PAWS drops what is older. */
  override correct(correction: Correction): boolean {
    const isCorrected = super.correct(correction);
    if (isCorrected && this.timestamps) this.tsRecent = correction.tsRecent;
    return isCorrected;
  }

  /** RFC 9293 (3.10.7.3). */
  #synSent(segment: Segment, now: MonotonicMs, sink: ReceiveSink): void {
    const { flags } = segment;
    const acceptable = (flags & CTL.ack) !== 0 && segment.ack === seqAdd(this.ack, 1);
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
    const tsVal = segment.tsVal;
    const peer = {
      mss: segment.mss,
      shift: segment.windowShift,
      sackPermitted: segment.sackPermitted,
      timestamps: tsVal >= 0,
    };
    this.state = 'open';
    this.rcvNxt = seqAdd(segment.seq, 1);
    this.told = segment.seq;
    this.begin(segment, peer);
    if (tsVal >= 0) {
      this.tsRecent = tsVal;
      this.tsVal = segment.tsEcr;
    }
    this.#tsRecentAt = now;
    this.ackNow = true;
    sink.established(this, peer);
  }

  /** RFC 9293 (3.10.7.4). */
  #synchronized(segment: Segment, now: MonotonicMs, sink: ReceiveSink): void {
    const { flags, seq } = segment;
    const offset = seqDiff(seq, this.rcvNxt);
    const length = segment.dataLength;
    const fin = (flags & CTL.fin) !== 0 && length === segment.wireDataLength;
    const total = length + (fin ? 1 : 0);
    // A segment without them is taken, as Linux does, where RFC 7323 (3.2) would drop it.
    const tsVal = this.timestamps ? segment.tsVal : -1;
    // PAWS, RFC 7323 (5.3, R1).
    if (tsVal >= 0 && ((this.tsRecent - tsVal) | 0) > PAWS_TICKS && !(flags & CTL.rst)) {
      if (now - this.#tsRecentAt < TIMESTAMP_STALE_MS) {
        this.#unacceptable(seq, total, now);
        return;
      }
      this.tsRecent = tsVal;
    }
    if (flags & CTL.rst) {
      // RFC 5961 (3.2): only the exact RCV.NXT resets; in the window, ask; outside, ignore.
      if (offset === 0) {
        this.state = 'reset';
        this.release();
        sink.reset(this, false);
      } else if (offset > 0 && offset < this.#rcvWnd) this.challenge(now);
      return;
    }
    if (flags & CTL.syn) {
      // Our ACK of the SYN-ACK was lost, or RFC 5961 (4.2): either way the answer is an ACK.
      this.challenge(now);
      return;
    }
    if (!(flags & CTL.ack)) return;
    if (offset >= this.#rcvWnd || offset + total < 0) {
      this.#unacceptable(seq, total, now);
      return;
    }
    const sndMax = sink.sndMax === undefined ? -1 : sink.sndMax(this);
    if (!this.takeAck(segment, seqAdd(seq, total), total === 0, sndMax)) {
      this.challenge(now);
      return;
    }
    // RFC 7323 (4.3, 2), (5.3, R3).
    if (tsVal >= 0 && ((tsVal - this.tsRecent) | 0) >= 0 && seqLe(seq, this.told)) {
      this.tsRecent = tsVal;
      this.#tsRecentAt = now;
    }
    sink.acked(this);
    if (total === 0) {
      // Keepalive or window probe: an octet before RCV.NXT, or none; RFC 9293 (3.8.4) wants it answered.
      if (offset < 0) this.challenge(now);
      return;
    }
    if (offset > 0) {
      (this.outOfOrder ??= new OutOfOrder()).hold(
        segment.octets,
        segment.dataOffset,
        length,
        seq,
        fin,
        this.#rcvWnd,
      );
      this.answer();
      return;
    }
    if (-offset >= (this.state === 'open' ? total : length)) {
      // Nothing new in it: the peer missed our ACK.
      this.repeated(seq, seqAdd(seq, total));
      this.answer();
      return;
    }
    if (offset < 0) this.repeated(seq, this.rcvNxt);
    this.#take(segment.octets, segment.dataOffset - offset, segment.dataOffset + length, fin, sink);
    if (this.outOfOrder !== undefined) this.#takeHeld(this.outOfOrder, sink);
    this.owe(length, now);
  }

  protected override options(peer: PeerOptions): void {
    super.options(peer);
    this.windowField = windowField(peer.shift >= 0);
  }

  /** RCV.WND as the peer knows it. */
  get #rcvWnd(): number {
    return this.windowField === UNSCALED_WINDOW ? UNSCALED_WINDOW : RECEIVE_WINDOW;
  }

  /** A segment that is not taken: RFC 9293 (3.10.7.4, first). What had something in it is answered each time. */
  #unacceptable(seq: number, total: number, now: MonotonicMs): void {
    if (total === 0) this.challenge(now);
    else {
      const end = seqAdd(seq, total);
      if (seqLe(end, this.rcvNxt)) this.repeated(seq, end);
      this.answer();
    }
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

  #takeHeld(held: OutOfOrder, sink: ReceiveSink): void {
    if (!held.hole) return;
    for (;;) {
      const piece = held.take(this.rcvNxt);
      if (piece === undefined) break;
      const { left, octets, fin } = piece;
      const skip = seqDiff(this.rcvNxt, left);
      if (skip < octets.length || (fin && skip === octets.length)) {
        this.#take(octets, skip, octets.length, fin, sink);
      }
    }
    // (RFC 5681 4.2) What fills a hole, or part of one, is acknowledged at once.
    this.ackNow = true;
    if (held.hole) this.answer();
    else if (held.empty) this.outOfOrder = undefined;
  }
}
