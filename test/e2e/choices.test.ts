/** Which commands, sessions and copies a replay is to have, and under which names: what the target does then, and nothing else. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { CLIENT_ADDRESSES } from '../../scripts/lab/network.ts';
import { makeStart, type Recorded } from '../../scripts/lab/path.ts';
import type { Server } from '../../scripts/lab/server.ts';
import { EXIT } from '../../src/errors.ts';
import type { Summary } from '../../src/report/summary.ts';
import { digestOf } from '../sql/support/digests.ts';
import {
  countMix,
  GROUPS,
  type MixStep,
  noteProcedure,
  prepareMix,
  runMix,
  SESSIONS,
} from './support/choice-mix.ts';
import { mirrored } from './support/mirrored.ts';
import { assertAddsUp, labTests, type ReplayOptions, type TestBed } from './support/path.ts';

const WRITES = countMix(({ kind }) => kind === 'write');
/** With each session's COM_QUIT. */
const ALL = countMix(() => true) + SESSIONS;

/** What of a server's work changes something. */
const CHANGES = [
  'Com_insert',
  'Com_insert_select',
  'Com_update',
  'Com_delete',
  'Com_call_procedure',
  'Com_create_table',
  'Com_create_temporary_table',
  'Com_drop_temporary_table',
] as const;

const TABLES = ['sbtest1', 'ledger'] as const;

/** The one recording that the tests share. */
let made: Promise<Recorded> | undefined;

function mix(bed: TestBed): Promise<Recorded> {
  made ??= (async () => {
    await prepareMix(bed.online);
    await makeStart(bed.lab);
    return bed.record(() => runMix(bed));
  })();
  return made;
}

async function changesOf(server: Server): Promise<number[]> {
  const all = await server.counters();
  return CHANGES.map((name) => all[name]);
}

/** Of each table in these schemas. */
async function checksums(server: Server, schemas: readonly string[]): Promise<unknown[]> {
  const names = schemas.flatMap((schema) => TABLES.map((table) => `${schema}.${table}`));
  const rows = await server.sql(`CHECKSUM TABLE ${names.join(', ')}`);
  return rows.map(({ Checksum }) => Checksum);
}

const SCHEMAS = GROUPS.map(({ schema }) => schema);

interface Chosen {
  summary: Summary;
  stderr: string;
  /** What of CHANGES the target did. */
  changes: number[];
}

/** Replays onto target as it is; everything adds up, nothing is lost, nobody is left. */
async function choose(
  bed: TestBed,
  extra: readonly string[],
  options?: Partial<ReplayOptions>,
): Promise<Chosen> {
  const { archive } = await mix(bed);
  const before = await changesOf(bed.target);
  const replay = await bed.replayAnyhow({ path: 'socket', archive, extra, ...options });
  assert.equal(replay.code, EXIT.done, replay.stderr + replay.stdout);
  const summary = replay.summary();
  assertAddsUp(summary);
  assert.deepEqual([summary.sessions.lost_by, summary.commands.lost], [{}, {}]);
  await bed.assertNobodyOnTarget();
  const after = await changesOf(bed.target);
  return { summary, stderr: replay.stderr, changes: after.map((count, i) => count - before[i]) };
}

const NOTHING = CHANGES.map(() => 0);

/** Answers that differ from the recorded ones where nothing is written. */
const UNWRITTEN = {
  error: countMix(({ unwritten }) => unwritten === 'error'),
  rows: 0,
  data: countMix(({ unwritten }) => unwritten === 'data'),
};

function differing({ divergence: { error, rows, data } }: Summary): typeof UNWRITTEN {
  return { error, rows, data };
}

