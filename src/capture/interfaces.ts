/** Where to capture, where nobody says so. */
import { networkInterfaces } from 'node:os';
import { MytapeError } from '../errors.ts';
import { ANY_INTERFACE } from '../net/capture/ring.ts';
import { leadsToNetwork } from '../net/host/interface-kind.ts';
import { interfaceWith, listenersOn } from '../net/host/listeners.ts';
import { pathTo } from '../net/route.ts';
import { type Address, isLoopback, parseAddress } from '../wire/address.ts';

export interface CapturePlace {
  iface: string;
  port: number;
  /** In words, why there; undefined: it was named. */
  why: string | undefined;
  /** The server is on this host; else packets are for others (a mirror port). */
  isHere: boolean;
  /** The server's addresses; undefined: it may have any. */
  servers: readonly string[] | undefined;
  /** Those of them that one server listens on together. */
  alike: readonly string[];
}

/**
 * Where the server of `port` is to be captured. `named`: the interface that the user chose; `source`: the server's address,
 * where that was said. Throws 'usage' where neither these nor a listening server tell.
 */
export function placeToCapture(
  port: number,
  named: string | undefined,
  source?: string | undefined,
): CapturePlace {
  const listeners = listenersOn(port);
  const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const listening = listeners?.any
    ? own.map(({ address }) => address)
    : listeners?.addresses.map(({ text }) => text);
  const isHere = source === undefined ? listening !== undefined : listening?.includes(source) === true;
  const servers = source === undefined ? listening : [source];
  const place = { port, isHere, servers, alike: listeners?.any && isHere ? (servers ?? []) : [] };
  if (named !== undefined) {
    // An interface without address takes what is for others.
    const takesOwn = isHere && (named === ANY_INTERFACE || (networkInterfaces()[named] ?? []).length > 0);
    const anybody = source === undefined && !takesOwn;
    return {
      ...place,
      iface: named,
      why: undefined,
      isHere: takesOwn,
      servers: anybody ? undefined : servers,
      alike: anybody ? [] : place.alike,
    };
  }
  if (listeners === undefined || !isHere) {
    const where = source === undefined ? `port ${port}` : `${source} port ${port}`;
    throw new MytapeError(
      'usage',
      `nobody on this host listens on ${where}: name the interface with -i (${Object.keys(networkInterfaces()).join(', ')}), ` +
        'a mirror port, say, or mend -x',
    );
  }
  if (listeners.any && source === undefined) {
    const iface = defaultInterface();
    return {
      ...place,
      iface,
      why: `the server of port ${port} listens on all addresses, and strangers come by ${iface}`,
    };
  }
  const address =
    source === undefined
      ? (listeners.addresses.find((each) => !isLoopback(each)) ?? listeners.addresses[0])
      : (parseAddress(source) as Address);
  const iface = interfaceWith(address);
  const listens = `${address.text}, which the server of port ${port} listens on`;
  if (iface !== undefined && isReachedBy(iface, address))
    return { ...place, iface, why: `it has ${listens}` };
  if (iface !== undefined) {
    const why = `${iface} has ${listens}, but its packets may come by another one`;
    return { ...place, iface: ANY_INTERFACE, why };
  }
  throw new MytapeError(
    'usage',
    `no interface has ${address.text}, which the server of port ${port} listens on: name one with -i`,
  );
}

/**
 * Whether packets for `address`, which `iface` has, surely come by it. A virtual address (a VIP) often stands on an interface that no packet
 * ever comes by: a dummy, a veth, loopback.
 */
function isReachedBy(iface: string, address: Address): boolean {
  if (isLoopback(address)) return true;
  try {
    if (defaultInterface() === iface) return true;
  } catch {
    // No default route.
  }
  const own = networkInterfaces()[iface]?.find((each) => each.address === address.text);
  const isAlone = /\/(32|128)$/.test(own?.cidr ?? '');
  return !isAlone && leadsToNetwork(iface);
}

/** The interface that strangers' packets leave by, or the only one there is beside loopback. */
export function defaultInterface(): string {
  const names = Object.entries(networkInterfaces())
    .filter(([, addresses]) => addresses?.some((address) => !address.internal))
    .map(([name]) => name);
  if (names.length === 1) return names[0];
  try {
    // TEST-NET-1 (RFC 5737): nobody has it, so the default route is asked.
    return pathTo(parseAddress('192.0.2.1')!).iface;
  } catch {
    const known = Object.keys(networkInterfaces()).join(', ');
    throw new MytapeError(
      'usage',
      `cannot tell where to capture: this host has no default route (name the interface with -i: ${known}; any is all of them)`,
    );
  }
}
