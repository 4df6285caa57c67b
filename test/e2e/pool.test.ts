/** Sessions over kept connections of a real server: what one leaves behind, the next does not find. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import type { Recorded } from '../../scripts/lab/path.ts';
import { startIntercept } from '../../scripts/lab/tape.ts';
import { EXIT } from '../../src/errors.ts';
import type { Summary } from '../../src/report/summary.ts';
import { certificate } from '../transport/certificate.ts';
import { commandObstacle } from './support/capability.ts';
import { assertAddsUp, labTests, PAIR, runSteps, type TestBed } from './support/path.ts';
import type { Step } from './support/steps.ts';

/** What COM_RESET_CONNECTION takes away … */
const LEAVES: readonly string[] = [
  'SET @x = 17, @y = 3',
  'SET NAMES latin1 COLLATE latin1_german1_ci',
  "SET sql_mode = 'ANSI', time_zone = '+05:00', sql_select_limit = 3, foreign_key_checks = 0, wait_timeout = 77",
  "SET tx_isolation = 'SERIALIZABLE', lc_messages = 'de_DE', max_statement_time = 100, rand_seed1 = 5, rand_seed2 = 7",
  'SET timestamp = 1000000, insert_id = 77, default_storage_engine = MyISAM',
  'CREATE TEMPORARY TABLE mine (i INT)',
  'CREATE TEMPORARY TABLE sbtest2 (i INT)',
  "SELECT GET_LOCK('pool', 1)",
  'HANDLER sbtest1 OPEN AS h',
  'SET autocommit = 0',
  "INSERT INTO sbtest1 (k, c, pad) VALUES (999999, 'left', 'open')",
  'SELECT SQL_CALC_FOUND_ROWS id FROM sbtest1 LIMIT 1',
  "SELECT CAST('abc' AS SIGNED), 1 / 0",
];

/** … of these, it takes what LOCK TABLES would keep the others from leaving. */
const LOCKS: readonly string[] = ['LOCK TABLES sbtest1 WRITE', "SELECT CAST('abc' AS SIGNED)"];

/** What only COM_CHANGE_USER takes away … */
const CHOOSES: readonly string[] = ['SET ROLE pool_role', "PREPARE p FROM 'SELECT 1'", 'USE sbtest2'];

/** … and what nothing does. */
const PROFILES: readonly string[] = ['SET profiling = 1', 'SELECT 1'];

/** Asks for all of it: the diagnostics first, which every statement changes. */
const ASKS: readonly string[] = [
  'SHOW WARNINGS',
  'SELECT ROW_COUNT()',
  'SELECT FOUND_ROWS()',
  'SELECT LAST_INSERT_ID()',
  'SELECT @x, @y',
  'SELECT @@character_set_client, @@character_set_connection, @@character_set_results, @@collation_connection',
  'SELECT @@sql_mode, @@time_zone, @@sql_select_limit, @@foreign_key_checks, @@wait_timeout, @@autocommit',
  'SELECT @@tx_isolation, @@lc_messages, @@max_statement_time, @@insert_id, @@default_storage_engine',
  'SELECT @@timestamp > 1e9, @@in_transaction',
  'SELECT DATABASE(), CURRENT_ROLE(), CURRENT_USER()',
  'SHOW PROFILES',
  'SELECT * FROM mine',
  'SELECT COUNT(*) FROM sbtest2',
  "SELECT IS_FREE_LOCK('pool')",
  'HANDLER h READ FIRST',
  'SELECT COUNT(*) FROM sbtest1 WHERE k = 999999',
  'SELECT COUNT(*) FROM information_schema.innodb_trx',
  "SHOW GLOBAL STATUS LIKE 'Prepared_stmt_count'",
];

/** Asks for what CHOOSES has left, by a statement that would be cleaned up behind by COM_CHANGE_USER, too. */
const ASKS_TOO: readonly string[] = [...ASKS, 'EXECUTE p'];

