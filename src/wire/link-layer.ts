/** What a packet begins with, by its link type. */
import { ETHERTYPE, frameRelay, pppoe } from './ethernet.ts';
import { type Headers, STEP, STOP } from './headers.ts';
import { LINKTYPE } from './link-types.ts';

/** Constants of their own for the way that all packets go. */
const { ipv4: IPV4, ipv6: IPV6, vlan: VLAN, qinq: QINQ } = ETHERTYPE;

/** What `ipOffset` answers where there is no IP packet. */
export const NOT_IP = -1;
export const TOO_SHORT = -2;

/**
 * Where the IP header of a plain packet at `offset` begins: right behind the link-layer header and VLAN tags, which is where
 * nearly all packets have it; 20 octets of it are there. Or NOT_IP, or TOO_SHORT.
 */
export function ipOffset(octets: Uint8Array, offset: number, length: number, linkType: number): number {
  if (linkType === LINKTYPE.ethernet && length >= 34) {
    const type = (octets[offset + 12] << 8) | octets[offset + 13];
    if (type === IPV4 || type === IPV6) return offset + 14;
  }
  return behindOthers(octets, offset, length, linkType);
}

/** The same behind anything but an untagged Ethernet header. */
function behindOthers(octets: Uint8Array, offset: number, length: number, linkType: number): number {
  const end = offset + length;
  let ip = offset;
  let type: number = IPV4;
  switch (linkType) {
    case LINKTYPE.ethernet:
      if (length < 14) return TOO_SHORT;
      type = (octets[offset + 12] << 8) | octets[offset + 13];
      ip = offset + 14;
      break;
    case LINKTYPE.sll:
      if (length < 16) return TOO_SHORT;
      type = (octets[offset + 14] << 8) | octets[offset + 15];
      ip = offset + 16;
      break;
    case LINKTYPE.sll2:
      if (length < 20) return TOO_SHORT;
      type = (octets[offset] << 8) | octets[offset + 1];
      ip = offset + 20;
      break;
    case LINKTYPE.null:
    case LINKTYPE.loop:
      if (length < 4) return TOO_SHORT;
      if (!isInternet(octets, offset)) return NOT_IP;
      ip = offset + 4;
      break;
    case LINKTYPE.raw:
    case LINKTYPE.rawBsd:
    case LINKTYPE.rawOpenBsd:
    case LINKTYPE.ipv4:
    case LINKTYPE.ipv6:
      break;
    default:
      return NOT_IP;
  }
  while (type === VLAN || type === QINQ) {
    if (ip + 4 > end) return TOO_SHORT;
    type = (octets[ip + 2] << 8) | octets[ip + 3];
    ip += 4;
  }
  if (type !== IPV4 && type !== IPV6) return NOT_IP;
  return ip + 20 > end ? TOO_SHORT : ip;
}

/** The first step of a walk. */
export function linkLayer(h: Headers, linkType: number): number {
  const { octets, view, at } = h;
  switch (linkType) {
    case LINKTYPE.ethernet:
      return STEP.ethernet;
    case LINKTYPE.sll:
      if (!h.has(16)) return STEP.truncated;
      h.at = at + 16;
      return cooked(h, view.getUint16(at + 14));
    case LINKTYPE.sll2:
      if (!h.has(20)) return STEP.truncated;
      h.at = at + 20;
      return cooked(h, view.getUint16(at));
    case LINKTYPE.null:
    case LINKTYPE.loop:
      if (!h.has(4)) return STEP.truncated;
      if (!isInternet(octets, at)) return h.other(STOP.linkType, linkType);
      h.at = at + 4;
      return STEP.ip;
    case LINKTYPE.enc:
      // The address family, the association's number and flags, of 4 octets each (OpenBSD's enc(4)).
      if (!h.has(12)) return STEP.truncated;
      if (!isInternet(octets, at)) return h.other(STOP.linkType, linkType);
      h.at = at + 12;
      return STEP.ip;
    case LINKTYPE.raw:
    case LINKTYPE.rawBsd:
    case LINKTYPE.rawOpenBsd:
    case LINKTYPE.ipv4:
    case LINKTYPE.ipv6:
      return STEP.ip;
    case LINKTYPE.ppp:
    case LINKTYPE.pppPppd:
      return STEP.ppp;
    case LINKTYPE.pppHdlc:
    case LINKTYPE.cHdlc:
      return hdlc(h);
    case LINKTYPE.pppEther:
      return pppoe(h);
    case LINKTYPE.atmRfc1483:
      return STEP.llc;
    case LINKTYPE.atmClip:
      // With LLC and SNAP (RFC 2225), or without, as some drivers hand it over.
      return h.has(1) && octets[at] === 0xaa ? STEP.llc : STEP.ip;
    case LINKTYPE.frameRelay:
      return frameRelay(h);
    case LINKTYPE.ieee80211:
      return wireless(h);
    case LINKTYPE.nflog:
      return nflog(h);
    default:
      return h.other(STOP.linkType, linkType);
  }
}

