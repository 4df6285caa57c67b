/** Where to capture, where nobody says so. */
import { networkInterfaces } from 'node:os';
import { MytapeError } from '../errors.ts';
import { interfaceWith, listenersOn } from '../net/listeners.ts';
import { pathTo } from '../net/route.ts';
import { type Address, parseAddress } from '../wire/address.ts';

export interface CapturePlace {
  iface: string;
  /** In words, why there; undefined: it was named. */
  why: string | undefined;
  /** The addresses of the server, where it is on this host; undefined: it may have any (a mirror port). */
  servers: readonly string[] | undefined;
}

/** `named`: the interface that the user chose. Throws 'usage' where neither that nor a listening server tells. */
export function placeToCapture(port: number, named: string | undefined): CapturePlace {
  const listeners = listenersOn(port);
  const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const servers = listeners?.any
    ? own.map(({ address }) => address)
    : listeners?.addresses.map(({ text }) => text);
  // An interface without address takes what is for others.
  if (named !== undefined)
    return {
      iface: named,
      why: undefined,
      servers: (networkInterfaces()[named] ?? []).length > 0 ? servers : undefined,
    };
  if (listeners === undefined) {
    throw new MytapeError(
      'usage',
      `nobody on this host listens on port ${port}: name the interface with -i (${Object.keys(networkInterfaces()).join(', ')}), ` +
        'a mirror port, say, or mend -x',
    );
  }
  if (listeners.any) {
    const iface = defaultInterface();
    return {
      iface,
      why: `the server of port ${port} listens on all addresses, and strangers come by ${iface}`,
      servers,
    };
  }
  const address = listeners.addresses.find((each) => !isLoopback(each)) ?? listeners.addresses[0];
  const iface = interfaceWith(address);
  if (iface !== undefined)
    return { iface, why: `it has ${address.text}, which the server of port ${port} listens on`, servers };
  throw new MytapeError(
    'usage',
    `no interface has ${address.text}, which the server of port ${port} listens on: name one with -i`,
  );
}

function isLoopback({ family, octets, text }: Address): boolean {
  return family === 4 ? octets[0] === 127 : text === '::1';
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
      `no default route tells where to capture: name the interface with -i (${known})`,
    );
  }
}
