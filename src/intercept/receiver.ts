import { EXPECT } from '../mysql/command.ts';
import type { Reply } from '../mysql/reply.ts';
import { ReplyReader } from '../mysql/reply-reader.ts';
import type { Injector } from '../net/injector.ts';
import { ReceiveHalf, type ReceiveSink } from '../tcp/receive.ts';
import { NEVER } from '../tcp/send.ts';
import { type Timed, TimerWheel } from '../tcp/wheel.ts';
import type { CaptureNs, Clock, MonotonicMs } from '../time.ts';
import { SegmentWriter } from '../wire/emit.ts';
import type { PacketBlock } from '../wire/packets.ts';
import { CTL, PARSE, Segment } from '../wire/segment.ts';
import { Crowd, type Member } from './crowd.ts';
import type { ReceiverOwner, ReceiverPort, Tuple } from './ports.ts';

/** How long a released flow still answers the target, so that a lost last ACK or RST costs it nothing. */
const LINGER_MS = 15_000;

/** The target's segments of one replayed connection: acknowledges them and reads the answers in them. */
class InterceptFlow implements ReceiveSink, Timed, Member {
  readonly id: number;
  readonly tuple: Tuple;
  readonly half: ReceiveHalf;
  /** undefined once released: a flow that only lingers reads nothing more. */
  reader: ReplyReader | undefined;
  wheelSlot = -1;
  seenIn = -1;
  /** Whether it is in the list of those that owe the target an ACK at the end of this turn. */
  ackListed = false;
  /** undefined once released. */
  owner: ReceiverOwner | undefined;
  aborted = false;
  forgetAt: MonotonicMs = NEVER;
  ack: number;
  window = 0;
  /** `ack` or `window` changed and the owner does not know yet. */
  untold = false;
  /** Set by `stale`, for the receiver to send. */
  staleSeq = -1;
  readonly #receiver: Receiver;

  constructor(id: number, tuple: Tuple, iss: number, owner: ReceiverOwner, receiver: Receiver) {
    this.id = id;
    this.tuple = tuple;
    this.owner = owner;
    this.#receiver = receiver;
    this.half = new ReceiveHalf(iss);
    this.reader = new ReplyReader(this);
    this.ack = iss;
  }

  get pollAt(): MonotonicMs {
    return Math.min(this.half.pollAt, this.forgetAt);
  }

  // What the receive half tells.

  established(half: ReceiveHalf, mss: number, shift: number, window: number): void {
    this.ack = half.peerAck;
    this.window = window;
    this.owner?.established(this.id, this.ack, window, half.rcvNxt, mss, shift);
  }

  acked(_half: ReceiveHalf, ack: number, window: number): void {
    this.ack = ack;
    this.window = window;
    this.untold = true;
  }

