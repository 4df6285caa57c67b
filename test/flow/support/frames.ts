/**
 * TCP over IPv4 in Ethernet or raw frames, read and changed in place: what the mutations of captures need, and nothing of the code
 * under test.
 */

/** A captured packet. Its octets may be shared with other packets until they are changed. */
export interface Packet {
  octets: Uint8Array;
  /** Octets on the wire. */
  wireLength: number;
  /** When it was captured, ns. */
  at: number;
  /** Which packet of the unmutated capture it is, or is a copy of; -1: none. */
  source: number;
}

export const FLAG = { fin: 1, syn: 2, rst: 4, ack: 16 } as const;

export interface Frame {
  ip: number;
  tcp: number;
  srcPort: number;
  dstPort: number;
  fromClient: boolean;
  /** `10.0.0.1:4711`. */
  client: string;
  seq: number;
  ack: number;
  flags: number;
  /** Where data begins, how many octets of it were captured, and how many were on the wire. */
  data: number;
  length: number;
  wireLength: number;
}

const ETHERNET_OCTETS = 14;
const LINK_OCTETS: Readonly<Record<number, number>> = { 1: ETHERNET_OCTETS, 101: 0, 228: 0 };
const TCP = 6;

export function isReadable(linkType: number): boolean {
  return LINK_OCTETS[linkType] !== undefined;
}

/** undefined: no TCP over IPv4 from or to one of `ports`. */
export function parseFrame(
  octets: Uint8Array,
  linkType: number,
  ports: ReadonlySet<number>,
): Frame | undefined {
  const ip = LINK_OCTETS[linkType];
  const view = viewOf(octets);
  if (ip === undefined || octets.length < ip + 40 || octets[ip] >> 4 !== 4 || octets[ip + 9] !== TCP)
    return undefined;
  const tcp = ip + (octets[ip] & 15) * 4;
  const data = tcp + (octets[tcp + 12] >> 4) * 4;
  const end = ip + view.getUint16(ip + 2);
  const srcPort = view.getUint16(tcp);
  const dstPort = view.getUint16(tcp + 2);
  const fromClient = ports.has(dstPort);
  if (!fromClient && !ports.has(srcPort)) return undefined;
  const address = octets.subarray(fromClient ? ip + 12 : ip + 16, fromClient ? ip + 16 : ip + 20);
  return {
    ...{ ip, tcp, srcPort, dstPort, fromClient, data },
    client: `${address.join('.')}:${fromClient ? srcPort : dstPort}`,
    seq: view.getUint32(tcp + 4),
    ack: view.getUint32(tcp + 8),
    flags: octets[tcp + 13],
    length: Math.max(0, Math.min(octets.length, end) - data),
    wireLength: end - data,
  };
}

/** A copy of the frame with other sequence numbers, and another port of the client's. */
export function rewritten(
  octets: Uint8Array,
  { tcp, fromClient, flags }: Frame,
  change: { seq?: number; ack?: number; clientPort?: number },
): Uint8Array {
  const copy = new Uint8Array(octets);
  const view = viewOf(copy);
  if (change.seq !== undefined) view.setUint32(tcp + 4, change.seq >>> 0);
  if (change.ack !== undefined && (flags & FLAG.ack) !== 0) view.setUint32(tcp + 8, change.ack >>> 0);
  if (change.clientPort !== undefined) view.setUint16(tcp + (fromClient ? 0 : 2), change.clientPort);
  return copy;
}

/** A RST without data in the direction of `frame`. */
export function resetOf(octets: Uint8Array, { ip, tcp, data }: Frame, seq: number): Uint8Array {
  const copy = new Uint8Array(octets.subarray(0, data));
  const view = viewOf(copy);
  view.setUint16(ip + 2, data - ip);
  view.setUint32(tcp + 4, seq >>> 0);
  copy[tcp + 13] = FLAG.rst | FLAG.ack;
  return copy;
}

function viewOf(octets: Uint8Array): DataView {
  return new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
}
