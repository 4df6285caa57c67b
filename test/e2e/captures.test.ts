/** Captures with gaps and packets seen twice, replayed onto a real server: it carries out nothing that the capture does not hold. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PORT } from '../../scripts/lab/server.ts';
import { type ReplayPath, tape } from '../../scripts/lab/tape.ts';
import type { Summary } from '../../src/report/summary.ts';
import { assertAddsUp, labTests, type TestBed } from './support/path.ts';

const CASES = fileURLToPath(new URL('../../../fixtures/cases/', import.meta.url));
const COPIES = 2;
const PATHS: readonly ReplayPath[] = ['socket', 'self'];

/** What was done on the target for the capture's user, `Prepare drop table c`, in its order, but for the opening of the connection. */
interface Done {
  log: string[];
  summary: Summary;
  stdout: string;
}

/** What the statements of the captures work on, empty, chosen for whoever logs in without a schema. */
async function prepareTarget({ target }: TestBed, columns: string): Promise<void> {
  await target.sql('CREATE OR REPLACE DATABASE d');
  for (const table of ['a', 'b', 'c']) await target.sql(`CREATE TABLE d.${table} (n INT)`);
  await target.sql(`CREATE TABLE d.t (${columns})`);
  await target.sql("GRANT ALL ON d.* TO 'app'@'%'");
  await target.sql("SET GLOBAL init_connect = 'USE d'");
}

async function replayCase(
  bed: TestBed,
  name: string,
  path: ReplayPath,
  { extra = [], columns = 'n INT' }: { extra?: readonly string[]; columns?: string } = {},
): Promise<Done> {
  await prepareTarget(bed, columns);
  const archive = bed.fresh(name);
  const args = ['import', join(CASES, `${name}.pcap`), '-o', archive, '-p', String(PORT)];
  const imported = await tape(bed.lab, 'online', args);
  assert.equal(imported.code, 0, imported.stderr);
  const { target } = bed;
  await target.sql('TRUNCATE mysql.general_log');
  await target.sql("SET GLOBAL log_output = 'TABLE', general_log = 1");
  // Some of these captures lack a third of their few commands.
  const all = [...extra, '--min-replayed', '0%'];
  const replay = await bed.replayAnyhow({ path, archive, copies: COPIES, extra: all });
  await target.sql('SET GLOBAL general_log = 0');
  assert.equal(replay.code, 0, replay.stdout + replay.stderr);
  const rows = await target.sql(
    `SELECT command_type AS type, CONVERT(argument USING utf8mb4) AS text FROM mysql.general_log
     WHERE user_host LIKE 'app%' AND command_type NOT IN ('Connect', 'Quit', 'Init DB') ORDER BY event_time`,
  );
  const log = rows.map(({ type, text }) => `${type} ${text}`).filter((line) => line !== 'Query USE d');
  const summary = replay.summary();
  assertAddsUp(summary);
  assert.equal(summary.sessions.completed, COPIES);
  await bed.assertNobodyOnTarget();
  return { log, summary, stdout: replay.stdout };
}

async function rowsOf(bed: TestBed, table: string): Promise<number[]> {
  const rows = await bed.target.sql(`SELECT n FROM d.${table} ORDER BY n`);
  return rows.map(({ n }) => Number(n));
}

/** Each of them by each copy. */
function byCopies<T>(each: readonly T[]): T[] {
  return each.flatMap((one) => Array<T>(COPIES).fill(one));
}

labTests('captures', (it) => {
  for (const path of PATHS) {
    it(`an execution whose COM_STMT_PREPARE may be any of three is not sent, by ${path}`, async (bed) => {
      const { log, summary, stdout } = await replayCase(bed, '01-pipelined-prepare-gap', path);
      assert.deepEqual(log.sort(), byCopies(['Prepare drop table c', 'Prepare insert into a values (1)']));
      assert.deepEqual([await rowsOf(bed, 'a'), await rowsOf(bed, 'c')], [[], []]);
      assert.deepEqual(summary.commands.skipped, { gap: COPIES, 'unknown-statement': 2 * COPIES });
      assert.deepEqual(summary.captured.coverage, { gaps: 1 });
      assert.match(stdout, /^Coverage +sessions: 1 gaps$/m);
    });

    it(`joined late, an answer taken for another's drops no table, by ${path}`, async (bed) => {
      const { log, summary } = await replayCase(bed, '02-late-burst-wrong-answer', path, {
        extra: ['--adopt', 'app/d'],
      });
      assert.deepEqual(log, byCopies(['Prepare drop table a']));
      assert.deepEqual(await rowsOf(bed, 'a'), []);
      assert.deepEqual(summary.commands.skipped, { gap: COPIES, 'unknown-statement': COPIES });
      assert.equal(summary.sessions.adopted, COPIES);
      assert.deepEqual(summary.captured.coverage, { 'joined-late': 1 });
    });

    it(`commands behind a gap that are longer than a segment, by ${path}`, async (bed) => {
      const { log, summary } = await replayCase(bed, '03-gap-then-big-commands', path, {
        columns: 'n INT, body TEXT',
      });
      const whole = [0, 2, 3, 4, 5, 6, 7];
      const sent = log.map((line) => /^Query insert into t values \((\d),'x+'\)$/.exec(line)?.[1] ?? line);
      assert.deepEqual(sent.sort(), byCopies(whole.map(String)));
      assert.deepEqual(await rowsOf(bed, 't'), byCopies(whole));
      assert.deepEqual(summary.commands.skipped, { gap: COPIES });
    });

    it(`what was captured before and after DNAT is carried out once, by ${path}`, async (bed) => {
      const { log, summary } = await replayCase(bed, '17-seen-twice-nat', path);
      assert.deepEqual(log, byCopies(['Query insert into t values (1)']));
      assert.deepEqual(await rowsOf(bed, 't'), byCopies([1]));
      assert.deepEqual([summary.divergence.error, summary.divergence.rows], [0, 0]);
      assert.deepEqual(summary.commands.skipped, {});
      assert.deepEqual(summary.captured.coverage, { whole: 1 });
    });
  }
});
