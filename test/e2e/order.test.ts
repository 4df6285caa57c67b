/** What the order of commits does for the answers of a write-heavy recording that is replayed as fast as it goes. */
import assert from 'node:assert/strict';
import { runSysbench } from '../../scripts/lab/workload.ts';
import { labTests, runSteps, type TestBed } from './support/path.ts';
import type { Step } from './support/steps.ts';

/** Rows of each sysbench table (path.ts). */
const ROWS = 2000;

interface Told {
  /** Answers unlike the recorded ones. */
  different: number;
  held: number;
}

async function replayed(
  bed: TestBed,
  archive: string,
  order: 'time' | 'commit',
  extra: string[] = [],
): Promise<Told> {
  await bed.restoreTarget();
  const args = ['--order', order, ...extra];
  const replay = await bed.replayAnyhow({ path: 'local', archive, speed: 'max', extra: args });
  assert.equal(replay.code, 0, replay.stderr);
  const { divergence, order: told } = replay.summary();
  assert.equal(told.by, order);
  return { different: divergence.error + divergence.rows + divergence.data, held: told.held };
}

/** Two clients that lock two rows crosswise, so that the server rolls one of them back; it goes on without a transaction. */
const CROSSWISE: Step[] = [
  { query: 'BEGIN' },
  { query: 'INSERT INTO crossed_log (n) SELECT SUM(n) FROM crossed' },
  { on: 0, step: { query: 'UPDATE crossed SET n = n * 2 + 1 WHERE id = 1' } },
  { on: 1, step: { query: 'UPDATE crossed SET n = n * 3 + 1 WHERE id = 2' } },
  { pauseMs: 150 },
  { on: 1, step: { pauseMs: 100 } },
  { on: 0, step: { query: 'UPDATE crossed SET n = n * 5 + 1 WHERE id = 2' } },
  { on: 1, step: { query: 'UPDATE crossed SET n = n * 7 + 1 WHERE id = 1' } },
  { query: 'UPDATE crossed SET n = n + 1 WHERE id = 3' },
  { query: 'INSERT INTO crossed_log (n) VALUES (1)' },
  { query: 'COMMIT' },
  { pauseMs: 150 },
];

const TABLES: Step[] = [
  { query: 'CREATE TABLE crossed (id INT PRIMARY KEY, n BIGINT)' },
  { query: 'CREATE TABLE crossed_log (id INT AUTO_INCREMENT PRIMARY KEY, n BIGINT)' },
  { query: 'INSERT INTO crossed VALUES (1, 1), (2, 1), (3, 1)' },
];

// The recording is the first in its lab that writes: target's tables are as online's were when it began.
labTests('order', (it) => {
  it('at full speed: few false divergences by commit, a great many by time', async (bed) => {
    const { archive } = await bed.record(() =>
      runSysbench(bed.lab, { mode: 'prepared', threads: 8, transactions: 800 }, ROWS),
    );
    const byTime = await replayed(bed, archive, 'time');
    const byCommit = await replayed(bed, archive, 'commit');
    assert.deepEqual([byTime.held, byCommit.held > 0], [0, true]);
    assert.ok(byTime.different > 100, `${byTime.different} by time`);
    assert.ok(
      byCommit.different < byTime.different / 5,
      `${byCommit.different} by commit, ${byTime.different} by time`,
    );

    const refused = await bed.replayAnyhow({
      path: 'local',
      archive,
      speed: 'max',
      extra: ['--order', 'commit', '-C', '2'],
    });
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /no more threads .-C 2. than copies .-n 1./);
  });

  it('where the recorded server broke a deadlock, the same transaction is rolled back, and data is equal', async (bed) => {
    const { archive } = await bed.record(async () => {
      await runSteps(bed.lab, { steps: TABLES });
      await runSteps(bed.lab, { connections: 2, rounds: 3, steps: CROSSWISE });
    });
    const sums = async (of: 'online' | 'target') =>
      (await bed[of].sql('CHECKSUM TABLE sbtest.crossed, sbtest.crossed_log')).map(
        ({ Checksum }) => Checksum,
      );
    const recorded = await sums('online');
    for (const speed of ['1', 'max']) {
      await bed.restoreTarget();
      // Which of two transactions draws the next insert id is no matter of locks, nor of commits.
      const extra = ['--order', 'commit', '--pin-time'];
      const replay = await bed.replayAnyhow({ path: 'local', archive, speed, extra });
      assert.equal(replay.code, 0, replay.stderr);
      const { commands, divergence, order } = replay.summary();
      assert.ok(commands.skipped['rolled-back'] >= 1, 'the recording has no deadlock');
      assert.deepEqual([divergence.error, divergence.rows, divergence.data, order.released], [0, 0, 0, 0]);
      assert.deepEqual(await sums('target'), recorded, `at speed ${speed}`);
    }
  });
});
