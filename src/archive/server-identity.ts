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
  /** When the server was started, ms since 1970, by the clock of whoever asked. */
  startedMs?: number | undefined;
  /** @@version. */
  version?: string | undefined;
}

/** The variables by which a server is recognized. Needs no privilege. */
export const IDENTITY_QUERY =
  "SHOW VARIABLES WHERE Variable_name IN ('hostname', 'port', 'server_id', 'server_uuid', 'server_uid', 'datadir', 'version')";

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
    version: variables.get('version'),
  };
}

/** When a server was started that has been up since `rows` of UPTIME_QUERY say; undefined where they don't. `nowMs`: since 1970. */
export function startOf(rows: readonly unknown[], nowMs: number): number | undefined {
  const uptime = variablesOf(rows).get('Uptime');
  const seconds = uptime === undefined ? Number.NaN : Number(uptime);
  return Number.isFinite(seconds) ? nowMs - seconds * 1000 : undefined;
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
export function plainFolder(folder: string): string {
  return folder.replace(/(?<=.)\/+$/, '');
}

/**
 * What proves that two are one server; undefined where nothing does. A UUID alone does: that a copy of the data folder has
 * the original's is for its owner to mend. A uid does not: hosts of containers give the same network addresses to different ones.
 */
export function sameServer(a: ServerIdentity, b: ServerIdentity): string | undefined {
  if (a.uuid !== undefined && b.uuid !== undefined)
    return a.uuid === b.uuid ? `@@server_uuid ${a.uuid}` : undefined;
  if (a.hostname !== b.hostname || a.port !== b.port) return undefined;
  const where = `@@hostname ${a.hostname}, @@port ${a.port}`;
  if (a.uid !== undefined && b.uid !== undefined)
    return a.uid === b.uid ? `${where}, @@server_uid ${a.uid}` : undefined;
  // Two servers of one host name and port, of containers say, may well have folders of the same name: the ids tell.
  const serverId = a.serverId !== undefined && b.serverId !== undefined;
  if (serverId && a.serverId !== b.serverId) return undefined;
  if (a.datadir !== undefined && b.datadir !== undefined)
    return a.datadir === b.datadir ? `${where}, @@datadir ${a.datadir}` : undefined;
  return serverId ? `${where}, @@server_id ${a.serverId}` : undefined;
}

/** Whether it is known well enough that another server can be told from it: decision 0033's "identified". */
export function tellsApart({ uuid, uid, serverId, datadir }: ServerIdentity): boolean {
  return [uuid, uid, serverId, datadir].some((sign) => sign !== undefined);
}

/** Whether a line of the archive's holds one. */
export function isIdentity(value: unknown): value is ServerIdentity {
  const { hostname, port, serverId, startedMs, uuid, uid, datadir, version } = (value ?? {}) as Record<
    string,
    unknown
  >;
  const isNumber = (number: unknown) => number === undefined || Number.isFinite(number);
  return (
    typeof hostname === 'string' &&
    Number.isInteger(port) &&
    [serverId, startedMs].every(isNumber) &&
    [uuid, uid, datadir, version].every((text) => text === undefined || typeof text === 'string')
  );
}
