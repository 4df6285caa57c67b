/** Clocks of different hosts may differ by so much. */
export const CLOCKS_DIFFER_MS = 600_000;

/** Who a server says it is, so that it is recognized behind another address. Decision 0033. */
export interface ServerIdentity {
  /** @@hostname and @@port: every server has them. */
  hostname: string;
  port: number;
  /** @@server_id; undefined where the server itself was not asked. */
  serverId?: number | undefined;
  /** MySQL's @@server_uuid: in auto.cnf, in the data folder. */
  uuid?: string | undefined;
  /** MariaDB's @@server_uid: of the host's network card and the port. Its newer releases have it. */
  uid?: string | undefined;
  /** @@datadir, without its last slash. */
  datadir?: string | undefined;
  /** @@socket: the path of its Unix socket. */
  socket?: string | undefined;
  /** When the server was started, ms since 1970, by the clock of whoever asked. */
  startedMs?: number | undefined;
  /** @@version. */
  version?: string | undefined;
  /** @@global.sql_mode. */
  sqlMode?: string | undefined;
}

/** A server of a recording's. */
export interface IdentifiedServer extends ServerIdentity {
  /** By this time, ms since 1970 by its own clock, its port and data folder were as they are here; undefined: not known. */
  identifiedMs?: number | undefined;
}

/** A server that was just asked. */
export interface AskedServer extends ServerIdentity {
  /** When it was started, ms since 1970 by its own clock. */
  ownStartMs?: number | undefined;
}

/** The variables by which a server is recognized. Needs no privilege. */
export const IDENTITY_QUERY =
  "SHOW VARIABLES WHERE Variable_name IN ('hostname', 'port', 'server_id', 'server_uuid', 'server_uid', 'datadir', 'socket', 'version', 'timestamp')";

/** What new connections begin with: a client's flags may have changed its own. Needs no privilege. */
export const SQL_MODE_QUERY = "SHOW GLOBAL VARIABLES WHERE Variable_name = 'sql_mode'";

/** How long the server has been up, seconds. Needs no privilege. */
export const UPTIME_QUERY = "SHOW GLOBAL STATUS WHERE Variable_name = 'Uptime'";

/** From the rows of IDENTITY_QUERY; undefined where they are something else's. */
export function identityOf(rows: readonly unknown[]): ServerIdentity | undefined {
  const variables = variablesOf(rows);
  const hostname = variables.get('hostname');
  const port = Number(variables.get('port'));
  const serverId = Number(variables.get('server_id'));
  if (hostname === undefined || !Number.isInteger(port) || !Number.isInteger(serverId)) return undefined;
  const datadir = variables.get('datadir');
  return {
    hostname,
    port,
    serverId,
    uuid: variables.get('server_uuid'),
    uid: variables.get('server_uid'),
    datadir: datadir === undefined ? undefined : plainFolder(datadir),
    socket: variables.get('socket'),
    version: variables.get('version'),
  };
}

/** When a server was started that has been up since `rows` of UPTIME_QUERY say; undefined where they don't. `nowMs`: since 1970. */
export function startOf(rows: readonly unknown[], nowMs: number): number | undefined {
  const uptime = variablesOf(rows).get('Uptime');
  const seconds = uptime === undefined ? Number.NaN : Number(uptime);
  return Number.isFinite(seconds) ? nowMs - seconds * 1000 : undefined;
}

/** The server's own clock when it wrote the rows of IDENTITY_QUERY, ms since 1970; undefined where they don't say. */
export function clockOf(rows: readonly unknown[]): number | undefined {
  const seconds = Number(variablesOf(rows).get('timestamp') ?? Number.NaN);
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : undefined;
}

/** Rows of SHOW VARIABLES or SHOW STATUS. */
export function variablesOf(rows: readonly unknown[]): Map<string, string> {
  const variables = new Map<string, string>();
  for (const row of rows) {
    const { Variable_name: name, Value: value } = (row ?? {}) as Record<string, unknown>;
    if (typeof name === 'string') variables.set(name, String(value));
  }
  return variables;
}