/** Linux's cooked captures: an EtherType, or below those a number of Linux's own; 4 is LLC (if_ether.h, ETH_P_802_2). */
function cooked(h: Headers, type: number): number {
  h.type = type;
  if (type > 1500) return STEP.ethertype;
  return type === 4 ? STEP.llc : h.other(STOP.etherType, type);
}

/**
 * Whether the 4 octets at `at` are the address family of IPv4 or IPv6, in either byte order, since the capturing host's own
 * is not known: 2; 10 (Linux), 23 (Windows), 24 (NetBSD, OpenBSD), 28 (FreeBSD), 30 (macOS). Or an EtherType (OpenVPN).
 */
function isInternet(octets: Uint8Array, at: number): boolean {
  const high = (octets[at] << 8) | octets[at + 1];
  const low = (octets[at + 2] << 8) | octets[at + 3];
  const family = high === 0 ? low : low === 0 ? ((high & 0xff) << 8) | (high >> 8) : 0;
  switch (family) {
    case 2:
    case 10:
    case 23:
    case 24:
    case 28:
    case 30:
    case ETHERTYPE.ipv4:
    case ETHERTYPE.ipv6:
      return true;
    default:
      return false;
  }
}

/** Cisco's HDLC: 0f (or 8f: to all), 0, an EtherType. Anything else is PPP (RFC 1662 3.1). */
function hdlc(h: Headers): number {
  if (!h.has(4)) return STEP.truncated;
  const { octets, view, at } = h;
  if (octets[at] !== 0x0f && octets[at] !== 0x8f) return STEP.ppp;
  h.type = view.getUint16(at + 2);
  h.at = at + 4;
  return STEP.ethertype;
}

/** 802.11 (9.2.3): data frames that are not encrypted have LLC behind a header whose length its flags tell. */
function wireless(h: Headers): number {
  if (!h.has(24)) return STEP.truncated;
  const { octets, at } = h;
  const kind = octets[at];
  const flags = octets[at + 1];
  const isData = (kind & 0x0f) === 0x08;
  const isEmpty = (kind & 0x40) !== 0;
  const isEncrypted = (flags & 0x40) !== 0;
  if (!isData || isEmpty || isEncrypted) return h.other(STOP.wireless, isEncrypted ? 1 : 0);
  // Four addresses where it goes from one distribution system to another.
  let header = (flags & 3) === 3 ? 30 : 24;
  if (kind & 0x80) {
    if (!h.has(header + 2)) return STEP.truncated;
    // Several frames in one (A-MSDU): no one place to look at.
    if (octets[at + header] & 0x80) return h.other(STOP.wireless, 0);
    header += flags & 0x80 ? 6 : 2;
  }
  h.at = at + header;
  return STEP.llc;
}

/** The TLV that has the packet. */
const NFULA_PAYLOAD = 9;

/**
 * NFLOG (https://www.tcpdump.org/linktypes/LINKTYPE_NFLOG.html): family, version, 2 octets; then TLVs, whose length (its own
 * 4 octets included) and type are in the capturing host's byte order: types are small, so that the zero octet tells.
 */
function nflog(h: Headers): number {
  const { octets, view } = h;
  if (!h.has(4)) return STEP.truncated;
  h.at += 4;
  while (h.has(4)) {
    const littleEndian = octets[h.at + 3] === 0;
    const length = view.getUint16(h.at, littleEndian);
    const type = view.getUint16(h.at + 2, littleEndian);
    if (length < 4) return STEP.malformed;
    if (type === NFULA_PAYLOAD) {
      h.limit(h.at + length);
      h.at += 4;
      return STEP.ip;
    }
    h.at += (length + 3) & ~3;
  }
  return STEP.truncated;
}
