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
  if (isUnix(address)) return address.path;
  const { host, port } = address;
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}