/** What the brands call otherwise; with MySQL on either side, by its names. */
const OTHERWISE: readonly [RegExp, string][] = [
  [/\btx_isolation/g, 'transaction_isolation'],
  [/\bmax_statement_time/g, 'max_execution_time'],
  [/, @@in_transaction/g, ''],
];

const isMysql = PAIR.online === 'mysql' || PAIR.target === 'mysql';

function spoken(text: string): string {
  return isMysql ? OTHERWISE.reduce((said, [what, by]) => said.replace(what, by), text) : text;
}

const queries = (texts: readonly string[]): Step[] => texts.map((text) => ({ query: spoken(text) }));
const LEFT_PREPARED: Step = { execute: 'SELECT k FROM sbtest1 WHERE id = ?', values: [7] };

async function makeRole({ online, target }: TestBed): Promise<void> {
  for (const server of [online, target]) {
    await server.sql('CREATE ROLE IF NOT EXISTS pool_role');
    await server.sql("GRANT pool_role TO 'app'@'%'");
  }
}

/** Sessions one after the other: each leaves something, and is followed by ones that ask, of both users and schemas. */
async function recordLeavers(bed: TestBed): Promise<Recorded> {
  await makeRole(bed);
  return bed.record(async () => {
    for (const leaves of [LEAVES, [...LEAVES, ...LOCKS], [...LEAVES, ...CHOOSES], PROFILES]) {
      await runSteps(bed.lab, { steps: [LEFT_PREPARED, ...queries(leaves)] });
      await runSteps(bed.lab, { steps: queries(leaves.includes(CHOOSES[0]) ? ASKS_TOO : ASKS) });
      await runSteps(bed.lab, { steps: queries(ASKS), schema: 'sbtest2' });
      await runSteps(bed.lab, { steps: queries(ASKS), user: 'sbtest' });
    }
    await runSteps(bed.lab, { steps: [...queries(CHOOSES), { changeUser: 'sbtest' }, ...queries(LEAVES)] });
    await runSteps(bed.lab, { steps: queries(ASKS) });
  });
}

type Divergence = Pick<Summary['divergence'], 'error' | 'rows' | 'data'>;

const ALIKE: Divergence = { error: 0, rows: 0, data: 0 };

/** Every session went as it was recorded, over so few connections, and nobody is left. */
function assertAlike(
  { sessions, commands, divergence, captured, copies }: Summary,
  expected: Divergence = ALIKE,
): void {
  assert.deepEqual([sessions.lost_by, sessions.skipped, sessions.reconnected], [{}, {}, 0]);
  assert.deepEqual(commands.lost, {});
  // One COM_QUIT each.
  assert.deepEqual(commands.skipped, { pooled: captured.sessions * copies });
  const { error, rows, data } = divergence;
  assert.deepEqual({ error, rows, data }, expected);
}

/**
 * What differs when each session has a connection of its own: nothing on a target of the recorded brand. Another brand words its
 * warnings and names its collations otherwise, and a pool must add nothing to that.
 */
async function unpooled(bed: TestBed, archive: string, extra: readonly string[] = []): Promise<Divergence> {
  if (PAIR.online === PAIR.target) return ALIKE;
  const replay = await bed.replayAnyhow({ path: 'socket', archive, extra });
  assert.equal(replay.code, EXIT.done, replay.stderr + replay.stdout);
  const { error, rows, data } = replay.summary().divergence;
  return { error, rows, data };
}

