/**
 * What the recorded server said of its sessions while it was recorded: a file beside the segments, a line a snapshot, each
 * with what changed since the one before. docs/archive-format.md has it field by field.
 */
import { join } from 'node:path';
import { MytapeError } from '../errors.ts';
import { checkGivenUp, readRegular } from '../files.ts';
import type { CaptureNs } from '../time.ts';
import { parseAddress } from '../wire/address.ts';
import { isIdentity, type ServerIdentity } from './server-identity.ts';
import { hasOnly, readSummedLine } from './summed-line.ts';

export const SNAPSHOTS_FILE = 'snapshots.jsonl';

/** The file gets no larger. Whom it is for, sessions older than the recording, stand in its first line. */
export const MOST_FILE_OCTETS = 128 * 1024 ** 2;

/** How often the server is asked. */
export const SNAPSHOT_INTERVAL_MS = 60_000;

const INTERVAL_NS = SNAPSHOT_INTERVAL_MS * 1e6;

export const SNAPSHOTS_VERSION = 1;

/** Fields of a line. */
const FIELDS = ['v', 'at', 'whole', 'server', 'texts', 'sessions', 'gone', 'lacks'];

/** A session of the server's, as it was when the server was asked. */
export interface SnapshotSession {
  /** The server's number for the connection. */
  id: number;
  user: string;
  /** The client's address as `Address.text` has it, or its name where the server looks names up. */
  host: string;
  port: number;
  schema: string | undefined;
  /** Prepared statements by the id that COM_STMT_EXECUTE names, in its order. `sql` is undefined where it is not known whole. */
  statements: readonly { id: number; sql: string | undefined }[];
  /** Session variables that differ from the global ones, by name. */
  variables: readonly (readonly [name: string, value: string])[];
  /** User variables, by name; null is NULL. */
  userVariables: readonly (readonly [name: string, value: Uint8Array | null])[];
}

export interface Snapshot {
  /** When the last answer was there: nothing in it is newer. */
  at: CaptureNs;
  sessions: readonly SnapshotSession[];
  /** Who answered; undefined where it does not say so. */
  server?: ServerIdentity | undefined;
  /** What the server could not be asked, and why: `prepared_statements_instances: SELECT command denied …`. */
  lacks: readonly string[];
}

/** Octets as JSON has them: text where they are UTF-8. */
export type StoredValue = string | null | { hex: string };

/** A session as its line has it: what would be empty is left out. */
export interface StoredSession {
  id: number;
  user: string;
  host: string;
  port: number;
  schema?: string | undefined;
  statements?: [id: number, text: number | null][] | undefined;
  variables?: (readonly [string, string])[] | undefined;
  userVariables?: [string, StoredValue][] | undefined;
}

/** A line of the file. */
export interface StoredSnapshot {
  v: number;
  at: CaptureNs;
  whole?: true | undefined;
  server?: ServerIdentity | undefined;
  texts?: string[] | undefined;
  sessions?: StoredSession[] | undefined;
  gone?: number[] | undefined;
  lacks?: readonly string[] | undefined;
}

/** A session as it was from one snapshot on, until one that had it otherwise or no more. */
interface Version {
  session: SnapshotSession;
  from: CaptureNs;
  until: CaptureNs;
}

/** The snapshots of an archive, in memory. */
export class Snapshots {
  /** How many there are. */
  count = 0;
  /** How many prepared statements are in their lines; 0: none was ever seen. */
  statements = 0;
  /** What they lack, each cause once. */
  readonly lacks = new Set<string>();
  /** Who answered, in order: more than one where the address went to another server. */
  readonly servers: ServerIdentity[] = [];
  /** A line that could not be used, for people. */
  note: string | undefined;
  /** A line was damaged: who answered from there on is not known. A last line that is torn is none. */
  isDamaged = false;
  /** Lines that have a sum, which is right. */
  #summed = 0;
  /** By the client's port, in order of time. */
  readonly #versions = new Map<number, Version[]>();
  /** Those that are there as of the last line, by connection id. */
  readonly #current = new Map<number, Version>();
  #texts: string[] = [];

  /**
   * The session that a client had with the server at `at`, when it sent the capture's first packet of it. As of the newest
   * snapshot until then, which nothing can have changed since; else as of the next within an interval, which may know of
   * what the session did in between.
   *
   * Where the server looks names up, hosts have names and not addresses: then the port alone must tell, if it does.
   */
  find(client: string, clientPort: number, at: CaptureNs): SnapshotSession | undefined {
    const versions = this.#versions.get(clientPort);
    if (versions === undefined) return undefined;
    const mine = versions.filter(({ session }) => session.host === client);
    if (mine.length > 0) return atTime(mine, at)[0];
    const named = atTime(
      versions.filter(({ session }) => parseAddress(session.host) === undefined),
      at,
    );
    return named.length === 1 ? named[0] : undefined;
  }

  /** Whether `servers` are those who answered: no line is damaged, and each has a sum. */
  get isSure(): boolean {
    return !this.isDamaged && this.#summed === this.count;
  }

