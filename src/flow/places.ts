/** Which connection has which ends: what a table looks up for each packet. */
import type { Segment } from '../wire/segment.ts';
import { type Flow, Stand } from './flow.ts';

/** Stands in the place of a connection for ends whose connection is not one to the server there. */
export const OUTGOING = null;

/** Connections that are found without a Map: a power of two. */
const RECENT = 1024;

/** Where a client's connection is among the recent ones. */
function placeOf(client: number, clientPort: number): number {
  return (client ^ Math.imul(clientPort, 0x9e3779b1)) & (RECENT - 1);
}

export class FlowPlaces<F extends Flow> {
  /**
   * IPv4: server's address and port as one number -> client's -> connection, or OUTGOING. Two levels, so that keys stay
   * exact.
   */
  readonly #byServer = new Map<number, Map<number, F | typeof OUTGOING>>();
  readonly #byServer6 = new Map<string, F | typeof OUTGOING>();
  /** What was looked up last, in a place that the client tells: keys of #byServer, and what they are of. */
  readonly #recentServers = new Float64Array(RECENT).fill(-1);
  readonly #recentClients = new Float64Array(RECENT);
  readonly #recent = new Array<F | typeof OUTGOING>(RECENT).fill(OUTGOING);
  /** Where OUTGOING stands, or stood; not kept where there is no bound. */
  #outgoingStands: Stand[] = [];
  readonly #mostOutgoing: number;

  /** `mostOutgoing`: OUTGOING stands for so many ends at most; with one more, all of them are forgotten. */
  constructor(mostOutgoing: number) {
    this.#mostOutgoing = mostOutgoing;
  }

  /** What has the ends of `segment`, which came from the client or the server. */
  find(segment: Segment, fromClient: boolean): F | typeof OUTGOING | undefined {
    if (segment.family === 6) return this.#byServer6.get(key6(segment, fromClient));
    return fromClient
      ? this.#get4(segment.dst, segment.dstPort, segment.src, segment.srcPort)
      : this.#get4(segment.src, segment.srcPort, segment.dst, segment.dstPort);
  }

  /** Whether a connection has these ends; of IPv6 also whether OUTGOING has them. */
  has(segment: Segment, fromClient: boolean): boolean {
    if (segment.family === 6) return this.#byServer6.has(key6(segment, fromClient));
    return this.find(segment, fromClient) != null;
  }

  /** The ends of `segment` are those of `flow` from now on. */
  put(segment: Segment, fromClient: boolean, flow: F | typeof OUTGOING): void {
    if (segment.family === 6) {
      const key = key6(segment, fromClient);
      this.#byServer6.set(key, flow);
      this.#stands(flow, this.#byServer6, key);
      return;
    }
    const { src, srcPort, dst, dstPort } = segment;
    const [server, serverPort] = fromClient ? [dst, dstPort] : [src, srcPort];
    const [client, clientPort] = fromClient ? [src, srcPort] : [dst, dstPort];
    const serverKey = server * 65536 + serverPort;
    const clientKey = client * 65536 + clientPort;
    let clients = this.#byServer.get(serverKey);
    if (clients === undefined) this.#byServer.set(serverKey, (clients = new Map()));
    clients.set(clientKey, flow);
    this.#stands(flow, clients, clientKey);
    // In the place of the connection that had these ends before.
    this.#remember(placeOf(client, clientPort), serverKey, clientKey, flow);
  }

  /** Takes `flow` out of all places that it still has. */
  remove(flow: F): void {
    for (let { stand } = flow; stand !== undefined; stand = stand.next) {
      if (stand.flows.get(stand.key) !== flow) continue;
      stand.flows.delete(stand.key);
      if (typeof stand.key === 'number') this.#forget(stand.key);
    }
    flow.stand = undefined;
  }

  /** All connections. */
  flows(): Set<F> {
    // One that is seen with two server's addresses stands at both.
    const all = new Set<F>();
    for (const flows of [...this.#byServer.values(), this.#byServer6]) {
      for (const flow of flows.values()) if (flow !== OUTGOING) all.add(flow);
    }
    return all;
  }

  clear(): void {
    this.#forgetRecent();
    this.#byServer.clear();
    this.#byServer6.clear();
  }

  /** Lets go of what is kept for servers that have no connection. */
  removeEmpty(): void {
    for (const [key, clients] of this.#byServer) if (clients.size === 0) this.#byServer.delete(key);
  }

  #stands(flow: F | typeof OUTGOING, flows: Map<unknown, unknown>, key: number | string): void {
    if (flow !== OUTGOING) {
      flow.stand = new Stand(flows, key, flow.stand);
      return;
    }
    if (this.#mostOutgoing === Number.POSITIVE_INFINITY) return;
    if (this.#outgoingStands.length >= this.#mostOutgoing) {
      this.#forgetRecent();
      for (const each of this.#outgoingStands)
        if (each.flows.get(each.key) === OUTGOING) each.flows.delete(each.key);
      this.#outgoingStands = [];
    }
    this.#outgoingStands.push(new Stand(flows, key, undefined));
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

  #forget(clientKey: number): void {
    const place = placeOf(Math.floor(clientKey / 65536), clientKey % 65536);
    if (this.#recentClients[place] !== clientKey) return;
    this.#recentServers[place] = -1;
    this.#recent[place] = OUTGOING;
  }

  #forgetRecent(): void {
    this.#recentServers.fill(-1);
    this.#recent.fill(OUTGOING);
  }
}

/** Server's address and port, then the client's, as one string: exact, and rare enough to be slower. */
function key6(segment: Segment, fromClient: boolean): string {
  const { octets, srcOffset, dstOffset, srcPort, dstPort } = segment;
  const source = String.fromCharCode(...octets.subarray(srcOffset, srcOffset + 16), srcPort);
  const destination = String.fromCharCode(...octets.subarray(dstOffset, dstOffset + 16), dstPort);
  return fromClient ? destination + source : source + destination;
}
