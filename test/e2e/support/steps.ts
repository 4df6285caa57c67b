/**
 * mysql2 connections that each take the same steps, as a process of its own: `node steps.js '{"host":…}'` on host client.
 * A statement that the server refuses is a step like any other.
 */
import { existsSync } from 'node:fs';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Connection, createConnection } from 'mysql2/promise';
import { USERS } from '../../../scripts/lab/server.ts';
import { speakFrom } from '../../../scripts/lab/speak-from.ts';

export type Step =
  | { query: string }
  | { execute: string; values: (string | number)[] }
  /** One row of this many octets into sbtest.large. */
  | { insertOctets: number }
  | { pauseMs: number }
  /** Goes on when the file is there. */
  | { untilFile: string }
  /** COM_CHANGE_USER. */
  | { changeUser: keyof typeof USERS }
  /** A LOAD DATA LOCAL INFILE that reads so many lines, a number and a text. */
  | { query: string; fileLines: number }
  /** KILL or KILL QUERY, of the connection of that number among those of this job. */
  | { kill: 'CONNECTION' | 'QUERY'; connection: number }
  /** Only on the connection of this number. */
  | { on: number; step: Step };

export interface StepsJob {
  host: string;
  user: keyof typeof USERS;
  /** Connection n speaks from the nth of these, round and round. */
  from: readonly string[];
  connections: number;
  tls: boolean;
  compress?: boolean;
  /** Texts may be several statements. */
  multipleStatements?: boolean;
  /** Another than the user's own. */
  password?: string;
  schema?: string;
  /** How often the steps are taken on each connection. */
  rounds: number;
  steps: readonly Step[];
}

const all: Connection[] = [];

async function take(connection: Connection, step: Step, n: number): Promise<void> {
  if ('on' in step) {
    if (step.on === n) await take(connection, step.step, n);
  } else if ('changeUser' in step) {
    const user = step.changeUser;
    await connection.changeUser({ user, password: USERS[user], database: 'sbtest' });
  } else if ('kill' in step) await connection.query(`KILL ${step.kill} ${all[step.connection].threadId}`);
  else if ('fileLines' in step) {
    const lines = Array.from(
      { length: step.fileLines },
      (_, i) => `${i}\tline ${i}, ${'x'.repeat(i % 90)}\n`,
    );
    await connection.query({
      sql: step.query,
      infileStreamFactory: () => Readable.from(lines.map((line) => Buffer.from(line))),
    });
  } else if ('query' in step) await connection.query(step.query).catch(() => {});
  else if ('execute' in step) await connection.execute(step.execute, step.values).catch(() => {});
  else if ('insertOctets' in step) {
    await connection.query(
      `INSERT INTO large (body) VALUES ('${'lorem ipsum '.repeat(step.insertOctets / 12)}')`,
    );
  } else if ('pauseMs' in step) await sleep(step.pauseMs);
  else while (!existsSync(step.untilFile)) await sleep(20);
}

async function one(job: StepsJob, n: number): Promise<void> {
  const connecting = createConnection({
    user: job.user,
    password: job.password ?? USERS[job.user],
    database: job.schema ?? 'sbtest',
    compress: job.compress === true,
    multipleStatements: job.multipleStatements === true,
    flags: ['+LOCAL_FILES'],
    stream: speakFrom(job.host, job.from[n % job.from.length]),
    ...(job.tls ? { ssl: { rejectUnauthorized: false } } : {}),
  });
  const connection = await connecting.catch(() => undefined);
  if (connection === undefined) {
    // Refused: to be expected where the password or the schema is another than that of the lab.
    if (job.password === undefined && job.schema === undefined) await connecting;
    return;
  }
  all[n] = connection;
  // Killed: to be expected, too.
  connection.on('error', () => {});
  for (let round = 0; round < job.rounds; round++) {
    for (const step of job.steps) await take(connection, step, n);
  }
  await connection.end().catch(() => {});
}

const job = JSON.parse(process.argv[2]) as StepsJob;
await Promise.all(Array.from({ length: job.connections }, (_, n) => one(job, n)));
