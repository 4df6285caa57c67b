/** The servers that an archive was recorded from, as far as it knows who they are. Decision 0033. */
import { type KnownServer, readKnownServers } from '../../archive/known-servers.ts';
import type { Archive, SessionRow } from '../../archive/reader.ts';
import {
  CLOCKS_DIFFER_MS,
  type IdentifiedServer,
  type ServerIdentity,
  tellsApart,
} from '../../archive/server-identity.ts';
import { readSnapshots } from '../../archive/snapshots.ts';
import { sayLine } from '../../report/output.ts';
import { endpointText } from '../../wire/address.ts';
import { endpointKey } from '../../wire/endpoint.ts';
import { type ShownGreeting, shownGreetings, shownUuids } from './evidence.ts';
import { plainVersion, type ServerSettings } from './server-settings.ts';

/** The servers that were recorded, or are being recorded. */
export interface RecordedSide {
  /** `ADDRESS PORT` of each, as `endpointKey` has them. */
  endpoints: ReadonlySet<string>;
  /** Who they are, where that is known. */
  identities: readonly IdentifiedServer[];
  /** @@server_uuid of servers, as recorded results show them. */
  uuids: ReadonlySet<string>;
  /** How they are set up, as far as that is known. */
  settings: readonly ServerSettings[];
  /** Recorded servers that nothing identifies. */
  unidentified: readonly UnidentifiedServer[];
  /** For words: `the server that peak.tape was recorded from`. */
  what: string;
  /** Users that log in without a password, where those of the recording are known. */
  users: readonly string[];
}

export interface UnidentifiedServer {
  /** `10.0.0.5:3307`; `the server of port 3307`. */
  name: string;
  /** What it sent to recorded clients, in order of time. */
  greetings: readonly ShownGreeting[];
}

/** Sessions whose greetings are read, of each server: so many of the last, beside the first. */
const LAST_SESSIONS = 3;

/** A recorded server: what the index has of it. */
interface Served {
  address: string;
  port: number;
  /** Whether it ever answered: a port that was only scanned is no server. */
  spoke: boolean;
  /** The first session from its start, and the last few. */
  first: SessionRow | undefined;
  last: SessionRow[];
}

/**
 * Reads the index once, and a few blocks; where no file of the archive says who the servers are, up to 2 s more of it. `isWaived`: no
 * target will be compared with them, so nothing is searched.
 */
export async function recordedSide(archive: Archive, dir: string, isWaived = false): Promise<RecordedSide> {
  const { served, users } = readIndex(archive);
  const spoken = [...served.values()].filter(({ spoke }) => spoke);
  const file = readKnownServers(dir);
  const snapshots = readSnapshots(dir);
  for (const { note } of [file, snapshots]) if (note !== undefined) sayLine(note);
  // What has no sum may be damaged: it can show that the target is a recorded server, and not that it is none.
  const known = file.isSure ? file.servers : [];
  const asked = snapshots.isSure ? snapshots.servers : [];
  const unknown = isWaived ? [] : spoken.filter((server) => !isKnown(server, known, asked, spoken));
  const shown = unknown.length === 0 ? new Map<string, Set<string>>() : await shownUuids(archive);
  const unidentified: UnidentifiedServer[] = [];
  for (const { address, port, first, last } of unknown) {
    if (shown.has(endpointKey(address, port))) continue;
    const sessions = [...new Set([first ?? last, last].flat())];
    const greetings = await shownGreetings(archive, sessions);
    unidentified.push({ name: endpointText(address, port), greetings });
  }
  const beganMs = archive.info.originSec * 1000;
  return {
    endpoints: new Set(served.keys()),
    identities: [
      // The file is made on the server's own host, and snapshots from anywhere.
      ...file.servers.map(({ identity }) => ({ ...identity, identifiedMs: beganMs })),
      ...snapshots.servers.map((server) => ({ ...server, identifiedMs: beganMs - CLOCKS_DIFFER_MS })),
    ],
    settings: await settingsOf([...known.map(({ identity }) => identity), ...asked], archive, spoken),
    uuids: new Set([...shown.values()].flatMap((uuids) => [...uuids])),
    unidentified,
    what: `${served.size === 1 ? 'the server' : 'a server'} that ${dir} was recorded from`,
    users: [...users],
  };
}

function readIndex(archive: Archive): { served: Map<string, Served>; users: Set<string> } {
  const served = new Map<string, Served>();
  const users = new Set<string>();
  for (const session of archive.sessions()) {
    const { server: address, serverPort: port, serverOctets, coverage, user } = session;
    const key = endpointKey(address, port);
    let server = served.get(key);
    if (server === undefined)
      served.set(key, (server = { address, port, spoke: false, first: undefined, last: [] }));
    server.spoke ||= serverOctets > 0;
    if (user !== undefined && user !== null) users.add(user);
    if (coverage === 'joined-late' || serverOctets === 0) continue;
    server.first ??= session;
    server.last.push(session);
    if (server.last.length > LAST_SESSIONS) server.last.shift();
  }
  return { served, users };
}

/** What those who were asked said; where nobody was, the versions of the first greetings. */
async function settingsOf(
  identities: readonly ServerIdentity[],
  archive: Archive,
  spoken: readonly Served[],
): Promise<ServerSettings[]> {
  const asked = identities.flatMap(({ version, sqlMode }) =>
    version === undefined ? [] : [{ version, sqlMode }],
  );
  if (asked.length > 0) return asked;
  const firsts = spoken.flatMap(({ first }) => (first === undefined ? [] : [first]));
  const greetings = await shownGreetings(archive, firsts);
  return greetings.map(({ version }) => ({ version: plainVersion(version) }));
}

/** Whether something in the archive identifies this server. */
function isKnown(
  { address, port }: Served,
  known: readonly KnownServer[],
  asked: readonly ServerIdentity[],
  spoken: readonly Served[],
): boolean {
  const isOf = (one: KnownServer) => one.port === port && one.addresses.includes(address);
  if (known.some((one) => isOf(one) && tellsApart(one.identity))) return true;
  // A snapshot does not say which of several recorded servers it was asked of.
  return spoken.length === 1 && asked.some(tellsApart);
}
