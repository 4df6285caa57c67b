import type { Segment } from '../wire/segment.ts';
import { seqAdd, seqDiff, seqLe, seqLt } from '../wire/sequence.ts';
import { AckDuty } from './ack-duty.ts';
import type { PeerOptions } from './progress.ts';

/** No window reaches further (RFC 7323 2.3). */
const MAX_WINDOW = 1 << 30;

/** The longest SEG.WND, not scaled. */
const MAX_WINDOW_FIELD = 0xffff;

/** Consecutive ACKs lower than the highest that show the highest to be false. */
const FALSE_AFTER = 4;

/** What a send half may have sent beyond the window's right edge: the octet of a window probe, and a FIN. */
const BEYOND_WINDOW = 2;

/** SACK blocks of the segment at hand, of whichever half: RFC 2018 (3) has room for four. */
const BLOCKS = new Uint32Array(8);

/** What the send half knows to be true, where an ACK of what was never sent was believed. */
export interface Correction {
  /** SND.UNA. */
  una: number;
  /** SND.MAX: the highest SEG.ACK that can be right. */
  max: number;
  /** SEG.WND of the last segment that was right, not scaled. */
  window: number;
  /** Its TS.Recent. */
  tsRecent: number;
}

/**
 * SEG.ACK, SEG.WND and SACK blocks as one receive half takes them, for its send half: a Progress but for TS.Recent. SND.NXT is
 * the send half's to know, which may be on another host. Where it is not known here, an ACK is held to what the peer's window
 * let the send half send; one that is false within it is taken back by `correct` (decision 0045).
 */
export class PeerProgress extends AckDuty {
  /** The highest SEG.ACK seen: a sequence number at which the peer takes a bare ACK from us. ISS before the first. */
  ack: number;
  window = 0;
  pure = false;
  sackCount = 0;
  /** Whether segments carry timestamps, both ways. */
  timestamps = false;
  /** One past the highest octet of the peer's that came, FIN included. */
  protected newest = 0;
  /** What the peer's SEG.WND counts in, octets, and the largest window that it had: MAX.SND.WND (RFC 5961 5.2). */
  #windowUnit = 1;
  #maxWindow = 0;
  /** Right edge of the window furthest ahead: SND.NXT is not beyond it. */
  #edge = 0;
  /** ACKs lower than `ack` since the last that was not. */
  #lower = 0;

  constructor(iss: number) {
    super();
    this.ack = iss;
  }

  get sack(): Uint32Array {
    return BLOCKS;
  }

  /** Whether `seq` may be under way to the peer, as far as is known here: RFC 5927 (4.1) for what an ICMP message quotes. */
  mayBeUnderWay(seq: number): boolean {
    return seqLe(this.ack, seq) && seqLt(seq, this.#limit);
  }

  /** Takes back an ACK of what was never sent, and all that came with it. Returns false where that has been done already. */
  correct({ una, max, window }: Correction): boolean {
    if (!seqLt(max, this.ack)) return false;
    this.ack = una;
    this.window = window;
    this.newest = this.rcvNxt;
    this.#edge = seqAdd(una, window * this.#windowUnit);
    this.#lower = 0;
    return true;
  }

  /** The SYN-ACK, whose window is never scaled (RFC 7323 2.2). */
  protected begin(segment: Segment, peer: PeerOptions): void {
    this.options(peer);
    // The next segment is newer, with data or without: its window is scaled.
    this.newest = segment.seq;
    this.ack = segment.ack;
    this.window = segment.window;
    this.#maxWindow = segment.window;
    this.#edge = seqAdd(segment.ack, segment.window);
  }

  /** In the middle of a connection: its window is as large as any until it says, and anything that it says next is the newest. */
  protected resumeAt(rcvNxt: number, peer: PeerOptions): void {
    this.options(peer);
    this.newest = seqAdd(rcvNxt, -MAX_WINDOW);
    this.#maxWindow = MAX_WINDOW_FIELD * this.#windowUnit;
    this.#edge = seqAdd(this.ack, this.#maxWindow);
  }

  protected options(peer: PeerOptions): void {
    this.timestamps = peer.timestamps;
    this.#windowUnit = 1 << Math.max(0, peer.shift);
    this.sackPermitted = peer.sackPermitted;
  }

  /**
   * Takes what the segment says of our stream. `end` is one past the segment; `sndMax` is -1 where it is not known
   * here. Returns false where SEG.ACK can't be right, and takes nothing: it is of what was never sent (RFC 9293 3.10.7.4), or older
   * than any window (RFC 5961 5.2).
   */
  protected takeAck(segment: Segment, end: number, empty: boolean, sndMax: number): boolean {
    let ahead = seqDiff(segment.ack, this.ack);
    if (ahead < -this.#maxWindow || seqLt(sndMax < 0 ? this.#limit : sndMax, segment.ack)) return false;
    const newer = seqLt(this.newest, end);
    if (newer) this.newest = end;
    // What continues the peer's stream was sent after all that came before, and so its ACK is right, even where it is lower:
    // then the one before was of something that was never sent. So is one of several lower ones in a row.
    if (ahead < 0 && (newer || ++this.#lower === FALSE_AFTER)) {
      this.ack = segment.ack;
      ahead = 0;
    }
    if (ahead >= 0) this.#lower = 0;
    if (ahead > 0) {
      // The peer has got more from our send half, which acknowledges all that it knows of: nothing is owed for what came
      // before. Where that guess is wrong the peer sends again and is answered at once.
      if (!this.ackNow) this.ackSent(this.rcvNxt);
      this.ack = segment.ack;
    }
    // SND.WL1, SND.WL2: from what is newer, or, of the same age, what opens the window or closes it; it cannot shrink otherwise.
    if (ahead > 0 || (ahead === 0 && (newer || segment.window > this.window || segment.window === 0))) {
      this.#takeWindow(segment.window);
    }
    this.pure = empty && ahead >= 0;
    this.sackCount = this.sackPermitted ? readBlocks(segment, this.timestamps) : 0;
    return true;
  }

  #takeWindow(window: number): void {
    const octets = window * this.#windowUnit;
    const edge = seqAdd(this.ack, octets);
    this.window = window;
    if (octets > this.#maxWindow) this.#maxWindow = octets;
    if (seqLt(this.#edge, edge)) this.#edge = edge;
  }

  /** The highest SEG.ACK that can be right, as far as is known here. */
  get #limit(): number {
    return seqAdd(this.#edge, BEYOND_WINDOW);
  }
}

/** Reads the SACK option into BLOCKS; answers how many blocks. */
function readBlocks(segment: Segment, timestamps: boolean): number {
  // Nearly all segments have no room for one: nothing but the header, or NOP, NOP, timestamps.
  if (segment.dataOffset - segment.tcpOffset - (timestamps ? 12 : 0) < 30) return 0;
  const at = segment.sackOffset;
  if (at < 0) return 0;
  const count = Math.min(4, (segment.octets[at + 1] - 2) >> 3);
  for (let i = 0; i < 2 * count; i++) BLOCKS[i] = segment.view.getUint32(at + 2 + 4 * i);
  return count;
}
