import { EXPECT } from '../mysql/command.ts';
import type { Correction } from '../tcp/peer-progress.ts';
import { ReceiveHalf } from '../tcp/receive.ts';
import type { TimestampClock } from '../tcp/timestamps.ts';
import { seqLt } from '../wire/sequence.ts';
import type { Tuple } from '../wire/tuple.ts';
import { InterceptFlow } from './flow.ts';
import type { ReceiverOwner, ReceiverPort, Resumption } from './ports.ts';
import type { Receiver } from './receiver.ts';

export interface AttachOptions {
  /** The owner's TSval: ours on the same connections must not differ from it by more than a tick. */
  timestamps: TimestampClock;
  /**
   * Where the owner may outlive the receiver, and have its flows resumed by another: calls `then` once all that the owner was told
   * so far has left this process. Nothing is acknowledged before, and a `checkpoint` is told where the owner would not
   * know where the reader of answers stood. undefined: both live and die together.
   */
  delivered: ((then: () => void) => void) | undefined;
  /** The target's protocol is not known: its octets are told in parts, as they come (`partOf`). */
  raw?: boolean;
}

/** One owner's way into a receiver, and the flows that it has there. */
export class Attachment implements ReceiverPort {
  readonly owner: ReceiverOwner;
  readonly receiver: Receiver;
  readonly delivered: AttachOptions['delivered'];
  readonly raw: boolean;
  timestamps: TimestampClock;
  /** Flows that owe the target an ACK at the end of this turn. */
  due: InterceptFlow[] = [];
  readonly #flows = new Map<number, InterceptFlow>();

  /** By `Receiver.attach`. */
  constructor(owner: ReceiverOwner, receiver: Receiver, options: AttachOptions) {
    this.owner = owner;
    this.receiver = receiver;
    this.delivered = options.delivered;
    this.raw = options.raw === true;
    this.timestamps = options.timestamps;
  }

  /** Flows that are open. */
  get flows(): number {
    return this.#flows.size;
  }

  register(id: number, tuple: Tuple, iss: number): void {
    const before = this.receiver.table.get(tuple);
    this.#add(new InterceptFlow(id, tuple, iss, new ReceiveHalf(iss), this));
    if (before === undefined || before.iss !== iss) return;
    // Its owner registers it again, because the channel that would have said how it went was lost.
    before.attachment.#flows.delete(before.id);
    const { state } = before.half;
    const isOpen = state !== 'syn-sent' && state !== 'reset' && before.state !== 'aborted';
    this.receiver.replace(before, isOpen);
    if (isOpen) this.owner.stale(id);
  }

  resume(id: number, tuple: Tuple, from: Resumption): void {
    const before = this.receiver.table.get(tuple);
    if (before !== undefined && before.iss === from.iss) {
      const isLost =
        before.state === 'aborted' ||
        before.half.state === 'reset' ||
        seqLt(from.rcvNxt, before.acknowledged);
      before.attachment.#flows.delete(before.id);
      if (isLost) {
        this.receiver.release(before, true);
        this.owner.unresumable(id);
        return;
      }
      this.receiver.replace(before, false);
    }
    const flow = new InterceptFlow(id, tuple, from.iss, ReceiveHalf.resume(from), this);
    const { reader } = flow;
    const { commandPhase, expect, state } = from;
    if (state !== undefined && !reader?.restore(state, this.receiver.now)) {
      this.owner.unresumable(id);
      return;
    }
    this.#add(flow);
    if (commandPhase === undefined) return;
    reader?.commandPhase(commandPhase.capabilities, commandPhase.extendedCapabilities, EXPECT.result);
    if (expect !== undefined) reader?.expect(expect);
  }

  commandPhase(id: number, capabilities: number, extendedCapabilities: number): void {
    this.#flows.get(id)?.reader?.commandPhase(capabilities, extendedCapabilities, EXPECT.result);
  }

  expect(id: number, shape: number): void {
    const flow = this.#flows.get(id);
    if (flow === undefined) return;
    flow.reader?.expect(shape);
    this.owner.expecting(id);
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

  /** The owner is done: what it left open is reset on the target. */
  disconnect(): void {
    this.receiver.detach(this);
    for (const flow of this.#flows.values()) this.receiver.reset(flow);
    this.#flows.clear();
    this.receiver.flush();
  }

  /** The owner is gone without a word: its flows wait for somebody to resume them, as long as the lease runs. */
  abandon(): void {
    this.receiver.detach(this);
    for (const flow of this.#flows.values()) this.receiver.orphan(flow);
    this.#flows.clear();
  }

  #add(flow: InterceptFlow): void {
    this.#flows.set(flow.id, flow);
    this.receiver.table.set(flow.tuple, flow);
    this.owner.registered(flow.id);
  }
}
