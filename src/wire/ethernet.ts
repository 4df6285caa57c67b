/** Ethernet and what stands between it and IP: tags, LLC, MPLS, PPPoE, PPP. One function a header; see headers.ts. */
import { type Headers, LAYER, LENGTH, STEP, STOP } from './headers.ts';

export const ETHERTYPE = {
  ipv4: 0x0800,
  ipv6: 0x86dd,
  vlan: 0x8100,
  qinq: 0x88a8,
  qinq9100: 0x9100,
  qinq9200: 0x9200,
  qinq9300: 0x9300,
  /** Cisco's VN-Tag, and 802.1BR's E-Tag. */
  vnTag: 0x8926,
  eTag: 0x893f,
  macInMac: 0x88e7,
  ethernet: 0x6558,
  mpls: 0x8847,
  mplsMulticast: 0x8848,
  pppoe: 0x8864,
  ppp: 0x880b,
  erspan: 0x88be,
  erspan3: 0x22eb,
} as const;

/** Up to here the field is a length (802.3); from 1536 on it is a type. */
const MAX_8023_LENGTH = 1500;

/** Destination, source, type. */
const ETHERNET_OCTETS = 14;

/** 802.2: the service access points of SNAP and of IP, and "unnumbered information". */
const SAP_SNAP = 0xaa;
const SAP_IP = 0x06;
const UNNUMBERED = 0x03;

/** PPP protocol numbers (RFC 1332, 5072, 3032). */
const PPP_IPV4 = 0x0021;
const PPP_IPV6 = 0x0057;
const PPP_MPLS = 0x0281;
const PPP_MPLS_MULTICAST = 0x0283;

export function ethernet(h: Headers): number {
  if (!h.has(ETHERNET_OCTETS)) return STEP.truncated;
  h.at += 12;
  return typeOrLength(h);
}

/** An EtherType at `at`, or the length of an LLC frame (802.3, 3.2.6). */
function typeOrLength(h: Headers): number {
  if (!h.has(2)) return STEP.truncated;
  const value = h.view.getUint16(h.at);
  h.at += 2;
  if (value > MAX_8023_LENGTH) {
    h.type = value;
    return STEP.ethertype;
  }
  if (!h.note(LENGTH.ieee8023, h.at - 2)) return STEP.malformed;
  if (value !== 0) h.limit(h.at + value);
  return STEP.llc;
}

export function etherType(h: Headers): number {
  switch (h.type) {
    case ETHERTYPE.ipv4:
    case ETHERTYPE.ipv6:
      return STEP.ip;
    case ETHERTYPE.vlan:
    case ETHERTYPE.qinq:
    case ETHERTYPE.qinq9100:
    case ETHERTYPE.qinq9200:
    case ETHERTYPE.qinq9300:
      return tag(h, 2);
    case ETHERTYPE.vnTag:
      return tag(h, 4);
    case ETHERTYPE.eTag:
      return tag(h, 6);
    case ETHERTYPE.macInMac:
      // 802.1Q (9.7): 4 octets with the service's number, then the customer's frame.
      if (!h.has(4)) return STEP.truncated;
      h.enter(h.view.getUint32(h.at) & 0xffffff);
      h.at += 4;
      h.layers |= LAYER.macInMac;
      return STEP.ethernet;
    case ETHERTYPE.ethernet:
      return STEP.ethernet;
    case ETHERTYPE.mpls:
    case ETHERTYPE.mplsMulticast:
      return STEP.mpls;
    case ETHERTYPE.pppoe:
      return pppoe(h);
    case ETHERTYPE.ppp:
      return STEP.ppp;
    default:
      return h.other(STOP.etherType, h.type);
  }
}

/** A tag of so many octets, and the type or length behind it. */
function tag(h: Headers, octets: number): number {
  if (!h.has(octets + 2)) return STEP.truncated;
  h.enter(h.view.getUint16(h.at) & 0xfff);
  h.at += octets;
  return typeOrLength(h);
}

/** 802.2: SAPs and control, and with SNAP an organisation and its protocol. */
export function llc(h: Headers): number {
  if (!h.has(3)) return STEP.truncated;
  const { octets, view, at } = h;
  const destination = octets[at] & 0xfe;
  const source = octets[at + 1] & 0xfe;
  if (octets[at + 2] !== UNNUMBERED) return h.other(STOP.llc, octets[at]);
  if (destination === SAP_IP && source === SAP_IP) {
    h.at = h.llcEnd = at + 3;
    return STEP.ip;
  }
  if (destination !== SAP_SNAP || source !== SAP_SNAP) return h.other(STOP.llc, octets[at]);
  if (!h.has(8)) return STEP.truncated;
  h.at += 3;
  return snap(h, view.getUint16(at + 6));
}

/** The 5 octets of SNAP at `at`: 0 as organisation, and 0000f8 (802.1H), stand before an EtherType; 0080c2 bridges Ethernet. */
function snap(h: Headers, protocol: number): number {
  const organisation = h.view.getUint32(h.at - 1) & 0xffffff;
  h.at += 5;
  h.llcEnd = h.at;
  h.type = protocol;
  if (organisation === 0 || organisation === 0x0000f8) return STEP.ethertype;
  // RFC 2427 (4.2): with the frame's checksum, and without.
  if (organisation === 0x0080c2 && (protocol === 1 || protocol === 7)) return STEP.ethernet;
  return h.other(STOP.llc, SAP_SNAP);
}

