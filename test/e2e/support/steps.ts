/**
 * mysql2 connections that each take the same steps, as a process of its own: `node steps.js '{"host":…}'` on host client.
 * A statement that the server refuses is a step like any other.
 */
import { existsSync } from 'node:fs';
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
  | { untilFile: string };

export interface StepsJob {
  host: string;
  user: keyof typeof USERS;
  /** Connection n speaks from the nth of these, round and round. */
  from: readonly string[];
  connections: number;
  tls: boolean;
  /** How often the steps are taken on each connection. */
  rounds: number;
  steps: readonly Step[];
}

async function take(connection: Connection, step: Step): Promise<void> {
  if ('query' in step) await connection.query(step.query).catch(() => {});
  else if ('execute' in step) await connection.execute(step.execute, step.values).catch(() => {});
  else if ('insertOctets' in step) {
    await connection.query(
      `INSERT INTO large (body) VALUES ('${'lorem ipsum '.repeat(step.insertOctets / 12)}')`,
    );
  } else if ('pauseMs' in step) await sleep(step.pauseMs);
  else while (!existsSync(step.untilFile)) await sleep(20);
}

async function one(job: StepsJob, n: number): Promise<void> {
  const connection = await createConnection({
    user: job.user,
    password: USERS[job.user],
    database: 'sbtest',
    stream: speakFrom(job.host, job.from[n % job.from.length]),
    ...(job.tls ? { ssl: { rejectUnauthorized: false } } : {}),
  });
  for (let round = 0; round < job.rounds; round++) {
    for (const step of job.steps) await take(connection, step);
  }
  await connection.end();
}

const job = JSON.parse(process.argv[2]) as StepsJob;
await Promise.all(Array.from({ length: job.connections }, (_, n) => one(job, n)));
