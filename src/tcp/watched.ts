/**
 * A connection that we only watch. Its segments come in the order of the capture, which need not be the order of the wire:
 * taps have a clock for each direction, network cards several queues, merged files both.
 */
import type { CaptureNs } from '../time.ts';
import { CTL, type Segment } from '../wire/segment.ts';
import { seqAdd, seqDiff } from '../wire/sequence.ts';
import { type HeldSegment, HeldSegments } from './held-segments.ts';

/** What one connection may hold back: more, and what is missing is given up. */
const MAX_HELD_OCTETS = 8 * 1024 * 1024;
const MAX_HELD_SEGMENTS = 4096;

/** A segment further ahead than any window reaches (RFC 7323 2.3) is none of this connection's. */
const MAX_AHEAD = 1 << 30;

/** Where a stream starts is not known to be later than its first captured octets, by as much as this. */
const MAX_LATE = 1 << 20;

/** Gaps that are remembered of a direction, for what comes of them after all. */
const MOST_GIVEN = 64;

/** How long missing octets are waited for, in the capture's own time. */
export interface WatchWaits {
  /** Where later octets of the same direction are there, and the peer has acknowledged the missing ones, ns. */
  holeNs: number;
  /** Where nothing later of that direction is there yet, ns: it may be captured late as a whole. */
  directionNs: number;
}

/** What all connections of a decoder may hold back together. */
export class HeldBudget {
  octets = 0;
  readonly limit: number;

  constructor(limit: number) {
    this.limit = limit;
  }
}

/** What is read of a captured segment (wire/segment.ts). */
export type WatchedSegment = Pick<
  Segment,
  'octets' | 'dataOffset' | 'dataLength' | 'wireDataLength' | 'seq' | 'ack' | 'flags'
>;

export interface WatchedSink {
  /**
   * The next octets of one direction, [from, to), of one segment. Valid during the call. `caughtUp`: the sender had
   * acknowledged all that was handed over of the other direction.
   */
  data(
    fromClient: boolean,
    octets: Uint8Array,
    from: number,
    to: number,
    at: CaptureNs,
    caughtUp: boolean,
  ): void;
  /** Here this many octets of a direction are missing from the capture; 0: nobody knows how many. */
  gap(fromClient: boolean, octets: number, at: CaptureNs): void;
  /** Octets whose place was given up, or lies before the place where the direction was joined. */
  early(fromClient: boolean, octets: Uint8Array, from: number, to: number, at: CaptureNs): void;
  /** The direction's FIN: nothing of it follows. */
  end(fromClient: boolean, at: CaptureNs): void;
}

/** One direction. */
export class WatchedStream {
  /** Sequence number of the next octet, the FIN counted as one; -1 until it is known. */
  next = -1;
  /** What the peer has acknowledged, as far as it is credible. */
  acked = 0;
  ended = false;
  /** Whether a packet of it was captured. */
  seen = false;
  /** Nothing of it came while it was waited for: the capture is of the other direction, and nothing is to be waited for. */
  isAbsent = false;
  /** Whether where it starts was taken from what the peer acknowledged, and nothing of it was handed over since. */
  supposed = false;
  /** Of a stream that was joined somewhere: the lowest sequence number that was seen; -1: none, or it has its beginning. */
  lowest = -1;
  readonly held = new HeldSegments();
  /** [from, to) of octets that were given up, as pairs, the newest last; undefined: none ever. */
  #given: number[] | undefined;

  get started(): boolean {
    return this.next >= 0;
  }

  /**
   * `next` is the sequence number of the first octet of data: ISS + 1; `supposed`: of the first that the peer has not
   * acknowledged, where no more is known.
   */
  start(next: number, supposed = false): void {
    this.next = next;
    this.acked = next;
    this.supposed = supposed;
    this.lowest = supposed ? next : -1;
  }

