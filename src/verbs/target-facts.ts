/** What the target says of itself to an ordinary client, before a run: who it is, and what makes it look live. */
import { connect, type Socket } from 'node:net';
import { type Connection, createConnection, type SslOptions } from 'mysql2';
import { IDENTITY_QUERY, identityOf, type ServerIdentity, variablesOf } from '../archive/server-identity.ts';
import type { ServerKey } from '../mysql/auth/plugin.ts';
import type { TargetTls } from '../transport/target-tls.ts';
import { authPluginsFor } from './mysql2-auth.ts';

/** All questions together: a run waits no longer for what may not come. */
const ASK_LIMIT_MS = 5_000;

/** The server has so long to close after COM_QUIT. */
const END_LIMIT_MS = 500;

/** Of the users whose password is known, so many are tried. */
const MOST_ACCOUNTS = 3;

export interface Account {
  user: string;
  password: string;
}

export interface TargetAddress {
  host: string;
  port: number;
  tls: TargetTls | undefined;
  serverKey?: ServerKey | undefined;
}

export interface TargetFacts {
  /** Who was asked as. */
  user: string;
  /** undefined: it does not say. */
  identity: ServerIdentity | undefined;
  /** The address and port that the target sees this host's connection come from, as SHOW PROCESSLIST has them. */
  seenAs: string | undefined;
  /** What makes it look live, in words: empty where nothing does. */
  live: string[];
  /** What this user may not ask, and the privileges that it takes. */
  lacks: { what: string; grant: string }[];
}

type Row = Readonly<Record<string, unknown>>;

/** Runs a statement; rejects as mysql2 does: with `sqlState` where the server refused it. */
export type AskTarget = (sql: string) => Promise<readonly Row[]>;

/** What it takes to ask whether a server is a replica. */
const MONITOR = { mariadb: 'SLAVE MONITOR', mysql: 'REPLICATION CLIENT' } as const;

const COUNTS =
  "SHOW GLOBAL STATUS WHERE Variable_name IN ('Slaves_connected', 'Slaves_running', 'wsrep_cluster_size')";

const MEMBERS = 'SELECT MEMBER_HOST FROM performance_schema.replication_group_members';

const SYNTAX_ERRNO = 1064;
const NO_SUCH_TABLE_ERRNO = 1146;

/**
 * Logs in as the first of `accounts` that may, and asks. Answers why it could not be asked, in words. Never rejects, and
 * never takes longer than `limitMs`.
 */
export async function askTarget(
  target: TargetAddress,
  accounts: readonly Account[],
  limitMs = ASK_LIMIT_MS,
): Promise<TargetFacts | string> {
  let client: Client | undefined;
  let isOver = false;
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve(`no answer in ${limitMs / 1000} s`), limitMs);
  });
  const ask = async (): Promise<TargetFacts | string> => {
    let why = 'no password of a user is known';
    for (const { user, password } of accounts.slice(0, MOST_ACCOUNTS)) {
      if (isOver) break;
      client = new Client(target, { user, password });
      try {
        await client.ready;
        return { user, ...(await factsOf(client.ask, client.threadId)) };
      } catch (error) {
        why = (error as Error).message;
        await client.end();
        // Whom a login is refused, another may get it; where there is no connection, nobody does.
        if ((error as { sqlState?: string }).sqlState === undefined) return why;
      }
    }
    return why;
  };
  try {
    return await Promise.race([ask(), tooLate]);
  } finally {
    isOver = true;
    clearTimeout(timer);
    await client?.end();
  }
}

class Client {
  readonly ready: Promise<void>;
  readonly #socket: Socket;
  readonly #connection: Connection;

