/** Tunnels over GRE and UDP. One function a header; see headers.ts. */
import { ETHERTYPE } from './ethernet.ts';
import { type Headers, LAYER, LENGTH, STEP, STOP } from './headers.ts';
import { PROTOCOL } from './ip.ts';

/** GRE's flags (RFC 2784 2.1, RFC 2890 2, RFC 2637 4.1). */
const GRE = {
  checksum: 0x8000,
  routing: 0x4000,
  key: 0x2000,
  sequence: 0x1000,
  acknowledgement: 0x0080,
  version: 7,
} as const;

/** UDP ports: VXLAN's own (RFC 7348), the one that Linux used before, VXLAN-GPE's, GENEVE's (RFC 8926). */
const PORT = { vxlan: 4789, oldVxlan: 8472, vxlanGpe: 4790, geneve: 6081 } as const;

export function gre(h: Headers): number {
  if (!h.has(4)) return STEP.truncated;
  const { view, at } = h;
  const flags = view.getUint16(at);
  const protocol = view.getUint16(at + 2);
  const version = flags & GRE.version;
  // Source routes (RFC 1701) are long gone.
  if (version > 1 || flags & GRE.routing) return h.other(STOP.tunnel, LAYER.gre);
  h.at = at + 4;
  if (flags & GRE.checksum) h.at += 4;
  if (flags & GRE.key) {
    if (!h.has(4)) return STEP.truncated;
    if (version === 0) h.enter(view.getUint32(h.at));
    else if (!pptpLength(h)) return STEP.malformed;
    h.at += 4;
  }
  if (flags & GRE.sequence) h.at += 4;
  if (version === 1 && flags & GRE.acknowledgement) h.at += 4;
  if (!h.has(0)) return STEP.truncated;
  if (version === 1 && h.at >= h.wireEnd) return h.other(STOP.tunnel, LAYER.gre); // An acknowledgement alone.
  if (protocol === ETHERTYPE.erspan) return erspan(h, (flags & GRE.sequence) !== 0);
  if (protocol === ETHERTYPE.erspan3) return erspan(h, true);
  h.layers |= LAYER.gre;
  h.type = protocol;
  return STEP.ethertype;
}

/** PPTP's key: the payload's length, and a call. */
function pptpLength(h: Headers): boolean {
  h.enter(h.view.getUint16(h.at + 2));
  return h.note(LENGTH.pptp, h.at);
}

/**
 * ERSPAN (draft-foschiano-erspan): type I has no header, which shows by GRE's having no sequence number; II has 8 octets,
 * III 12, and 8 more where its last bit says so.
 */
function erspan(h: Headers, hasHeader: boolean): number {
  const { octets, view, at } = h;
  h.layers |= LAYER.erspan;
  if (!hasHeader) return STEP.ethernet;
  if (!h.has(8)) return STEP.truncated;
  const version = octets[at] >> 4;
  h.enter(view.getUint16(at + 2) & 0x3ff);
  if (version === 1) {
    h.at = at + 8;
    return STEP.ethernet;
  }
  if (version !== 2) return h.other(STOP.tunnel, LAYER.erspan);
  if (!h.has(12)) return STEP.truncated;
  h.at = at + (octets[at + 11] & 1 ? 20 : 12);
  const frameType = (octets[at + 10] >> 2) & 0x1f;
  if (frameType === 0) return STEP.ethernet;
  return frameType === 2 ? STEP.ip : h.other(STOP.tunnel, LAYER.erspan);
}

/** UDP (RFC 768), where it carries a tunnel: told by the destination port. */
export function udp(h: Headers): number {
  if (!h.has(8)) return STEP.truncated;
  const { view, at } = h;
  const port = view.getUint16(at + 2);
  const length = view.getUint16(at + 4);
  if (!h.note(LENGTH.udp, at + 4)) return STEP.malformed;
  if (length >= 8) h.limit(at + length);
  h.at = at + 8;
  switch (port) {
    case PORT.vxlan:
    case PORT.oldVxlan:
    case PORT.vxlanGpe:
      return vxlan(h, port === PORT.vxlanGpe);
    case PORT.geneve:
      return geneve(h);
    default:
      return h.other(STOP.protocol, PROTOCOL.udp);
  }
}

/** VXLAN (RFC 7348 5), and VXLAN-GPE, which can carry IP without Ethernet. */
function vxlan(h: Headers, generic: boolean): number {
  if (!h.has(8)) return STEP.truncated;
  const { octets, view, at } = h;
  // I: there is a VNI.
  if ((octets[at] & 0x08) === 0) return h.other(STOP.tunnel, LAYER.vxlan);
  h.enter(view.getUint32(at + 4) >>> 8);
  h.layers |= LAYER.vxlan;
  h.at = at + 8;
  // P: the last octet of the flags names what is next.
  if (!generic || (octets[at] & 0x04) === 0) return STEP.ethernet;
  const next = octets[at + 3];
  if (next === 1 || next === 2) return STEP.ip;
  return next === 3 ? STEP.ethernet : h.other(STOP.tunnel, LAYER.vxlan);
}

/** GENEVE (RFC 8926 3.4): version and length of options, flags, EtherType, VNI, options. */
function geneve(h: Headers): number {
  if (!h.has(8)) return STEP.truncated;
  const { octets, view, at } = h;
  if (octets[at] >> 6 !== 0) return h.other(STOP.tunnel, LAYER.geneve);
  h.enter(view.getUint32(at + 4) >>> 8);
  h.layers |= LAYER.geneve;
  h.type = view.getUint16(at + 2);
  h.at = at + 8 + ((octets[at] & 0x3f) << 2);
  return STEP.ethertype;
}
