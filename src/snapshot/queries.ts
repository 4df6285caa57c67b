/** What a server is asked for a snapshot of its sessions: a few statements, none of which joins what is large. */

import {
  IDENTITY_QUERY,
  identityOf,
  SQL_MODE_QUERY,
  startOf,
  UPTIME_QUERY,
  variablesOf,
} from '../archive/server-identity.ts';
import type { Snapshot, SnapshotSession } from '../archive/snapshots.ts';
import { parseAddress } from '../wire/address.ts';

/** Bounds on one snapshot. What is beyond is left out, and said so. */
const MOST_SESSIONS = 10_000;
/** Of each kind: statements, session variables, user variables. */
const MOST_ROWS = 100_000;
/** A user variable with more is left out. */
const MOST_VALUE_OCTETS = 4096;

/** performance_schema keeps so much of a statement's text, in MySQL (since 5.7) and in MariaDB (since 10.5), and cuts the rest. */
const CUT_TEXT_OCTETS = 1024;

/** Sessions that may be clients' and come over TCP, whose HOST has a port. */
const SESSIONS = `SELECT ID AS id, USER AS user, HOST AS host, DB AS db FROM information_schema.PROCESSLIST
  WHERE ID <> CONNECTION_ID() AND HOST LIKE '%:%' AND USER NOT IN ('unauthenticated user', 'system user')
  AND COMMAND NOT IN ('Daemon', 'Binlog Dump', 'Binlog Dump GTID') LIMIT ${MOST_SESSIONS + 1}`;

const THREADS = `SELECT THREAD_ID AS thread, PROCESSLIST_ID AS id FROM performance_schema.threads
  WHERE PROCESSLIST_ID IS NOT NULL LIMIT ${MOST_ROWS}`;

/**
 * All of them. Which are of the binary protocol is told here: `WHERE STATEMENT_NAME IS NULL` finds none in MySQL 9.7, whose index of
 * that column is a hash and has no NULL.
 */
const STATEMENTS = `SELECT OWNER_THREAD_ID AS thread, STATEMENT_ID AS statement, STATEMENT_NAME AS name, OWNER_OBJECT_TYPE AS owner,
  SQL_TEXT AS text FROM performance_schema.prepared_statements_instances LIMIT ${MOST_ROWS + 1}`;

/** How many the server has by its own count, in whatever form. */
const PREPARED_COUNT = "SHOW GLOBAL STATUS LIKE 'Prepared_stmt_count'";

/** MySQL has this table, MariaDB does not. Variables without a global value mean nothing in another session. */
const VARIABLES = `SELECT v.THREAD_ID AS thread, v.VARIABLE_NAME AS name, v.VARIABLE_VALUE AS value
  FROM performance_schema.variables_by_thread v
  JOIN performance_schema.global_variables g ON g.VARIABLE_NAME = v.VARIABLE_NAME
  WHERE v.VARIABLE_VALUE <> g.VARIABLE_VALUE LIMIT ${MOST_ROWS + 1}`;

const USER_VARIABLES = `SELECT THREAD_ID AS thread, VARIABLE_NAME AS name, LENGTH(VARIABLE_VALUE) AS octets,
  CAST(LEFT(VARIABLE_VALUE, ${MOST_VALUE_OCTETS}) AS BINARY) AS value
  FROM performance_schema.user_variables_by_thread LIMIT ${MOST_ROWS + 1}`;

const NONE_LISTED =
  'prepared_statements_instances: the server counts prepared statements but lists none (check performance_schema_max_prepared_statements_instances)';

/** Runs a statement; rejects as mysql2 does: with `sqlState` where the server refused it, without where it is gone. */
export type Ask = (sql: string) => Promise<readonly unknown[]>;

/** A session while its parts are gathered. */
interface Gathered extends SnapshotSession {
  statements: { id: number; sql: string | undefined }[];
  variables: [string, string][];
  userVariables: [string, Uint8Array | null][];
}

/**
 * Asks for all sessions but the asking one. A table that is not there, or not to be read by this user, is among `lacks`;
 * rejects where not even the sessions are to be had.
 */
