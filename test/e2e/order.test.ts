/** What the order of commits does for the answers of a write-heavy recording that is replayed as fast as it goes. */
import assert from 'node:assert/strict';
import { runSysbench } from '../../scripts/lab/workload.ts';
import { labTests, type TestBed } from './support/path.ts';

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
});
