/** Each kind of traffic through both paths. */
import assert from 'node:assert/strict';
import type { ReplayPath } from '../../scripts/lab/tape.ts';
import { labTests, type WorkloadKind } from './support/path.ts';

const PATHS: readonly ReplayPath[] = ['intercept', 'local'];

const KINDS: readonly [WorkloadKind, string][] = [
  ['text', 'text queries'],
  ['prepared', 'prepared statements'],
  ['short', 'short connections'],
];

labTests('kinds', (it) => {
  // First, while online's data is what the target is restored to.
  for (const path of PATHS) {
    it(`sessions of a client library (USE, reset, ping, execute) get online's own answers, by ${path}`, async (bed) => {
      const recorded = await bed.recorded('sessions');
      await bed.restoreTarget();
      const { error, rows, data, unknown } = (await bed.replayExactly(recorded, { path })).divergence;
      assert.deepEqual({ error, rows, data, unknown }, { error: 0, rows: 0, data: 0, unknown: 0 });
    });
  }

  for (const [kind, what] of KINDS) {
    for (const path of PATHS) {
      it(`${what}, by ${path}`, async (bed) => {
        await bed.replayExactly(await bed.recorded(kind), { path, speed: path === 'local' ? '2' : '1' });
      });
    }
  }
});
