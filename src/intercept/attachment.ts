import { EXPECT } from '../mysql/command.ts';
import type { Correction } from '../tcp/peer-progress.ts';
import { ReceiveHalf } from '../tcp/receive.ts';
import type { MonotonicMs } from '../time.ts';
import { seqLt } from '../wire/sequence.ts';
import type { Tuple } from '../wire/tuple.ts';
import { type AnswerProtocol, MYSQL_ANSWERS } from './answer-protocol.ts';
import { type FlowAttachment, InterceptFlow } from './flow.ts';
import type { Flows } from './flows.ts';
import type { ReceiverOwner, ReceiverPort, Resumption } from './ports.ts';

export interface AttachOptions {
  /**
   * Where the owner may outlive the receiver, and have its flows resumed by another: calls `then` once all that the owner was told
   * so far has left this process. Nothing is acknowledged before, and a `checkpoint` is told where the owner would not
   * know where the reader of answers stood. undefined: both live and die together.
   */
  delivered: ((then: () => void) => void) | undefined;
  /** How the target's answers are read; default: MySQL's. */
  protocol?: AnswerProtocol;
}

/** Answers that may be announced before the first of them came; a replay announces one at a time. */
const MOST_ANNOUNCED = 64;

/** What an attachment has its receiver do. */
export interface FlowReceiver {
  now: MonotonicMs;
  capturedAt: MonotonicMs;
  readonly flows: Flows;
  flush(): void;
  detach(attachment: Attachment): void;
  /** The flow answers the target for a while, and nobody is told. */
  release(flow: InterceptFlow, aborted: boolean): void;
  /** The same, and the target is reset at once. Returns whether it was. */
  reset(flow: InterceptFlow): boolean;
  /** The flow's owner is gone, and may come back. */
  orphan(flow: InterceptFlow): void;
  /** Another flow has its tuple from now on. */
  replace(flow: InterceptFlow, reset: boolean): void;
}

/** One owner's way into a receiver, and the flows that it has there. */
export class Attachment implements ReceiverPort, FlowAttachment {
  readonly owner: ReceiverOwner;
  readonly receiver: FlowReceiver;
  readonly delivered: AttachOptions['delivered'];
  readonly protocol: AnswerProtocol;
  /** Which replay the owner belongs to: another attachment of the same one may take its flows up. undefined: it has not said. */
  replay: string | undefined;
  /** Flows that owe the target an ACK at the end of this turn. */
  due: InterceptFlow[] = [];
  readonly #flows = new Map<number, InterceptFlow>();
  #lastId = -1;

  /** By `Receiver.attach`. */
  constructor(owner: ReceiverOwner, receiver: FlowReceiver, options: AttachOptions) {
    this.owner = owner;
    this.receiver = receiver;
    this.delivered = options.delivered;
    this.protocol = options.protocol ?? MYSQL_ANSWERS;
  }

  /** Flows that are open. */
  get flows(): number {
    return this.#flows.size;
  }

  /** Returns why the owner cannot be one of ours, or undefined. */
  register(id: number, tuple: Tuple, iss: number): string | undefined {
    const before = this.receiver.flows.table.get(tuple);
    const breach = this.#breach(id, before);
    if (breach !== undefined) return breach;
    if (this.#isTaken(before, iss)) {
      this.owner.taken(id);
      return undefined;
    }
    const flow = new InterceptFlow(id, tuple, iss, new ReceiveHalf(iss), this);
    let isOpen = false;
    if (before !== undefined) {
      // Its owner registers it again, because the channel that would have said how it went was lost.
      const { state } = before.half;
      isOpen = before.iss === iss && state !== 'syn-sent' && state !== 'reset' && before.state !== 'aborted';
      this.#replace(before, isOpen);
    }
    this.#add(flow);
    if (isOpen) this.owner.stale(id);
    return undefined;
  }

