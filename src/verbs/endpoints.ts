import { InvalidArgumentError } from 'commander';
import type { RelayAddress } from '../intercept/relay-address.ts';
import { type Endpoint, type Mapping, sourceText } from '../run/mapping.ts';
import { parseAddress } from '../wire/address.ts';

/** Of the environment: where the key is that both ends of a relay share, for command lines that do not say it. */
export const KEY_FILE_VARIABLE = 'MYTAPE_KEY_FILE';

function parsePort(text: string): number {
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

/** Where an intercept is: `HOST:PORT`, or, on this host, a Unix socket: a path with a `/` in it. */
export function parseRelay(text: string): RelayAddress {
  return text.includes('/') ? { path: text } : parseEndpoint(text);
}

/** `PORT`, `HOST:PORT` to listen on one address, or the path of a Unix socket. */
export function parseListen(text: string): RelayAddress {
  return /^\d+$/.test(text) ? { host: '0.0.0.0', port: parsePort(text) } : parseRelay(text);
}

/** `10.0.0.5:`, `[fd00::5]:`, or nothing; the recorded port; the target. */
const MAPPING = /^(?:(?:\[([^\]]*)\]|([^[\]:-]*)):)?(\d+)-(.+:\d+)$/;

/** `[ADDRESS:]PORT-HOST:PORT`, TCPCopy's own form. */
export function parseMapping(text: string): Mapping {
  const [, v6, v4, port, target] = MAPPING.exec(text) ?? [];
  if (target === undefined) {
    throw new InvalidArgumentError(
      `${text} is not of the form [ADDRESS:]RECORDED_PORT-HOST:PORT, as in 3307-10.128.6.83:3307 or 10.0.0.5:3307-10.128.6.83:3307.`,
    );
  }
  const mapping = { recordedPort: parsePort(port), ...parseEndpoint(target) };
  const address = v6 ?? v4;
  if (address === undefined) return mapping;
  const source = parseAddress(address);
  if (source === undefined || source.family !== (v6 === undefined ? 4 : 6)) {
    throw new InvalidArgumentError(
      `${address} in ${text} is not the address of a recorded server, as in 10.0.0.5:3307-… or [fd00::5]:3307-… (\`mytape ls\` shows them).`,
    );
  }
  return { source, ...mapping };
}

/** Mappings by comma, after those of options before. Refuses one recorded server that is to go to two places. */
export function collectMappings(text: string, before: readonly Mapping[] = []): Mapping[] {
  const all = [...before];
  for (const part of text.split(',')) {
    const mapping = parseMapping(part.trim());
    const source = sourceText(mapping);
    if (all.some((other) => sourceText(other) === source)) {
      throw new InvalidArgumentError(
        `${source} is mapped twice: each recorded server goes to one target (for more load on it: --copies).`,
      );
    }
    all.push(mapping);
  }
  return all;
}
