import type { Injector } from '../net/injector.ts';
import { NEVER } from '../tcp/send.ts';
import { TimerWheel } from '../tcp/wheel.ts';
import type { CaptureNs, Clock, MonotonicMs } from '../time.ts';
import { SegmentWriter } from '../wire/emit.ts';
import { IcmpError } from '../wire/icmp.ts';
import type { PacketBlock } from '../wire/packets.ts';
import { CTL, PARSE, Segment } from '../wire/segment.ts';
import { seqLt } from '../wire/sequence.ts';
import { Attachment, type AttachOptions, type FlowReceiver } from './attachment.ts';
import { Crowd } from './crowd.ts';
import type { FlowAttachment, InterceptFlow } from './flow.ts';
import { type FlowLimits, Flows } from './flows.ts';
import type { ReceiverOwner } from './ports.ts';

/** The longest state of a reader that an owner is told: with it a `checkpoint` or a `resume` is one message of the relay. */
const MAX_STATE_OCTETS = 60_000;

/** Beside the timestamps there is room for so many SACK blocks (RFC 2018 3, RFC 7323 3.2). */
const MAX_SACK_BLOCKS = 3;

/**
 * The receive half at work (docs/packet-transport.md): takes the target's segments off a capture, acknowledges them and
 * tells each flow's owner what they amount to. Several owners may share it.
 *
 * The time is read once a turn, from the clock given.
 */
export class Receiver implements FlowReceiver {
  now: MonotonicMs;
  /** When the packet at hand was captured, on the clock given. */
  capturedAt: MonotonicMs;
  /** Packets that were for one of our flows, and others that the filter let through. */
  packets = 0;
  foreign = 0;
  readonly flows: Flows;
  readonly #clock: Clock;
  readonly #injector: Injector;
  readonly #writer: SegmentWriter;
  readonly #segment = new Segment();
  readonly #icmp = new IcmpError();
  readonly #attachments = new Set<Attachment>();
  readonly #wheel: TimerWheel<InterceptFlow>;
  /** Those whose flows owe an ACK at the end of this turn. */
  #indebted: FlowAttachment[] = [];
  readonly #crowd = new Crowd();
  readonly #blocks = new Uint32Array(2 * MAX_SACK_BLOCKS);

  constructor(injector: Injector, clock: Clock, limits: Partial<FlowLimits> = {}) {
    this.#injector = injector;
    this.flows = new Flows(limits);
    this.#clock = clock;
    this.now = clock.now();
    this.capturedAt = this.now;
    this.#writer = new SegmentWriter(injector.octets, injector.view);
    this.#wheel = new TimerWheel(this.now);
  }

  /** A new owner's way in. */
  attach(owner: ReceiverOwner, options: AttachOptions): Attachment {
    const attachment = new Attachment(owner, this, options);
    this.#attachments.add(attachment);
    return attachment;
  }

  /**
   * Takes in one block of the capture, and sends what that calls for. `epochNs` is the time now as the capture's packets
   * count theirs: it tells how old they are.
   */
  take(block: PacketBlock, epochNs: CaptureNs): void {
    this.now = this.#clock.now();
    const segment = this.#segment;
    const { linkType, octets, view, count, offset, length, at } = block;
    for (let i = 0; i < count; i++) {
      // Plain only: the kernel would take nothing out of a tunnel for its own address either, and whoever can send us a
      // tunnelled packet could forge the target's answers.
      const parsed = segment.parsePlain(octets, view, offset[i], length[i], linkType);
      if (parsed !== PARSE.ok) {
        if (parsed !== PARSE.notTcp || !this.#takeError(block, i)) this.foreign++;
        continue;
      }
      const flow = this.flows.table.of(segment);
      if (flow === undefined) this.foreign++;
      else {
        this.capturedAt = this.now - Math.max(0, (epochNs - at[i]) / 1e6);
        this.#process(flow);
      }
    }
    this.#endTurn();
  }

  /** How long to let answers gather before the next look at the capture, ms. */
  restMs(): number {
    return this.#crowd.restMs(this.#clock.now());
  }

  /** To be called every few milliseconds: delayed ACKs, leases, and flows to forget. */
  tick(): void {
    this.now = this.#clock.now();
    this.flows.endLeases(this.now, (flow) => this.reset(flow));
    this.#wheel.advance(this.now, (flow) => {
      if (this.now >= flow.half.pollAt) {
        this.#owe(flow);
      } else if (this.now >= flow.greetAt) {
        this.#sendAck(flow, flow.half.rcvNxt);
        flow.askedForGreeting();
      }
    });
    if (this.#indebted.length > 0) this.#endTurn();
    else this.#injector.flush();
  }

  /** Ends all leases: orphans are reset on the target. For who stops himself. */
  close(): void {
    this.flows.endAllLeases((flow) => this.reset(flow));
    this.#injector.flush();
  }

  // For the attachments.

  flush(): void {
    this.#injector.flush();
  }

  detach(attachment: Attachment): void {
    this.#attachments.delete(attachment);
    this.now = this.#clock.now();
  }

  /** The flow answers the target for a while, and nobody is told. */
  release(flow: InterceptFlow, aborted: boolean): void {
    this.flows.release(flow, aborted, this.now);
  }

  /** The same, and the target is reset at once. Returns whether it was: not where it was not seen to answer. */
  reset(flow: InterceptFlow): boolean {
    this.release(flow, true);
    if (flow.half.state === 'syn-sent') return false;
    return this.#send(flow, flow.half.ack, CTL.rst | CTL.ack, flow.half.rcvNxt);
  }

  orphan(flow: InterceptFlow): void {
    this.flows.orphan(flow, this.now);
  }