/** Frame relay (RFC 2427): NLPIDs of IPv4, IPv6 and SNAP; or, as Cisco has it, an EtherType right behind the address. */
export function frameRelay(h: Headers): number {
  const { octets, view } = h;
  // Q.922: an address of 2 to 4 octets; the lowest bit marks the last.
  let octetsOfAddress = 0;
  do {
    if (!h.has(octetsOfAddress + 1)) return STEP.truncated;
    if (octetsOfAddress === 4) return STEP.malformed;
  } while ((octets[h.at + octetsOfAddress++] & 1) === 0);
  h.at += octetsOfAddress;
  if (!h.has(2)) return STEP.truncated;
  if (octets[h.at] !== UNNUMBERED) {
    h.type = view.getUint16(h.at);
    h.at += 2;
    return STEP.ethertype;
  }
  h.at++;
  // A pad octet makes what follows even.
  if (octets[h.at] === 0) h.at++;
  if (!h.has(1)) return STEP.truncated;
  const protocol = octets[h.at++];
  if (protocol === 0xcc || protocol === 0x8e) return STEP.ip;
  if (protocol !== 0x80) return h.other(STOP.llc, protocol);
  return h.has(5) ? snap(h, view.getUint16(h.at + 3)) : STEP.truncated;
}

/** PPPoE's session stage (RFC 2516 4): version and type, code, session, length. */
export function pppoe(h: Headers): number {
  if (!h.has(6)) return STEP.truncated;
  const { octets, view, at } = h;
  if (octets[at] !== 0x11 || octets[at + 1] !== 0) return h.other(STOP.tunnel, LAYER.pppoe);
  h.enter(view.getUint16(at + 2));
  if (!h.note(LENGTH.pppoe, at + 4)) return STEP.malformed;
  const length = view.getUint16(at + 4);
  if (length !== 0) h.limit(at + 6 + length);
  h.at = at + 6;
  h.layers |= LAYER.pppoe;
  return STEP.ppp;
}

/** PPP (RFC 1661 2): its address and control may stand before the protocol (RFC 1662 3.1), which may be cut to an octet. */
export function ppp(h: Headers): number {
  const { octets, view } = h;
  if (!h.has(2)) return STEP.truncated;
  // pppd puts the direction, 0 or 1, where the address is.
  const first = octets[h.at];
  if (octets[h.at + 1] === 3 && (first === 0xff || first <= 1)) h.at += 2;
  if (!h.has(2)) return STEP.truncated;
  let protocol = octets[h.at];
  if (protocol & 1) h.at++;
  else {
    protocol = view.getUint16(h.at);
    h.at += 2;
  }
  if (protocol === PPP_IPV4 || protocol === PPP_IPV6) return STEP.ip;
  if (protocol === PPP_MPLS || protocol === PPP_MPLS_MULTICAST) return STEP.mpls;
  return h.other(STOP.ppp, protocol);
}

/**
 * MPLS (RFC 3032 2.1): labels up to the one that is marked as the last. What is behind them is not named: IP by its
 * version, or an Ethernet pseudowire (RFC 4448), with or without a control word, where a frame can be made out.
 */
export function mpls(h: Headers): number {
  const { octets, view } = h;
  let label: number;
  do {
    if (!h.has(4)) return STEP.truncated;
    label = view.getUint32(h.at);
    h.at += 4;
  } while ((label & 0x100) === 0);
  h.layers |= LAYER.mpls;
  if (!h.has(1)) return STEP.truncated;
  const first = octets[h.at] >> 4;
  // An address may begin like a version: RFC 8469.
  if ((first === 4 || first === 6) && (isIp(h, h.at) || !isEthernet(h, h.at))) return STEP.ip;
  if (first === 0 && isEthernet(h, h.at + 4)) {
    h.at += 4;
    return STEP.ethernet;
  }
  return isEthernet(h, h.at) ? STEP.ethernet : h.other(STOP.tunnel, LAYER.mpls);
}

/** Whether an IP header at `at` is plausible: for IPv4 its checksum is right, for IPv6 its length and next header fit. */
function isIp(h: Headers, at: number): boolean {
  const { octets, view, wireEnd } = h;
  if (octets[at] >> 4 === 6) {
    const next = octets[at + 6];
    const known = next === 6 || next === 17 || next === 44 || next === 41 || next === 4 || next === 47;
    return at + 40 <= h.end && known && at + 40 + view.getUint16(at + 4) <= wireEnd;
  }
  const header = (octets[at] & 15) << 2;
  if (header < 20 || at + header > h.end) return false;
  let sum = 0;
  for (let i = 0; i < header; i += 2) sum += view.getUint16(at + i);
  sum = (sum & 0xffff) + (sum >>> 16);
  return ((sum + (sum >>> 16)) & 0xffff) === 0xffff;
}

/** Whether an Ethernet frame at `at` is plausible: it names IP and has it, or is tagged. */
function isEthernet(h: Headers, at: number): boolean {
  if (at + ETHERNET_OCTETS + 1 > h.end) return false;
  const type = h.view.getUint16(at + 12);
  const version = h.octets[at + ETHERNET_OCTETS] >> 4;
  if (type === ETHERTYPE.ipv4) return version === 4;
  if (type === ETHERTYPE.ipv6) return version === 6;
  return type === ETHERTYPE.vlan || type === ETHERTYPE.qinq;
}
