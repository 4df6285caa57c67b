import { ipOffset, NOT_IP } from './link-layer.ts';
import { PARSE } from './segment.ts';

/**
 * A filter in pcap's syntax for what IcmpError reads. IPv6 by offset, because libpcap's name for the type is younger than
 * the libpcap of some systems.
 */
export const TOO_LONG_FILTER =
  '(icmp[icmptype] = icmp-unreach and icmp[icmpcode] = 4) or (ip6 proto 58 and ip6[40] = 2)';

const PROTOCOL_ICMP = 1;
const PROTOCOL_TCP = 6;
const PROTOCOL_ICMPV6 = 58;

/** ICMP: type, code, checksum; the MTU of "fragmentation needed" (RFC 1191 4) or "packet too big" (RFC 4443 3.2); the quote. */
const TYPE = 0;
const CODE = 1;
const MTU_IPV4 = 6;
const MTU_IPV6 = 4;
const QUOTE = 8;
const UNREACHABLE = 3;
const FRAGMENTATION_NEEDED = 4;
const PACKET_TOO_BIG = 2;

/** Of the TCP header, a quote has these octets at least (RFC 792): ports and sequence number. */
const QUOTED_TCP_OCTETS = 8;

/**
 * A router's word that a TCP segment was too long for its next link, parsed in place; one instance serves a whole stream.
 * All fields are those of the last `parse` that answered ok; addresses, ports and `seq` are the refused segment's own.
 *
 * Anyone can send such a message: believe it only of a segment that is on its way (RFC 5927 7.2).
 */
export class IcmpError {
  /** 4 or 6. */
  family = 4;
  /** Addresses of IPv4 as numbers (unsigned, network order); 0 for IPv6. */
  src = 0;
  dst = 0;
  /** Where the addresses stand: 4 octets each, or 16. */
  srcOffset = 0;
  dstOffset = 0;
  srcPort = 0;
  dstPort = 0;
  seq = 0;
  /** The longest packet that gets through, octets, as the router says it; 0 where it does not (RFC 1191 3). */
  mtu = 0;

  /**
   * Parses the packet of `length` captured octets at `offset`. Answers PARSE.ok, or why not; PARSE.notTcp for every
   * other message and for what quotes no TCP. `view` must be over the same memory as `octets`.
   */
  parse(octets: Uint8Array, view: DataView, offset: number, length: number, linkType: number): number {
    const end = offset + length;
    const ip = ipOffset(octets, offset, length, linkType);
    if (ip < 0) return ip === NOT_IP ? PARSE.notIp : PARSE.truncated;
    const version = octets[ip] >> 4;
    if (version === 4) return this.#parseIpv4(octets, view, ip, end);
    return version === 6 ? this.#parseIpv6(octets, view, ip, end) : PARSE.notIp;
  }

  #parseIpv4(octets: Uint8Array, view: DataView, ip: number, end: number): number {
    if (octets[ip + 9] !== PROTOCOL_ICMP) return PARSE.notTcp;
    const icmp = ip + ((octets[ip] & 15) << 2);
    if (icmp < ip + 20) return PARSE.malformed;
    if (view.getUint16(ip + 6) & 0x1fff) return PARSE.fragment;
    const quote = icmp + QUOTE;
    if (quote + 20 > end) return PARSE.truncated;
    if (octets[icmp + TYPE] !== UNREACHABLE || octets[icmp + CODE] !== FRAGMENTATION_NEEDED)
      return PARSE.notTcp;
    const tcp = quote + ((octets[quote] & 15) << 2);
    if (octets[quote] >> 4 !== 4 || tcp < quote + 20) return PARSE.malformed;
    if (octets[quote + 9] !== PROTOCOL_TCP) return PARSE.notTcp;
    if (view.getUint16(quote + 6) & 0x1fff) return PARSE.fragment;
    if (tcp + QUOTED_TCP_OCTETS > end) return PARSE.truncated;
    this.family = 4;
    this.srcOffset = quote + 12;
    this.dstOffset = quote + 16;
    this.src = view.getUint32(quote + 12);
    this.dst = view.getUint32(quote + 16);
    this.mtu = view.getUint16(icmp + MTU_IPV4);
    this.#readTcp(view, tcp);
    return PARSE.ok;
  }

  /** Without extension headers: routers put none before their messages, and we none into our packets. */
  #parseIpv6(octets: Uint8Array, view: DataView, ip: number, end: number): number {
    if (octets[ip + 6] !== PROTOCOL_ICMPV6) return PARSE.notTcp;
    const icmp = ip + 40;
    const quote = icmp + QUOTE;
    const tcp = quote + 40;
    if (tcp + QUOTED_TCP_OCTETS > end) return PARSE.truncated;
    if (octets[icmp + TYPE] !== PACKET_TOO_BIG || octets[quote + 6] !== PROTOCOL_TCP) return PARSE.notTcp;
    if (octets[quote] >> 4 !== 6) return PARSE.malformed;
    this.family = 6;
    this.srcOffset = quote + 8;
    this.dstOffset = quote + 24;
    this.src = 0;
    this.dst = 0;
    this.mtu = view.getUint32(icmp + MTU_IPV6);
    this.#readTcp(view, tcp);
    return PARSE.ok;
  }

  #readTcp(view: DataView, tcp: number): void {
    this.srcPort = view.getUint16(tcp);
    this.dstPort = view.getUint16(tcp + 2);
    this.seq = view.getUint32(tcp + 4);
  }
}
