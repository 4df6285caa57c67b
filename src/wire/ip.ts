/** IPv4 (RFC 791), IPv6 (RFC 8200) and its extension headers, and what they carry. One function a header; see headers.ts. */
import { type Headers, LAYER, LENGTH, STEP, STOP } from './headers.ts';

export const PROTOCOL = {
  hopByHop: 0,
  ipv4: 4,
  tcp: 6,
  udp: 17,
  ipv6: 41,
  routing: 43,
  fragment: 44,
  gre: 47,
  ah: 51,
  destination: 60,
  /** The first IP in IP, of KA9Q. */
  ipip: 94,
  etherIp: 97,
  mobility: 135,
  mpls: 137,
  hip: 139,
  shim6: 140,
} as const;

const IPV4_OCTETS = 20;
const IPV6_OCTETS = 40;

export function ip(h: Headers): number {
  if (!h.has(1)) return STEP.truncated;
  const version = h.octets[h.at] >> 4;
  if (version === 4) return ipv4(h);
  return version === 6 ? ipv6(h) : STEP.malformed;
}

function ipv4(h: Headers): number {
  const { octets, view, at } = h;
  if (!h.has(IPV4_OCTETS)) return STEP.truncated;
  const header = (octets[at] & 15) << 2;
  const total = view.getUint16(at + 2);
  if (header < IPV4_OCTETS || (total !== 0 && total < header)) return STEP.malformed;
  if (!h.note(LENGTH.ipv4, at + 2)) return STEP.malformed;
  // 0: offload wrote it later than the capture saw it. Then what encloses it says how long it is.
  if (total !== 0) h.limit(at + total);
  if (!h.has(header)) return STEP.truncated;
  h.family = 4;
  h.ip = at;
  h.type = octets[at + 9];
  h.at = at + header;
  const place = view.getUint16(at + 6);
  if ((place & 0x3fff) === 0) return STEP.protocol;
  h.fragmentOffset = (place & 0x1fff) << 3;
  h.moreFragments = (place & 0x2000) !== 0;
  return STEP.fragment;
}

function ipv6(h: Headers): number {
  const { octets, view, at } = h;
  if (!h.has(IPV6_OCTETS)) return STEP.truncated;
  if (!h.note(LENGTH.ipv6, at + 4)) return STEP.malformed;
  const payload = view.getUint16(at + 4);
  if (payload !== 0) h.limit(at + IPV6_OCTETS + payload);
  h.family = 6;
  h.ip = at;
  h.nextHeaderAt = at + 6;
  h.type = octets[at + 6];
  h.at = at + IPV6_OCTETS;
  return STEP.protocol;
}

export function protocol(h: Headers): number {
  switch (h.type) {
    case PROTOCOL.tcp:
      return STEP.tcp;
    case PROTOCOL.udp:
      return STEP.udp;
    case PROTOCOL.gre:
      return STEP.gre;
    case PROTOCOL.ipv4:
    case PROTOCOL.ipv6:
    case PROTOCOL.ipip:
      h.layers |= LAYER.ipInIp;
      return STEP.ip;
    case PROTOCOL.mpls:
      return STEP.mpls;
    case PROTOCOL.etherIp:
      // RFC 3378 (3): version 3 and 12 bits of 0, then the frame.
      if (!h.has(2)) return STEP.truncated;
      if (h.octets[h.at] >> 4 !== 3) return h.other(STOP.tunnel, LAYER.etherIp);
      h.at += 2;
      h.layers |= LAYER.etherIp;
      return STEP.ethernet;
    case PROTOCOL.ah:
      // RFC 4302 (2): counts itself in words, less 2.
      h.layers |= LAYER.ah;
      return extension(h, 4, 2);
    case PROTOCOL.hopByHop:
    case PROTOCOL.routing:
    case PROTOCOL.destination:
    case PROTOCOL.mobility:
    case PROTOCOL.hip:
    case PROTOCOL.shim6:
      return h.family === 6 ? extension(h, 8, 1) : h.other(STOP.protocol, h.type);
    case PROTOCOL.fragment:
      return h.family === 6 ? fragment(h) : h.other(STOP.protocol, h.type);
    default:
      return h.other(STOP.protocol, h.type);
  }
}

/** A header that says what is next, and how long it is itself: in `unit` octets, less `more` of them. */
function extension(h: Headers, unit: number, more: number): number {
  const { octets, at } = h;
  if (!h.has(8)) return STEP.truncated;
  h.nextHeaderAt = at;
  h.type = octets[at];
  h.at = at + (octets[at + 1] + more) * unit;
  return h.at > h.end ? STEP.truncated : STEP.protocol;
}

/** IPv6's fragment header (RFC 8200 4.5). One that is first and last at once is no fragment: RFC 6946. */
function fragment(h: Headers): number {
  const { octets, view, at } = h;
  if (!h.has(8)) return STEP.truncated;
  const place = view.getUint16(at + 2);
  h.fragmentHeaderAt = at;
  h.at = at + 8;
  if ((place & 0xfff9) === 0) {
    h.nextHeaderAt = at;
    h.type = octets[at];
    return STEP.protocol;
  }
  h.fragmentOffset = place & 0xfff8;
  h.moreFragments = (place & 1) !== 0;
  return STEP.fragment;
}
