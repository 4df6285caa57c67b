/**
 * Clients of short connections, as a process of its own on host client: `node visitors.js '{"host":…}'`. They come by the
 * dozen, log in, make three statements, and leave.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { createConnection } from 'mysql2/promise';
import { USERS } from '../lab/server.ts';
import { speakFrom } from '../lab/speak-from.ts';

export interface VisitorsJob {
  host: string;
  /** Connection n speaks from the nth of these, round and round. */
  from: readonly string[];
  seconds: number;
  /** Rows of each table. */
  rows: number;
}

/** Fifty copies of a dozen are more than 500 connections: some of each dozen wait for the others to leave. */
const TOGETHER = 12;

/** Twenty a second, a thousand with their copies: what two cores bear, both servers on them. */
const EACH_MS = 600;

/** Between its statements, so that a dozen are there at one time. */
const PAUSE_MS = 40;

async function visit({ host, from, rows }: VisitorsJob, n: number): Promise<void> {
  const connection = await createConnection({
    user: 'app',
    password: USERS.app,
    database: 'sbtest',
    stream: speakFrom(host, from[n % from.length]),
  });
  const id = 1 + ((n * 7919) % rows);
  await connection.query(`SELECT c FROM sbtest1 WHERE id = ${id}`);
  await sleep(PAUSE_MS);
  await connection.query(`UPDATE sbtest2 SET k = k + 1 WHERE id = ${id}`);
  await sleep(PAUSE_MS);
  await connection.execute('SELECT k, pad FROM sbtest2 WHERE id = ?', [id]);
  await connection.end();
}

const job = JSON.parse(process.argv[2]) as VisitorsJob;
const visits: Promise<void>[] = [];
const begun = performance.now();
for (let dozen = 0; dozen * EACH_MS < job.seconds * 1000; dozen++) {
  await sleep(Math.max(0, begun + dozen * EACH_MS - performance.now()));
  for (let i = 0; i < TOGETHER; i++) visits.push(visit(job, dozen * TOGETHER + i));
}
await Promise.all(visits);
