import { foldChecksum, sumWords } from './checksum.ts';
import type { Tuple } from './tuple.ts';

/** Headers without options: IPv4 (RFC 791) or IPv6 (RFC 8200 3), then TCP (RFC 9293 3.1). */
const IPV4_OCTETS = 20;
const IPV6_OCTETS = 40;
const TCP_OCTETS = 20;

/** Version 4, 5 words of header; type of service 0; total length still to come. */
const IPV4_VERSION = 0x45000000;
const DONT_FRAGMENT = 0x4000;
/** Time to live 64, protocol TCP, checksum 0 (whoever sends it fills it in: raw(7), src/net/mmsg.ts). */
const TTL_PROTOCOL = 0x40060000;
/** Version 6, traffic class 0, flow label 0. */
const IPV6_VERSION = 0x60000000;
/** Payload length still to come, next header TCP, hop limit 64. */
const NEXT_HEADER_HOPS = 0x0640;
const PROTOCOL_TCP = 6;

/** TCP header, octet offsets. */
const DATA_OFFSET = 12;
const CHECKSUM = 16;

/** Options (RFC 9293 3.2) as words: kind and length of MSS; SACK permitted and timestamps; NOP and window scale; … */
const MSS_WORD = 0x02040000;
const SACK_PERMITTED_TIMESTAMPS = 0x0402080a;
const NOP_WINDOW_SCALE = 0x01030300;
/** … NOP, NOP, timestamps (RFC 7323, appendix A); NOP, NOP, SACK, whose length follows (RFC 2018 3). */
const NOP_NOP_TIMESTAMPS = 0x0101080a;
const NOP_NOP_SACK = 0x01010500;

const LITTLE_ENDIAN = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

/** Octets of the IP and TCP headers without options. */
export function headersOctets(family: 4 | 6): number {
  return family === 4 ? IPV4_OCTETS + TCP_OCTETS : IPV6_OCTETS + TCP_OCTETS;
}

/**
 * Writes TCP segments in IP packets into a buffer whose memory is aligned to 4 octets, at offsets that are multiples of
 * 4 (an Injector's slots are). Headers first, then options, then the caller's payload, then `finish`:
 *
 *     let data = writer.begin(at, tuple, seq, ack, flags, window);
 *     data = writer.timestamps(at, data, tsVal, tsEcr);
 *     octets.set(payload, data);
 *     const length = writer.finish(at, data + payload.length);
 *
 * Each option goes where the last one ended, and answers where the next, or the payload, goes.
 */
export class SegmentWriter {
  readonly #octets: Uint8Array;
  readonly #view: DataView;
  readonly #words: Uint32Array;

  constructor(octets: Uint8Array, view: DataView) {
    this.#octets = octets;
    this.#view = view;
    this.#words = new Uint32Array(octets.buffer, octets.byteOffset, octets.byteLength >>> 2);
  }

  /** Headers of a segment from the client to the target of `tuple`. `window` is the field, not scaled. */
  begin(at: number, tuple: Tuple, seq: number, ack: number, flags: number, window: number): number {
    const view = this.#view;
    const tcp = tuple.family === 4 ? this.#ipv4Header(at, tuple) : this.#ipv6Header(at, tuple);
    view.setUint32(tcp, tuple.ports);
    view.setUint32(tcp + 4, seq);
    view.setUint32(tcp + 8, ack);
    view.setUint32(tcp + DATA_OFFSET, (5 << 28) | (flags << 16) | window);
    view.setUint32(tcp + CHECKSUM, 0);
    return tcp + TCP_OCTETS;
  }

