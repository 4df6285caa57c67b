import { LINKTYPE } from './packets.ts';

const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;
const ETHERTYPE_VLAN = 0x8100;
const ETHERTYPE_QINQ = 0x88a8;

/** What `ipOffset` answers where there is no IP packet. */
export const NOT_IP = -1;
export const TOO_SHORT = -2;

/**
 * Where the IP header of the packet at `offset` begins, behind its link-layer header and VLAN tags; 20 octets of it are there.
 * Or NOT_IP, or TOO_SHORT.
 */
export function ipOffset(octets: Uint8Array, offset: number, length: number, linkType: number): number {
  const end = offset + length;
  let ip = offset;
  let type = 0;
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
      ip = offset + 4;
      break;
    case LINKTYPE.raw:
    case LINKTYPE.ipv4:
    case LINKTYPE.ipv6:
      break;
    default:
      return NOT_IP;
  }
  while (type === ETHERTYPE_VLAN || type === ETHERTYPE_QINQ) {
    if (ip + 4 > end) return TOO_SHORT;
    type = (octets[ip + 2] << 8) | octets[ip + 3];
    ip += 4;
  }
  if (type !== 0 && type !== ETHERTYPE_IPV4 && type !== ETHERTYPE_IPV6) return NOT_IP;
  return ip + 20 > end ? TOO_SHORT : ip;
}
