/** What a capture itself shows of the server that it was recorded from. Decision 0033. */
import type { Archive, SessionRow } from '../../archive/reader.ts';
import { CLOCKS_DIFFER_MS } from '../../archive/server-identity.ts';
import { type Greeting, parseGreeting } from '../../mysql/handshake.ts';
import type { TargetFacts } from '../../server/facts.ts';
import { addressFromOctets } from '../../wire/address.ts';
import { endpointKey } from '../../wire/endpoint.ts';
import { Segment } from '../../wire/segment.ts';
import { plainVersion } from './server-settings.ts';

/** A greeting that the recorded server sent. */
export interface ShownGreeting {
  version: string;
  /** The server's number of the connection. */
  connectionId: number;
  /** ms since 1970. */
  atMs: number;
}

/** It comes at once, or the session is not worth the search. */
const GREETING_WITHIN_NS = 10e9;

/** Servers that have seen fewer connections are all alike in their numbers. */
const LEAST_TELLING_ID = 1_000;

/** Numbers are 32 bits wide: one that is near the end may begin again. */
const MOST_TELLING_ID = 2 ** 31;

/** A target whose numbers go on at this many times the recorded rate, or a part of it, may be the recorded server. */
const RATE_FACTOR = 4;
const SLACK_IDS = 50;

/**
 * The first and the last greetings of `sessions`, which are of one server in order of time; empty where none of them was captured.
 * Reads a block or two of the archive for each.
 */
export async function shownGreetings(
  archive: Archive,
  sessions: readonly SessionRow[],
): Promise<ShownGreeting[]> {
  const shown: ShownGreeting[] = [];
  for (const session of sessions) {
    const greeting = await greetingOf(archive, session);
    if (greeting === undefined) continue;
    const atMs = archive.info.originSec * 1000 + session.firstAt / 1e6;
    shown.push({ version: greeting.serverVersion, connectionId: greeting.connectionId, atMs });
  }
  return shown;
}

async function greetingOf(
  archive: Archive,
  { id, serverPort, firstAt }: SessionRow,
): Promise<Greeting | undefined> {
  const packets = archive.packets({ sessions: [id], to: firstAt + GREETING_WITHIN_NS, onDamage: () => {} });
  const segment = new Segment();
  try {
    for await (const { octets, view, count, offset, length, linkType } of packets) {
      for (let i = 0; i < count; i++) {
        if (segment.parse(octets, view, offset[i], length[i], linkType) !== 0) continue;
        if (segment.dataLength === 0 || segment.srcPort !== serverPort) continue;
        return parseGreeting(segment.octets, segment.dataOffset, segment.dataOffset + segment.dataLength);
      }
    }
    return undefined;
  } finally {
    packets.close();
  }
}

/** Why the target cannot be the server that showed these greetings; undefined: it may be. */
export function whyOther(target: TargetFacts, shown: readonly ShownGreeting[]): string | undefined {
  const { connectionId, identity } = target;
  const { startedMs, version } = identity ?? {};
  if (startedMs === undefined || connectionId === undefined) return undefined;
  // What was recorded before its start may be of an earlier life of the same server.
  for (const one of shown.filter(({ atMs }) => atMs > startedMs + CLOCKS_DIFFER_MS)) {
    if (version !== undefined && plainVersion(one.version) !== plainVersion(version))
      return `it has run since before the recording and is ${version}, not ${plainVersion(one.version)}`;
    if (one.connectionId > connectionId && one.connectionId < MOST_TELLING_ID)
      return `it has run since before the recording and is at connection ${connectionId}, before the recorded ${one.connectionId}`;
  }
  return undefined;
}

/** Why the target seems to be the server that showed these greetings; undefined: it does not. `nowMs`: when it was asked. */
export function whySame(
  target: TargetFacts,
  shown: readonly ShownGreeting[],
  nowMs: number,
): string | undefined {
  const { connectionId, identity } = target;
  const { startedMs, version } = identity ?? {};
  const first = shown.at(0);
  const last = shown.at(-1);
  if (first === undefined || last === undefined || startedMs === undefined) return undefined;
  if (connectionId === undefined || version === undefined) return undefined;
  if (plainVersion(last.version) !== plainVersion(version) || startedMs > first.atMs) return undefined;
  if (last.connectionId < LEAST_TELLING_ID || connectionId <= last.connectionId) return undefined;
  // Over its whole life the server gave numbers at this rate, as of the last one that was recorded.
  const rate = last.connectionId / Math.max(1, last.atMs - startedMs);
  const expected = rate * Math.max(0, nowMs - last.atMs);
  const grown = connectionId - last.connectionId;
  const isWithin = grown <= expected * RATE_FACTOR + SLACK_IDS && grown >= expected / RATE_FACTOR - SLACK_IDS;
  if (!isWithin) return undefined;
  return `its version ${version}, its uptime, and its connection ${connectionId}, which goes on from the recorded ${last.connectionId}`;
}

/** A scan for rows that show the server ends after this. */
const SCAN_LIMIT_MS = 2_000;

/** The name of MySQL's variable, in a row of SHOW VARIABLES or the column of SELECT @@server_uuid. */
const NAME = Buffer.from('server_uuid');

/** In a result the value follows the name within this many octets. */
const VALUE_WITHIN = 512;

/** A length-encoded string of 36 octets that is a UUID. */
const UUID = /\x24([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})/;

/**
 * UUIDs that servers showed in results of SHOW VARIABLES or SELECT @@server_uuid, as monitoring asks, by `ADDRESS PORT`. Looks at
 * whatever part of the archive it can read in 2 s; sees only what went unencrypted and uncompressed, in one packet.
 */
export async function shownUuids(archive: Archive): Promise<Map<string, Set<string>>> {
  const segment = new Segment();
  const shown = new Map<string, Set<string>>();
  const ports = new Set(archive.info.serverPorts);
  const endMs = performance.now() + SCAN_LIMIT_MS;
  // The run itself names what can't be read.
  const packets = archive.packets({ onDamage: () => {} });
  try {
    for await (const { octets, view, count, offset, length, linkType } of packets) {
      const block = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength);
      const last = count - 1;
      const to = count === 0 ? 0 : offset[last] + length[last];
      let packet = 0;
      for (let at = block.indexOf(NAME); at >= 0 && at < to; at = block.indexOf(NAME, at + 1)) {
        while (packet < last && offset[packet + 1] <= at) packet++;
        if (segment.parse(octets, view, offset[packet], length[packet], linkType) !== 0) continue;
        if (ports.size > 0 && !ports.has(segment.srcPort)) continue;
        const end = Math.min(at + VALUE_WITHIN, segment.dataOffset + segment.dataLength);
        const [, uuid] = UUID.exec(block.toString('latin1', at, end)) ?? [];
        if (uuid === undefined) continue;
        const { text } = addressFromOctets(octets, segment.srcOffset, segment.family);
        const key = endpointKey(text, segment.srcPort);
        shown.set(key, (shown.get(key) ?? new Set()).add(uuid));
      }
      if (performance.now() > endMs) break;
    }
  } finally {
    packets.close();
  }
  return shown;
}
