/** Who a server says it is, so that it is known again behind another address. */
export interface ServerIdentity {
  /** @@hostname, @@port and @@server_id: every server has them. */
  hostname: string;
  port: number;
  serverId: number;
  /** MySQL's @@server_uuid: in auto.cnf, in the data folder. */
  uuid?: string | undefined;
  /** MariaDB's @@server_uid: of the host's network card and the port. Its newer releases have it. */
  uid?: string | undefined;
}

/** Its variables, by name. */
export const IDENTITY_QUERY =
  "SHOW VARIABLES WHERE Variable_name IN ('hostname', 'port', 'server_id', 'server_uuid', 'server_uid', 'version')";

/** From the rows of IDENTITY_QUERY; undefined where they are something else's. */
export function identityOf(rows: readonly unknown[]): ServerIdentity | undefined {
  const variables = variablesOf(rows);
  const hostname = variables.get('hostname');
  const port = Number(variables.get('port'));
  const serverId = Number(variables.get('server_id'));
  if (hostname === undefined || !Number.isInteger(port) || !Number.isInteger(serverId)) return undefined;
  return { hostname, port, serverId, uuid: variables.get('server_uuid'), uid: variables.get('server_uid') };
}

/** Rows of SHOW VARIABLES or SHOW STATUS. */
export function variablesOf(rows: readonly unknown[]): Map<string, string> {
  const variables = new Map<string, string>();
  for (const row of rows) {
    const { Variable_name: name, Value: value } = row as Record<string, unknown>;
    if (typeof name === 'string') variables.set(name, String(value));
  }
  return variables;
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
  return a.serverId === b.serverId ? `${where}, @@server_id ${a.serverId}` : undefined;
}

/** Whether a line of the archive's holds one. */
export function isIdentity(value: unknown): value is ServerIdentity {
  const { hostname, port, serverId, uuid, uid } = (value ?? {}) as Record<string, unknown>;
  const isText = (text: unknown) => text === undefined || typeof text === 'string';
  return (
    typeof hostname === 'string' && [port, serverId].every(Number.isInteger) && isText(uuid) && isText(uid)
  );
}
