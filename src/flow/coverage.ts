/** What a capture holds of a connection, read off sequence and acknowledgement numbers alone. */
import { hashOctets } from '../wire/octet-hash.ts';
import { CTL, type Segment } from '../wire/segment.ts';
import { seqAdd, seqDiff } from '../wire/sequence.ts';

/** A segment further ahead than any window reaches (RFC 7323 2.3) says nothing of holes. */
const MAX_AHEAD = 1 << 30;

/** Holes that are told apart; with more, the session has gaps and keeps them. */
const MOST_HOLES = 64;

/** Of the captured data of a segment. */
export function hashOf({ octets, dataOffset, dataLength }: Segment): number {
  return hashOctets(octets, dataOffset, dataOffset + dataLength);
}

/** One direction of a connection. */
export class Side {
  /** Sequence number of the SYN, or -1. */
  iss = -1;
  /** Of the first octet that was seen or, by the peer's SYN-ACK, is known to be first; -1 before that. */
  first = -1;
  /** One past the highest octet seen, SYN and FIN counted; -1 before any. */
  next = -1;
  /** What it has acknowledged of the peer's, by its newest segment; -1 before any. */
  ack = -1;
  /** Sequence number of the FIN, or -1. */
  fin = -1;
  /** `Segment.ipId` of the newest packet with data, SYN or FIN. */
  ipId = -1;
  /** Time stamp (TSval) of the packet with data, SYN or FIN that ended at `stampedTo`; -1: it had none. */
  stamp = -1;
  stampedTo = -1;
  /** One past the client's COM_QUIT, or -1. */
  quit = -1;
  /** Of a client: whole commands filled its last segment. */
  isBetween = false;
  /** Whether a packet of it, and whether data of it, was captured. */
  seen = false;
  hasData = false;
  /** Of the octets of the segment at `first`, a greeting or a hello, which says whose it is; -1 before that came. */
  firstHash = -1;
  /** Whether the capture has less of a packet than was on the wire. */
  cut = false;
  /** [from, to) of octets that were passed over, as pairs; undefined: none ever. */
  #holes: number[] | undefined;
  #tooManyHoles = false;

  /** Takes in a segment that this side sent. */
  sent(segment: Segment): void {
    const { seq, flags, wireDataLength, dataLength } = segment;
    this.seen = true;
    if (wireDataLength > 0) {
      if (this.firstHash < 0 && (seq === this.first || this.first < 0)) this.firstHash = hashOf(segment);
      this.hasData = true;
      if (dataLength < wireDataLength) this.cut = true;
    }
    if ((flags & CTL.syn) !== 0) this.#begin(seq);
    const end = seqAdd(seq, segment.sequenceLength);
    // One that octets are known behind of is none.
    const hasFin = (flags & CTL.fin) !== 0 && (this.next < 0 || seqDiff(end, this.next) >= 0);
    if (hasFin) this.fin = seqAdd(seq, wireDataLength);
    if (seq === this.next) {
      this.next = end;
      return;
    }
    if (this.next < 0) {
      if (this.first < 0) this.first = (flags & CTL.syn) !== 0 ? seqAdd(seq, 1) : seq;
      this.next = end;
      return;
    }
    const ahead = seqDiff(seq, this.next);
    if (ahead > 0) {
      if (ahead > MAX_AHEAD) return;
      if (end === seq) {
        // It says where it stands, and no more; one octet ahead, its FIN was not captured.
        if (ahead === 1) this.#missFin(seq);
        return;
      }
      this.#open(this.next, seq);
      this.next = end;
    } else {
      if (seqDiff(end, this.next) > 0) this.next = end;
      if (this.#holes !== undefined) this.#fill(seq, end);
    }
  }

  /** Its first octet is that of this number, where nothing of it is known yet. */
  expect(first: number): void {
    if (this.first >= 0 || this.next >= 0) return;
    this.first = first;
    this.next = first;
  }

  #missFin(next: number): void {
    this.fin = this.next;
    this.next = next;
  }

  #begin(iss: number): void {
    this.iss = iss;
    const first = seqAdd(iss, 1);
    if (this.first === first) return;
    // What came before it was of an earlier connection of the same ports.
    this.first = first;
    this.next = first;
    this.#holes = undefined;
  }

  /** Whether octets of it that were on the wire are missing from the capture. */
  hasGaps(peer: Side): boolean {
    if (this.#tooManyHoles || (this.#holes?.length ?? 0) > 0) return true;
    if (!this.seen || this.next < 0 || peer.ack < 0) return false;
    // A single octet beyond the last is a FIN that was not captured.
    const beyond = seqDiff(peer.ack, this.next);
    return beyond > 1 && beyond < MAX_AHEAD;
  }

  #open(from: number, to: number): void {
    this.#holes ??= [];
    if (this.#holes.length < 2 * MOST_HOLES) this.#holes.push(from, to);
    else this.#tooManyHoles = true;
  }

  /** [from, to) came after all. */
  #fill(from: number, to: number): void {
    const left: number[] = [];
    const holes = this.#holes as number[];
    for (let i = 0; i < holes.length; i += 2) {
      const holeFrom = holes[i];
      const holeTo = holes[i + 1];
      if (seqDiff(to, holeFrom) <= 0 || seqDiff(from, holeTo) >= 0) {
        left.push(holeFrom, holeTo);
        continue;
      }
      if (seqDiff(from, holeFrom) > 0) left.push(holeFrom, from);
      if (seqDiff(to, holeTo) < 0) left.push(to, holeTo);
    }
    this.#holes = left;
  }
}
