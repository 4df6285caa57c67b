import { ethernet, etherType, llc, mpls, ppp } from './ethernet.ts';
import { type Headers, STEP } from './headers.ts';
import { ip, protocol } from './ip.ts';
import { linkLayer } from './link-layer.ts';
import { PARSE } from './parse.ts';
import { gre, udp } from './tunnels.ts';

/** Headers in one packet: more than that is a packet made to keep us busy. */
const MAX_STEPS = 64;

/**
 * Walks over the headers of the packet of `length` captured octets at `offset`, from the link layer through whatever tunnels
 * it is in, to the innermost TCP header. Returns PARSE.ok with `h.at` at the TCP header; PARSE.fragment with `h.at` at the
 * fragment's octets; or what it found instead, for which `h.stop` and `h.type` stand where it is notIp or notTcp.
 *
 * Reads nothing beyond the packet, whatever is in it.
 */
export function walkHeaders(
  h: Headers,
  octets: Uint8Array,
  view: DataView,
  offset: number,
  length: number,
  linkType: number,
): number {
  h.begin(octets, view, offset, length);
  let step = linkLayer(h, linkType);
  for (let steps = 0; step < STEP.tcp; steps++) {
    if (steps === MAX_STEPS) return PARSE.malformed;
    step = take(h, step);
  }
  switch (step) {
    case STEP.tcp:
      return PARSE.ok;
    case STEP.fragment:
      return PARSE.fragment;
    case STEP.truncated:
      return PARSE.truncated;
    case STEP.malformed:
      return PARSE.malformed;
    default:
      return h.ip < 0 ? PARSE.notIp : PARSE.notTcp;
  }
}

function take(h: Headers, step: number): number {
  switch (step) {
    case STEP.ethernet:
      return ethernet(h);
    case STEP.ethertype:
      return etherType(h);
    case STEP.llc:
      return llc(h);
    case STEP.ppp:
      return ppp(h);
    case STEP.ip:
      return ip(h);
    case STEP.protocol:
      return protocol(h);
    case STEP.gre:
      return gre(h);
    case STEP.udp:
      return udp(h);
    default:
      return mpls(h);
  }
}
