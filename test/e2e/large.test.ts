/** Answers and statements of many segments, and larger than windows. */
import assert from 'node:assert/strict';
import { labTests, runSteps } from './support/path.ts';

const RESULT_OCTETS = 20_000_000;
const STATEMENT_OCTETS = 1_000_000;
const STATEMENTS = 3;

labTests('large', (it) => {
  for (const path of ['intercept', 'local'] as const) {
    it(`results of 20 MB and statements of 1 MB, by ${path}`, async (bed) => {
      for (const server of [bed.online, bed.target]) {
        await server.sql(
          'CREATE OR REPLACE TABLE sbtest.large (id INT AUTO_INCREMENT PRIMARY KEY, body LONGTEXT)',
        );
      }
      const recorded = await bed.record(async () => {
        const rows = RESULT_OCTETS / 1000;
        const from = `FROM seq_1_to_${rows}`;
        await Promise.all([
          runSteps(bed.lab, {
            steps: [
              { query: `SELECT seq, REPEAT(CHAR(65 + seq % 26), 1000) ${from}` },
              { query: 'SELECT 1' },
            ],
          }),
          runSteps(bed.lab, {
            rounds: STATEMENTS,
            steps: [{ insertOctets: STATEMENT_OCTETS }, { query: 'SELECT 2' }],
          }),
        ]);
      });
      const sentBefore = (await bed.target.counters()).Bytes_sent;
      const { divergence } = await bed.replayExactly(recorded, { path });
      assert.ok((await bed.target.counters()).Bytes_sent - sentBefore > RESULT_OCTETS);
      assert.equal(divergence.error + divergence.rows + divergence.data, 0);
      const whole =
        'SELECT COUNT(*) AS n, MIN(LENGTH(body)) AS octets, MD5(GROUP_CONCAT(MD5(body))) AS md5 FROM sbtest.large';
      const [stored] = await bed.target.sql(whole);
      assert.deepEqual(stored, (await bed.online.sql(whole))[0]);
      assert.equal(Number(stored.n), STATEMENTS);
    });
  }
});
