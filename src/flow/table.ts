import type { CaptureNs } from '../time.ts';
import { type Address, addressFromOctets } from '../wire/address.ts';
import { CTL, type Segment } from '../wire/segment.ts';
import { seqAdd } from '../wire/sequence.ts';
import { belongs, isNext, isOf, track } from './belongs.ts';
import { Side } from './coverage.ts';
import type { Coverage } from './events.ts';

/** How long a closed connection still takes in late packets (a last ACK, a FIN sent again) before it is forgotten. */
const LINGER_NS = 60e9;

/** A closed connection is looked for at most this often. */
const SWEEP_NS = 10e9;

/** More addresses than this are not kept for the sake of sharing them. */
const MOST_ADDRESSES = 65_536;

/** A second view of a packet comes within so long. */
const TWIN_NS = 1e9;
const MOST_TWINS = 65_536;

/** Stands in the table for ends whose connection is not one to the server there. */
const OUTGOING = null;

export interface TableOptions {
  /** Of the first connection; default 0. */
  firstId?: number | undefined;
  /** From one connection's id to the next one's; default 1. */
  idStep?: number | undefined;
  /** A connection without a packet for this long has ended unseen, ns; default: none has. */
  idleNs?: number | undefined;
}

/** The two ends of a connection, and which of them is the server. */
export interface Endpoints {
  client: Address;
  clientPort: number;
  server: Address;
  serverPort: number;
}

/** What the table itself keeps of a connection; owners extend it. */
export class Flow {
  /** Counts from 0, unless told otherwise (TableOptions), in order of the connections' first packets. */
  readonly id: number;
  readonly firstAt: CaptureNs;
  lastAt: CaptureNs;
  readonly clientSide = new Side();
  readonly serverSide = new Side();
  /** It was reset at this time, and nothing has shown since that the RST was none of its own; -1: not so. */
  resetAt = -1;
  /** Whether the RST was the client's. */
  resetByClient = false;
  /** Whether it had the number that its receiver expects, so that it is not asked for another (RFC 5961 3.2). */
  resetIsExact = false;
  /** The segment looked up last showed that the reset before it was none. */
  resetRefuted = false;
  /** The connection that had the same ends before. */
  before: Flow | undefined;
  /** It is seen with the addresses of two servers. */
  isTwin = false;
  /** When its SYN, or SYN-ACK, was captured: the last before any data, or the first; -1: neither was. */
  synAt: CaptureNs = -1;
  /** Packets of it that are copies of others: captured before and after address translation, or at two ports. */
  copies = 0;
  /** Its beginning was seen, or is known by what came next: the SYN, the SYN-ACK or the greeting. */
  fromStart = false;

  constructor(id: number, firstAt: CaptureNs) {
    this.id = id;
    this.firstAt = firstAt;
    this.lastAt = firstAt;
  }

  get clientFin(): boolean {
    return this.clientSide.fin >= 0;
  }

  get serverFin(): boolean {
    return this.serverSide.fin >= 0;
  }

  /** How much of it the capture holds. */
  get coverage(): Coverage {
    const { clientSide: client, serverSide: server } = this;
    if ((!client.seen && server.hasData) || (!server.seen && client.hasData)) return 'one-sided';
    if (client.cut || server.cut) return 'cut';
    if (!this.fromStart) return 'joined-late';
    return client.hasGaps(server) || server.hasGaps(client) ? 'gaps' : 'whole';
  }
}

/** Connections that are found without a Map: a power of two. */
const RECENT = 1024;

/** Where a client's connection is among the recent ones. */
function placeOf(client: number, clientPort: number): number {
  return (client ^ Math.imul(clientPort, 0x9e3779b1)) & (RECENT - 1);
}

export function isClosed(flow: Flow): boolean {
  return flow.resetAt >= 0 || (flow.clientFin && flow.serverFin);
}

export interface FlowOwner<F extends Flow> {
  /** A connection's first packet came `at`: the two are for Flow's constructor. */
  create(endpoints: Endpoints, id: number, at: CaptureNs): F;
  /** It will get no more packets: it closed a while ago, was idle for too long, its ports were used anew, or the capture ended. */
  ended(flow: F): void;
}

/**
 * From segments to the connections that they belong to. The archive's index and the replay's decoder both go through
 * here, so that session 17 of the one is session 17 of the other, with the same coverage.
 *
 * A connection ends when its ports are used anew, which belongs.ts tells, and is forgotten a minute after it closed, or
 * when it was idle for as long as the options say.
 */
