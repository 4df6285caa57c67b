import { walkHeaders } from './header-walk.ts';
import { Headers } from './headers.ts';
import { ipOffset, TOO_SHORT } from './link-layer.ts';
import { PARSE } from './parse.ts';

export { PARSE } from './parse.ts';

/** TCP control bits, RFC 9293 (3.1). */
export const CTL = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16, urg: 32 } as const;

const PROTOCOL_TCP = 6;

/** TCP header (RFC 9293 3.1), octet offsets. */
const SRC_PORT = 0;
const DST_PORT = 2;
const SEQ = 4;
const ACK = 8;
const OFFSET = 12;
const FLAGS = 13;
const WND = 14;
const OPTIONS = 20;

const OPT_END = 0;
const OPT_NOP = 1;
const OPT_MSS = 2;
const OPT_WSCALE = 3;
const OPT_SACK_PERMITTED = 4;
const OPT_SACK = 5;
const OPT_TIMESTAMPS = 8;
const NOP_NOP_TIMESTAMPS = 0x0101080a;

/**
 * One TCP segment parsed in place; one instance serves a whole stream. All fields are those of the last `parse` that
 * answered ok, and offsets point into the octets given to it.
 */
export class Segment {
  octets: Uint8Array = new Uint8Array(0);
  view: DataView = new DataView(new ArrayBuffer(0));
  /** 4 or 6. */
  family = 4;
  /** Identification of IPv4 (RFC 6864); 0: none. */
  ipId = 0;
  /** Where the IP header begins. */
  ipOffset = 0;
  /** Addresses of IPv4 as numbers (unsigned, network order); 0 for IPv6. */
  src = 0;
  dst = 0;
  /** Where the addresses stand: 4 octets each, or 16. */
  srcOffset = 0;
  dstOffset = 0;
  srcPort = 0;
  dstPort = 0;
  seq = 0;
  ack = 0;
  flags = 0;
  /** As on the wire, not scaled. */
  window = 0;
  tcpOffset = 0;
  /** Payload: begins here … */
  dataOffset = 0;
  /** … has this many octets in the capture … */
  dataLength = 0;
  /** … and this many on the wire, by the IP header. More than `dataLength` where the capture cut the packet. */
  wireDataLength = 0;
  /** What the segment was taken out of: bits of LAYER (headers.ts). */
  layers = 0;
  /** The way to the segment, or to what was found instead; of the last `parse` of a packet that was not plain. */
  readonly headers = new Headers();

  /** Octets that this segment takes in sequence space (SEG.LEN). */
  get sequenceLength(): number {
    return this.wireDataLength + ((this.flags & CTL.syn) >> 1) + (this.flags & CTL.fin);
  }

  /**
   * Parses the packet of `length` captured octets at `offset`, out of whatever tunnels it is in: addresses and ports are
   * the innermost. Answers PARSE.ok, or why not; then `headers` says what was found instead, but for a plain packet that is
   * truncated or malformed. `view` must be over the same memory as `octets`.
   */
  parse(octets: Uint8Array, view: DataView, offset: number, length: number, linkType: number): number {
    return this.#parse(octets, view, offset, length, linkType, false);
  }

  /**
   * Parses as `parse` does, but only a packet that has nothing but VLAN tags between its link-layer header and IP, and
   * nothing but extension headers between IP and TCP. For
   * those who act on packets as the kernel would have taken them: whoever can send us a tunnelled packet could put any
   * address into it.
   */
  parsePlain(octets: Uint8Array, view: DataView, offset: number, length: number, linkType: number): number {
    return this.#parse(octets, view, offset, length, linkType, true);
  }

