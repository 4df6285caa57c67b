/** Answers and statements of many segments, larger than windows, and than the path's packets. */
import assert from 'node:assert/strict';
import { narrowPath } from '../../../scripts/lab/impair.ts';
import type { Recorded } from '../../../scripts/lab/path.ts';
import { replayHost } from '../../../scripts/lab/tape.ts';
import { labTests, runSteps, type TestBed } from '../support/path.ts';

const MB = 1_000_000;
const PATHS = ['intercept', 'local'] as const;

async function emptyTables(bed: TestBed): Promise<void> {
  for (const server of [bed.online, bed.target]) {
    await server.sql(
      'CREATE OR REPLACE TABLE sbtest.large (id INT AUTO_INCREMENT PRIMARY KEY, body LONGTEXT)',
    );
  }
}

/** Each of these once, on a connection of its own. */
async function recordInserts(bed: TestBed, octets: readonly number[]): Promise<Recorded> {
  return bed.record(async () => {
    for (const each of octets)
      await runSteps(bed.lab, { steps: [{ insertOctets: each }, { query: 'SELECT 2' }] });
  });
}

async function assertSameRows(bed: TestBed, rows: number): Promise<void> {
  const whole =
    'SELECT COUNT(*) AS n, MIN(LENGTH(body)) AS least, MAX(LENGTH(body)) AS most, SUM(CRC32(body)) AS sum FROM sbtest.large';
  const [stored] = await bed.target.sql(whole);
  assert.deepEqual(stored, (await bed.online.sql(whole))[0]);
  assert.equal(Number(stored.n), rows);
}

labTests('large', (it) => {
  for (const path of PATHS) {
    it(`a result of 100 MB, by ${path}`, async (bed) => {
      const query = `SELECT seq, REPEAT(CHAR(65 + seq % 26), 1000) FROM seq_1_to_100000`;
      const recorded = await bed.record(() =>
        runSteps(bed.lab, { steps: [{ query }, { query: 'SELECT 1' }] }),
      );
      const sentBefore = (await bed.target.counters()).Bytes_sent;
      const { divergence } = await bed.replayExactly(recorded, { path });
      assert.ok((await bed.target.counters()).Bytes_sent - sentBefore > 100 * MB);
      assert.equal(divergence.error + divergence.rows + divergence.data, 0);
    });

    it(`statements of 1 MB, by ${path}`, async (bed) => {
      await emptyTables(bed);
      const recorded = await recordInserts(bed, [MB, MB, MB]);
      await bed.replayExactly(recorded, { path });
      await assertSameRows(bed, 3);
    });

    for (const tells of [true, false]) {
      const who = tells ? 'a router that says so' : 'a router that keeps silent';
      it(`statements of 20 kB and 16 MB through a path MTU of 1400, behind ${who}, by ${path}`, async (bed) => {
        await emptyTables(bed);
        const recorded = await recordInserts(bed, [20_000, 16 * 1024 * 1024 - 4096, 20_000]);
        const narrow = await narrowPath(bed.lab, replayHost(path), 1400, tells);
        try {
          await bed.replayExactly(recorded, { path });
        } finally {
          await narrow.stop();
        }
        await assertSameRows(bed, 3);
      });
    }
  }
});
