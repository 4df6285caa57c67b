/** Which addresses are this host's own. */
import { networkInterfaces } from 'node:os';
import { type Address, addressFromOctets, isLoopback, parseAddress } from '../../wire/address.ts';
import { pathNow } from '../route.ts';

/** ::ffff:0:0/96, RFC 4291 2.5.5.2: an IPv4 address in an IPv6 socket. */
const MAPPED = Buffer.from('00000000000000000000ffff', 'hex');

/** The IPv4 address that an IPv4-mapped IPv6 address stands for; any other address as it is. */
export function unmapped(address: Address): Address {
  if (address.family === 4 || MAPPED.compare(address.octets, 0, MAPPED.length) !== 0) return address;
  return addressFromOctets(address.octets, MAPPED.length, 4);
}

/** The addresses of this host's interfaces now, and the loopback ones. As `Address.text` has them. */
export function thisHostsAddresses(): Set<string> {
  const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const texts = own.flatMap(({ address }) => parseAddress(address.split('%')[0])?.text ?? []);
  return new Set(['127.0.0.1', '::1', ...texts]);
}

/**
 * Whether a connection to `address` ends on this host: loopback, the unspecified address, which Linux takes for loopback, an
 * address of an interface, or one that the kernel routes here (`ip route add local …`).
 */
export function isThisHost(address: Address, own = thisHostsAddresses()): boolean {
  if (isLoopback(address)) return true;
  const plain = unmapped(address);
  if (plain.octets.every((octet) => octet === 0) || own.has(plain.text)) return true;
  // The kernel speaks to its own addresses from these very addresses. On another system the interfaces are all that is known.
  return pathNow(plain)?.source.text === plain.text;
}
