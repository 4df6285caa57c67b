/**
 * One TCP segment in an IP packet as the simulated peer reads and writes it: apart from src/wire, so that the two can disagree.
 */
import assert from 'node:assert/strict';

export const FIN = 1;
export const SYN = 2;
export const RST = 4;
export const PSH = 8;
export const ACK = 16;

export interface PeerSegment {
  /** 4 octets each, or 16. */
  source: Uint8Array;
  destination: Uint8Array;
  sourcePort: number;
  destinationPort: number;
  seq: number;
  ack: number;
  flags: number;
  window: number;
  data: Uint8Array;
  /** Options, where there are any (RFC 9293 3.2, 7323, 2018). */
  mss?: number;
  shift?: number;
  sackPermitted?: boolean;
  timestamps?: { val: number; ecr: number };
  blocks?: [left: number, right: number][];
}

export function readPacket(packet: Uint8Array): PeerSegment {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
  const v6 = packet[0] >> 4 === 6;
  const tcp = v6 ? 40 : (packet[0] & 15) * 4;
  assert.equal(v6 ? 40 + view.getUint16(4) : view.getUint16(2), packet.length, 'the IP length is wrong');
  const [at, octets] = v6 ? [8, 16] : [12, 4];
  const source = packet.slice(at, at + octets);
  const destination = packet.slice(at + octets, at + 2 * octets);
  assert.equal(checksum(packet, tcp, source, destination), 0, 'the checksum is wrong');
  const data = tcp + (packet[tcp + 12] >> 4) * 4;
  const segment: PeerSegment = {
    source,
    destination,
    sourcePort: view.getUint16(tcp),
    destinationPort: view.getUint16(tcp + 2),
    seq: view.getUint32(tcp + 4),
    ack: view.getUint32(tcp + 8),
    flags: packet[tcp + 13],
    window: view.getUint16(tcp + 14),
    data: packet.slice(data),
  };
  for (let i = tcp + 20; i < data && packet[i] !== 0; ) {
    const kind = packet[i];
    if (kind === 2) segment.mss = view.getUint16(i + 2);
    else if (kind === 3) segment.shift = packet[i + 2];
    else if (kind === 4) segment.sackPermitted = true;
    else if (kind === 8) segment.timestamps = { val: view.getUint32(i + 2), ecr: view.getUint32(i + 6) };
    else if (kind === 5) {
      segment.blocks = [];
      for (let k = i + 2; k < i + packet[i + 1]; k += 8) {
        segment.blocks.push([view.getUint32(k), view.getUint32(k + 4)]);
      }
    } else assert.equal(kind, 1, 'an option that nobody sends');
    i += kind === 1 ? 1 : packet[i + 1];
  }
  return segment;
}

export function writePacket(segment: PeerSegment): Uint8Array {
  const options = optionsOf(segment);
  const v6 = segment.source.length === 16;
  const tcp = v6 ? 40 : 20;
  const data = tcp + 20 + options.length;
  const packet = new Uint8Array(data + segment.data.length);
  const view = new DataView(packet.buffer);
  if (v6) {
    view.setUint32(0, 6 << 28);
    view.setUint16(4, packet.length - 40);
    view.setUint16(6, (6 << 8) | 64);
    packet.set(segment.source, 8);
    packet.set(segment.destination, 24);
  } else {
    view.setUint16(0, 0x4500);
    view.setUint16(2, packet.length);
    view.setUint16(8, (64 << 8) | 6);
    packet.set(segment.source, 12);
    packet.set(segment.destination, 16);
  }
  view.setUint16(tcp, segment.sourcePort);
  view.setUint16(tcp + 2, segment.destinationPort);
  view.setUint32(tcp + 4, segment.seq);
  view.setUint32(tcp + 8, segment.ack);
  view.setUint16(tcp + 12, (((data - tcp) / 4) << 12) | segment.flags);
  view.setUint16(tcp + 14, segment.window);
  packet.set(options, tcp + 20);
  packet.set(segment.data, data);
  view.setUint16(tcp + 16, checksum(packet, tcp, segment.source, segment.destination));
  return packet;
}

function optionsOf({ mss, shift, sackPermitted, timestamps, blocks }: PeerSegment): number[] {
  const word = (value: number) => [24, 16, 8, 0].map((by) => (value >>> by) & 255);
  const options: number[] = [];
  if (mss !== undefined) options.push(2, 4, mss >> 8, mss & 255);
  if (shift !== undefined) options.push(1, 3, 3, shift);
  if (sackPermitted) options.push(1, 1, 4, 2);
  if (timestamps) options.push(1, 1, 8, 10, ...word(timestamps.val), ...word(timestamps.ecr));
  if (blocks?.length) options.push(1, 1, 5, 2 + 8 * blocks.length, ...blocks.flat().flatMap(word));
  return options;
}

/** RFC 9293 (3.1), RFC 8200 (8.1): over pseudo-header, header and payload; 0 where the checksum stands in it and is right. */
function checksum(packet: Uint8Array, tcp: number, source: Uint8Array, destination: Uint8Array): number {
  let sum = 6 + packet.length - tcp;
  for (const address of [source, destination]) {
    for (let i = 0; i < address.length; i += 2) sum += address[i] * 256 + address[i + 1];
  }
  for (let i = tcp; i < packet.length; i += 2) sum += packet[i] * 256 + (packet[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 65536);
  return ~sum & 0xffff;
}
