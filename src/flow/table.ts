import type { CaptureNs } from '../time.ts';
import { type Address, addressFromOctets } from '../wire/address.ts';
import { CTL, type Segment } from '../wire/segment.ts';

/** How long a closed connection still takes in late packets (a last ACK, a FIN sent again) before it is forgotten. */
const LINGER_NS = 60e9;

/** A closed connection is looked for at most this often. */
const SWEEP_NS = 10e9;

/** More addresses than this are not kept for the sake of sharing them. */
const MOST_ADDRESSES = 65_536;

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
  /** The client's initial sequence number, or -1 where no SYN of the client's was seen. */
  clientIss = -1;
  clientFin = false;
  serverFin = false;
  reset = false;

  constructor(id: number, firstAt: CaptureNs) {
    this.id = id;
    this.firstAt = firstAt;
    this.lastAt = firstAt;
  }
}

export function isClosed(flow: Flow): boolean {
  return flow.reset || (flow.clientFin && flow.serverFin);
}

export interface FlowOwner<F extends Flow> {
  /** A connection's first packet came `at`: the two are for Flow's constructor. */
  create(endpoints: Endpoints, id: number, at: CaptureNs): F;
  /** It will get no more packets: it closed a while ago, was idle for too long, its ports were used anew, or the capture ended. */
  ended(flow: F): void;
}

/**
 * From segments to the connections that they belong to. The archive's index and the replay's decoder both go through
 * here, so that session 17 of the one is session 17 of the other.
 *
 * A connection ends when its client sends a SYN with another sequence number (its ports were used anew), and is
 * forgotten a minute after it closed, or when it was idle for as long as the options say.
 */
export class FlowTable<F extends Flow> {
  /** Whether the segment last looked up came from the client. */
  fromClient = false;
  #owner: FlowOwner<F>;
  #serverPorts: ReadonlySet<number>;
  /** IPv4: server's address and port as one number -> client's -> connection. Two levels, so that keys stay exact. */
  #byServer = new Map<number, Map<number, F>>();
  #byServer6 = new Map<string, F>();
  readonly #addresses = new Map<string, Address>();
  #nextId: number;
  readonly #idStep: number;
  readonly #idleNs: number;
  #lastSweep: CaptureNs = 0;

  /** `serverPorts`: who listens there is the server. Empty: the SYN tells, or else the lower port. */
  constructor(serverPorts: ReadonlySet<number>, owner: FlowOwner<F>, options: TableOptions = {}) {
    const { firstId = 0, idStep = 1, idleNs = Number.POSITIVE_INFINITY } = options;
    this.#serverPorts = serverPorts;
    this.#owner = owner;
    this.#nextId = firstId;
    this.#idStep = idStep;
    this.#idleNs = idleNs;
  }

  /** The connection of `segment`, made if it is new; sets `fromClient`, and updates the Flow's own fields. */
  find(segment: Segment, at: CaptureNs): F {
    if (at - this.#lastSweep > SWEEP_NS) this.#sweep(at);
    this.fromClient = this.#isFromClient(segment);
    const { flags } = segment;
    const startsAnew = this.fromClient && (flags & (CTL.syn | CTL.ack)) === CTL.syn;
    let flow = segment.family === 4 ? this.#find4(segment) : this.#find6(segment);
    if (flow !== undefined && startsAnew && flow.clientIss !== segment.seq) {
      this.#owner.ended(flow);
      flow = undefined;
    }
    if (flow === undefined) {
      flow = this.#create(segment, at);
      if (startsAnew) flow.clientIss = segment.seq;
    }
    // Packets of several queues of a card are out of order: a connection's own time never runs back.
    if (at > flow.lastAt) flow.lastAt = at;
    if (flags & CTL.fin) {
      if (this.fromClient) flow.clientFin = true;
      else flow.serverFin = true;
    }
    if (flags & CTL.rst) flow.reset = true;
    return flow;
  }

  /** Connections known now, closed ones that linger included. */
  *flows(): IterableIterator<F> {
    for (const clients of this.#byServer.values()) yield* clients.values();
    yield* this.#byServer6.values();
  }

  /** The capture is over: every connection ends, in order of their ids. */
  finish(): void {
    const rest = [...this.flows()].sort((a, b) => a.id - b.id);
    this.#byServer.clear();
    this.#byServer6.clear();
    for (const flow of rest) this.#owner.ended(flow);
  }

  #isFromClient(segment: Segment): boolean {
    const toServer = this.#serverPorts.has(segment.dstPort);
    const fromServer = this.#serverPorts.has(segment.srcPort);
    if (toServer !== fromServer) return toServer;
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

  #find4(segment: Segment): F | undefined {
    return this.fromClient
      ? this.#get4(segment.dst, segment.dstPort, segment.src, segment.srcPort)
      : this.#get4(segment.src, segment.srcPort, segment.dst, segment.dstPort);
  }

  #get4(server: number, serverPort: number, client: number, clientPort: number): F | undefined {
    return this.#byServer.get(server * 65536 + serverPort)?.get(client * 65536 + clientPort);
  }

  /** The one object for an address that connections without number have in common. */
  #address(address: Address): Address {
    const known = this.#addresses.get(address.text);
    if (known === undefined) this.#addresses.set(address.text, address);
    return known ?? address;
  }

  #find6(segment: Segment): F | undefined {
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
    if (family === 6) {
      this.#byServer6.set(key6(segment, this.fromClient), flow);
      return flow;
    }
    const serverKey = this.fromClient
      ? segment.dst * 65536 + segment.dstPort
      : segment.src * 65536 + segment.srcPort;
    const clientKey = this.fromClient
      ? segment.src * 65536 + segment.srcPort
      : segment.dst * 65536 + segment.dstPort;
    let clients = this.#byServer.get(serverKey);
    if (clients === undefined) this.#byServer.set(serverKey, (clients = new Map()));
    clients.set(clientKey, flow);
    return flow;
  }

  #sweep(at: CaptureNs): void {
    this.#lastSweep = at;
    if (this.#addresses.size > MOST_ADDRESSES) this.#addresses.clear();
    for (const flows of [...this.#byServer.values(), this.#byServer6]) {
      for (const [key, flow] of flows as Map<unknown, F>) {
        if (at - flow.lastAt < (isClosed(flow) ? LINGER_NS : this.#idleNs)) continue;
        flows.delete(key as never);
        this.#owner.ended(flow);
      }
    }
  }
}

/** Server's address and port, then the client's, as one string: exact, and rare enough to be slower. */
function key6(segment: Segment, fromClient: boolean): string {
  const { octets, srcOffset, dstOffset, srcPort, dstPort } = segment;
  const source = String.fromCharCode(...octets.subarray(srcOffset, srcOffset + 16), srcPort);
  const destination = String.fromCharCode(...octets.subarray(dstOffset, dstOffset + 16), dstPort);
  return fromClient ? destination + source : source + destination;
}
