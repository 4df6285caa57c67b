import { networkInterfaces } from 'node:os';
import type { Archive, SessionRow } from '../archive/reader.ts';
import { type Address, parseAddress } from '../wire/address.ts';
import { endpointKey, endpointOfKey } from '../wire/endpoint.ts';
import { aggregate, type Prefix, prefixOf, widestAround, widthOf } from '../wire/prefixes.ts';

/** Who spoke in an archive. */
export interface RecordedHosts {
  /** Address of each client, and how many sessions it had. */
  clients: Map<string, number>;
  /** `ADDRESS PORT` of each server. */
  servers: Set<string>;
  sessions: number;
}

/** Of all sessions, or the clients of those that `isWanted`; the servers are those of all. */
export function recordedHosts(
  archive: Archive,
  isWanted: (session: SessionRow) => boolean = () => true,
): RecordedHosts {
  const hosts: RecordedHosts = { clients: new Map(), servers: new Set(), sessions: 0 };
  for (const session of archive.sessions()) {
    const { client, server, serverPort } = session;
    hosts.servers.add(endpointKey(server, serverPort));
    // Nobody answers a client that had no connection, and a flood of them is not to be remembered.
    if (session.ended === 'half-open' || !isWanted(session)) continue;
    hosts.clients.set(client, (hosts.clients.get(client) ?? 0) + 1);
    hosts.sessions++;
  }
  return hosts;
}

/** An address that keeps the way it has now, and what it is. */
export interface Kept {
  prefix: Prefix;
  what: string;
}

/** A recorded client that no route is given to. */
export interface LeftOut {
  address: string;
  sessions: number;
  why: string;
}

export interface RoutePlan {
  /** In order, IPv4 first; none holds a kept address. */
  prefixes: Prefix[];
  /** How many clients they are for. */
  clients: number;
  leftOut: LeftOut[];
}

/** Addresses of this host's own: it may be the one that replays. */
export function ownAddresses(): Kept[] {
  const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return own.flatMap(({ address }) => keep(address.split('%')[0], 'is an address of this host'));
}

/** Addresses that no host routes to another. */
export function unroutable(): Kept[] {
  return [
    ...keep('127.0.0.0', 'is loopback: it never leaves a host', 8),
    ...keep('::1', 'is loopback: it never leaves a host'),
    ...keep('fe80::', 'is link-local: it never leaves a link', 10),
  ];
}

/** The servers of an archive. */
export function recordedServers({ servers }: RecordedHosts): Kept[] {
  return [...servers].flatMap((server) => keep(endpointOfKey(server).address, 'is a recorded server'));
}

/** None where `text` is no address. */
export function keep(text: string, what: string, bits?: number): Kept[] {
  const base = parseAddress(text);
  return base === undefined ? [] : [{ prefix: prefixOf(base, bits ?? widthOf(base.family)), what }];
}

/**
 * The fewest prefixes that hold every client and nothing of `kept`: each client's is as wide as `leastBits` of its IP
 * version lets it be; full width holds clients and nobody else.
 */
export function planRoutes(
  clients: ReadonlyMap<string, number>,
  kept: readonly Kept[],
  leastBits: Readonly<Record<4 | 6, number>>,
): RoutePlan {
  const keptPrefixes = kept.map(({ prefix }) => prefix);
  const prefixes = new Map<string, Prefix>();
  const leftOut: LeftOut[] = [];
  for (const [text, sessions] of clients) {
    const address = parseAddress(text) as Address;
    const prefix = widestAround(address, leastBits[address.family], keptPrefixes);
    if (prefix === undefined) leftOut.push({ address: text, sessions, why: whyKept(address, kept) });
    else prefixes.set(`${prefix.base.text}/${prefix.bits}`, prefix);
  }
  return {
    prefixes: aggregate([...prefixes.values()]),
    clients: clients.size - leftOut.length,
    leftOut,
  };
}

function whyKept(address: Address, kept: readonly Kept[]): string {
  const own = kept.find(
    ({ prefix }) => widestAround(address, widthOf(address.family), [prefix]) === undefined,
  );
  return (own as Kept).what;
}