  /** The octets [from, to) have lost their place: told as a gap, or before where it was joined. */
  gaveUp(from: number, to: number): void {
    this.#given ??= [];
    this.#given.push(from, to);
    if (this.#given.length > 2 * MOST_GIVEN) this.#given.splice(0, 2);
  }

  /** Whether octets of [seq, seq + length) were given up; each is taken once. */
  wasGivenUp(seq: number, length: number): boolean {
    const given = this.#given;
    if (given === undefined) return false;
    for (let i = 0; i < given.length; i += 2) {
      const from = seqDiff(given[i], seq);
      const to = seqDiff(given[i + 1], seq);
      if (to <= 0 || from >= length) continue;
      const rest = to > length ? [seqAdd(seq, length), given[i + 1]] : [];
      if (from < 0) rest.unshift(given[i], seq);
      given.splice(i, 2, ...rest);
      return true;
    }
    return false;
  }
}

/**
 * Puts the segments of both directions in an order that can have been: no segment is handed over before the octets that it
 * acknowledges. What is missing is waited for, for a bounded time and a bounded number of octets, and then told as a gap.
 * Octets that came before are cut off.
 */
export class WatchedConnection {
  readonly client = new WatchedStream();
  readonly server = new WatchedStream();
  readonly #sink: WatchedSink;
  readonly #waits: WatchWaits;
  readonly #budget: HeldBudget;
  /** Of the newest segment. */
  #order = 0;
  #over = false;
  /** Segments held back. */
  #held = 0;

  constructor(sink: WatchedSink, waits: WatchWaits, budget: HeldBudget) {
    this.#sink = sink;
    this.#waits = waits;
    this.#budget = budget;
  }

  /** Whether segments are held back: then time that passes may change something (`settle`). */
  get waits(): boolean {
    return this.#held > 0;
  }

  get heldOctets(): number {
    return this.client.held.octets + this.server.held.octets;
  }

  /** Whether it is known where both directions start. */
  get started(): boolean {
    return this.client.next >= 0 && this.server.next >= 0;
  }

  /**
   * The next captured segment. `heedAck`: what it acknowledges is of this connection. `at` is its stamp, `now` the newest stamp
   * of the capture. Copies what must wait.
   */
  segment(
    segment: WatchedSegment,
    fromClient: boolean,
    heedAck: boolean,
    at: CaptureNs,
    now: CaptureNs,
  ): void {
    const { octets, dataOffset: from, dataLength: length, wireDataLength: wireLength, flags } = segment;
    const seq = (flags & CTL.syn) === 0 ? segment.seq : seqAdd(segment.seq, 1);
    const fin = (flags & CTL.fin) !== 0;
    let ack = heedAck && (flags & CTL.ack) !== 0 ? segment.ack : -1;
    const mine = fromClient ? this.client : this.server;
    const other = fromClient ? this.server : this.client;
    let ahead = 0;
    if (ack >= 0 && other.next >= 0) {
      ahead = seqDiff(ack, other.next);
      if (ahead > MAX_AHEAD) {
        ahead = 0;
        ack = -1;
      } else if (seqDiff(ack, other.acked) > 0) other.acked = ack;
    }
    mine.seen = true;
    mine.isAbsent = false;
    if (this.#over || mine.next < 0) return;
    this.#order++;
    if (wireLength === 0 && !fin) {
      if (this.waits) this.#drain(now);
      return;
    }
    if (this.#isEarly(mine, seq, wireLength)) {
      const last = seqAdd(seq, wireLength);
      if (last !== mine.lowest) mine.gaveUp(last, mine.lowest);
      mine.lowest = seq;
      this.#sink.early(fromClient, octets, from, from + length, at);
      return;
    }
    if (mine.ended) {
      if (mine.wasGivenUp(seq, wireLength)) this.#sink.early(fromClient, octets, from, from + length, at);
      return;
    }
    if (mine.supposed) {
      mine.supposed = false;
      // Captured behind what acknowledges it; or it was a keep-alive probe that told where it starts.
      const ahead = seqDiff(seq, mine.next);
      if (ahead === 1 || (ahead < 0 && ahead > -MAX_LATE)) {
        mine.next = seq;
        mine.lowest = seq;
      }
    }
    if (ahead > 0 && other.isAbsent) {
      this.#gapTo(other, ack, at);
      if (this.#over) return;
      ahead = 0;
    }
    if (seq === mine.next && mine.held.count === 0 && other.next >= 0 && ahead <= 0) {
      this.#deliver(mine, other, octets, from, length, wireLength, ack, fin, at);
    } else {
      const behind = seqDiff(seq, mine.next);
      const last = behind + wireLength + (fin ? 1 : 0);
      if (behind > MAX_AHEAD || last <= 0) {
        if (wireLength > 0 && last <= 0 && mine.wasGivenUp(seq, wireLength))
          this.#sink.early(fromClient, octets, from, from + length, at);
        // A keep-alive probe, octets that are sent again, or of nowhere.
        if (this.waits) this.#drain(now);
        return;
      }
      this.#hold(mine, {
        seq,
        // Not `slice`: a Buffer's makes no copy.
        octets: new Uint8Array(octets.subarray(from, from + length)),
        wireLength,
        fin,
        ack,
        at,
        heldAt: now,
        order: this.#order,
      });
    }
    if (this.#held > 0) this.#drain(now);
  }

  /** The capture has come to `now`: gives up what was waited for long enough. */
  settle(now: CaptureNs): void {
    if (this.waits) this.#drain(now);
  }

  /** No more segments come: what waits is handed over, with its gaps. */
  finish(at: CaptureNs): void {
    while (this.waits) {
      this.#giveUp(this.#oldest() as WatchedStream);
      this.#handOver();
    }
    if (this.#over) return;
    for (const mine of [this.client, this.server]) {
      // A single octet acknowledged beyond the last is a FIN that was not captured.
      if (mine.started && !mine.ended && seqDiff(mine.acked, mine.next) > 1)
        this.#gapTo(mine, mine.acked, at);
    }
    this.stop();
  }

  /** Nothing more is handed over. May be called from the sink. */
  stop(): void {
    this.#over = true;
    this.#held = 0;
    this.#budget.octets -= this.heldOctets;
    this.client.held.clear();
    this.server.held.clear();
  }

  /** Whether it comes whole before what was seen of a stream that was joined somewhere. */
  #isEarly(mine: WatchedStream, seq: number, wireLength: number): boolean {
    if (mine.lowest < 0 || mine.supposed || wireLength === 0) return false;
    const ahead = seqDiff(seq, mine.lowest);
    return ahead + wireLength <= 0 && ahead > -MAX_LATE;
  }

  #hold({ held }: WatchedStream, segment: HeldSegment): void {
    const { octets, count } = held;
    held.add(segment);
    this.#budget.octets += held.octets - octets;
    this.#held += held.count - count;
  }