labTests('choices', (it) => {
  it('all of it: every answer, and every row, is as recorded', async (bed) => {
    const { online } = await mix(bed);
    await bed.restoreTarget();
    const { summary, changes } = await choose(bed, []);
    assert.equal(online.Connections, SESSIONS);
    assert.equal(summary.captured.commands, ALL);
    assert.deepEqual(differing(summary), { error: 0, rows: 0, data: 0 });
    assert.deepEqual(summary.commands.skipped, {});
    assert.ok(changes.every((count) => count > 0 || count === 0) && changes[0] > 0);
    assert.deepEqual(await checksums(bed.target, SCHEMAS), await checksums(bed.online, SCHEMAS));
  });

  for (const path of ['socket', 'local'] as const) {
    it(`--read-only: the target's data stays as it is; by ${path}`, async (bed) => {
      await mix(bed);
      await bed.restoreTarget();
      const before = await checksums(bed.target, SCHEMAS);
      const { summary, changes } = await choose(bed, ['--read-only', '-C', '2'], { path, copies: 2 });
      assert.deepEqual(changes, NOTHING);
      assert.deepEqual(await checksums(bed.target, SCHEMAS), before);
      assert.deepEqual(summary.commands.skipped, { 'read-only': 2 * WRITES });
      assert.equal(summary.commands.answered, 2 * (ALL - WRITES));
      const { error, data } = UNWRITTEN;
      assert.deepEqual(differing(summary), { error: 2 * error, rows: 2 * data, data: 0 });
    });
  }

  it('--writes first: three copies read, and rows are written once; in two threads', async (bed) => {
    await mix(bed);
    await bed.restoreTarget();
    const { summary, changes } = await choose(bed, ['--writes', 'first', '-C', '2'], { copies: 3 });
    assert.deepEqual(summary.commands.skipped, { writes: 2 * WRITES });
    assert.equal(summary.commands.answered, 3 * ALL - 2 * WRITES);
    // No copy but the first has its own temporary table.
    assert.equal(summary.divergence.error, 2 * UNWRITTEN.error);
    assert.deepEqual(await checksums(bed.target, SCHEMAS), await checksums(bed.online, SCHEMAS));
    await bed.restoreTarget();
    const once = await choose(bed, []);
    assert.deepEqual(changes, once.changes);
  });

  it('--writes none: nobody writes', async (bed) => {
    await mix(bed);
    await bed.restoreTarget();
    const { summary, changes } = await choose(bed, ['--writes', 'none', '-C', '2'], {
      copies: 2,
      speed: 'max',
    });
    assert.deepEqual(changes, NOTHING);
    assert.deepEqual(summary.commands.skipped, { writes: 2 * WRITES });
  });

  for (const path of ['socket', 'local'] as const) {
    it(`--schema-per-copy: each copy's schemas end as online's; with --remap-schema; by ${path}`, async (bed) => {
      await mix(bed);
      await bed.restoreTarget();
      const before = await checksums(bed.target, SCHEMAS);
      const recorded = { sbtest: 'shop', sbtest2: 'sbtest2' };
      for (const copy of [1, 2, 3]) {
        for (const schema of SCHEMAS) await cloneSchema(bed.target, schema, `${recorded[schema]}_${copy}`);
      }
      const extra = ['--schema-per-copy', '{schema}_{copy}', '--remap-schema', 'sbtest=shop', '-C', '2'];
      const { summary } = await choose(bed, extra, { path, copies: 3 });
      assert.deepEqual(summary.commands.skipped, {});
      assert.equal(summary.commands.answered, 3 * ALL);
      assert.deepEqual(differing(summary), { error: 0, rows: 0, data: 0 });
      const online = await checksums(bed.online, SCHEMAS);
      for (const copy of [1, 2, 3]) {
        const schemas = SCHEMAS.map((schema) => `${recorded[schema]}_${copy}`);
        assert.deepEqual(await checksums(bed.target, schemas), online, `copy ${copy}`);
      }
      assert.deepEqual(await checksums(bed.target, SCHEMAS), before);
    });
  }

  it('--include-sql, --exclude-sql: by the text, prepared statements as a whole', async (bed) => {
    await mix(bed);
    await bed.restoreTarget();
    const left = async (extra: readonly string[], isLeft: (step: MixStep) => boolean) => {
      const { summary } = await choose(bed, extra);
      assert.deepEqual(
        summary.commands.skipped,
        { filtered: countMix((step) => !isLeft(step)) },
        extra.join(' '),
      );
    };
    const isK = ({ text }: MixStep) => /select k/i.test(text);
    await left(['--include-sql', 'select k'], (step) => step.kind === 'session' || isK(step));
    await left(
      ['--exclude-sql', 'LEDGER', '--exclude-sql', '^call'],
      ({ text }) => !/ledger|^call/i.test(text),
    );
    await left(['--include-sql', 'select', '--exclude-sql', 'own'], (step) => {
      return !/own/.test(step.text) && (step.kind === 'session' || /select/i.test(step.text));
    });
  });

  it('--include-digest, --exclude-digest: whatever the literals, text or prepared', async (bed) => {
    await mix(bed);
    await bed.restoreTarget();
    const digest = (text: string) => digestOf(Buffer.from(text), 0, text.length);
    const isLookup = ({ text }: MixStep) => /^SELECT k FROM sbtest1 WHERE/.test(text);
    const included = await choose(bed, ['--include-digest', digest('SELECT k FROM sbtest1 WHERE id = 99')]);
    assert.deepEqual(included.summary.commands.skipped, {
      filtered: countMix((step) => step.kind !== 'session' && !isLookup(step)),
    });
    const begin = digest('DELETE FROM ledger WHERE id = 5').slice(0, 8).toUpperCase();
    const excluded = await choose(bed, [
      '--read-only',
      '--exclude-digest',
      begin,
      '--exclude-digest',
      digest('BEGIN'),
    ]);
    assert.deepEqual(excluded.summary.commands.skipped, {
      filtered: countMix(({ text }) => /^(DELETE|BEGIN)/.test(text)),
      'read-only': WRITES - countMix(({ text }) => text.startsWith('DELETE')),
    });
  });

  it('sessions by user, schema, client, number and part', async (bed) => {
    await mix(bed);
    const completed = async (extra: readonly string[]) => {
      const { summary } = await choose(bed, ['--read-only', ...extra], { speed: 'max', copies: 2 });
      const { sessions } = summary;
      assert.equal(sessions.completed / 2 + (sessions.skipped.filtered ?? 0) / 2, SESSIONS);
      return sessions.completed / 2;
    };
    const [app, other] = GROUPS;
    assert.equal(await completed(['--include-user', 'app', '-C', '2']), app.sessions);
    assert.equal(await completed(['--include-schema', 'sbtest2']), other.sessions);
    assert.equal(
      await completed(['--exclude-schema', 'sbtest2', '--exclude-client', CLIENT_ADDRESSES[0]]),
      app.sessions - 1,
    );
    assert.equal(await completed(['--include-client', `${CLIENT_ADDRESSES[0]}/31`]), 4);
    assert.equal(await completed(['--sessions', '0,4', '--sessions', '2']), 3);
    const sampled = await completed(['--sample', '80%']);
    assert.ok(sampled > 0 && sampled < SESSIONS, `${sampled} sessions`);
    assert.equal(await completed(['--sample', '80%', '-C', '2']), sampled);
    // Two hosts, of as many threads as they like.
    const first = await completed(['--share', '1/2', '--sample', '80%', '-C', '2']);
    assert.equal(first + (await completed(['--share', '2/2', '--sample', '80%'])), sampled);
  });

  it('--rewrite: the target gets the other text, of prepared statements too; a rule that matches nothing is named', async (bed) => {
    await mix(bed);
    await bed.restoreTarget();
    const rules = bed.fresh('rules');
    const lines = [
      '# what the upgrade is to try',
      's/^SELECT k, c FROM sbtest1 WHERE id = 7$/SELECT k, c FROM sbtest1 FORCE INDEX (PRIMARY) WHERE id = 7/',
      's/SELECT k FROM sbtest1 WHERE id = \\?/SELECT k FROM sbtest1 WHERE id = ? + 0/',
      's/no_such_table/another/',
    ];
    writeFileSync(rules, `${lines.join('\n')}\n`);
    await bed.target.sql("SET GLOBAL log_output = 'TABLE'");
    await bed.target.sql('SET GLOBAL general_log = 1');
    const { summary, stderr } = await choose(bed, ['--rewrite', rules]);
    await bed.target.sql('SET GLOBAL general_log = 0');
    const log = await bed.target.sql(
      "SELECT command_type AS type, CONVERT(argument USING utf8mb4) AS text FROM mysql.general_log WHERE command_type IN ('Query', 'Prepare')",
    );
    const times = (type: string, text: string) =>
      log.filter((row) => row.type === type && row.text === text).length;
    assert.equal(times('Query', 'SELECT k, c FROM sbtest1 FORCE INDEX (PRIMARY) WHERE id = 7'), SESSIONS);
    assert.equal(times('Query', 'SELECT k, c FROM sbtest1 WHERE id = 7'), 0);
    assert.equal(times('Prepare', 'SELECT k FROM sbtest1 WHERE id = ? + 0'), SESSIONS);
    assert.equal(times('Prepare', 'SELECT k FROM sbtest1 WHERE id = ?'), 0);
    assert.match(stderr, /no statement matched .*rules:4 s\/no_such_table\/another\//);
    assert.doesNotMatch(stderr, /rules:[23]/);
    assert.equal(summary.commands.answered, ALL);
    // It asks for the same rows.
    assert.deepEqual(differing(summary), { error: 0, rows: 0, data: 0 });
  });

  it('short of connections, and with a pool of few: the choice is the same', async (bed) => {
    await mix(bed);
    await bed.restoreTarget();
    const before = await checksums(bed.target, SCHEMAS);
    const few = ['--read-only', '--max-connections', '20', '--connect-rate', '200/s'];
    const admitted = await choose(bed, few, { path: 'local', copies: 10 });
    assert.deepEqual(admitted.summary.commands.skipped, { 'read-only': 10 * WRITES });
    // Fifty at once, two hundred a second.
    assert.ok(admitted.summary.admission.wait_ms.max > 80, JSON.stringify(admitted.summary.admission));
    const pooled = await choose(bed, ['--read-only', '--pool', '4'], { copies: 10 });
    assert.deepEqual(pooled.summary.commands.skipped, { 'read-only': 10 * WRITES, pooled: 10 * SESSIONS });
    assert.equal(pooled.summary.divergence.error, 10 * UNWRITTEN.error);
    assert.ok((pooled.summary.pool?.connections ?? 0) <= 8);
    assert.deepEqual(await checksums(bed.target, SCHEMAS), before);
  });

  it('mirror --read-only, and --writes first with two copies', async (bed) => {
    await mix(bed);
    const live = async (extra: readonly string[]) => {
      // What the clients of before have written would be in the way of the next.
      for (const schema of SCHEMAS) await bed.online.sql(`DELETE FROM ${schema}.ledger`);
      await bed.restoreTarget();
      const before = await changesOf(bed.target);
      const args = ['--transport', 'socket', '-C', '2', ...extra];
      const run = await mirrored(bed, { copies: 2, args, workload: () => runMix(bed) });
      assert.equal(run.code, EXIT.done, run.stderr);
      assertAddsUp(run.summary);
      assert.equal(run.summary.captured.commands, ALL);
      assert.deepEqual(run.summary.commands.lost, {});
      const after = await changesOf(bed.target);
      return { ...run, changes: after.map((count, i) => count - before[i]) };
    };
    const readOnly = await live(['--read-only']);
    assert.deepEqual(readOnly.summary.commands.skipped, { 'read-only': 2 * WRITES });
    assert.deepEqual(readOnly.changes, NOTHING);
    const first = await live(['--writes', 'first']);
    assert.deepEqual(first.summary.commands.skipped, { writes: WRITES });
    assert.deepEqual(await checksums(bed.target, SCHEMAS), await checksums(bed.online, SCHEMAS));
  });
});

/** A copy of a schema of the mix, that its users may use. */
async function cloneSchema(server: Server, from: string, to: string): Promise<void> {
  await server.sql(`CREATE DATABASE ${to}`);
  for (const table of TABLES) {
    await server.sql(`CREATE TABLE ${to}.${table} LIKE ${from}.${table}`);
    await server.sql(`INSERT INTO ${to}.${table} SELECT * FROM ${from}.${table}`);
  }
  await server.sql(noteProcedure(to));
  for (const { user } of GROUPS) await server.sql(`GRANT ALL ON ${to}.* TO '${user}'@'%'`);
}
