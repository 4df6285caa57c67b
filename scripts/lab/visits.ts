import { COM } from '../../src/mysql/command.ts';
import { framePacket } from '../../src/mysql/packet.ts';
import { ExchangeTape } from '../bench/exchange-tape.ts';
import type { Server } from './server.ts';

/** Sessions that write down that they were there: a row for each command. */
export interface VisitPlan {
  sessions: number;
  /** Commands of each. */
  steps: number;
  /** Between the beginnings of two sessions. */
  everyMs: number;
  /** Between two commands. */
  stepMs: number;
}

/** Each command is answered by a server's OK: one row was written. */
const WRITTEN = framePacket(1, Uint8Array.of(0, 1, 0, 2, 0, 0, 0));

/** Makes a recording of visits; its last session ends `everyMs` × `sessions` + `stepMs` × `steps` behind its beginning. */
export function makeVisits(folder: string, { sessions, steps, everyMs, stepMs }: VisitPlan): void {
  const tape = new ExchangeTape(folder, sessions);
  const turns: { atMs: number; session: number; step: number }[] = [];
  for (let session = 0; session < sessions; session++) {
    // Step -1 is the beginning, and the one behind the last the end.
    for (let step = -1; step <= steps; step++) {
      turns.push({ atMs: session * everyMs + (step + 1) * stepMs, session, step });
    }
  }
  turns.sort((a, b) => a.atMs - b.atMs || a.session - b.session);
  for (const { atMs, session, step } of turns) {
    tape.at = Math.max(tape.at, atMs * 1e6);
    if (step < 0) tape.open(session);
    else if (step === steps) tape.close(session);
    else {
      const text = `INSERT INTO visits VALUES (${session}, ${step})`;
      tape.client(session, framePacket(0, Buffer.concat([Uint8Array.of(COM.query), Buffer.from(text)])));
      tape.server(session, WRITTEN);
    }
  }
  tape.end();
}

/** Gives target a table of visits, with none; it knows, besides, in which order they came, and when. */
export async function clearVisits(target: Server): Promise<void> {
  await target.sql(
    `CREATE OR REPLACE TABLE sbtest.visits (session INT, step INT, n BIGINT AUTO_INCREMENT INVISIBLE PRIMARY KEY,
       at DATETIME(6) INVISIBLE DEFAULT NOW(6)) ENGINE=MyISAM`,
  );
}

export interface Visit {
  session: number;
  step: number;
  /** When target began to carry it out, s since 1970. */
  at: number;
}

/** In the order in which they came to target. */
export async function visitsInOrder(target: Server): Promise<Visit[]> {
  const rows = await target.sql(
    'SELECT session, step, UNIX_TIMESTAMP(at) AS at FROM sbtest.visits ORDER BY n',
  );
  return rows.map(({ session, step, at }) => ({ session, step, at: Number(at) }));
}

/** How often each step of each session was taken on target. */
export async function visitsOn(target: Server): Promise<{ session: number; step: number; n: number }[]> {
  const rows = await target.sql(
    'SELECT session, step, COUNT(*) AS n FROM sbtest.visits GROUP BY session, step',
  );
  return rows as unknown as { session: number; step: number; n: number }[];
}