labTests('pool', (it) => {
  for (const path of ['socket', 'local'] as const) {
    for (const speed of ['1', 'max']) {
      it(`nothing leaks from one session to the next, at --speed ${speed}; by ${path}`, async (bed) => {
        const { archive, summary: recorded } = await recordLeavers(bed);
        const expected = await unpooled(bed, archive);
        let summary: Summary | undefined;
        const seen = await bed.counted(async () => {
          const replay = await bed.replayAnyhow({ path, archive, speed, extra: ['--pool', '1'] });
          assert.equal(replay.code, EXIT.done, replay.stderr + replay.stdout);
          summary = replay.summary();
        });
        assert.ok(summary?.pool !== undefined);
        assertAddsUp(summary);
        assertAlike(summary, expected);
        assert.equal(summary.pool.sessions, recorded.sessions);
        // One for each user; and PROFILES wears one out.
        assert.equal(summary.pool.connections, 3);
        // MySQL's reset sets the server's character set.
        assert.equal(summary.pool.resets > 0, PAIR.target !== 'mysql');
        assert.ok(summary.pool.changes > 0);
        assert.ok(seen.Connections <= summary.pool.connections, `${seen.Connections} connections`);
        await bed.assertNobodyOnTarget();
      });
    }
  }

  it('short sessions of several copies and threads share few connections, and wait for them', async (bed) => {
    const { archive, online } = await bed.recorded('reads', 'short');
    for (const path of ['socket', 'intercept'] as const) {
      let made = 0;
      const seen = await bed.counted(async () => {
        const intercept = path === 'intercept' ? await startIntercept(bed.lab, bed.files) : undefined;
        const replay = await bed.replayAnyhow({
          path,
          archive,
          copies: 3,
          speed: 'max',
          extra: ['--pool', '6', '-C', '2'],
        });
        await intercept?.stop();
        assert.equal(replay.code, EXIT.done, replay.stderr + replay.stdout);
        const summary = replay.summary();
        assertAddsUp(summary);
        assertAlike(summary);
        assert.equal(summary.pool?.sessions, 3 * online.Connections);
        made = summary.pool.connections;
        assert.ok(summary.pool.waited > 0 && summary.pool.wait_ms.max > 0);
      });
      // Clients of several kinds share the places of their user.
      assert.equal(seen.Connections, made);
      assert.ok(made < online.Connections / 2, `${made} connections made`);
      await bed.assertNobodyOnTarget();
    }
  });

  it(
    'in TLS, and of a plugin that asks anew each time',
    async (bed) => {
      const { key, cert } = certificate();
      const file = (name: string, text: string) => {
        const path = bed.fresh(name);
        writeFileSync(path, text);
        return path;
      };
      await bed.target.stop();
      await bed.target.start([`--ssl-cert=${file('cert', cert)}`, `--ssl-key=${file('key', key)}`]);
      await makeRole(bed);
      for (const statement of bed.target.brand.otherLogin('app', 'app-secret'))
        await bed.target.sql(statement);
      const { archive } = await bed.record(async () => {
        for (const leaves of [LEAVES, CHOOSES]) {
          await runSteps(bed.lab, { steps: queries(leaves) });
          await runSteps(bed.lab, { steps: queries(ASKS), schema: 'sbtest2' });
          await runSteps(bed.lab, { steps: [{ changeUser: 'sbtest' }, ...queries(ASKS)] });
        }
        await runSteps(bed.lab, { steps: queries(ASKS) });
      });
      const inTls = ['--target-tls', 'none'];
      const expected = await unpooled(bed, archive, inTls);
      const before = await bed.target.counters();
      const replay = await bed.replayAnyhow({ path: 'socket', archive, extra: ['--pool', '1', ...inTls] });
      assert.equal(replay.code, EXIT.done, replay.stderr + replay.stdout);
      const summary = replay.summary();
      assertAlike(summary, expected);
      assert.equal(summary.pool?.connections, 1);
      assert.ok(summary.pool.changes >= 4, JSON.stringify(summary.pool));
      const after = await bed.target.counters();
      // Beside the one that asks the target who it is.
      assert.ok(after.Ssl_finished_accepts - before.Ssl_finished_accepts <= 2);
      await bed.assertNobodyOnTarget();
    },
    commandObstacle('openssl'),
  );

  it('less than one connection a thread is refused', async (bed) => {
    const { archive } = await bed.recorded('reads');
    const replay = await bed.replayAnyhow({ path: 'socket', archive, extra: ['--pool', '2', '-C', '3'] });
    assert.equal(replay.code, EXIT.usage);
    assert.match(replay.stderr, /--pool 2 is less than -C 3/);
  });
});
