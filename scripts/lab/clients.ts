/**
 * The mysql2 clients of the lab, as a process of its own: `node clients.js '{"kind":"sessions",…}'` on host client.
 * Prints, as JSON, how many connections it made and how many commands it sent on them.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Connection, createConnection } from 'mysql2/promise';
import { USERS } from './server.ts';
import { speakFrom } from './speak-from.ts';

export interface ClientsJob {
  /** `sessions`: everything a client library does, for a while. `short`: connect, a few queries, leave. */
  kind: 'sessions' | 'short';
  host: string;
  /** Connection n speaks from the nth of these, round and round. */
  from: readonly string[];
  connections: number;
  /** Over how long they are spread. */
  seconds: number;
  /** Queries of a short connection, rounds of a session. */
  rounds: number;
}

export interface ClientsResult {
  connections: number;
  /** As the client counts them; COM_QUIT and COM_STMT_CLOSE not among them. */
  commands: number;
}

const LARGE_OCTETS = 40_000;

class Client {
  commands = 0;
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  static async open(job: ClientsJob, n: number): Promise<Client> {
    const connection = await createConnection({
      user: 'app',
      password: USERS.app,
      database: 'sbtest',
      stream: speakFrom(job.host, job.from[n % job.from.length]),
    });
    return new Client(connection);
  }

  async query(text: string, values?: unknown[]): Promise<unknown> {
    this.commands++;
    return (await this.#connection.query(text, values))[0];
  }

  /** The first time a text is met it is prepared as well. */
  async execute(
    text: string,
    values: (string | number | Date | Buffer | null)[],
    firstTime: boolean,
  ): Promise<void> {
    this.commands += firstTime ? 2 : 1;
    await this.#connection.execute(text, values);
  }

  async ping(): Promise<void> {
    this.commands++;
    await this.#connection.ping();
  }

  async reset(): Promise<void> {
    this.commands++;
    await this.#connection.reset();
  }

  forget(text: string): void {
    this.#connection.unprepare(text);
  }

  /** With COM_QUIT. */
  end(): Promise<void> {
    return this.#connection.end();
  }

  /** As a client that crashes: the connection just closes. */
  vanish(): void {
    this.#connection.destroy();
  }
}

const INSERT = 'INSERT INTO notes (session, round, ratio, at, body, data) VALUES (?, ?, ?, ?, ?, ?)';
const SELECT = 'SELECT round, ratio, at, body FROM notes WHERE session = ? AND round <= ? ORDER BY round';

async function session(job: ClientsJob, n: number): Promise<number> {
  const client = await Client.open(job, n);
  const pause = (job.seconds * 1000) / (2 * job.rounds);
  await client.query('SET NAMES utf8mb4');
  for (let round = 0; round < job.rounds; round++) {
    const first = round === 0;
    const body = n % 7 === 0 ? null : `note ${round} of session ${n}: naïve, “quoted”, 漢字`;
    const data = Buffer.alloc(n % 5 === 0 && round % 8 === 0 ? LARGE_OCTETS : 24, n);
    await client.execute(
      INSERT,
      [n, round, round / 7, new Date(1_700_000_000_000 + round * 1000), body, data],
      first,
    );
    await client.execute(SELECT, [n, round], first);
    await client.query('START TRANSACTION');
    await client.query(`UPDATE notes SET ratio = ratio + 1 WHERE session = ${n} AND round = ${round}`);
    await client.query(round % 4 === 3 ? 'ROLLBACK' : 'COMMIT');
    await client.query(`SELECT id, k, c FROM sbtest${1 + (n % 2)} WHERE id BETWEEN ? AND ?`, [
      n * 10,
      n * 10 + round,
    ]);
    if (round % 5 === 2) await client.ping();
    if (round % 6 === 4) await client.query('SELECT nothing FROM such_a_table').catch(() => {});
    if (round % 6 === 5) {
      await client.query('USE sbtest2');
      await client.query(`SELECT COUNT(*) FROM sbtest1 WHERE k > ${round * 100}`);
      await client.query('USE sbtest');
    }
    await sleep(pause);
  }
  client.forget(SELECT);
  await client.query(`DELETE FROM notes WHERE session = ${n} AND round % 2 = 1`);
  if (n % 3 === 0) {
    await client.reset();
    await client.query('SELECT @@session.sql_mode');
    await client.execute('SELECT COUNT(*) FROM notes WHERE session = ?', [n], true);
  }
  if (n % 9 === 8) client.vanish();
  else await client.end();
  return client.commands;
}

async function short(job: ClientsJob, n: number): Promise<number> {
  const client = await Client.open(job, n);
  for (let round = 0; round < job.rounds; round++) {
    await client.query(`SELECT c FROM sbtest${1 + (n % 2)} WHERE id = ${1 + ((n * 37 + round) % 5000)}`);
  }
  await client.end();
  return client.commands;
}

const job = JSON.parse(process.argv[2]) as ClientsJob;
const one = job.kind === 'sessions' ? session : short;
// Sessions live for half of the time, so that at any moment about half of them are there.
const spread = (job.seconds * 1000) / (job.kind === 'sessions' ? 2 : 1);
const counts = await Promise.all(
  Array.from({ length: job.connections }, async (_, n) => {
    await sleep((n * spread) / job.connections);
    return one(job, n);
  }),
);
const result: ClientsResult = { connections: job.connections, commands: counts.reduce((a, b) => a + b, 0) };
process.stdout.write(JSON.stringify(result) + '\n');
