import type { Reply } from '../mysql/reply.ts';
import type { ReplySink } from '../mysql/reply-reader.ts';
import type { PeerOptions, Progress } from '../tcp/progress.ts';
import type { ReceiveHalf, ReceiveSink } from '../tcp/receive.ts';
import { NEVER } from '../tcp/send.ts';
import type { Timed } from '../tcp/wheel.ts';
import type { MonotonicMs } from '../time.ts';
import type { Tuple } from '../wire/tuple.ts';
import type { AnswerProtocol, AnswerReader } from './answer-protocol.ts';
import type { Member } from './crowd.ts';
import type { Queued } from './flow-queue.ts';
import type { ReceiverOwner } from './ports.ts';
import { RelayedProgress } from './relayed-progress.ts';

/** What flows have in common: whose they are, and by which receiver. */
export interface FlowAttachment {
  readonly owner: ReceiverOwner;
  readonly protocol: AnswerProtocol;
  /** As `Attachment` has it. */
  readonly replay: string | undefined;
  readonly receiver: FlowTimes;
  /** As `AttachOptions` has it. */
  readonly delivered: ((then: () => void) => void) | undefined;
  /** Flows that owe the target an ACK at the end of this turn. */
  due: InterceptFlow[];
  /** Flow `id` is another attachment's from now on. */
  forget(id: number): void;
}

/** A receiver's clock. */
interface FlowTimes {
  now: MonotonicMs;
  /** When the packet at hand was captured, on that clock. */
  capturedAt: MonotonicMs;
}

export type FlowState =
  /** Its owner is told of it. */
  | 'live'
  /** Its owner is gone without a word: the target is left to wait until somebody resumes it, or the lease runs out. */
  | 'orphan'
  /** Its owner is done with it: what comes again is acknowledged again. */
  | 'released'
  /** Given up: whatever the target says is answered with RST. */
  | 'aborted'
  /** Nothing more comes of it: another flow may have its connection. */
  | 'forgotten';

/**
 * How long the target, who speaks first, may keep its greeting before it is told of our ACK of its SYN-ACK again, ms; then
 * twice as long each time. A Linux that has answered with a SYN cookie and then has no room in its accept queue drops that
 * ACK and remembers nothing: it would wait for a client, and we for its greeting, for ever.
 */
const GREETING_MS = 1_000;
const MAX_GREETING_MS = 32_000;

/** Serves all flows: what it says is good during a call. */
const told = new RelayedProgress();

/** The target's segments of one replayed connection: acknowledges them and reads the answers in them. */
export class InterceptFlow implements ReceiveSink, ReplySink, Timed, Member, Queued {
  readonly id: number;
  readonly tuple: Tuple;
  readonly iss: number;
  readonly half: ReceiveHalf;
  /** Whose it is, or was. */
  readonly attachment: FlowAttachment;
  state: FlowState = 'live';
  /** undefined once nobody is told any more. */
  reader: AnswerReader | undefined;
  wheelSlot = -1;
  queuedBefore: this | undefined;
  queuedAfter: this | undefined;
  seenIn = -1;
  /** Whether it is in the list of those that owe the target an ACK at the end of this turn. */
  ackListed = false;
  /** When an orphan's lease ends, or a flow that is over is forgotten: the receiver's own lists are in that order. */
  forgetAt: MonotonicMs = NEVER;
  /** Whether our own capture has seen a segment of the target's: nothing is sent for a flow before. */
  seen = false;
  /** Octets that it holds, as the receiver has counted them. */
  counted = 0;
  /** The ACK that waits until what it presupposes has left; -1: none does. */
  waitingAck = -1;
  /** When the ACK of the SYN-ACK is repeated, as long as the target has said nothing. */
  greetAt: MonotonicMs = NEVER;
  /** The last segment told of something that the owner does not know yet. */
  untold = false;
  /** Set by `stale`, for the receiver to send. */
  staleSeq = -1;
  /** RCV.NXT as of which the owner can have this flow resumed: what it may acknowledge. */
  safe: number;
  /** RCV.NXT that we ourselves acknowledged: what lies before it is not sent again by the target. */
  acknowledged: number;
  #greetingMs = GREETING_MS;
  /** SEG.ACK and SEG.WND as the owner knows them. */
  #knownAck: number;
  #knownWindow = -1;

  constructor(id: number, tuple: Tuple, iss: number, half: ReceiveHalf, attachment: FlowAttachment) {
    this.id = id;
    this.tuple = tuple;
    this.iss = iss;
    this.half = half;
    this.attachment = attachment;
    this.reader = attachment.protocol.reader(this);
    this.#knownAck = half.ack;
    this.safe = half.rcvNxt;
    this.acknowledged = half.rcvNxt;
  }