export class FlowTable<F extends Flow> {
  /** Whether the segment last looked up came from the client. */
  fromClient = false;
  /** Packets of connections that a server's host made from a server's port: they belong to no connection here. */
  outgoing = 0;
  /** Packets that are copies of others. */
  copies = 0;
  #owner: FlowOwner<F>;
  /** 1 for each port that servers listen on. */
  readonly #isServer = new Uint8Array(65_536);
  readonly #hasPorts: boolean;
  /**
   * IPv4: server's address and port as one number -> client's -> connection, or OUTGOING. Two levels, so that keys stay
   * exact.
   */
  #byServer = new Map<number, Map<number, F | typeof OUTGOING>>();
  #byServer6 = new Map<string, F | typeof OUTGOING>();
  /** What was looked up last, in a place that the client tells: keys of #byServer, and what they are of. */
  readonly #recentServers = new Float64Array(RECENT).fill(-1);
  readonly #recentClients = new Float64Array(RECENT);
  readonly #recent = new Array<F | typeof OUTGOING>(RECENT).fill(OUTGOING);
  readonly #addresses = new Map<string, Address>();
  /** The newest connection of a client's ends, whatever its server: a second view of it has the same numbers. */
  readonly #byClient = new Map<string, F>();
  #nextId: number;
  readonly #idStep: number;
  readonly #idleNs: number;
  #lastSweep: CaptureNs = 0;

  /** `serverPorts`: who listens there is the server. Empty: the SYN tells, or else the lower port. */
  constructor(serverPorts: ReadonlySet<number>, owner: FlowOwner<F>, options: TableOptions = {}) {
    const { firstId = 0, idStep = 1, idleNs = Number.POSITIVE_INFINITY } = options;
    for (const port of serverPorts) this.#isServer[port] = 1;
    this.#hasPorts = serverPorts.size > 0;
    this.#owner = owner;
    this.#nextId = firstId;
    this.#idStep = idStep;
    this.#idleNs = idleNs;
  }

  /**
   * The connection of `segment`, made if it is new; sets `fromClient`, and updates the Flow's own fields. Undefined for a
   * connection that the server's host made itself, from the server's port; and for what is left over of an older one.
   */
  find(segment: Segment, at: CaptureNs): F | undefined {
    if (at - this.#lastSweep > SWEEP_NS) this.#sweep(at);
    this.fromClient = this.#isFromClient(segment);
    const flow = segment.family === 4 ? this.#find4(segment) : this.#find6(segment);
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
      if (!flow.isTwin) this.#owner.ended(flow);
      flow = undefined;
    }
    if (flow === undefined) {
      if (this.#isOutgoing(segment)) {
        this.#put(segment, OUTGOING);
        this.outgoing++;
        return undefined;
      }
      flow = this.#twin(segment, at) ?? this.#create(segment, at);
      if (before !== undefined) {
        before.before = undefined;
        flow.before = before;
      }
    }
    if (track(flow, segment, this.fromClient, at)) this.copies++;
    // Packets of several queues of a card are out of order: a connection's own time never runs back.
    if (at > flow.lastAt) flow.lastAt = at;
    return flow;
  }

  /** Connections known now, closed ones that linger included. */
  *flows(): IterableIterator<F> {
    // One that is seen with two server's addresses stands at both.
    const all = new Set<F>();
    for (const flows of [...this.#byServer.values(), this.#byServer6]) {
      for (const flow of flows.values()) if (flow !== OUTGOING) all.add(flow);
    }
    yield* all;
  }

  /** The capture is over: every connection ends, in order of their ids. */
  finish(): void {
    this.#forgetRecent();
    const rest = [...this.flows()].sort((a, b) => a.id - b.id);
    this.#byServer.clear();
    this.#byServer6.clear();
    for (const flow of rest) this.#owner.ended(flow);
  }

  #isFromClient(segment: Segment): boolean {
    const toServer = this.#isServer[segment.dstPort];
    if (toServer !== this.#isServer[segment.srcPort]) return toServer === 1;
    const syn = segment.flags & (CTL.syn | CTL.ack);
    if (syn === CTL.syn) return true;
    if (syn === (CTL.syn | CTL.ack)) return false;
    if (segment.family === 4) {
      if (this.#get4(segment.dst, segment.dstPort, segment.src, segment.srcPort)) return true;
      if (this.#get4(segment.src, segment.srcPort, segment.dst, segment.dstPort)) return false;
    } else {
      if (this.#byServer6.has(key6(segment, true))) return true;
      if (this.#byServer6.has(key6(segment, false))) return false;
    }
    return segment.dstPort <= segment.srcPort;
  }

  #find4(segment: Segment): F | typeof OUTGOING | undefined {
    return this.fromClient
      ? this.#get4(segment.dst, segment.dstPort, segment.src, segment.srcPort)
      : this.#get4(segment.src, segment.srcPort, segment.dst, segment.dstPort);
  }

  #get4(
    server: number,
    serverPort: number,
    client: number,
    clientPort: number,
  ): F | typeof OUTGOING | undefined {
    const serverKey = server * 65536 + serverPort;
    const clientKey = client * 65536 + clientPort;
    // Maps with such keys are slow.
    const place = placeOf(client, clientPort);
    if (this.#recentClients[place] === clientKey && this.#recentServers[place] === serverKey)
      return this.#recent[place];
    const flow = this.#byServer.get(serverKey)?.get(clientKey);
    if (flow !== undefined) this.#remember(place, serverKey, clientKey, flow);
    return flow;
  }

  #remember(place: number, serverKey: number, clientKey: number, flow: F | typeof OUTGOING): void {
    this.#recentServers[place] = serverKey;
    this.#recentClients[place] = clientKey;
    this.#recent[place] = flow;
  }

  /** What was looked up last may be gone. */
  #forgetRecent(): void {
    this.#recentServers.fill(-1);
    this.#recent.fill(OUTGOING);
  }

  /** The one object for an address that connections without number have in common. */
  #address(address: Address): Address {
    const known = this.#addresses.get(address.text);
    if (known === undefined) this.#addresses.set(address.text, address);
    return known ?? address;
  }

  #find6(segment: Segment): F | typeof OUTGOING | undefined {
    return this.#byServer6.get(key6(segment, this.fromClient));
  }

