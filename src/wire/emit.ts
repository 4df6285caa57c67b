import { foldChecksum, sumWords } from './checksum.ts';

/** IPv4 header without options (RFC 791), then TCP header without options (RFC 9293 3.1). */
export const HEADERS_OCTETS = 40;

/** Version 4, 5 words of header; type of service 0. */
const VERSION_IHL_TOS = 0x4500 << 16;
const DONT_FRAGMENT = 0x4000;
/** Time to live 64, protocol TCP, checksum 0 (the kernel fills it in, raw(7)). */
const TTL_PROTOCOL = 0x40060000;
const PROTOCOL_TCP = 6;

/** MSS (4 octets), NOP, window scale (3). */
const SYN_OPTIONS_OCTETS = 8;

const LITTLE_ENDIAN = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

/**
 * Writes TCP segments in IPv4 packets into a buffer whose memory is aligned to 4 octets, at offsets that are multiples of
 * 4 (an Injector's slots are). Headers first, then the caller's payload, then `finish`:
 *
 *     const data = writer.begin(at, source, destination, sourcePort, destinationPort, seq, ack, flags, window);
 *     octets.set(payload, data);
 *     const length = writer.finish(at, data + payload.length);
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

  /** Answers where the payload goes. `window` is the field, not scaled. Addresses are unsigned, network order. */
  begin(
    at: number,
    source: number,
    destination: number,
    sourcePort: number,
    destinationPort: number,
    seq: number,
    ack: number,
    flags: number,
    window: number,
  ): number {
    const view = this.#view;
    view.setUint32(at + 4, DONT_FRAGMENT);
    view.setUint32(at + 8, TTL_PROTOCOL);
    view.setUint32(at + 12, source);
    view.setUint32(at + 16, destination);
    view.setUint32(at + 20, (sourcePort << 16) | destinationPort);
    view.setUint32(at + 24, seq);
    view.setUint32(at + 28, ack);
    view.setUint32(at + 32, (5 << 28) | (flags << 16) | window);
    view.setUint32(at + 36, 0);
    return at + HEADERS_OCTETS;
  }

  /** Puts a SYN's options behind the headers that `begin` wrote; answers the segment's end. RFC 9293 (3.2), 7323 (2.2). */
  synOptions(at: number, mss: number, shift: number): number {
    const options = at + HEADERS_OCTETS;
    this.#view.setUint32(options, 0x02040000 | mss);
    this.#view.setUint32(options + 4, 0x01030300 | shift);
    this.#octets[at + 32] = ((HEADERS_OCTETS + SYN_OPTIONS_OCTETS - 20) >> 2) << 4;
    return options + SYN_OPTIONS_OCTETS;
  }

  /** Sets total length and TCP checksum of the packet that ends at `end`; answers its length. */
  finish(at: number, end: number): number {
    const length = end - at;
    this.#view.setUint32(at, VERSION_IHL_TOS | length);
    this.#view.setUint16(at + 36, this.#checksum(at, end));
    return length;
  }

  /** RFC 9293 (3.1): pseudo-header, header and payload. */
  #checksum(at: number, end: number): number {
    const tcpLength = end - at - 20;
    if (!LITTLE_ENDIAN) {
      return foldChecksum(sumWords(this.#octets, at + 12, end, PROTOCOL_TCP + tcpLength));
    }
    // Whole words in the machine's own order: the sum of 16-bit words comes out with its octets swapped, RFC 1071 (2B).
    for (let i = end; i & 3; i++) this.#octets[i] = 0;
    const words = this.#words;
    const last = (end + 3) >>> 2;
    let sum = 0;
    for (let i = (at + 12) >>> 2; i < last; i++) sum += words[i];
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
