import { resolveHost } from '../net/host/resolve.ts';
import { type Address, endpointText, isLoopback } from '../wire/address.ts';

/** Where an intercept listens: by TCP, or, for replays of the same host, a Unix socket by its path. */
export type RelayAddress = TcpAddress | UnixAddress;

export interface TcpAddress {
  host: string;
  port: number;
}

export interface UnixAddress {
  path: string;
}

export function isUnix(address: RelayAddress): address is UnixAddress {
  return 'path' in address;
}

/** As `-s` has it: `10.128.6.84:36525`, `[fd00::84]:36525`, `/run/mytape.sock`. */
export function relayText(address: RelayAddress): string {
  return isUnix(address) ? address.path : endpointText(address.host, address.port);
}

/** The address of the host that an intercept is on; undefined: it is this one. */
export async function relayHost(relay: RelayAddress | undefined): Promise<Address | undefined> {
  if (relay === undefined || isUnix(relay)) return undefined;
  const address = await resolveHost(relay.host);
  return isLoopback(address) ? undefined : address;
}