export async function askSessions(ask: Ask, user: string): Promise<Omit<Snapshot, 'at'>> {
  const lacks: string[] = [];
  const rows = (await ask(SESSIONS)) as { id: number; user: string; host: string; db: string | null }[];
  if (rows.length > MOST_SESSIONS) lacks.push(`sessions: there are more than ${MOST_SESSIONS}`);
  if (rows.every((row) => row.user === user) && !(await seesOthers(ask))) {
    lacks.push('sessions: without the privilege PROCESS a user sees only those of its own');
  }
  const sessions: Gathered[] = rows.slice(0, MOST_SESSIONS).map(({ id, user, host, db }) => ({
    id,
    user,
    ...splitHost(host),
    schema: db ?? undefined,
    statements: [],
    variables: [],
    userVariables: [],
  }));
  const identity = identityOf(await ask(IDENTITY_QUERY));
  const server = identity && {
    ...identity,
    startedMs: startOf(await ask(UPTIME_QUERY), Date.now()),
    sqlMode: variablesOf(await ask(SQL_MODE_QUERY)).get('sql_mode'),
  };
  await askParts(ask, new Map(sessions.map((session) => [session.id, session])), lacks);
  // In an order of their own, so that the same is the same in the next snapshot.
  for (const { statements, variables, userVariables } of sessions) {
    statements.sort((a, b) => a.id - b.id);
    variables.sort(byName);
    userVariables.sort(byName);
  }
  return { sessions, server, lacks };
}

async function askParts(ask: Ask, sessions: Map<number, Gathered>, lacks: string[]): Promise<void> {
  const table = async <T>(name: string, sql: string): Promise<T[]> => {
    try {
      const rows = (await ask(sql)) as T[];
      if (rows.length > MOST_ROWS) lacks.push(`${name}: there are more than ${MOST_ROWS} rows`);
      return rows;
    } catch (error) {
      if (!(error instanceof Error && 'sqlState' in error)) throw error;
      lacks.push(`${name}: ${error.message}`);
      return [];
    }
  };
  const [schema] = await table<{ is: number }>('performance_schema', 'SELECT @@performance_schema AS `is`');
  if (schema?.is === 0) lacks.push('performance_schema: it is OFF, so there are no statements and variables');
  if (schema?.is !== 1) return;

  const threads = await table<{ thread: number; id: number }>('threads', THREADS);
  if (threads.length === 0) return;
  const byThread = new Map(threads.map(({ thread, id }) => [thread, sessions.get(id)]));

  type StatementRow = {
    thread: number;
    statement: number;
    name: string | null;
    owner: string | null;
    text: string;
  };
  const instances = 'prepared_statements_instances';
  const lacksBefore = lacks.length;
  const statements = await table<StatementRow>(instances, STATEMENTS);
  for (const { thread, statement, name, owner, text } of statements) {
    // PREPARE's have a name, those of stored programs an owner.
    if (name !== null || owner !== null) continue;
    byThread.get(thread)?.statements.push({ id: statement, sql: isWhole(text) ? text : undefined });
  }
  if (statements.length === 0 && lacks.length === lacksBefore) {
    const [row] = await table<{ Value: string }>('Prepared_stmt_count', PREPARED_COUNT);
    if (Number(row?.Value ?? 0) > 0) lacks.push(NONE_LISTED);
  }

  type VariableRow = { thread: number; name: string; value: string };
  const variables = await table<VariableRow>('variables_by_thread', VARIABLES);
  for (const { thread, name, value } of variables) byThread.get(thread)?.variables.push([name, value]);

  type UserVariableRow = { thread: number; name: string; octets: number; value: Uint8Array | null };
  const userVariables = await table<UserVariableRow>('user_variables_by_thread', USER_VARIABLES);
  for (const { thread, name, octets, value } of userVariables) {
    if (octets <= MOST_VALUE_OCTETS) byThread.get(thread)?.userVariables.push([name, value]);
  }
}

/** One that is cut, or has characters that could not be told, must not be prepared in the name of what it was. */
function isWhole(text: string): boolean {
  return Buffer.byteLength(text) < CUT_TEXT_OCTETS && !text.includes('\ufffd');
}

async function seesOthers(ask: Ask): Promise<boolean> {
  const grants = (await ask('SHOW GRANTS')) as Record<string, string>[];
  return grants.some((row) =>
    Object.values(row).some((grant) => /^GRANT (ALL PRIVILEGES|.*\bPROCESS\b).* ON \*\.\* /.test(grant)),
  );
}

/** `10.77.64.10:40112`, `fd77:64::10:40112`, `client.example:40112`. */
function splitHost(text: string): { host: string; port: number } {
  const colon = text.lastIndexOf(':');
  const host = text.slice(0, colon);
  return { host: parseAddress(host)?.text ?? host, port: Number(text.slice(colon + 1)) };
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
