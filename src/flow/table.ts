import type { CaptureNs } from '../time.ts';
import { type Address, addressFromOctets } from '../wire/address.ts';
import { CTL, type Segment } from '../wire/segment.ts';
import { seqAdd } from '../wire/sequence.ts';
import { belongs, isNext, isOf, track } from './belongs.ts';
import { type Endpoints, type Flow, isClosed } from './flow.ts';
import { AgeRing, type FlowLimits, NO_LIMITS } from './flow-limits.ts';
import { FlowPlaces, OUTGOING } from './places.ts';
import { TableRoom } from './table-room.ts';

/** How long a closed connection still takes in late packets (a last ACK, a FIN sent again) before it is forgotten. */
const LINGER_NS = 60e9;

/** A closed connection is looked for at most this often. */
const SWEEP_NS = 10e9;

/** More addresses than this are not kept for the sake of sharing them. */
const MOST_ADDRESSES = 65_536;

/** A second view of a packet comes within so long. */
const TWIN_NS = 1e9;
const MOST_TWINS = 65_536;

/** Ends of connections that servers made themselves are kept up to so many, or half as many as connections, where these are more. */
const MOST_OUTGOING = 65_536;

/** With no room for another connection, what could make some is looked for this often. */
const SQUEEZE_NS = 1e9;

/** Then a connection of which one side was seen goes when it was silent for this long. */
const ONE_SIDED_NS = 60e9;

/** Connections whose ends were used anew, and that still wait to be looked at. */
const MOST_GONE = 4_096;

export interface TableOptions extends Partial<FlowLimits> {
  /** Of the first connection; default 0. */
  firstId?: number | undefined;
  /** From one connection's id to the next one's; default 1. */
  idStep?: number | undefined;
  /** The id of a connection whose first packet came `at`: asked once for each, in their order. Default: they are counted. */
  idOf?: ((endpoints: Endpoints, at: CaptureNs) => number) | undefined;
}

export interface FlowOwner<F extends Flow> {
  /** A connection's first packet came `at`: the two are for Flow's constructor. */
  create(endpoints: Endpoints, id: number, at: CaptureNs): F;
  /**
   * It will get no more packets: it closed a while ago, was silent for too long, its ports were used anew, there was no room,
   * or the capture ended.
   */
  ended(flow: F): void;
}

/**
 * From segments to the connections that they belong to. The archive's index and the replay's decoder both go through
 * here, so that session 17 of the one is session 17 of the other, with the same coverage.
 *
 * A connection ends when its ports are used anew, which belongs.ts tells, and is forgotten a minute after it closed, or
 * when it was silent for as long as the options say. Where they leave no room for another one, its packets are counted
 * (`flooded`) and belong to none.
 */
export class FlowTable<F extends Flow> {
  /** Whether the segment last looked up came from the client. */
  fromClient = false;
  /** Packets of connections that a server's host made from a server's port: they belong to no connection here. */
  outgoing = 0;
  /** Packets that are copies of others. */
  copies = 0;
  /** Packets of connections that there was no room for … */
  flooded = 0;
  /** … and those of them that had data: something was said that is in no session. */
  floodedData = 0;
  #owner: FlowOwner<F>;
  /** 1 for each port that servers listen on. */
  readonly #isServer = new Uint8Array(65_536);
  readonly #hasPorts: boolean;
  readonly #places: FlowPlaces<F>;
  readonly #addresses = new Map<string, Address>();
  /** The newest connection of a client's ends, whatever its server: a second view of it has the same numbers. */
  readonly #byClient = new Map<string, F>();
  /** All connections, and some that are gone. */
  readonly #ages = new AgeRing<F>();
  readonly #room: TableRoom;
  /** Connections that a server answered, and that are gone but not forgotten. */
  #gone = 0;
  #nextId: number;
  readonly #idStep: number;
  readonly #idOf: TableOptions['idOf'];
  readonly #limits: FlowLimits;
  #lastSweep: CaptureNs = 0;
  #lastSqueeze: CaptureNs = Number.NEGATIVE_INFINITY;

