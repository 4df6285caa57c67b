import { ipv4Number, parseAddress } from '../../wire/address.ts';
import type { PacketBlock } from '../../wire/packets.ts';
import { Segment } from '../../wire/segment.ts';
import type { SessionRow } from './rows.ts';

/** Sessions that had the same ends one after another. */
type Ranges = SessionRow[];

/**
 * Picks the packets of some sessions out of blocks. A packet is a session's when it has the session's ends and its number
 * lies between those of the session's first and last packet: among sessions of the same ends these never overlap.
 */
export class SessionFilter {
  readonly #segment = new Segment();
  /** IPv4: server's address and port as one number -> client's -> sessions. Two levels, so that keys stay exact. */
  readonly #byServer = new Map<number, Map<number, Ranges>>();
  readonly #byEnds6 = new Map<string, Ranges>();

  constructor(sessions: Iterable<SessionRow>) {
    for (const session of sessions) this.#add(session);
  }

  /** Leaves in `block`, whose first packet is number `first` of the archive, only packets of the sessions. */
  apply(block: PacketBlock, first: number): void {
    const { linkType, octets, view, offset, length, wireLength, at, count } = block;
    const segment = this.#segment;
    let kept = 0;
    for (let i = 0; i < count; i++) {
      if (segment.parse(octets, view, offset[i], length[i], linkType) !== 0) continue;
      if (!this.#has(segment, first + i)) continue;
      offset[kept] = offset[i];
      length[kept] = length[i];
      wireLength[kept] = wireLength[i];
      at[kept] = at[i];
      kept++;
    }
    block.count = kept;
  }

  #add(session: SessionRow): void {
    const client = parseAddress(session.client);
    const server = parseAddress(session.server);
    if (client === undefined || server === undefined) return;
    if (client.family === 6) {
      const key = String.fromCharCode(
        ...server.octets,
        session.serverPort,
        ...client.octets,
        session.clientPort,
      );
      addTo(this.#byEnds6, key, session);
      return;
    }
    const serverKey = ipv4Number(server) * 65536 + session.serverPort;
    let clients = this.#byServer.get(serverKey);
    if (clients === undefined) this.#byServer.set(serverKey, (clients = new Map()));
    addTo(clients, ipv4Number(client) * 65536 + session.clientPort, session);
  }

  #has(segment: Segment, packet: number): boolean {
    const { src, srcPort, dst, dstPort } = segment;
    if (segment.family === 4) {
      const source = src * 65536 + srcPort;
      const destination = dst * 65536 + dstPort;
      return (
        isIn(this.#byServer.get(destination)?.get(source), packet) ||
        isIn(this.#byServer.get(source)?.get(destination), packet)
      );
    }
    const { octets, srcOffset, dstOffset } = segment;
    const source = String.fromCharCode(...octets.subarray(srcOffset, srcOffset + 16), srcPort);
    const destination = String.fromCharCode(...octets.subarray(dstOffset, dstOffset + 16), dstPort);
    return (
      isIn(this.#byEnds6.get(destination + source), packet) ||
      isIn(this.#byEnds6.get(source + destination), packet)
    );
  }
}

function addTo<K>(map: Map<K, Ranges>, key: K, session: SessionRow): void {
  const ranges = map.get(key);
  if (ranges === undefined) map.set(key, [session]);
  else ranges.push(session);
}

function isIn(ranges: Ranges | undefined, packet: number): boolean {
  if (ranges === undefined) return false;
  for (const { firstPacket, lastPacket } of ranges) {
    if (packet >= firstPacket && packet <= lastPacket) return true;
  }
  return false;
}