  /** Returns why the owner cannot be one of ours, or undefined. */
  resume(id: number, tuple: Tuple, from: Resumption): string | undefined {
    const before = this.receiver.flows.table.get(tuple);
    const breach = this.#breach(id, before);
    if (breach !== undefined) return breach;
    if (this.#isTaken(before, from.iss)) {
      this.owner.taken(id);
      return undefined;
    }
    const isSame = before !== undefined && before.iss === from.iss;
    if (isSame) {
      const isLost =
        before.state === 'aborted' ||
        before.half.state === 'reset' ||
        seqLt(from.rcvNxt, before.acknowledged);
      if (isLost) {
        before.attachment.forget(before.id);
        this.receiver.release(before, true);
        this.owner.unresumable(id);
        return undefined;
      }
    }
    const flow = new InterceptFlow(id, tuple, from.iss, ReceiveHalf.resume(from), this);
    const { reader } = flow;
    const { commandPhase, expect, state } = from;
    if (state !== undefined && !reader?.restore(state, this.receiver.now)) {
      this.owner.unresumable(id);
      return undefined;
    }
    if (before !== undefined) {
      flow.seen = isSame && before.seen;
      this.#replace(before, false);
    }
    this.#add(flow);
    if (commandPhase === undefined) return undefined;
    reader?.commandPhase(commandPhase.capabilities, commandPhase.extendedCapabilities, EXPECT.result);
    if (expect !== undefined) reader?.expect(expect);
    this.receiver.flows.weigh(flow);
    return undefined;
  }

  commandPhase(id: number, capabilities: number, extendedCapabilities: number): void {
    const flow = this.#flows.get(id);
    if (flow === undefined) return;
    flow.reader?.commandPhase(capabilities, extendedCapabilities, EXPECT.result);
    this.receiver.flows.weigh(flow);
  }

  expect(id: number, shape: number): void {
    const flow = this.#flows.get(id);
    if (flow === undefined) return;
    const { reader } = flow;
    if (reader !== undefined && reader.pending >= MOST_ANNOUNCED) flow.giveUpReading();
    else {
      reader?.expect(shape);
      this.owner.expecting(id);
    }
    this.receiver.flows.weigh(flow);
  }

  acked(id: number, ack: number): void {
    this.#flows.get(id)?.half.ackSent(ack);
  }

  correct(id: number, correction: Correction): void {
    this.#flows.get(id)?.half.correct(correction);
  }

  release(id: number, aborted: boolean): void {
    const flow = this.#flows.get(id);
    if (flow === undefined) return;
    this.#flows.delete(id);
    this.receiver.release(flow, aborted);
  }

  flush(): void {
    this.receiver.flush();
  }

  /** The owner is done: what it left open is reset on the target. Returns on how many connections a RST was sent. */
  disconnect(): number {
    this.receiver.detach(this);
    let reset = 0;
    for (const flow of this.#flows.values()) if (this.receiver.reset(flow)) reset++;
    this.#flows.clear();
    this.receiver.flush();
    return reset;
  }

  /** The owner is gone without a word: its flows wait for somebody to resume them, as long as the lease runs. */
  abandon(): void {
    this.receiver.detach(this);
    for (const flow of this.#flows.values()) this.receiver.orphan(flow);
    this.#flows.clear();
  }

  /** A replay gives a number, and a connection, to one flow at a time. */
  #breach(id: number, before: InterceptFlow | undefined): string | undefined {
    if (this.#flows.has(id)) return `gave the number ${id} to two connections`;
    // Also because a Map in which one key comes and goes has it many times, and looks at each.
    if (id <= this.#lastId) return `gave the number ${id} after ${this.#lastId}: numbers grow`;
    this.#lastId = id;
    if (before?.state !== 'live' || before.attachment !== this) return undefined;
    return `gave a connection two numbers, ${before.id} and ${id}`;
  }

  /** Whether the connection is another replay's, or another one of ours. */
  #isTaken(before: InterceptFlow | undefined, iss: number): boolean {
    if (before === undefined || (before.state !== 'live' && before.state !== 'orphan')) return false;
    return before.attachment.replay !== this.replay || before.iss !== iss;
  }

  forget(id: number): void {
    this.#flows.delete(id);
  }

  #replace(before: InterceptFlow, reset: boolean): void {
    before.attachment.forget(before.id);
    this.receiver.replace(before, reset);
  }

  #add(flow: InterceptFlow): void {
    this.#flows.set(flow.id, flow);
    this.receiver.flows.add(flow);
    this.owner.registered(flow.id);
  }
}
