import { lookup } from 'node:dns/promises';
import { InvalidArgumentError } from 'commander';
import { MytapeError } from '../errors.ts';
import { type Address, parseAddress } from '../wire/address.ts';

/** Of the environment: where the key is that both ends of a relay share, for command lines that do not say it. */
export const KEY_FILE_VARIABLE = 'MYTAPE_KEY_FILE';

export interface Endpoint {
  host: string;
  port: number;
}

/** `-x`: which recorded port goes where. */
export interface Mapping extends Endpoint {
  recordedPort: number;
}

export function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port < 1 || port > 65535)
    throw new InvalidArgumentError(`${text} is no port (1 to 65535).`);
  return port;
}

/** `HOST:PORT` or `[V6]:PORT`. */
export function parseEndpoint(text: string): Endpoint {
  const parts = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(text);
  if (!parts)
    throw new InvalidArgumentError(`${text} is not of the form HOST:PORT, as in 10.128.6.84:36525.`);
  return { host: parts[1] ?? parts[2], port: parsePort(parts[3]) };
}

/** `PORT`, or `HOST:PORT` to listen on one address. */
export function parseListen(text: string): { host: string | undefined; port: number } {
  return /^\d+$/.test(text) ? { host: undefined, port: parsePort(text) } : parseEndpoint(text);
}

/** `RECORDED_PORT-HOST:PORT`, TCPCopy's own form. */
export function parseMapping(text: string): Mapping {
  const parts = /^(\d+)-(.+:\d+)$/.exec(text);
  if (!parts) {
    throw new InvalidArgumentError(
      `${text} is not of the form RECORDED_PORT-HOST:PORT, as in 3307-10.128.6.83:3307.`,
    );
  }
  return { recordedPort: parsePort(parts[1]), ...parseEndpoint(parts[2]) };
}

/** A host's address; a name is looked up, and its IPv4 address taken where it has both. */
export async function resolveHost(host: string): Promise<Address> {
  const address = parseAddress(host) ?? parseAddress(await addressOfName(host));
  if (address !== undefined) return address;
  throw new MytapeError('usage', `${host} has an address of its link only (try: another address of it)`);
}

async function addressOfName(name: string): Promise<string> {
  try {
    return (await lookup(name, { verbatim: false })).address;
  } catch (cause) {
    throw new MytapeError('usage', `there is no host ${name} (${(cause as NodeJS.ErrnoException).code})`, {
      cause,
    });
  }
}
