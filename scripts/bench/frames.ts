import { foldChecksum } from '../../src/wire/checksum.ts';

/** Ethernet's header, then IPv4's and TCP's without options. */
export const ETHERNET_OCTETS = 14;
const IP = ETHERNET_OCTETS;
const TCP = IP + 20;
const OPTIONS = TCP + 20;
const PROTOCOL_TCP = 6;

/** Options of a segment; what the client's SYN, or its segment, offers decides. */
export const OPTION = { syn: 1, sackPermitted: 2, timestamps: 4, windowScale: 8 } as const;

const MSS = 1460;
const WINDOW_SHIFT = 7;
const WINDOW = 0xffff;

/** Who speaks to whom. One instance serves many frames. Addresses are unsigned numbers in network order. */
export interface Ends {
  source: number;
  destination: number;
  sourcePort: number;
  destinationPort: number;
}

/**
 * Writes TCP segments in IPv4 in Ethernet frames whose payload's checksum is known already. `SegmentWriter` is the product's, for
 * a client's segments; this one is a server's that says the same things over and over, and must cost next to nothing.
 */
export class FrameWriter {
  readonly #octets: Uint8Array;
  readonly #view: DataView;
  /** TSval and TSecr of segments with OPTION.timestamps. */
  tsVal = 0;
  tsEcr = 0;

  constructor(octets: Uint8Array, view: DataView) {
    this.#octets = octets;
    this.#view = view;
  }

  /**
   * Writes the frame at `at` (its two Ethernet addresses are the caller's), with octets [from, to) of `payload`, which add
   * `sum` to a checksum. Answers its length.
   */
  write(
    at: number,
    ends: Ends,
    seq: number,
    ack: number,
    flags: number,
    options: number,
    payload: Uint8Array,
    from: number,
    to: number,
    sum: number,
  ): number {
    const view = this.#view;
    const optionOctets = options === 0 ? 0 : this.#options(at + OPTIONS, options);
    const data = at + OPTIONS + optionOctets;
    const tcpOctets = 20 + optionOctets + to - from;
    const { source, destination } = ends;
    const addresses = (source >>> 16) + (source & 0xffff) + (destination >>> 16) + (destination & 0xffff);
    view.setUint16(at + 12, 0x0800);
    view.setUint32(at + IP, 0x45000000 | (20 + tcpOctets));
    // Identification 0, don't fragment; time to live 64, TCP.
    view.setUint32(at + IP + 4, 0x4000);
    view.setUint16(at + IP + 8, 0x4006);
    view.setUint16(at + IP + 10, foldChecksum(0x4500 + 20 + tcpOctets + 0x4000 + 0x4006 + addresses));
    view.setUint32(at + IP + 12, source);
    view.setUint32(at + IP + 16, destination);
    const control = ((5 + (optionOctets >> 2)) << 12) | flags;
    view.setUint32(at + TCP, (ends.sourcePort << 16) | ends.destinationPort);
    view.setUint32(at + TCP + 4, seq);
    view.setUint32(at + TCP + 8, ack);
    view.setUint32(at + TCP + 12, (control << 16) | WINDOW);
    let total = addresses + PROTOCOL_TCP + tcpOctets + ends.sourcePort + ends.destinationPort + sum;
    total += (seq >>> 16) + (seq & 0xffff) + (ack >>> 16) + (ack & 0xffff) + control + WINDOW;
    for (let i = at + OPTIONS; i < data; i += 2) total += view.getUint16(i);
    view.setUint32(at + TCP + 16, foldChecksum(total) << 16);
    const octets = this.#octets;
    for (let i = from, j = data; i < to; i++, j++) octets[j] = payload[i];
    return data + to - from - at;
  }

  /** Answers how many octets they take: a multiple of 4. */
  #options(at: number, options: number): number {
    const view = this.#view;
    let next = at;
    if (options & OPTION.syn) {
      view.setUint32(next, 0x02040000 | MSS);
      next += 4;
    }
    const permitted = options & OPTION.sackPermitted;
    if (options & OPTION.timestamps) {
      view.setUint32(next, (permitted ? 0x0402 << 16 : 0x0101 << 16) | 0x080a);
      view.setUint32(next + 4, this.tsVal);
      view.setUint32(next + 8, this.tsEcr);
      next += 12;
    } else if (permitted) {
      view.setUint32(next, 0x01010402);
      next += 4;
    }
    if (options & OPTION.windowScale) {
      view.setUint32(next, 0x01030300 | WINDOW_SHIFT);
      next += 4;
    }
    return next - at;
  }
}
