import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { type Address, addressFromOctets, isLoopback, parseAddress } from '../../wire/address.ts';
import { unmapped } from './this-host.ts';

/** TCP_LISTEN of linux/tcp_states.h, as the tables have it. */
const LISTEN = '0A';

/** A line of proc_net(5)'s tcp and tcp6: number, local address and port, remote ones, state, five more, the inode. */
const LINE =
  /^\s*\d+: ([0-9A-F]+):([0-9A-F]{4}) ([0-9A-F]+):([0-9A-F]{4}) ([0-9A-F]{2}) (?:\S+\s+){5}(\d+)/gm;

/** Who listens on a port of this host. */
export interface Listeners {
  /** Addresses that a socket listens on alone. */
  addresses: Address[];
  /** A socket listens on all addresses of the host. */
  any: boolean;
}

/** A socket that listens. */
export interface ListeningSocket {
  /** undefined: all addresses of the host. */
  address: Address | undefined;
  /** As readlink(2) of a process's descriptor has it: `socket:[INODE]`. */
  inode: string;
}

/** The sockets of this network namespace that listen on `port`. `proc`: where /proc is. */
export function listeningSockets(port: number, proc = '/proc'): ListeningSocket[] {
  const found: ListeningSocket[] = [];
  for (const [, local, localPort, , , state, inode] of socketLines(proc)) {
    if (state !== LISTEN || portOf(localPort) !== port) continue;
    found.push({ address: /^0+$/.test(local) ? undefined : addressOf(local), inode });
  }
  return found;
}

/**
 * Whether the server's end of a connection is a socket of this network namespace: at `port`, to `peer`, `ADDRESS:PORT` as the server
 * has it, however many addresses were rewritten on the way. False where nothing is known: elsewhere than on Linux. `proc`: where /proc is.
 */
export function endsHere(port: number, peer: string, proc = '/proc'): boolean {
  const colon = peer.lastIndexOf(':');
  const address = parseAddress(peer.slice(0, colon));
  const peerPort = Number(peer.slice(colon + 1));
  for (const [, , localPort, remote, remotePort] of socketLines(proc)) {
    if (portOf(localPort) !== port || portOf(remotePort) !== peerPort) continue;
    // A server that looks names up shows the name instead.
    if (address === undefined || addressOf(remote).text === address.text) return true;
  }
  return false;
}

function* socketLines(proc: string): Iterable<RegExpExecArray> {
  for (const table of ['tcp', 'tcp6']) yield* read(`${proc}/net/${table}`).matchAll(LINE);
}

function portOf(hex: string): number {
  return Number.parseInt(hex, 16);
}

/** undefined: nothing in this network namespace listens on `port`. `proc`: where /proc is. */
export function listenersOn(port: number, proc = '/proc'): Listeners | undefined {
  const sockets = listeningSockets(port, proc);
  if (sockets.length === 0) return undefined;
  const addresses = new Map(sockets.flatMap(({ address }) => (address ? [[address.text, address]] : [])));
  return { addresses: [...addresses.values()], any: sockets.some(({ address }) => address === undefined) };
}

/** The interface that has `address`; loopback has all of 127.0.0.0/8. undefined: none has it. */
export function interfaceWith(address: Address): string | undefined {
  for (const [name, addresses] of Object.entries(networkInterfaces())) {
    if (addresses?.some((own) => own.address === address.text || (isLoopback(address) && own.internal)))
      return name;
  }
  return undefined;
}

/** The tables have an address as words of 32 bits in the host's own byte order: least octet first wherever Node runs today. */
function addressOf(hex: string): Address {
  const octets = Buffer.from(hex, 'hex').swap32();
  return unmapped(addressFromOctets(octets, 0, octets.length === 4 ? 4 : 6));
}

/** Empty on a kernel without IPv6. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
