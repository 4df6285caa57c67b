import { networkInterfaces } from 'node:os';
import { MytapeError } from '../errors.ts';
import { type Address, addressFromOctets } from '../wire/address.ts';
import { AF_INET, AF_INET6, check, errnoName, getOption, libc, openSocket, SOCK_DGRAM } from './libc.ts';

/** What the kernel would do with packets to a host. */
export interface Path {
  /** The address of ours that they would have. */
  source: Address;
  /** The interface that they would leave by. */
  iface: string;
  /** The largest IP packet, octets: the interface's MTU, or a smaller path MTU that the kernel has learnt. */
  mtu: number;
}

/** Where a connected UDP socket "sends" to: any port does, for nothing is sent. Discard (RFC 863). */
const PORT = 9;
const IPPROTO_IP = 0;
const IP_MTU = 14;
const IPPROTO_IPV6 = 41;
const IPV6_MTU = 24;
/** struct sockaddr_in6; sockaddr_in takes its first 16 octets. */
const SOCKADDR_OCTETS = 28;

/** The path to `target`, by asking the kernel to connect a socket. Throws 'system-call' where there is no route. */
export function pathTo(target: Address): Path {
  const isV4 = target.family === 4;
  const addressAt = isV4 ? 4 : 8;
  const family = isV4 ? AF_INET : AF_INET6;
  const fd = openSocket(family, SOCK_DGRAM, 0, `look for a route to ${target.text}`);
  try {
    const address = new Uint8Array(SOCKADDR_OCTETS);
    address[0] = family;
    address[3] = PORT;
    address.set(target.octets, addressAt);
    if (libc().connect(fd, address, isV4 ? 16 : SOCKADDR_OCTETS) < 0) {
      throw new MytapeError(
        'system-call',
        `no route to ${target.text} from here: ${errnoName()} (see: ip route get ${target.text})`,
      );
    }
    check(libc().getsockname(fd, address, Uint32Array.of(SOCKADDR_OCTETS)), 'getsockname');
    const source = addressFromOctets(address, addressAt, target.family);
    const mtu = isV4
      ? getOption(fd, IPPROTO_IP, IP_MTU, 'IP_MTU')
      : getOption(fd, IPPROTO_IPV6, IPV6_MTU, 'IPV6_MTU');
    return { source, iface: interfaceOf(source, target), mtu };
  } finally {
    libc().close(fd);
  }
}

/** The same; undefined: there is no way now, as while a link is down, or this system can't tell. */
export function pathNow(target: Address): Path | undefined {
  try {
    return pathTo(target);
  } catch (error) {
    if (error instanceof MytapeError) return undefined;
    throw error;
  }
}

/** Packets to an address of our own never leave by the interface that has it, but by loopback. */
function interfaceOf(source: Address, target: Address): string {
  const isOurs = source.text === target.text;
  for (const [name, addresses] of Object.entries(networkInterfaces())) {
    if (addresses?.some((own) => (isOurs ? own.internal : own.address === source.text))) return name;
  }
  throw new MytapeError('no-interface', `no interface has the address ${source.text}`);
}
