import type { CaptureNs } from '../time.ts';
import { seqAdd, seqDiff, seqMax } from '../wire/sequence.ts';

/** Octets ahead of a hole that are kept in the hope that it closes. */
const MAX_HELD_OCTETS = 1024 * 1024;
const MAX_HELD_SEGMENTS = 4096;

/** A segment further ahead than any window reaches (RFC 7323 2.3) is none of this connection's. */
const MAX_AHEAD = 1 << 30;

export interface ReassemblySink {
  /** The stream's next octets, [from, to): of one segment each. Valid during the call. */
  data(octets: Uint8Array, from: number, to: number, at: CaptureNs): void;
  /** Here this many octets are missing from the capture, and will not come. */
  gap(octets: number, at: CaptureNs): void;
  /** The FIN: nothing follows. */
  end(at: CaptureNs): void;
}

interface Held {
  seq: number;
  octets: Uint8Array;
  wireLength: number;
}

/**
 * One direction of a connection that we only watch: segments in the order of the capture become octets in the order of
 * the stream. Repeated octets are cut off. A hole is given up, as a gap, once the other side has acknowledged what was
 * in it or too much waits behind it: the receiver has it then, only our capture has not.
 */
export class Reassembly {
  readonly #sink: ReassemblySink;
  /** Sequence number of the stream's next octet, or -1 before it is known. */
  #next = -1;
  /** What the other side has acknowledged. */
  #acked = 0;
  /** Segments behind a hole, by sequence number. */
  #held: Held[] = [];
  #heldOctets = 0;
  /** The FIN's sequence number, or -1. */
  #fin = -1;
  #ended = false;

  constructor(sink: ReassemblySink) {
    this.#sink = sink;
  }

  get started(): boolean {
    return this.#next >= 0;
  }

  get ended(): boolean {
    return this.#ended;
  }

  get heldOctets(): number {
    return this.#heldOctets;
  }

  /** `next` is the sequence number of the first octet of data: ISS + 1. */
  start(next: number): void {
    this.#next = next;
    this.#acked = next;
  }

  /**
   * The next captured segment. `seq` is that of its first octet of data; the capture has `length` octets of it, at
   * `from`, and the wire had `wireLength`. Copies what must wait.
   */
  segment(
    octets: Uint8Array,
    from: number,
    length: number,
    wireLength: number,
    seq: number,
    fin: boolean,
    at: CaptureNs,
  ): void {
    if (this.#next < 0 || this.#ended) return;
    if (seq === this.#next && this.#held.length === 0) {
      if (fin) this.#fin = seqAdd(seq, wireLength);
      this.#deliver(octets, from, length, wireLength, at);
    } else {
      this.#outOfOrder(octets, from, length, wireLength, seq, fin, at);
    }
    if (this.#fin >= 0) this.#checkFin(at);
  }

  /**
   * The other side has acknowledged everything before `ack`. If the segment that says so carries data (`answers`), it
   * is an answer to what it acknowledges: then what was not captured until now will not be.
   */
  acknowledged(ack: number, answers: boolean, at: CaptureNs): void {
    if (this.#next < 0 || this.#ended) return;
    const ahead = seqDiff(ack, this.#next);
    if (ahead <= 0 || ahead > MAX_AHEAD) return;
    this.#acked = seqMax(this.#acked, ack);
    this.#giveUpHoles(at);
    // One octet may be the FIN.
    const known = this.#fin >= 0 ? this.#fin : ack;
    if (answers && seqDiff(known, this.#next) > 0) this.#skipTo(known, at);
    if (this.#fin >= 0) this.#checkFin(at);
  }

  /** No more segments come: what waits behind holes is delivered, with its gaps. */
  finish(at: CaptureNs): void {
    if (this.#next < 0 || this.#ended) return;
    while (this.#held.length > 0) this.#skipTo(this.#held[0].seq, at);
    const missed = seqDiff(this.#acked, this.#next);
    // A single octet acknowledged beyond the last is a FIN that was not captured.
    if (missed > 1) this.#skipTo(this.#acked, at);
    this.#ended = true;
  }

  #deliver(octets: Uint8Array, from: number, length: number, wireLength: number, at: CaptureNs): void {
    this.#next = seqAdd(this.#next, wireLength);
    if (length > 0) this.#sink.data(octets, from, from + length, at);
    if (length < wireLength) this.#sink.gap(wireLength - length, at);
  }

  #outOfOrder(
    octets: Uint8Array,
    from: number,
    length: number,
    wireLength: number,
    seq: number,
    fin: boolean,
    at: CaptureNs,
  ): void {
    const ahead = seqDiff(seq, this.#next);
    if (ahead > MAX_AHEAD || ahead + wireLength < 0) return;
    if (fin) this.#fin = seqAdd(seq, wireLength);
    if (ahead > 0) {
      // Not `slice`: a Buffer's makes no copy.
      if (wireLength > 0) this.#hold(seq, new Uint8Array(octets.subarray(from, from + length)), wireLength);
      this.#giveUpHoles(at);
      const full = this.#heldOctets > MAX_HELD_OCTETS || this.#held.length > MAX_HELD_SEGMENTS;
      if (full) this.#skipTo(this.#held[0].seq, at);
    } else if (ahead + wireLength > 0) {
      this.#deliver(octets, from - ahead, Math.max(0, length + ahead), wireLength + ahead, at);
      this.#drain(at);
    }
  }

  #hold(seq: number, octets: Uint8Array, wireLength: number): void {
    let i = this.#held.length;
    while (i > 0 && seqDiff(this.#held[i - 1].seq, seq) > 0) i--;
    const before = this.#held[i - 1];
    if (before !== undefined && before.seq === seq && before.wireLength >= wireLength) return;
    this.#held.splice(i, 0, { seq, octets, wireLength });
    this.#heldOctets += wireLength;
  }

  /** Delivers what waits and is in order now. */
  #drain(at: CaptureNs): void {
    while (this.#held.length > 0) {
      const { seq, octets, wireLength } = this.#held[0];
      const repeated = -seqDiff(seq, this.#next);
      if (repeated < 0) return;
      this.#held.shift();
      this.#heldOctets -= wireLength;
      if (repeated >= wireLength) continue;
      const length = Math.max(0, octets.length - repeated);
      this.#deliver(octets, Math.min(repeated, octets.length), length, wireLength - repeated, at);
    }
  }

  #giveUpHoles(at: CaptureNs): void {
    while (this.#held.length > 0 && seqDiff(this.#held[0].seq, this.#acked) <= 0) {
      this.#skipTo(this.#held[0].seq, at);
    }
  }

  #skipTo(seq: number, at: CaptureNs): void {
    const missing = seqDiff(seq, this.#next);
    if (missing > 0) {
      this.#next = seq;
      this.#sink.gap(missing, at);
    }
    this.#drain(at);
  }

  #checkFin(at: CaptureNs): void {
    if (this.#ended || seqDiff(this.#fin, this.#next) > 0) return;
    this.#ended = true;
    this.#held = [];
    this.#heldOctets = 0;
    this.#sink.end(at);
  }
}