/** A folder's name without its last slashes. */
function plainFolder(folder: string): string {
  return folder.replace(/(?<=.)\/+$/, '');
}

/** What two identities show: that they are one server's, or not, or neither. */
export interface Likeness {
  is: 'same' | 'other' | 'unsure';
  /** What is alike where they are one server's, else what differs, in words; empty: nothing that is known of both. */
  by: string;
}

/**
 * Compares a recorded server with a target. A UUID alone decides: that a copy of the data folder has the original's is for its owner
 * to mend. A uid does so only with the host name: hosts of containers give the same network addresses to different ones. Without these,
 * servers of one host name differ by at least two signs: one alone may be a setting that was changed since. But one that is fixed at a
 * server's start is enough where the target was started before the recorded server had it otherwise.
 */
export function compareServers(recorded: IdentifiedServer, target: AskedServer): Likeness {
  if (recorded.uuid !== undefined && target.uuid !== undefined)
    return {
      is: recorded.uuid === target.uuid ? 'same' : 'other',
      by: `@@server_uuid ${recorded.uuid}`,
    };
  const host = `@@hostname ${recorded.hostname}`;
  if (recorded.hostname !== target.hostname) return { is: 'other', by: host };
  const signs = SIGNS.filter(({ field }) => recorded[field] !== undefined && target[field] !== undefined);
  const [alike, unlike] = [true, false].map((isAlike) =>
    signs.filter(({ field }) => (recorded[field] === target[field]) === isAlike),
  );
  const say = (list: typeof signs) => list.map(({ field, name }) => `${name} ${recorded[field]}`);
  const uid = signs.find(({ field }) => field === 'uid');
  if (uid !== undefined && unlike.includes(uid)) return { is: 'other', by: say([uid])[0] };
  const isByUid = alike[0]?.field === 'port' && alike[1]?.field === 'uid';
  if (isByUid || (unlike.length === 0 && alike.length > 1))
    return { is: 'same', by: [host, ...say(alike.slice(0, 2))].join(', ') };
  const { ownStartMs = Number.POSITIVE_INFINITY } = target;
  const hasRun = ownStartMs + UPTIME_SLACK_MS < (recorded.identifiedMs ?? Number.NEGATIVE_INFINITY);
  const isOther = unlike.length > 1 || (hasRun && unlike.some(({ isFixed }) => isFixed));
  return { is: isOther ? 'other' : 'unsure', by: say(unlike).join(', ') };
}

/** Uptime is in whole seconds, and so is the time that a recording counts from. */
const UPTIME_SLACK_MS = 2_000;

/** Signs of a server on its host, most telling first. `isFixed`: it stays as it is from the server's start to its end. */
const SIGNS = [
  { field: 'port', name: '@@port', isFixed: true },
  { field: 'uid', name: '@@server_uid', isFixed: true },
  { field: 'datadir', name: '@@datadir', isFixed: true },
  { field: 'socket', name: '@@socket', isFixed: true },
  { field: 'serverId', name: '@@server_id', isFixed: false },
] as const;

/** Whether it is known well enough that another server can be told from it: decision 0033's "identified". */
export function tellsApart({ uuid, uid, serverId, datadir }: ServerIdentity): boolean {
  return [uuid, uid, serverId, datadir].some((sign) => sign !== undefined);
}

/** Whether a line of the archive's holds one. */
export function isIdentity(value: unknown): value is ServerIdentity {
  const { hostname, port, serverId, startedMs, uuid, uid, datadir, socket, version, sqlMode } = (value ??
    {}) as Record<string, unknown>;
  const isNumber = (number: unknown) => number === undefined || Number.isFinite(number);
  return (
    typeof hostname === 'string' &&
    Number.isInteger(port) &&
    [serverId, startedMs].every(isNumber) &&
    [uuid, uid, datadir, socket, version, sqlMode].every(
      (text) => text === undefined || typeof text === 'string',
    )
  );
}
