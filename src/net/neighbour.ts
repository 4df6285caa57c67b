import { readFileSync } from 'node:fs';
import { type Address, ipv4Number } from '../wire/address.ts';
import { interfaceIndex } from './libc.ts';
import { pathTo } from './route.ts';

/** Where packets to a host go on the link: the host itself, or the gateway to it. */
export interface Neighbour {
  /** Index of the interface that they leave by. */
  index: number;
  /** Its Ethernet address, 6 octets. */
  mac: Uint8Array;
}

/** Flags of /proc/net/route: the route is up; it rejects. */
const RTF_UP = 0x1;
const RTF_REJECT = 0x200;

/** Of /proc/net/arp: Ethernet; the entry is complete. */
const ARPHRD_ETHER = '0x1';
const ATF_COM = 0x2;

/** Who is next on the way to an IPv4 host, as far as the kernel knows already: this asks nobody. */
export function neighbourOf(target: Address): Neighbour | undefined {
  const { iface } = pathTo(target);
  const hop = nextHop(readFileSync('/proc/net/route', 'utf8'), iface, ipv4Number(target));
  if (hop === undefined) return undefined;
  const mac = macOf(readFileSync('/proc/net/arp', 'utf8'), iface, hop);
  return mac === undefined ? undefined : { index: interfaceIndex(iface), mac };
}

/** The address of the next hop by the most specific route of `iface`; undefined where another table must have told. */
export function nextHop(routes: string, iface: string, target: number): number | undefined {
  let best = -1;
  let hop: number | undefined;
  for (const line of routes.split('\n').slice(1)) {
    const [name, destination, gateway, flags, , , , mask] = line.split('\t').map((field) => field.trim());
    if (name !== iface || mask === undefined) continue;
    const bits = Number.parseInt(flags, 16);
    if (!(bits & RTF_UP) || bits & RTF_REJECT) continue;
    const maskNumber = littleEndian(mask);
    if ((target & maskNumber) >>> 0 !== littleEndian(destination) || maskNumber <= best) continue;
    best = maskNumber;
    hop = littleEndian(gateway) || target;
  }
  return hop;
}

/** The Ethernet address of `hop` in the kernel's table; undefined where it is not known, or not Ethernet. */
export function macOf(table: string, iface: string, hop: number): Uint8Array | undefined {
  for (const line of table.split('\n').slice(1)) {
    const [ip, type, flags, mac, , device] = line.trim().split(/\s+/);
    if (device !== iface || type !== ARPHRD_ETHER || !(Number.parseInt(flags, 16) & ATF_COM)) continue;
    const octets = ip.split('.').map(Number);
    if (((octets[0] << 24) | (octets[1] << 16) | (octets[2] << 8) | octets[3]) >>> 0 !== hop) continue;
    return Uint8Array.from(mac.split(':'), (each) => Number.parseInt(each, 16));
  }
  return undefined;
}

/** The kernel prints an address in network order as if it were a number of the machine's own, low octet first. */
function littleEndian(hex: string): number {
  const n = Number.parseInt(hex, 16);
  return ((n << 24) | ((n & 0xff00) << 8) | ((n >>> 8) & 0xff00) | (n >>> 24)) >>> 0;
}
