import { endpointText } from '../wire/address.ts';

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