  get pollAt(): MonotonicMs {
    return this.answers ? Math.min(this.half.pollAt, this.greetAt) : NEVER;
  }

  /** Whether the target's segments are answered. */
  get answers(): boolean {
    return this.state !== 'orphan' && this.state !== 'forgotten';
  }

  /** What it holds of octets that came ahead of their turn, or of their command. */
  get heldOctets(): number {
    return this.half.heldOctets + (this.reader?.heldOctets ?? 0);
  }

  /** Its answers are read no more, since there is no room for what they would have to wait with. */
  giveUpReading(): void {
    this.reader = undefined;
    this.desync();
  }

  /** Frees what only a flow that is told of needs. */
  fallSilent(state: FlowState): void {
    this.state = state;
    this.reader = undefined;
    this.half.renege();
    this.greetAt = NEVER;
    this.forgetAt = NEVER;
  }

  /** The ACK of the SYN-ACK was repeated. */
  askedForGreeting(): void {
    this.#greetingMs *= 2;
    this.greetAt = this.#greetingMs > MAX_GREETING_MS ? NEVER : this.greetAt + this.#greetingMs;
  }

  /** Tells what the last segment changed, where nothing else told it. */
  tellProgress(): void {
    this.untold = false;
    if (this.state === 'live') this.attachment.owner.acked(this.id, this.#tell(this.safe));
  }

  /**
   * To be called before an ACK of all up to RCV.NXT is sent. Returns false where that ACK must not go: the owner could not
   * be told all that it would need to have this flow resumed.
   */
  checkpoint(mostOctets: number): boolean {
    const { reader, half } = this;
    if (this.state !== 'live' || reader === undefined || this.safe === half.rcvNxt) return true;
    const state = reader.save();
    if (state.length > mostOctets) return false;
    this.safe = half.rcvNxt;
    this.attachment.owner.checkpoint(this.id, this.#tell(half.rcvNxt), state);
    return true;
  }

  // What the receive half tells.

  established(half: ReceiveHalf, peer: PeerOptions): void {
    this.acknowledged = half.rcvNxt;
    this.greetAt = this.attachment.receiver.now + GREETING_MS;
    if (this.state === 'live') this.attachment.owner.established(this.id, this.#tell(half.rcvNxt), peer);
  }

  acked(half: ReceiveHalf): void {
    this.untold =
      half.pure || half.sackCount > 0 || half.ack !== this.#knownAck || half.window !== this.#knownWindow;
  }

  data(_half: ReceiveHalf, octets: Uint8Array, from: number, to: number): void {
    if (this.greetAt !== NEVER) this.greetAt = NEVER;
    this.reader?.feed(octets, from, to, this.attachment.receiver.capturedAt);
  }

  fin(half: ReceiveHalf): void {
    if (this.state === 'live') this.attachment.owner.fin(this.id, this.#tell(half.rcvNxt));
  }

  reset(_half: ReceiveHalf, refused: boolean): void {
    this.untold = false;
    this.greetAt = NEVER;
    if (this.state === 'live') this.attachment.owner.reset(this.id, refused);
  }

  sndMax(): number {
    return this.state === 'live' ? (this.attachment.owner.sndMax?.(this.id) ?? -1) : -1;
  }

  stale(_half: ReceiveHalf, seq: number): void {
    this.staleSeq = seq;
  }

  // What the reader of replies tells.

  packet(octets: Uint8Array, from: number, to: number): void {
    if (this.state !== 'live') return;
    this.attachment.owner.packet(this.id, this.#tell(this.#read()), octets.subarray(from, to));
  }

  reply(reply: Reply): void {
    if (this.state !== 'live') return;
    const { owner, receiver } = this.attachment;
    const ageMs = Math.max(0, receiver.now - reply.at);
    owner.reply(this.id, this.#tell(this.#read()), reply, ageMs);
  }

  desync(): void {
    if (this.state !== 'live') return;
    this.attachment.owner.desync(this.id);
  }

  /** RCV.NXT at the end of what the reader is telling. */
  #read(): number {
    return (this.half.rcvNxt - (this.reader?.unread ?? 0)) >>> 0;
  }

  #tell(rcvNxt: number): Progress {
    const { half } = this;
    this.untold = false;
    this.safe = rcvNxt;
    this.#knownAck = half.ack;
    this.#knownWindow = half.window;
    return rcvNxt === half.rcvNxt ? half : told.like(half, rcvNxt);
  }
}
