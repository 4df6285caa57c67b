import type { MonotonicMs } from '../time.ts';
import { seqDiff, seqLt } from '../wire/sequence.ts';
import { CHALLENGE_MS } from './challenge.ts';
import { OutOfOrder } from './out-of-order.ts';
import { NEVER } from './send.ts';

/** How long an ACK may wait for a command to carry it, ms. RFC 9293 (3.8.6.3) allows 500; Linux waits 40. */
const DELAYED_ACK_MS = 40;

/** Bounds of what counts as the peer's full segment: RFC 9293 (3.7.1) and Ethernet's. */
const MIN_FULL_SEGMENT = 536;
const MAX_FULL_SEGMENT = 1460;

/**
 * The acknowledgements that one connection owes: RCV.NXT, and when the peer must be told of it. Who owns it sends an ACK of
 * its own where `ackNow` or `pollAt` ask for it and no command carries it, with the blocks that `ackBlocks` fills in, and
 * says of each ACK that it went: `ackSent`.
 */
export class AckDuty {
  /** RCV.NXT: what an ACK acknowledges. */
  rcvNxt = 0;
  /** An ACK must go at the end of this turn. */
  ackNow = false;
  /** RCV.NXT as the peer last heard of it: Last.ACK.sent. */
  protected told = 0;
  protected sackPermitted = false;
  /** undefined while everything comes in its turn, and once. */
  protected outOfOrder: OutOfOrder | undefined;
  /** The ACK that is due must be one of our own, because a command's cannot carry blocks. */
  #blocksDue = false;
  /** The peer's full segment as far as seen, octets. */
  #fullSegment = MIN_FULL_SEGMENT;
  #challengedAt: MonotonicMs = Number.NEGATIVE_INFINITY;
  #deadline: MonotonicMs = NEVER;

  /** When a delayed ACK is due. */
  get pollAt(): MonotonicMs {
    return this.#deadline;
  }

  /** What is held of octets that came before their turn. */
  get heldOctets(): number {
    return this.outOfOrder?.held ?? 0;
  }

  /** Forgets what came before its turn, for want of room: the peer sends it again (RFC 2018 8). */
  renege(): void {
    this.outOfOrder = undefined;
  }

  /** An ACK of all up to `ack` went out. */
  ackSent(ack: number): void {
    if (seqLt(this.told, ack)) this.told = ack;
    if (seqLt(ack, this.rcvNxt) || this.#blocksDue) return;
    this.ackNow = false;
    this.#deadline = NEVER;
  }

  /**
   * The SACK blocks of an ACK of our own, three at most: to be asked for each. Returns how many; block i is
   * [target[2 * i], target[2 * i + 1]).
   */
  ackBlocks(target: Uint32Array): number {
    this.#blocksDue = false;
    const held = this.outOfOrder;
    if (held === undefined || !this.sackPermitted) return 0;
    const count = held.blocks(target);
    if (held.empty) this.outOfOrder = undefined;
    return count;
  }

  /** Octets came in their turn, the last of them in a segment of `length`: RFC 9293 (3.8.6.3). */
  protected owe(length: number, now: MonotonicMs): void {
    if (length > this.#fullSegment) this.#fullSegment = Math.min(length, MAX_FULL_SEGMENT);
    if (seqDiff(this.rcvNxt, this.told) >= 2 * this.#fullSegment) this.ackNow = true;
    else if (this.#deadline === NEVER) this.#deadline = now + DELAYED_ACK_MS;
  }

  /** An ACK at the end of this turn, with what blocks there are. */
  protected answer(): void {
    this.ackNow = true;
    this.#blocksDue = this.sackPermitted;
  }

  /** An ACK, unless one went for such a thing just now. */
  protected challenge(now: MonotonicMs): void {
    if (now - this.#challengedAt < CHALLENGE_MS) return;
    this.#challengedAt = now;
    this.ackNow = true;
  }

  /** [left, right) came that was here before: RFC 2883 (4). */
  protected repeated(left: number, right: number): void {
    if (this.sackPermitted) (this.outOfOrder ??= new OutOfOrder()).cameTwice(left, right);
  }

  /** Nothing is owed any more. */
  protected release(): void {
    this.outOfOrder = undefined;
    this.#blocksDue = false;
    this.ackNow = false;
    this.#deadline = NEVER;
  }
}