  /** `serverPorts`: who listens there is the server. Empty: the SYN tells, or else the lower port. */
  constructor(serverPorts: ReadonlySet<number>, owner: FlowOwner<F>, options: TableOptions = {}) {
    const { firstId = 0, idStep = 1 } = options;
    for (const port of serverPorts) this.#isServer[port] = 1;
    this.#hasPorts = serverPorts.size > 0;
    this.#owner = owner;
    this.#nextId = firstId;
    this.#idStep = idStep;
    this.#idOf = options.idOf;
    this.#limits = {
      idleNs: options.idleNs ?? NO_LIMITS.idleNs,
      halfOpenNs: options.halfOpenNs ?? NO_LIMITS.halfOpenNs,
      mostHalfOpen: options.mostHalfOpen ?? NO_LIMITS.mostHalfOpen,
      mostFlows: options.mostFlows ?? NO_LIMITS.mostFlows,
    };
    this.#room = new TableRoom(this.#limits);
    const { mostFlows } = this.#limits;
    // Infinity where there are no limits at all.
    this.#places = new FlowPlaces(Math.max(MOST_OUTGOING, mostFlows / 2));
  }

  /**
   * The connection of `segment`, made if it is new; sets `fromClient`, and updates the Flow's own fields. Undefined for a
   * connection that the server's host made itself, from the server's port; and for what is left over of an older one.
   */
  find(segment: Segment, at: CaptureNs): F | undefined {
    if (at - this.#lastSweep > SWEEP_NS) this.#sweep(at);
    this.fromClient = this.#isFromClient(segment);
    const flow = this.#places.find(segment, this.fromClient);
    if (flow == null || !isNext(flow, segment, this.fromClient)) return this.#findEventful(flow, segment, at);
    if (at > flow.lastAt) flow.lastAt = at;
    return flow;
  }

  /** The connection of a segment that may begin or end one; `flow` had its ends last. */
  #findEventful(flow: F | typeof OUTGOING | undefined, segment: Segment, at: CaptureNs): F | undefined {
    let before: F | undefined;
    if (flow === OUTGOING) {
      const syn = segment.flags & (CTL.syn | CTL.ack);
      // The client that has come to use these ports is a client of the server's.
      if (syn !== CTL.syn || !this.fromClient) {
        this.outgoing++;
        return undefined;
      }
      flow = undefined;
    } else if (flow !== undefined && isOther(flow, segment)) {
      // It looked like a second view as long as there was nothing but a SYN.
      flow = undefined;
    } else if (flow !== undefined && !belongs(flow, segment, this.fromClient, at)) {
      // A straggler of the connection that had the same ends before repeats what that had said.
      const { before: older } = flow;
      const hasOwnNumbers = older?.clientSide.first !== flow.clientSide.first;
      if (older !== undefined && hasOwnNumbers && isOf(older, segment, this.fromClient)) return undefined;
      before = flow;
      // What seemed to be seen twice goes on by its own ends.
      if (!flow.isTwin) this.#replace(flow);
      flow = undefined;
    }
    if (flow === undefined) {
      if (this.#isOutgoing(segment)) {
        this.#places.put(segment, this.fromClient, OUTGOING);
        this.outgoing++;
        return undefined;
      }
      flow = this.#twin(segment, at);
      if (flow === undefined) {
        if (!this.#hasRoom(segment, at)) {
          this.flooded++;
          if (segment.wireDataLength > 0) this.floodedData++;
          return undefined;
        }
        flow = this.#create(segment, at);
      }
      if (before !== undefined) {
        before.before = undefined;
        flow.before = before;
      }
    }
    const { isHalfOpen, isAnswered } = flow;
    if (track(flow, segment, this.fromClient, at)) this.copies++;
    this.#room.changed(flow, isHalfOpen, isAnswered);
    // Packets of several queues of a card are out of order: a connection's own time never runs back.
    if (at > flow.lastAt) flow.lastAt = at;
    return flow;
  }

  /** Connections known now, closed ones that linger included. */
  flows(): IterableIterator<F> {
    return this.#places.flows().values();
  }

  /** The capture is over: every connection ends, in order of their ids. */
  finish(): void {
    const rest = [...this.flows()].sort((a, b) => a.id - b.id);
    this.#places.clear();
    for (const flow of rest) this.#owner.ended(flow);
  }

  /** Whether another connection, which begins with `segment`, may be kept. */
  #hasRoom(segment: Segment, at: CaptureNs): boolean {
    if (this.#room.isFull && Math.abs(at - this.#lastSqueeze) > SQUEEZE_NS) this.#squeeze(at);
    return this.#room.admits(segment, this.fromClient);
  }

  /** Lets go of connections that closed, and of such as a flood without answers leaves, sooner than they are due. */
  #squeeze(at: CaptureNs): void {
    this.#lastSqueeze = at;
    const over: F[] = [];
    this.#ages.filter((flow) => {
      const silentNs = at - flow.lastAt;
      const isOneSided = !flow.isAnswered || !flow.clientSide.seen;
      // One that no server answered is not let go sooner for a RST of its own: a flood could make connections without end.
      const isDue =
        isClosed(flow) && flow.isAnswered ? silentNs > SQUEEZE_NS : isOneSided && silentNs > ONE_SIDED_NS;
      if (!isDue || flow.isGone || flow.isHalfOpen) return true;
      over.push(flow);
      return false;
    });
    for (const flow of over) {
      this.#letGo(flow);
      this.#room.forgot(flow);
    }
  }

  /** Its ends are used anew. */
  #replace(flow: F): void {
    this.#letGo(flow);
    if (flow.isAnswered && ++this.#gone > MOST_GONE + this.#room.kept) {
      this.#gone = 0;
      this.#ages.filter((each) => !each.isGone || !each.isAnswered);
    }
  }

  #letGo(flow: F): void {
    flow.isGone = true;
    this.#room.kept--;
    this.#places.remove(flow);
    if (this.#byClient.get(flow.clientKey) === flow) this.#byClient.delete(flow.clientKey);
    this.#owner.ended(flow);
  }

  /** When it is to go, if it says no more. */
  #dueAt(flow: F): CaptureNs {
    if (isClosed(flow)) return flow.lastAt + LINGER_NS;
    const isShort = flow.isHalfOpen || (!flow.isAnswered && (flow.isGone || this.#room.isCrowded));
    return flow.lastAt + (isShort ? this.#limits.halfOpenNs : this.#limits.idleNs);
  }

  #isFromClient(segment: Segment): boolean {
    const toServer = this.#isServer[segment.dstPort];
    if (toServer !== this.#isServer[segment.srcPort]) return toServer === 1;
    const syn = segment.flags & (CTL.syn | CTL.ack);
    if (syn === CTL.syn) return true;
    if (syn === (CTL.syn | CTL.ack)) return false;
    if (this.#places.has(segment, true)) return true;
    if (this.#places.has(segment, false)) return false;
    return segment.dstPort <= segment.srcPort;
  }

  /** The one object for an address that connections without number have in common. */
  #address(address: Address): Address {
    const known = this.#addresses.get(address.text);
    if (known === undefined) this.#addresses.set(address.text, address);
    return known ?? address;
  }

  #create(segment: Segment, at: CaptureNs): F {
    const { octets, family, srcOffset, dstOffset } = segment;
    const source = this.#address(addressFromOctets(octets, srcOffset, family));
    const destination = this.#address(addressFromOctets(octets, dstOffset, family));
    const endpoints = this.fromClient
      ? { client: source, clientPort: segment.srcPort, server: destination, serverPort: segment.dstPort }
      : { client: destination, clientPort: segment.dstPort, server: source, serverPort: segment.srcPort };
    const flow = this.#owner.create(endpoints, this.#idOf?.(endpoints, at) ?? this.#nextId, at);
    this.#nextId += this.#idStep;
    this.#room.began();
    this.#places.put(segment, this.fromClient, flow);
    this.#ages.add(flow, at, this.#dueAt(flow));
    if (this.#byClient.size >= MOST_TWINS) this.#byClient.clear();
    flow.clientKey = this.#clientKey(segment);
    this.#byClient.set(flow.clientKey, flow);
    return flow;
  }

  /** Whether the host of a server's has begun, or takes in an answer on, a connection of its own. */
  #isOutgoing({ flags }: Segment): boolean {
    if (!this.#hasPorts) return false;
    const syn = flags & (CTL.syn | CTL.ack);
    return this.fromClient ? syn === (CTL.syn | CTL.ack) : syn === CTL.syn;
  }

  /**
   * The connection whose newest packet is this very one, seen with another server's address: the host translates addresses,
   * and the capture has each packet before and after. What comes by these ends is that connection's.
   */
  #twin(segment: Segment, at: CaptureNs): F | undefined {
    const flow = this.#byClient.get(this.#clientKey(segment));
    if (flow === undefined || isClosed(flow) || Math.abs(at - flow.lastAt) > TWIN_NS) return undefined;
    const mine = this.fromClient ? flow.clientSide : flow.serverSide;
    const other = this.fromClient ? flow.serverSide : flow.clientSide;
    const hasAck = (segment.flags & CTL.ack) !== 0;
    // A SYN is seen twice before its client goes on.
    if (!hasAck && mine.ack >= 0) return undefined;
    // The answer may come by these ends first.
    if (mine.seen && mine.next !== seqAdd(segment.seq, segment.sequenceLength)) return undefined;
    if (!mine.seen && !hasAck) return undefined;
    if (hasAck && other.seen && other.next !== segment.ack) return undefined;
    this.#places.put(segment, this.fromClient, flow);
    flow.isTwin = true;
    return flow;
  }

  #clientKey({ octets, family, srcOffset, dstOffset, srcPort, dstPort }: Segment): string {
    const from = this.fromClient ? srcOffset : dstOffset;
    const address = octets.subarray(from, from + (family === 4 ? 4 : 16));
    return String.fromCharCode(...address, this.fromClient ? srcPort : dstPort);
  }

  #sweep(at: CaptureNs): void {
    this.#lastSweep = at;
    if (this.#addresses.size > MOST_ADDRESSES) this.#addresses.clear();
    this.#ages.advance(at, (flow) => {
      const dueAt = this.#dueAt(flow);
      if (!flow.isGone && dueAt > at) {
        this.#ages.add(flow, at, dueAt);
        return;
      }
      // One that is gone before its time counts until then.
      if (flow.isAnswered && flow.isGone) this.#gone--;
      if (!flow.isGone) this.#letGo(flow);
      this.#room.forgot(flow);
    });
    this.#places.removeEmpty();
  }
}

/** Whether the servers of `flow`, which seemed to be one with two addresses, are two: each has a number of its own. */
function isOther({ isTwin, serverSide }: Flow, { flags, seq }: Segment): boolean {
  if (!isTwin || (flags & (CTL.syn | CTL.ack)) !== (CTL.syn | CTL.ack)) return false;
  return serverSide.iss >= 0 && serverSide.iss !== seq;
}