  data(_half: ReceiveHalf, octets: Uint8Array, from: number, to: number): void {
    this.reader?.feed(octets, from, to, this.#receiver.capturedAt);
  }

  fin(half: ReceiveHalf): void {
    this.untold = false;
    this.owner?.fin(this.id, this.ack, this.window, half.rcvNxt);
  }

  reset(_half: ReceiveHalf, refused: boolean): void {
    this.untold = false;
    this.owner?.reset(this.id, refused);
  }

  stale(_half: ReceiveHalf, seq: number): void {
    this.staleSeq = seq;
  }

  // What the reader of replies tells.

  packet(octets: Uint8Array, from: number, to: number): void {
    this.untold = false;
    this.owner?.packet(this.id, this.ack, this.window, this.half.rcvNxt, octets.subarray(from, to));
  }

  reply(reply: Reply): void {
    this.untold = false;
    const ageMs = Math.max(0, this.#receiver.now - reply.at);
    this.owner?.reply(this.id, this.ack, this.window, this.half.rcvNxt, reply, ageMs);
  }

  desync(): void {
    this.owner?.desync(this.id);
  }
}

/**
 * The receive half at work (docs/packet-transport.md): takes the target's segments off a capture, acknowledges them and
 * tells each flow's owner what they amount to. Several owners may share it.
 *
 * The time is read once a turn, from the clock given.
 */
export class Receiver {
  now: MonotonicMs;
  /** When the packet at hand was captured, on the clock given. */
  capturedAt: MonotonicMs;
  /** Packets that were for one of our flows, and others that the filter let through. */
  packets = 0;
  foreign = 0;
  readonly #clock: Clock;
  readonly #injector: Injector;
  readonly #writer: SegmentWriter;
  readonly #segment = new Segment();
  /** Target's address and port as one number -> client's -> flow. */
  readonly #targets = new Map<number, Map<number, InterceptFlow>>();
  readonly #owners = new Set<ReceiverOwner>();
  readonly #wheel: TimerWheel<InterceptFlow>;
  readonly #acksDue: InterceptFlow[] = [];
  readonly #crowd = new Crowd();

  constructor(injector: Injector, clock: Clock) {
    this.#injector = injector;
    this.#clock = clock;
    this.now = clock.now();
    this.capturedAt = this.now;
    this.#writer = new SegmentWriter(injector.octets, injector.view);
    this.#wheel = new TimerWheel(this.now);
  }

  /** A new owner's way in. Its `disconnect` resets on the target what it left open. */
  attach(owner: ReceiverOwner): ReceiverPort & { disconnect(): void; readonly flows: number } {
    this.#owners.add(owner);
    const flows = new Map<number, InterceptFlow>();
    return {
      register: (id, tuple, iss) => {
        const flow = new InterceptFlow(id, tuple, iss, owner, this);
        flows.set(id, flow);
        this.#insert(flow);
        owner.registered(id);
      },
      commandPhase: (id, capabilities, extendedCapabilities) => {
        flows.get(id)?.reader?.commandPhase(capabilities, extendedCapabilities, EXPECT.result);
      },
      expect: (id, shape) => {
        const flow = flows.get(id);
        if (flow === undefined) return;
        flow.reader?.expect(shape);
        owner.expecting(id);
      },
      acked: (id, ack) => flows.get(id)?.half.ackSent(ack),
      release: (id, aborted) => {
        const flow = flows.get(id);
        if (flow === undefined) return;
        flows.delete(id);
        this.#release(flow, aborted);
      },
      flush: () => this.#injector.flush(),
      disconnect: () => {
        this.#owners.delete(owner);
        this.now = this.#clock.now();
        for (const flow of flows.values()) {
          this.#release(flow, true);
          if (flow.half.state !== 'syn-sent') this.#send(flow, flow.half.peerAck, CTL.rst | CTL.ack);
        }
        flows.clear();
        this.#injector.flush();
      },
      get flows() {
        return flows.size;
      },
    };
  }

  /**
   * Takes in one block of the capture, and sends what that calls for. `epochNs` is the time now as the capture's packets
   * count theirs: it tells how old they are.
   */
  take(block: PacketBlock, linkType: number, epochNs: CaptureNs): void {
    this.now = this.#clock.now();
    const segment = this.#segment;
    const { octets, view, count, offset, length, at } = block;
    for (let i = 0; i < count; i++) {
      if (segment.parse(octets, view, offset[i], length[i], linkType) !== PARSE.ok || segment.family !== 4) {
        this.foreign++;
        continue;
      }
      const flow = this.#targets
        .get(segment.src * 65536 + segment.srcPort)
        ?.get(segment.dst * 65536 + segment.dstPort);
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

  /** To be called every few milliseconds: delayed ACKs, and flows to forget. */
  tick(): void {
    this.now = this.#clock.now();
    this.#wheel.advance(this.now, (flow) => {
      if (this.now >= flow.forgetAt) {
        this.#forget(flow);
        flow.forgetAt = NEVER;
      } else if (this.now >= flow.half.pollAt) {
        this.#sendAck(flow);
      }
    });
    this.#injector.flush();
  }

  #process(flow: InterceptFlow): void {
    this.packets++;
    this.#crowd.seen(flow);
    const segment = this.#segment;
    if (flow.aborted) {
      // Whatever it still says on a connection that we gave up: RFC 9293 (3.10.7.1), reset at the place it waits for.
      if (segment.flags & CTL.rst) this.#forget(flow);
      else if (segment.flags & CTL.ack) this.#send(flow, segment.ack, CTL.rst);
      return;
    }
    flow.half.process(segment, this.now, flow);
    if (flow.untold) {
      flow.untold = false;
      flow.owner?.acked(flow.id, flow.ack, flow.window, flow.half.rcvNxt);
    }
    if (flow.staleSeq >= 0) {
      this.#send(flow, flow.staleSeq, CTL.rst);
      flow.staleSeq = -1;
      // The RST must be ahead of the new SYN.
      this.#injector.flush();
      flow.owner?.stale(flow.id);
    }
    if (flow.half.ackNow && !flow.ackListed) {
      flow.ackListed = true;
      this.#acksDue.push(flow);
    }
    if (flow.half.pollAt !== NEVER) this.#wheel.schedule(flow);
  }

  #endTurn(): void {
    for (const owner of this.#owners) owner.turnEnded();
    for (const flow of this.#acksDue) {
      flow.ackListed = false;
      // A command may have carried it meanwhile.
      if (flow.half.ackNow) this.#sendAck(flow);
    }
    this.#acksDue.length = 0;
    this.#injector.flush();
  }

  #sendAck(flow: InterceptFlow): void {
    this.#send(flow, flow.half.peerAck, CTL.ack);
    flow.half.ackSent(flow.half.rcvNxt);
  }

  #send(flow: InterceptFlow, seq: number, flags: number): void {
    const { target, targetPort, client, clientPort } = flow.tuple;
    const at = this.#injector.slot();
    const ack = flags & CTL.ack ? flow.half.rcvNxt : 0;
    const { windowField } = flow.half;
    const end = this.#writer.begin(at, client, target, clientPort, targetPort, seq, ack, flags, windowField);
    this.#injector.commit(this.#writer.finish(at, end), target);
  }

  #insert(flow: InterceptFlow): void {
    const { target, targetPort, client, clientPort } = flow.tuple;
    const key = target * 65536 + targetPort;
    let clients = this.#targets.get(key);
    if (clients === undefined) this.#targets.set(key, (clients = new Map()));
    clients.set(client * 65536 + clientPort, flow);
  }

  #release(flow: InterceptFlow, aborted: boolean): void {
    flow.owner = undefined;
    flow.reader = undefined;
    flow.aborted = aborted || flow.half.state === 'syn-sent';
    flow.forgetAt = this.now + LINGER_MS;
    this.#wheel.schedule(flow);
  }

  #forget(flow: InterceptFlow): void {
    const { target, targetPort, client, clientPort } = flow.tuple;
    const clients = this.#targets.get(target * 65536 + targetPort);
    const key = client * 65536 + clientPort;
    // The tuple may belong to a newer flow by now.
    if (clients?.get(key) === flow) clients.delete(key);
  }
}