  #take({ held }: WatchedStream): HeldSegment {
    const before = held.octets;
    const segment = held.shift() as HeldSegment;
    this.#held--;
    this.#budget.octets += held.octets - before;
    return segment;
  }

  /** Hands over what is in turn, and gives up what was waited for long enough. */
  #drain(now: CaptureNs): void {
    this.#handOver();
    while (this.waits) {
      const stuck = this.#overdue(now);
      if (stuck === undefined) return;
      this.#giveUp(stuck);
      this.#handOver();
    }
  }

  /** Hands over all segments whose turn has come, of two the one that was captured first. */
  #handOver(): void {
    while (this.waits) {
      const ofClient = this.#inTurn(this.client, this.server);
      const ofServer = this.#inTurn(this.server, this.client);
      if (ofClient === undefined && ofServer === undefined) return;
      const isClient = ofServer === undefined || (ofClient !== undefined && ofClient.order < ofServer.order);
      this.#deliverHeld(isClient ? this.client : this.server);
    }
  }

  /** The first held segment of `mine`, where it can be handed over. Drops those that repeat what was. */
  #inTurn(mine: WatchedStream, other: WatchedStream): HeldSegment | undefined {
    for (;;) {
      const { first } = mine.held;
      if (first === undefined) return undefined;
      const ahead = seqDiff(first.seq, mine.next);
      if (ahead > 0) return undefined;
      if (mine.ended || ahead + first.wireLength + (first.fin ? 1 : 0) <= 0) {
        this.#take(mine);
        continue;
      }
      return isKnown(other, first.ack) ? first : undefined;
    }
  }

  #deliverHeld(mine: WatchedStream): void {
    const other = mine === this.client ? this.server : this.client;
    const { seq, octets, wireLength, ack, fin, at } = this.#take(mine);
    const repeated = -seqDiff(seq, mine.next);
    const from = Math.min(repeated, octets.length);
    this.#deliver(mine, other, octets, from, octets.length - from, wireLength - repeated, ack, fin, at);
  }

  #deliver(
    mine: WatchedStream,
    other: WatchedStream,
    octets: Uint8Array,
    from: number,
    length: number,
    wireLength: number,
    ack: number,
    fin: boolean,
    at: CaptureNs,
  ): void {
    const fromClient = mine === this.client;
    const caughtUp = ack < 0 || seqDiff(ack, other.next) >= 0;
    mine.next = seqAdd(mine.next, wireLength);
    if (length > 0) this.#sink.data(fromClient, octets, from, from + length, at, caughtUp);
    if (length < wireLength && !this.#over) this.#sink.gap(fromClient, wireLength - length, at);
    if (!fin || this.#over) return;
    mine.next = seqAdd(mine.next, 1);
    mine.ended = true;
    this.#budget.octets -= mine.held.octets;
    this.#held -= mine.held.count;
    mine.held.clear();
    this.#sink.end(fromClient, at);
  }

  /** The direction whose first held segment waits for what was waited for long enough. */
  #overdue(now: CaptureNs): WatchedStream | undefined {
    const { count: ofClient } = this.client.held;
    const { count: ofServer } = this.server.held;
    const isFull =
      this.heldOctets > MAX_HELD_OCTETS ||
      ofClient + ofServer > MAX_HELD_SEGMENTS ||
      this.#budget.octets > this.#budget.limit;
    if (isFull) return this.#oldest();
    const older = this.#oldest() as WatchedStream;
    for (const mine of [older, older === this.client ? this.server : this.client]) {
      const { first } = mine.held;
      // The clock may have been set back.
      if (first !== undefined && Math.abs(now - this.#waitsSince(mine, first)) > this.#waitFor(mine, first))
        return mine;
    }
    return undefined;
  }

  /** When `first`, the first held segment of `mine`, began its present wait: for octets before it, or for the other direction. */
  #waitsSince(mine: WatchedStream, first: HeldSegment): CaptureNs {
    if (seqDiff(first.seq, mine.next) > 0) return first.heldAt;
    const other = mine === this.client ? this.server : this.client;
    return Math.max(first.heldAt, other.held.first?.heldAt ?? first.heldAt);
  }

  /** How long `first`, the first held segment of `mine`, is held back for what is missing before it, ns. */
  #waitFor(mine: WatchedStream, first: HeldSegment): number {
    const other = mine === this.client ? this.server : this.client;
    if (seqDiff(first.seq, mine.next) > 0) {
      if (seqDiff(mine.acked, first.seq) >= 0) return this.#waits.holeNs;
      // Not acknowledged: the sender will send it again, however long that takes.
      return other.isAbsent ? this.#waits.directionNs : Number.POSITIVE_INFINITY;
    }
    return other.started && other.held.count > 0 ? this.#waits.holeNs : this.#waits.directionNs;
  }

  /** The direction whose first held segment was captured before that of the other. */
  #oldest(): WatchedStream | undefined {
    const client = this.client.held.first;
    const server = this.server.held.first;
    if (client === undefined) return server && this.server;
    return server === undefined || client.order < server.order ? this.client : this.server;
  }

  /** Gives up what the first held segment of `mine` waits for. */
  #giveUp(mine: WatchedStream): void {
    const other = mine === this.client ? this.server : this.client;
    const first = mine.held.first as HeldSegment;
    if (seqDiff(first.seq, mine.next) > 0) {
      this.#gapTo(mine, first.seq, first.at);
      return;
    }
    if (!other.seen) other.isAbsent = true;
    if (!other.started) {
      other.start(first.ack, true);
      this.#sink.gap(other === this.client, 0, first.at);
      return;
    }
    const next = other.held.first;
    const until = next !== undefined && seqDiff(next.seq, first.ack) < 0 ? next.seq : first.ack;
    const missing = seqDiff(until, other.next);
    // A message has 4 octets and more: one alone, with nothing behind it, is a FIN that was not captured.
    if (missing === 1 && next === undefined) other.next = until;
    else if (missing > 0) this.#gapTo(other, until, first.at);
    // Each waits for the other, which no TCP does: as they were captured, then.
    else this.#deliverHeld(mine);
  }

  #gapTo(mine: WatchedStream, seq: number, at: CaptureNs): void {
    const missing = seqDiff(seq, mine.next);
    mine.gaveUp(mine.next, seq);
    mine.next = seq;
    this.#sink.gap(mine === this.client, missing, at);
  }
}

/** Whether everything that is acknowledged by `ack` was handed over, or nothing can be said of it. */
function isKnown(stream: WatchedStream, ack: number): boolean {
  if (ack < 0) return true;
  return stream.next >= 0 && seqDiff(ack, stream.next) <= 0;
}