  #ipv4Header(at: number, tuple: Tuple): number {
    const view = this.#view;
    view.setUint32(at, IPV4_VERSION);
    view.setUint32(at + 4, DONT_FRAGMENT);
    view.setUint32(at + 8, TTL_PROTOCOL);
    view.setUint32(at + 12, tuple.clientNumber);
    view.setUint32(at + 16, tuple.targetNumber);
    return at + IPV4_OCTETS;
  }

  #ipv6Header(at: number, tuple: Tuple): number {
    const view = this.#view;
    const octets = this.#octets;
    const client = tuple.client.octets;
    const target = tuple.target.octets;
    view.setUint32(at, IPV6_VERSION);
    view.setUint32(at + 4, NEXT_HEADER_HOPS);
    for (let i = 0; i < 16; i++) {
      octets[at + 8 + i] = client[i];
      octets[at + 24 + i] = target[i];
    }
    return at + IPV6_OCTETS;
  }

  /**
   * A SYN's options in the order that Linux sends them, 20 octets: MSS (RFC 9293 3.7.1), SACK permitted (RFC 2018 2),
   * timestamps with TSecr 0 (RFC 7323 3.2), window scale (2.2).
   */
  synOptions(at: number, data: number, mss: number, shift: number, tsVal: number): number {
    const view = this.#view;
    view.setUint32(data, MSS_WORD | mss);
    view.setUint32(data + 4, SACK_PERMITTED_TIMESTAMPS);
    view.setUint32(data + 8, tsVal);
    view.setUint32(data + 12, 0);
    view.setUint32(data + 16, NOP_WINDOW_SCALE | shift);
    return this.#dataBegins(at, data + 20);
  }

  /** Timestamps (RFC 7323 3.2), 12 octets. */
  timestamps(at: number, data: number, tsVal: number, tsEcr: number): number {
    const view = this.#view;
    view.setUint32(data, NOP_NOP_TIMESTAMPS);
    view.setUint32(data + 4, tsVal);
    view.setUint32(data + 8, tsEcr);
    return this.#dataBegins(at, data + 12);
  }

  /** SACK blocks (RFC 2018 3): block i is [blocks[2 * i], blocks[2 * i + 1]); up to 3 beside timestamps, 4 without. */
  sack(at: number, data: number, blocks: Uint32Array, count: number): number {
    const view = this.#view;
    view.setUint32(data, NOP_NOP_SACK | (2 + 8 * count));
    for (let i = 0; i < 2 * count; i++) view.setUint32(data + 4 + 4 * i, blocks[i]);
    return this.#dataBegins(at, data + 4 + 8 * count);
  }

  /** Sets the IP header's length and the TCP checksum of the packet that ends at `end`; answers its length. */
  finish(at: number, end: number): number {
    const isIpv4 = this.#octets[at] >> 4 === 4;
    const tcp = at + (isIpv4 ? IPV4_OCTETS : IPV6_OCTETS);
    // IPv4 counts its own header.
    this.#view.setUint16(at + (isIpv4 ? 2 : 4), end - (isIpv4 ? at : tcp));
    this.#view.setUint16(tcp + CHECKSUM, this.#checksum(at + (isIpv4 ? 12 : 8), end, end - tcp));
    return end - at;
  }

  /** The data offset field: where the options end, and with them the headers. Answers `data`. */
  #dataBegins(at: number, data: number): number {
    const tcp = at + (this.#octets[at] >> 4 === 4 ? IPV4_OCTETS : IPV6_OCTETS);
    this.#octets[tcp + DATA_OFFSET] = ((data - tcp) >> 2) << 4;
    return data;
  }

  /**
   * Over the pseudo-header (RFC 9293 3.1, RFC 8200 8.1), TCP's header and the payload. In both versions the addresses,
   * which begin at `from`, stand right before the TCP header, so that one pass goes over all of it.
   */
  #checksum(from: number, end: number, tcpLength: number): number {
    if (!LITTLE_ENDIAN) {
      return foldChecksum(sumWords(this.#octets, from, end, PROTOCOL_TCP + tcpLength));
    }
    // Whole words in the machine's own order: the sum of 16-bit words comes out with its octets swapped, RFC 1071 (2B).
    for (let pad = end; pad & 3; pad++) this.#octets[pad] = 0;
    const words = this.#words;
    const last = (end + 3) >>> 2;
    // Two sums side by side: an addition need not wait for the one before it.
    let sum = 0;
    let other = 0;
    let i = from >>> 2;
    for (; i + 1 < last; i += 2) {
      sum += words[i];
      other += words[i + 1];
    }
    if (i < last) sum += words[i];
    sum += other;
    // Two folds by division because the sum outgrows 32 bits, then 16 by 16.
    let low = (sum >>> 0) + Math.floor(sum / 0x100000000);
    low = (low % 0x10000) + Math.floor(low / 0x10000);
    low = (low & 0xffff) + (low >>> 16);
    low = (low & 0xffff) + (low >>> 16);
    const swapped = ((low & 0xff) << 8) | (low >>> 8);
    let total = swapped + PROTOCOL_TCP + tcpLength;
    total = (total & 0xffff) + (total >>> 16);
    return ~total & 0xffff;
  }
}