  #create(segment: Segment, at: CaptureNs): F {
    const { octets, family, srcOffset, dstOffset } = segment;
    const source = this.#address(addressFromOctets(octets, srcOffset, family));
    const destination = this.#address(addressFromOctets(octets, dstOffset, family));
    const endpoints = this.fromClient
      ? { client: source, clientPort: segment.srcPort, server: destination, serverPort: segment.dstPort }
      : { client: destination, clientPort: segment.dstPort, server: source, serverPort: segment.srcPort };
    const flow = this.#owner.create(endpoints, this.#nextId, at);
    this.#nextId += this.#idStep;
    this.#put(segment, flow);
    if (this.#byClient.size >= MOST_TWINS) this.#byClient.clear();
    this.#byClient.set(this.#clientKey(segment), flow);
    return flow;
  }

  #put(segment: Segment, flow: F | typeof OUTGOING): void {
    if (segment.family === 6) {
      this.#byServer6.set(key6(segment, this.fromClient), flow);
      return;
    }
    const { src, srcPort, dst, dstPort } = segment;
    const [server, serverPort] = this.fromClient ? [dst, dstPort] : [src, srcPort];
    const [client, clientPort] = this.fromClient ? [src, srcPort] : [dst, dstPort];
    const serverKey = server * 65536 + serverPort;
    const clientKey = client * 65536 + clientPort;
    let clients = this.#byServer.get(serverKey);
    if (clients === undefined) this.#byServer.set(serverKey, (clients = new Map()));
    clients.set(clientKey, flow);
    // In the place of the connection that had these ends before.
    this.#remember(placeOf(client, clientPort), serverKey, clientKey, flow);
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
    this.#put(segment, flow);
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
    this.#forgetRecent();
    if (this.#addresses.size > MOST_ADDRESSES) this.#addresses.clear();
    // One that is seen with two server's addresses stands at both.
    const over = new Set<F>();
    for (const flows of [...this.#byServer.values(), this.#byServer6]) {
      for (const [key, flow] of flows as Map<unknown, F | typeof OUTGOING>) {
        if (flow === OUTGOING) continue;
        if (at - flow.lastAt < (isClosed(flow) ? LINGER_NS : this.#idleNs)) continue;
        flows.delete(key as never);
        over.add(flow);
      }
    }
    if (over.size > 0) {
      for (const [key, flow] of this.#byClient) if (over.has(flow)) this.#byClient.delete(key);
    }
    for (const flow of over) this.#owner.ended(flow);
  }
}

/** Whether the servers of `flow`, which seemed to be one with two addresses, are two: each has a number of its own. */
function isOther({ isTwin, serverSide }: Flow, { flags, seq }: Segment): boolean {
  if (!isTwin || (flags & (CTL.syn | CTL.ack)) !== (CTL.syn | CTL.ack)) return false;
  return serverSide.iss >= 0 && serverSide.iss !== seq;
}

/** Server's address and port, then the client's, as one string: exact, and rare enough to be slower. */
function key6(segment: Segment, fromClient: boolean): string {
  const { octets, srcOffset, dstOffset, srcPort, dstPort } = segment;
  const source = String.fromCharCode(...octets.subarray(srcOffset, srcOffset + 16), srcPort);
  const destination = String.fromCharCode(...octets.subarray(dstOffset, dstOffset + 16), dstPort);
  return fromClient ? destination + source : source + destination;
}