  /** Takes in the next line; false where it is none of ours. */
  add(line: Buffer): boolean {
    const read = readSummedLine(line);
    if (read === undefined) return false;
    const stored = read.fields as unknown as StoredSnapshot;
    if (!isSnapshot(stored)) return false;
    const { v, at, whole, server, texts = [], sessions = [], gone = [], lacks = [] } = stored;
    if (v !== SNAPSHOTS_VERSION) {
      throw new MytapeError(
        'bad-archive',
        `${SNAPSHOTS_FILE} has format version ${v}, and this mytape reads version ${SNAPSHOTS_VERSION} only (try: a newer mytape)`,
      );
    }
    if (!read.isSummed && !hasOnly(stored, FIELDS)) return false;
    // One writer wrote all lines: where one has a sum, none is from before there were sums.
    if (this.count > 0 && read.isSummed !== this.#summed > 0) return false;
    if (whole) {
      for (const id of [...this.#current.keys()]) this.#end(id, at);
      this.#texts = [];
    }
    for (const text of texts) this.#texts.push(text);
    for (const id of gone) this.#end(id, at);
    for (const session of sessions) {
      this.#end(session.id, at);
      this.#begin(this.#loaded(session), at);
    }
    for (const lack of lacks) this.lacks.add(lack);
    if (server !== undefined) this.servers.push(server);
    this.count++;
    if (read.isSummed) this.#summed++;
    return true;
  }

  #begin(session: SnapshotSession, from: CaptureNs): void {
    const version = { session, from, until: Number.POSITIVE_INFINITY };
    this.#current.set(session.id, version);
    const versions = this.#versions.get(session.port);
    if (versions === undefined) this.#versions.set(session.port, [version]);
    else versions.push(version);
  }

  #end(id: number, at: CaptureNs): void {
    const version = this.#current.get(id);
    if (version === undefined) return;
    version.until = at;
    this.#current.delete(id);
  }

  #loaded(stored: StoredSession): SnapshotSession {
    const { id, user, host, port, schema, statements = [], variables = [], userVariables = [] } = stored;
    this.statements += statements.length;
    return {
      id,
      user,
      host,
      port,
      schema,
      statements: statements.map(([id, text]) => ({
        id,
        sql: text === null ? undefined : this.#texts[text],
      })),
      variables,
      userVariables: userVariables.map(([name, value]) => [name, loadedValue(value)]),
    };
  }
}

/** Those that were there as of the newest snapshot until `at`, else of the oldest within an interval. */
function atTime(versions: readonly Version[], at: CaptureNs): SnapshotSession[] {
  const before = versions.filter(({ from, until }) => from <= at && at < until);
  if (before.length > 0) return before.map(({ session }) => session);
  const next = versions.find(({ from }) => from > at && from <= at + INTERVAL_NS);
  return versions.filter(({ from }) => from === next?.from).map(({ session }) => session);
}

function loadedValue(value: StoredValue): Uint8Array | null {
  if (value === null) return null;
  return typeof value === 'string' ? Buffer.from(value) : Buffer.from(value.hex, 'hex');
}

/** Of another version it says no more than that. */
function isSnapshot({ v, at, server, texts, sessions, gone, lacks }: StoredSnapshot): boolean {
  if (typeof v !== 'number' || v !== SNAPSHOTS_VERSION) return typeof v === 'number';
  const lists = [texts, sessions, gone, lacks].every((list) => list === undefined || Array.isArray(list));
  if (server !== undefined && !isIdentity(server)) return false;
  return typeof at === 'number' && lists && (sessions ?? []).every((session) => isSession(session ?? {}));
}

function isSession({ id, port, user, host, ...lists }: StoredSession): boolean {
  const { statements, variables, userVariables } = lists;
  return (
    [id, port].every((value) => typeof value === 'number') &&
    [user, host].every((value) => typeof value === 'string') &&
    [statements, variables, userVariables].every((list) => list === undefined || isListOfPairs(list))
  );
}

function isListOfPairs(list: unknown): boolean {
  return Array.isArray(list) && list.every((pair) => Array.isArray(pair) && pair.length === 2);
}

/**
 * Reads the snapshots of the archive in `dir`, none where it was recorded without. A last line that is torn, because the
 * recorder was killed, is left out, and so is all from a damaged line on: `note` says so. Throws `bad-archive` for those
 * of a newer mytape.
 */
export function readSnapshots(dir: string): Snapshots {
  checkGivenUp(dir);
  const snapshots = new Snapshots();
  const path = join(dir, SNAPSHOTS_FILE);
  let octets: Buffer;
  try {
    octets = readRegular(path, MOST_FILE_OCTETS);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return snapshots;
    throw new MytapeError('bad-archive', `cannot read ${path}: ${(cause as Error).message}`, { cause });
  }
  let from = 0;
  while (from < octets.length) {
    const end = octets.indexOf(0x0a, from);
    if (end < 0) {
      snapshots.note = `the last line of ${path} is torn (its recorder was killed): left out`;
      break;
    }
    if (!snapshots.add(octets.subarray(from, end))) {
      snapshots.note = `line ${snapshots.count + 1} of ${path} is damaged: it and those after it are left out`;
      snapshots.isDamaged = true;
      break;
    }
    from = end + 1;
  }
  return snapshots;
}