  /** One function, since nearly all packets are plain and go straight through it. */
  #parse(
    octets: Uint8Array,
    view: DataView,
    offset: number,
    length: number,
    linkType: number,
    onlyPlain: boolean,
  ): number {
    let end = offset + length;
    let ip = ipOffset(octets, offset, length, linkType);
    let tcp = 0;
    let wireEnd = 0;
    let answer: number = PARSE.ok;
    const version = ip < 0 ? 0 : octets[ip] >> 4;
    if (version === 4) {
      const headerLength = (octets[ip] & 15) << 2;
      if (headerLength < 20) return PARSE.malformed;
      const total = view.getUint16(ip + 2);
      tcp = ip + headerLength;
      // Offload can leave 0 here in captures on the sending host: then the capture's length is all there is.
      wireEnd = total === 0 ? end : ip + total;
      const word = view.getInt32(ip + 4);
      if (octets[ip + 9] !== PROTOCOL_TCP) answer = PARSE.notTcp;
      // More fragments, or not the first.
      else if (word & 0x3fff) answer = PARSE.fragment;
      this.family = 4;
      this.ipId = word >>> 16;
      this.srcOffset = ip + 12;
      this.dstOffset = ip + 16;
      this.src = view.getUint32(ip + 12);
      this.dst = view.getUint32(ip + 16);
    } else if (version === 6) {
      if (ip + 40 > end) return PARSE.truncated;
      const payload = (octets[ip + 4] << 8) | octets[ip + 5];
      wireEnd = payload === 0 ? end : ip + 40 + payload;
      let next = octets[ip + 6];
      tcp = ip + 40;
      // Hop-by-hop (0), routing (43) and destination options (60), RFC 8200 (4): type, then length in 8 octets less one.
      while (next === 0 || next === 43 || next === 60) {
        if (tcp + 8 > end) return PARSE.truncated;
        next = octets[tcp];
        tcp += 8 + (octets[tcp + 1] << 3);
      }
      if (next === 44) answer = PARSE.fragment;
      else if (next !== PROTOCOL_TCP) answer = PARSE.notTcp;
      this.family = 6;
      this.ipId = 0;
      this.srcOffset = ip + 8;
      this.dstOffset = ip + 24;
      this.src = 0;
      this.dst = 0;
    } else if (ip === TOO_SHORT) return PARSE.truncated;
    else answer = PARSE.notIp;
    this.layers = 0;
    if (answer !== PARSE.ok) {
      if (onlyPlain) return answer;
      const { headers } = this;
      answer = walkHeaders(headers, octets, view, offset, length, linkType);
      if (answer !== PARSE.ok) return answer;
      ip = headers.ip;
      tcp = headers.at;
      wireEnd = headers.wireEnd;
      end = headers.end;
      this.#innermost(headers);
    }
    if (tcp + 20 > end) return PARSE.truncated;
    const dataOffset = tcp + ((octets[tcp + OFFSET] >> 4) << 2);
    if (dataOffset < tcp + 20 || dataOffset > wireEnd) return PARSE.malformed;
    if (dataOffset > end) return PARSE.truncated;
    this.octets = octets;
    this.view = view;
    this.ipOffset = ip;
    this.tcpOffset = tcp;
    this.srcPort = view.getUint16(tcp + SRC_PORT);
    this.dstPort = view.getUint16(tcp + DST_PORT);
    this.seq = view.getUint32(tcp + SEQ);
    this.ack = view.getUint32(tcp + ACK);
    this.flags = octets[tcp + FLAGS] & 0x3f;
    this.window = view.getUint16(tcp + WND);
    this.dataOffset = dataOffset;
    this.wireDataLength = wireEnd - dataOffset;
    // Ethernet pads short frames: what stands behind the IP packet's end is no data.
    this.dataLength = (wireEnd < end ? wireEnd : end) - dataOffset;
    return PARSE.ok;
  }

  #innermost({ ip, family, layers, view }: Headers): void {
    this.family = family;
    this.ipId = family === 4 ? view.getUint16(ip + 4) : 0;
    this.layers = layers;
    this.srcOffset = ip + (family === 4 ? 12 : 8);
    this.dstOffset = ip + (family === 4 ? 16 : 24);
    this.src = family === 4 ? view.getUint32(ip + 12) : 0;
    this.dst = family === 4 ? view.getUint32(ip + 16) : 0;
  }

  /** Where option `kind` (RFC 9293 3.2) begins, or -1. Malformed options end the search. */
  option(kind: number): number {
    const { octets } = this;
    let i = this.tcpOffset + OPTIONS;
    while (i < this.dataOffset) {
      const found = octets[i];
      if (found === OPT_END) return -1;
      if (found === OPT_NOP) {
        i++;
        continue;
      }
      const length = i + 1 < this.dataOffset ? octets[i + 1] : 0;
      if (length < 2 || i + length > this.dataOffset) return -1;
      if (found === kind) return i;
      i += length;
    }
    return -1;
  }

  /** The peer's maximum segment size, or -1 where it sent none. */
  get mss(): number {
    const i = this.option(OPT_MSS);
    return i < 0 || this.octets[i + 1] !== 4 ? -1 : this.view.getUint16(i + 2);
  }

  /** The peer's window shift (RFC 7323 2.2), or -1 where it sent none. More than 14 counts as 14. */
  get windowShift(): number {
    const i = this.option(OPT_WSCALE);
    return i < 0 || this.octets[i + 1] !== 3 ? -1 : Math.min(14, this.octets[i + 2]);
  }

  get sackPermitted(): boolean {
    return this.option(OPT_SACK_PERMITTED) >= 0;
  }

  /** Where the SACK option stands (RFC 2018 3), or -1. */
  get sackOffset(): number {
    return this.option(OPT_SACK);
  }

  /** TSval (RFC 7323 3.2), or -1 where the segment carries no timestamps. */
  get tsVal(): number {
    const i = this.#timestamps();
    return i < 0 ? -1 : this.view.getUint32(i + 2);
  }

  /** TSecr, or -1. */
  get tsEcr(): number {
    const i = this.#timestamps();
    return i < 0 ? -1 : this.view.getUint32(i + 6);
  }

  /** Where the timestamps option stands, or -1. */
  #timestamps(): number {
    const options = this.tcpOffset + OPTIONS;
    // What nearly every segment with timestamps has: NOP, NOP, timestamps, in front of all others.
    if (this.dataOffset >= options + 12 && this.view.getInt32(options) === NOP_NOP_TIMESTAMPS)
      return options + 2;
    const i = this.option(OPT_TIMESTAMPS);
    return i < 0 || this.octets[i + 1] !== 10 ? -1 : i;
  }
}
