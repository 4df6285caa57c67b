import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { Lab } from '../../../scripts/lab/lab.ts';
import { makeStart, type Recorded, type Replayed, recordWorkload } from '../../../scripts/lab/path.ts';
import { loadTables, runClients, runCommandLineClients, runSysbench } from '../../../scripts/lab/workload.ts';

/** Rows of each sysbench table: few, so that a test's lab is up in seconds. */
const ROWS = 2000;

export type WorkloadKind = 'text' | 'prepared' | 'short' | 'sessions';

/** Small workloads, each of one kind of traffic; seconds long. */
export const WORKLOADS: Readonly<Record<WorkloadKind, (lab: Lab) => Promise<unknown>>> = {
  text: (lab) => runSysbench(lab, { mode: 'text', threads: 4, transactions: 80, rate: 40 }, ROWS),
  prepared: (lab) => runSysbench(lab, { mode: 'prepared', threads: 4, transactions: 80, rate: 40 }, ROWS),
  short: async (lab) => {
    await runClients(lab, { kind: 'short', connections: 60, seconds: 2, rounds: 2 });
    await runCommandLineClients(lab, 6);
  },
  sessions: (lab) => runClients(lab, { kind: 'sessions', connections: 24, seconds: 3, rounds: 8 }),
};

export interface TestBed {
  lab: Lab;
  /** Folder of the servers' state before the recording. */
  start: string;
}

/** A lab `mytape-e-<name>` with tables, both servers at the same start; it goes down with the test. */
export async function labForTest(t: TestContext, name: string): Promise<TestBed> {
  const lab = await Lab.up({ name: `mytape-e-${name}` });
  t.after(() => lab.down());
  await loadTables(lab, ROWS);
  return { lab, start: await makeStart(lab) };
}

/** Records workloads, one beside the other, and checks that the recording is whole. */
export async function recordKinds(lab: Lab, ...kinds: WorkloadKind[]): Promise<Recorded> {
  const folder = join(lab.runFolder, 'archives');
  mkdirSync(folder, { recursive: true });
  const archive = join(folder, `${kinds.join('-')}.tape`);
  const recorded = await recordWorkload(lab, archive, () =>
    Promise.all(kinds.map((kind) => WORKLOADS[kind](lab))),
  );
  assert.equal(recorded.summary.dropped, 0, 'the capture dropped packets');
  assert.equal(
    recorded.summary.sessions,
    recorded.online.Connections,
    'sessions recorded are connections made',
  );
  return recorded;
}

/** The target did exactly what online did, as many times as there are copies, and nobody is left on it. */
export function assertExact(replayed: Replayed): void {
  const { comparison, lost, left } = replayed;
  assert.deepEqual(
    { lost, left, unequal: comparison.filter((row) => !row.equal) },
    { lost: [], left: [], unequal: [] },
  );
}