  constructor({ host, port, tls, serverKey }: TargetAddress, { user, password }: Account) {
    const socket = connect({ host, port, noDelay: true });
    this.#socket = socket;
    this.#connection = createConnection({
      user,
      password,
      charset: 'utf8mb4',
      stream: () => socket,
      authPlugins: authPluginsFor({ user, password, secure: tls !== undefined, serverKey }),
      ...(tls === undefined ? {} : { host: tls.servername ?? host, ssl: sslOf(tls) }),
    });
    this.ready = new Promise((resolve, reject) => {
      // One that ends while nobody asks is no trouble: the next question fails.
      this.#connection.on('error', reject);
      this.#connection.connect((error) => (error ? reject(error) : resolve()));
    });
    this.ready.catch(() => {});
  }

  get threadId(): number {
    return this.#connection.threadId;
  }

  readonly ask: AskTarget = (sql) =>
    new Promise((resolve, reject) => {
      this.#connection.query(sql, (error, rows) =>
        error ? reject(error) : resolve(Array.isArray(rows) ? (rows as Row[]) : []),
      );
    });

  /** By COM_QUIT; resolves when the server has closed, or after a while without it. */
  end(): Promise<void> {
    const socket = this.#socket;
    if (socket.destroyed) return Promise.resolve();
    return new Promise((resolve) => {
      const late = setTimeout(() => socket.destroy(), END_LIMIT_MS);
      socket.once('close', () => {
        clearTimeout(late);
        resolve();
      });
      this.#connection.end();
    });
  }
}

function sslOf({ verify, ca }: TargetTls): SslOptions {
  return {
    rejectUnauthorized: verify !== 'none',
    verifyIdentity: verify === 'identity',
    ...(ca === undefined ? {} : { ca }),
  };
}

/**
 * All that is asked. Columns are known by their names: what answers every statement alike tells nothing. `threadId`: of the asking
 * connection. Rejects where the connection breaks.
 */
export async function factsOf(ask: AskTarget, threadId: number): Promise<Omit<TargetFacts, 'user'>> {
  const lacks: TargetFacts['lacks'] = [];
  const live: string[] = [];
  const may = async (what: string, grant: string, ...statements: string[]): Promise<readonly Row[]> => {
    for (const sql of statements) {
      try {
        return await ask(sql);
      } catch (error) {
        const { errno, sqlState } = error as { errno?: number; sqlState?: string };
        if (sqlState === undefined) throw error;
        // Another release's way to say it, or a table of a plugin that is not there.
        if (errno === SYNTAX_ERRNO || errno === NO_SUCH_TABLE_ERRNO) continue;
        lacks.push({ what, grant });
        return [];
      }
    }
    return [];
  };
  const variables = await may('who it is', 'USAGE', IDENTITY_QUERY);
  const isMariadb = /mariadb/i.test(variablesOf(variables).get('version') ?? '');
  const counts = variablesOf(await may('what it counts', 'USAGE', COUNTS));
  const processes = await may('who is connected', 'PROCESS', 'SHOW PROCESSLIST');

  const replicas = isMariadb
    ? Number(counts.get('Slaves_connected') ?? 0)
    : (await may('which replicas it has', 'REPLICATION SLAVE', 'SHOW REPLICAS', 'SHOW SLAVE HOSTS')).filter(
        (row) => 'Server_Id' in row || 'Server_id' in row,
      ).length;
  const readers = processes.filter(({ Command }) => /^Binlog Dump/.test(String(Command))).length;
  const attached = Math.max(replicas, readers);
  if (attached > 0)
    live.push(attached === 1 ? 'a replica is attached to it' : `${attached} replicas are attached to it`);

  const grant = isMariadb ? MONITOR.mariadb : MONITOR.mysql;
  const sources = await may(
    'whether it is a replica',
    grant,
    ...(isMariadb ? ['SHOW ALL SLAVES STATUS'] : ['SHOW REPLICA STATUS', 'SHOW SLAVE STATUS']),
  );
  const named = sources.flatMap((row) => {
    const host = row.Source_Host ?? row.Master_Host;
    return typeof host === 'string' && host !== '' ? [`${host}:${row.Source_Port ?? row.Master_Port}`] : [];
  });
  if (named.length > 0) live.push(`it is a replica itself, of ${named.join(', ')}`);
  else if (Number(counts.get('Slaves_running') ?? 0) > 0) live.push('it is a replica itself');

  const nodes = Number(counts.get('wsrep_cluster_size') ?? 0);
  if (nodes > 1) live.push(`it is one of ${nodes} nodes of a Galera cluster`);
  if (!isMariadb) {
    const members = (
      await may('who is in its replication group', 'SELECT on performance_schema', MEMBERS)
    ).filter(({ MEMBER_HOST: host }) => typeof host === 'string' && host !== '');
    if (members.length > 1) live.push(`it is one of ${members.length} members of a replication group`);
  }
  const own = processes.find(({ Id }) => Number(Id) === threadId)?.Host;
  return { identity: identityOf(variables), seenAs: typeof own === 'string' ? own : undefined, live, lacks };
}