  /** Another flow is about to have the connection; `reset`: the target is to be rid of what it has of it. */
  replace(flow: InterceptFlow, reset: boolean): void {
    if (reset) this.#send(flow, flow.half.ack, CTL.rst | CTL.ack, flow.half.rcvNxt);
    this.flows.replace(flow);
    this.#injector.flush();
  }

  #process(flow: InterceptFlow): void {
    this.packets++;
    flow.seen = true;
    if (flow.state === 'orphan') return;
    this.#crowd.seen(flow);
    const segment = this.#segment;
    const { half } = flow;
    if (flow.state === 'aborted') {
      // Whatever it still says on a connection that we gave up: RFC 9293 (3.10.7.1), reset at the place it waits for.
      if (segment.flags & CTL.rst) this.flows.forget(flow);
      else if (segment.flags & CTL.ack) this.#send(flow, segment.ack, CTL.rst, 0);
      return;
    }
    half.process(segment, this.now, flow);
    this.flows.weigh(flow);
    if (flow.untold) flow.tellProgress();
    if (flow.staleSeq >= 0) {
      this.#send(flow, flow.staleSeq, CTL.rst, 0);
      flow.staleSeq = -1;
      // The RST must be ahead of the new SYN.
      this.#injector.flush();
      if (flow.state === 'live') flow.attachment.owner.stale(flow.id);
    }
    if (half.ackNow) this.#owe(flow);
    if (half.pollAt !== NEVER || flow.greetAt !== NEVER) this.#wheel.schedule(flow);
  }

  /** A router's word that a packet of ours was too long for it. Returns false where it is something else. */
  #takeError(block: PacketBlock, i: number): boolean {
    const icmp = this.#icmp;
    const { linkType, octets, view, offset, length } = block;
    if (icmp.parse(octets, view, offset[i], length[i], linkType) !== PARSE.ok) return false;
    const flow = this.flows.table.ofQuoted(icmp, octets);
    if (flow === undefined) return false;
    this.packets++;
    // RFC 5927 (7.2): anybody could have sent it who does not know what is on its way.
    if (!flow.half.mayBeUnderWay(icmp.seq)) return true;
    if (flow.state === 'live') flow.attachment.owner.tooLong(flow.id, icmp.mtu);
    return true;
  }

  #owe(flow: InterceptFlow): void {
    if (flow.ackListed) return;
    flow.ackListed = true;
    const { attachment } = flow;
    if (attachment.due.length === 0) this.#indebted.push(attachment);
    attachment.due.push(flow);
  }

  /**
   * Tells the owners that all was told, then sends the ACKs that are still owed: a command may have carried one meanwhile.
   */
  #endTurn(): void {
    const indebted = this.#indebted;
    for (const attachment of indebted) if (attachment.delivered !== undefined) this.#presuppose(attachment);
    for (const { owner } of this.#attachments) owner.turnEnded();
    for (const attachment of indebted) {
      const { due } = attachment;
      attachment.due = [];
      for (const flow of due) flow.ackListed = false;
      if (attachment.delivered === undefined) {
        for (const flow of due) if (this.#isOwed(flow)) this.#sendAck(flow, flow.half.rcvNxt);
      } else this.#sendDelivered(due, attachment.delivered);
    }
    indebted.length = 0;
    this.#injector.flush();
  }

  /** Tells the owner what it must know before its flows' ACKs go; those of which it cannot be told are not owed after all. */
  #presuppose(attachment: FlowAttachment): void {
    const owed = attachment.due.filter((flow) => this.#isOwed(flow));
    for (const flow of attachment.due) flow.ackListed = false;
    attachment.due = owed.filter((flow) => flow.checkpoint(MAX_STATE_OCTETS));
  }

  /** Sends the ACKs of `due` when what they presuppose has left; what comes in between is not theirs to acknowledge. */
  #sendDelivered(due: readonly InterceptFlow[], delivered: (then: () => void) => void): void {
    // Where one of the same octets waits already it does for both, however often the target asks meanwhile.
    const waiting = due.filter((flow) => flow.waitingAck !== flow.half.rcvNxt);
    if (waiting.length === 0) return;
    const upTo = waiting.map((flow) => (flow.waitingAck = flow.half.rcvNxt));
    delivered(() => {
      waiting.forEach((flow, i) => {
        if (flow.waitingAck === upTo[i]) flow.waitingAck = -1;
        if (flow.answers && flow.half.state !== 'reset') this.#sendAck(flow, upTo[i]);
      });
      this.#injector.flush();
    });
  }

  #isOwed({ half, answers }: InterceptFlow): boolean {
    return answers && (half.ackNow || half.pollAt <= this.now);
  }

  #sendAck(flow: InterceptFlow, upTo: number): void {
    const { half } = flow;
    this.#send(flow, half.ack, CTL.ack, upTo);
    half.ackSent(upTo);
    if (seqLt(flow.acknowledged, upTo)) flow.acknowledged = upTo;
  }

  /** Only where our own capture has seen the target speak on that connection: whoever has the key could name any other. Returns whether it was sent. */
  #send(flow: InterceptFlow, seq: number, flags: number, ack: number): boolean {
    if (!flow.seen) return false;
    const { half } = flow;
    const writer = this.#writer;
    const at = this.#injector.slot();
    let end = writer.begin(at, flow.tuple, seq, ack, flags, half.windowField);
    if (half.timestamps) end = writer.timestamps(at, end, half.tsVal, half.tsRecent);
    if (!(flags & CTL.rst)) {
      const count = half.ackBlocks(this.#blocks);
      if (count > 0) end = writer.sack(at, end, this.#blocks, count);
    }
    this.#injector.commit(writer.finish(at, end));
    return true;
  }
}
