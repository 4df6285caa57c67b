/** What sessions can hold beside statements, recorded from real clients and replayed onto a real server. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { CLIENT_ADDRESSES } from '../../scripts/lab/network.ts';
import type { Recorded } from '../../scripts/lab/path.ts';
import { type ReplayPath, startIntercept } from '../../scripts/lab/tape.ts';
import { SnapshotWriter } from '../../src/archive/snapshot-writer.ts';
import type { Summary } from '../../src/report/summary.ts';
import { until } from '../support/until.ts';
import { commandObstacle } from './support/capability.ts';
import { killedSleepOf } from './support/differences.ts';
import { assertAddsUp, labTests, PAIR, runSteps, type TestBed } from './support/path.ts';

const READ = [{ query: 'SELECT c FROM sbtest1 WHERE id = 1' }, { query: 'SELECT 1' }];

/** Replays; nothing is lost or skipped, and all answers are as recorded, but for `expected`. */
async function replayAlike(
  bed: TestBed,
  { archive }: Recorded,
  path: ReplayPath = 'local',
  extra: readonly string[] = [],
  expected: { divergence?: Partial<Summary['divergence']>; users?: string } = {},
): Promise<Summary> {
  const files = { ...bed.files, ...(expected.users === undefined ? {} : { users: expected.users }) };
  const intercept = path === 'intercept' ? await startIntercept(bed.lab, bed.files) : undefined;
  const replay = await bed.replayAnyhow({ path, archive, extra, files });
  await intercept?.stop();
  const summary = replay.summary();
  assert.equal(replay.code, 0, `${replay.stderr}${replay.stdout}`);
  assert.deepEqual(
    { skipped: summary.sessions.skipped, lost: summary.sessions.lost_by },
    { skipped: {}, lost: {} },
  );
  assert.deepEqual(
    { skipped: summary.commands.skipped, lost: summary.commands.lost },
    { skipped: {}, lost: {} },
  );
  const { error, rows, data, unknown } = summary.divergence;
  assert.deepEqual(
    { error, rows, data, unknown },
    { error: 0, rows: 0, data: 0, unknown: 0, ...expected.divergence },
  );
  assertAddsUp(summary);
  await bed.assertNobodyOnTarget();
  return summary;
}

/** A self-made certificate in the lab's folder. */
function certificate(bed: TestBed): { key: string; certificate: string } {
  const key = join(bed.lab.runFolder, 'server.key');
  const path = join(bed.lab.runFolder, 'server.pem');
  const made = spawnSync('openssl', [
    ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=lab'],
    ...['-keyout', key, '-out', path],
  ]);
  assert.equal(made.status, 0, `openssl: ${made.stderr}`);
  return { key, certificate: path };
}

async function checksum(server: TestBed['online'], table: string): Promise<unknown> {
  const [row] = await server.sql(`CHECKSUM TABLE ${table}`);
  return row.Checksum;
}

/** Nobody waits it out: who sleeps is killed. */
const SLEEP_SEC = 120;

labTests('protocol', (it) => {
  for (const path of ['intercept', 'local', 'socket'] as const) {
    it(`compressed sessions, replayed without, by ${path}`, async (bed) => {
      const large = { query: 'SELECT id, c, pad FROM sbtest1 WHERE id < 400' };
      const steps = [...READ, large, { execute: 'SELECT c FROM sbtest1 WHERE id = ?', values: [3] }];
      const recorded = await bed.record(() =>
        runSteps(bed.lab, { steps, connections: 3, rounds: 2, compress: true }),
      );
      const summary = await replayAlike(bed, recorded, path);
      assert.equal(summary.commands.answered, summary.captured.commands);
      assert.ok(summary.captured.commands >= 3 * 2 * 4);
    });

    it(`COM_CHANGE_USER, and what the other user may see, by ${path}`, async (bed) => {
      const steps = [
        { query: 'SELECT CURRENT_USER(), @x := 5' },
        { execute: 'SELECT c FROM sbtest1 WHERE id = ?', values: [3] },
        { changeUser: 'sbtest' as const },
        { query: 'SELECT CURRENT_USER(), @x' },
        { changeUser: 'app' as const },
        { query: 'SELECT CURRENT_USER(), DATABASE()' },
      ];
      const recorded = await bed.record(() => runSteps(bed.lab, { steps, connections: 2 }));
      await replayAlike(bed, recorded, path);
    });
  }

  it('LOAD DATA LOCAL INFILE: the file goes again as it was recorded, to all copies', async (bed) => {
    const create = 'CREATE TABLE IF NOT EXISTS sbtest.loaded (n INT, text VARCHAR(100))';
    const lines = 20_000;
    const steps = [
      { query: create },
      { query: 'LOAD DATA LOCAL INFILE "a" INTO TABLE loaded', fileLines: lines },
      { query: 'LOAD DATA LOCAL INFILE "b" INTO TABLE loaded', fileLines: 0 },
      { query: 'SELECT COUNT(*), SUM(n) FROM loaded' },
    ];
    const recorded = await bed.record(() => runSteps(bed.lab, { steps }));
    await bed.restoreTarget();
    await replayAlike(bed, recorded);
    assert.equal(await checksum(bed.target, 'sbtest.loaded'), await checksum(bed.online, 'sbtest.loaded'));
    // A second copy loads as much once more, at the same time or after.
    const replay = await bed.replayAnyhow({ path: 'socket', archive: recorded.archive, copies: 2 });
    assert.equal(replay.summary().commands.answered, 2 * replay.summary().captured.commands);
    const [{ n }] = await bed.target.sql('SELECT COUNT(*) AS n FROM sbtest.loaded');
    assert.equal(n, 3 * lines);
  });

  for (const path of ['local', 'socket'] as const) {
    it(`KILL and KILL QUERY hit the connections that stand for those of the recording, by ${path}`, async (bed) => {
      const steps = [
        ...READ,
        { on: 0, step: { query: `SELECT SLEEP(${SLEEP_SEC})` } },
        { on: 1, step: { query: `SELECT SLEEP(${SLEEP_SEC})` } },
        { on: 2, step: { pauseMs: 700 } },
        { on: 2, step: { kill: 'QUERY' as const, connection: 0 } },
        { on: 2, step: { kill: 'CONNECTION' as const, connection: 1 } },
        { on: 0, step: { query: 'SELECT 2' } },
      ];
      const recorded = await bed.record(() => runSteps(bed.lab, { steps, connections: 3 }));
      const began = performance.now();
      const divergence = killedSleepOf(bed.online.brand, bed.target.brand);
      await replayAlike(bed, recorded, path, [], { divergence });
      assert.ok(performance.now() - began < SLEEP_SEC * 1000, 'a SLEEP was not killed');
    });
  }

  it('logins that failed fail again, by the same error', async (bed) => {
    const recorded = await bed.record(() =>
      Promise.all([
        runSteps(bed.lab, { steps: READ, connections: 2, password: 'no such password' }),
        runSteps(bed.lab, { steps: READ, connections: 1, password: '' }),
        runSteps(bed.lab, { steps: READ, connections: 2, schema: 'no_such_schema' }),
        runSteps(bed.lab, { steps: READ, connections: 1 }),
      ]),
    );
    const before = await bed.target.counters();
    const summary = await replayAlike(bed, recorded);
    assert.equal(summary.sessions.refused, 5);
    assert.equal(summary.sessions.completed, 6);
    const after = await bed.target.counters();
    assert.equal(after.Aborted_connects - before.Aborted_connects, 5);
    // Whom the target lets in though production had refused them is no success.
    const users = bed.fresh('users');
    writeFileSync(users, 'app: app-secret\nsbtest: sbtest-secret\n', { mode: 0o600 });
    await bed.target.sql('CREATE DATABASE no_such_schema');
    await bed.target.sql("GRANT ALL ON no_such_schema.* TO 'app'@'%'");
    const replay = await bed.replayAnyhow({ path: 'local', archive: recorded.archive });
    assert.deepEqual(replay.summary().sessions.lost_by, { 'login-diverged': 2 });
    assert.match(replay.stdout, /let in app, whom production had refused by error 10(44|49)/);
    await bed.target.sql('DROP DATABASE no_such_schema');
  });

  it(
    'TLS: with the key log sessions are replayed as any other, in TLS 1.3 and 1.2',
    async (bed) => {
      const { key, certificate: path } = certificate(bed);
      await bed.online.stop();
      await bed.online.start([`--ssl-cert=${path}`, `--ssl-key=${key}`]);
      const log = bed.fresh('keys');
      try {
        const tls = { steps: READ, connections: 2, tls: true };
        const recorded = await bed.record(async () => {
          await runSteps(bed.lab, { steps: READ, connections: 1 });
          for (const version of ['--tls-max-v1.3', '--tls-max-v1.2'])
            await runSteps(bed.lab, tls, 'online', [version, `--tls-keylog=${log}`]);
        });
        assert.match(readFileSync(log, 'utf8'), /CLIENT_RANDOM/);
        const summary = await replayAlike(bed, recorded, 'local', ['--keylog', log]);
        assert.equal(summary.sessions.completed, 5);
        const without = await bed.replayAnyhow({ path: 'local', archive: recorded.archive });
        assert.deepEqual(without.summary().sessions.skipped, { tls: 4 });
      } finally {
        await bed.online.stop();
        await bed.online.start();
      }
    },
    commandObstacle('openssl'),
  );

  it('sessions that began before the recording: adopted as one user, or by a snapshot', async (bed) => {
    await bed.online.stop();
    await bed.online.start(['--performance-schema=ON']);
    const record = async (extra: readonly string[]) => {
      const go = bed.fresh('go');
      const execute = { execute: 'SELECT c FROM sbtest1 WHERE id = ?', values: [5] };
      const before = [{ query: 'USE sbtest2' }, { query: 'SET @mark = 77' }, execute];
      const after = [...READ, { query: 'SELECT @mark, DATABASE()' }, execute, ...READ];
      const late = runSteps(bed.lab, {
        steps: [...before, { untilFile: go }, ...after],
        connections: 3,
        user: 'sbtest',
      });
      const areThere = async () => {
        const rows = await bed.online.processlist();
        return rows.length === 3 && rows.every(({ db, Command }) => db === 'sbtest2' && Command === 'Sleep');
      };
      await until('the clients are connected', areThere);
      await sleep(200);
      return bed.recordAnyhow(async () => {
        await sleep(500);
        writeFileSync(go, '');
        await late;
      }, extra);
    };
    try {
      const bare = await record([]);
      const skipped = await bed.replayAnyhow({ path: 'local', archive: bare.archive });
      assert.deepEqual(skipped.summary().sessions.skipped, { 'joined-late': 3 });
      const adopted = await bed.replayAnyhow({
        path: 'local',
        archive: bare.archive,
        extra: ['--adopt', 'sbtest/sbtest2'],
      });
      const { sessions, commands, divergence } = adopted.summary();
      assert.deepEqual({ adopted: sessions.adopted, skipped: sessions.skipped }, { adopted: 3, skipped: {} });
      // Neither the variable nor the statement is known.
      assert.deepEqual([divergence.data, divergence.error], [3, 0]);
      assert.deepEqual(commands.skipped, { 'unknown-statement': 3 });
      assert.doesNotMatch(adopted.stderr, /in any/, 'it has no snapshots');
      const writer = await SnapshotWriter.create(bare.archive);
      await writer.append({ at: 0, sessions: [], lacks: [] });
      await writer.close();
      const lacking = await bed.replayAnyhow({
        path: 'local',
        archive: bare.archive,
        extra: ['--adopt', 'sbtest/sbtest2'],
      });
      assert.match(
        lacking.stderr,
        /mytape: 3 commands skipped \(unknown-statement\): the recording has 1 snapshot and no prepared statement in any/,
      );
      assert.deepEqual(commands.lost, {});

      const pw = bed.fresh('root.pw');
      writeFileSync(pw, 'monitor-secret\n', { mode: 0o600 });
      await bed.online.sql("CREATE USER IF NOT EXISTS monitor@'%' IDENTIFIED BY 'monitor-secret'");
      await bed.online.sql("GRANT PROCESS ON *.* TO monitor@'%'");
      await bed.online.sql("GRANT SELECT ON performance_schema.* TO monitor@'%'");
      const url = `mysql://monitor@${bed.lab.addresses.online}:3307`;
      const login = ['--password-file', pw, ...bed.online.brand.loginOptions];
      const snapped = await record(['--snapshot-from', url, ...login]);
      const summary = await replayAlike(bed, snapped);
      assert.equal(summary.sessions.adopted, 3);
      assert.deepEqual(summary.sessions.state_lost, {});
    } finally {
      await bed.online.stop();
      await bed.online.start();
    }
  });

  it('everybody as one user; users and schemas of other names', async (bed) => {
    await bed.restoreTarget();
    await bed.target.sql('CREATE DATABASE clone');
    await bed.target.sql('CREATE TABLE clone.sbtest1 LIKE sbtest.sbtest1');
    await bed.target.sql('INSERT INTO clone.sbtest1 SELECT * FROM sbtest.sbtest1');
    await bed.target.sql("CREATE USER tester@'%' IDENTIFIED BY 'tester-secret'");
    await bed.target.sql("GRANT ALL ON clone.* TO tester@'%'");
    const steps = [
      ...READ,
      {
        query: 'SELECT DATABASE() IN ("sbtest", "clone"), sbtest1.k FROM sbtest.sbtest1 WHERE sbtest1.id = 9',
      },
      { execute: 'SELECT c FROM `sbtest`.sbtest1 WHERE id = ?', values: [4] },
      { query: 'USE sbtest' },
      { query: 'SELECT k FROM sbtest1 WHERE id = 10' },
    ];
    const recorded = await bed.record(() =>
      Promise.all([
        runSteps(bed.lab, { steps, connections: 2 }),
        runSteps(bed.lab, { steps, connections: 1, user: 'sbtest' }),
      ]),
    );
    const pw = bed.fresh('tester.pw');
    writeFileSync(pw, 'tester-secret\n', { mode: 0o600 });
    const schema = ['--remap-schema', 'sbtest=clone'];
    await replayAlike(bed, recorded, 'local', ['--as', 'tester', '--password-file', pw, ...schema]);
    const users = bed.fresh('users');
    writeFileSync(users, 'tester: tester-secret\n', { mode: 0o600 });
    const remap = ['--remap-user', 'app=tester', '--remap-user', 'sbtest=tester', ...schema];
    await replayAlike(bed, recorded, 'socket', remap, { users });
  });

  it('only some of the sessions: the others are filtered, and the target never sees them', async (bed) => {
    const recorded = await bed.record(() =>
      Promise.all([
        runSteps(bed.lab, { steps: READ, connections: 4 }),
        runSteps(bed.lab, { steps: READ, connections: 2, user: 'sbtest' }),
      ]),
    );
    const { archive } = recorded;
    const filtered = async (path: ReplayPath, extra: readonly string[]) => {
      const before = await bed.target.counters();
      const replay = await bed.replayAnyhow({ path, archive, extra });
      const { sessions } = replay.summary();
      assertAddsUp(replay.summary());
      const after = await bed.target.counters();
      assert.equal(after.Connections - before.Connections, sessions.completed);
      return { completed: sessions.completed, ...sessions.skipped };
    };
    const out = { completed: 4, filtered: 2 };
    assert.deepEqual(await filtered('local', ['--exclude-user', 'sbtest']), out);
    assert.deepEqual(await filtered('socket', ['-C', '2', '--exclude-user', 'sbtest']), out);
    assert.deepEqual(await filtered('local', ['--sessions', '0,3,5']), { completed: 3, filtered: 3 });
    const [client] = CLIENT_ADDRESSES;
    assert.deepEqual(await filtered('local', ['--include-client', client, '--include-user', 'app']), {
      completed: 1,
      filtered: 5,
    });
  });

  it('--pin-time: the same time, insert ids and random numbers in every replay', async (bed) => {
    const table =
      'CREATE TABLE sbtest.pinned (id INT AUTO_INCREMENT PRIMARY KEY, at DATETIME(6), stamp TIMESTAMP, r DOUBLE)';
    await bed.online.sql(table);
    const insert = 'INSERT INTO pinned (at, r) VALUES (NOW(6), RAND())';
    const steps = [
      { query: insert },
      { query: `${insert}, (NOW(6), RAND())` },
      { execute: 'INSERT INTO pinned (at, r) VALUES (NOW(6), ?)', values: [1] },
      { query: 'SELECT UNIX_TIMESTAMP(), RAND()' },
      { query: 'SELECT 1' },
    ];
    const recorded = await bed.record(() =>
      runSteps(bed.lab, { steps: [...steps, { pauseMs: 50 }], connections: 3, rounds: 4 }),
    );
    const checksums: unknown[] = [];
    for (const path of ['local', 'socket'] as const) {
      await bed.restoreTarget();
      await bed.target.sql(table);
      const { archive } = recorded;
      const replay = await bed.replayAnyhow({ path, archive, extra: ['--pin-time'], speed: 'max' });
      const { commands, sessions, captured } = replay.summary();
      assert.equal(commands.answered, captured.commands, JSON.stringify(commands));
      assert.equal(sessions.completed, 3);
      checksums.push(await checksum(bed.target, 'sbtest.pinned'));
    }
    assert.equal(checksums[0], checksums[1]);
    const rows = 'SELECT id, UNIX_TIMESTAMP(at) AS at FROM sbtest.pinned ORDER BY id';
    const [online, target] = await Promise.all([bed.online.sql(rows), bed.target.sql(rows)]);
    assert.deepEqual(
      target.map(({ id }) => id),
      online.map(({ id }) => id),
    );
    for (const [i, { at }] of target.entries())
      assert.ok(Math.abs(at - online[i].at) < 1, `${at} and ${online[i].at}`);
    await bed.online.sql('DROP TABLE sbtest.pinned');
  });

  it(
    '--pin-time: ids that are drawn after a bulk execution are those recorded',
    async (bed) => {
      const script = fileURLToPath(new URL('support/bulk-inserts.js', import.meta.url));
      const { archive } = await bed.record(async () => {
        const { code, stderr } = await bed.lab.run('client', process.execPath, [
          script,
          bed.lab.addresses.online,
        ]);
        assert.equal(code, 0, stderr);
      });
      await bed.restoreTarget();
      const replay = await bed.replayAnyhow({ path: 'socket', archive, extra: ['--pin-time'] });
      const { error, rows, data } = replay.summary().divergence;
      assert.deepEqual([error, rows, data], [0, 0, 0]);
    },
    Object.values(PAIR).includes('mysql') ? 'MySQL has no bulk execution' : undefined,
  );

  it(
    'a target whose users have another plugin; and over TLS, its certificate verified or not',
    async (bed) => {
      const { key, certificate: path } = certificate(bed);
      await bed.restoreTarget();
      await bed.target.stop();
      await bed.target.start([`--ssl-cert=${path}`, `--ssl-key=${key}`]);
      for (const statement of bed.target.brand.otherLogin('app', 'app-secret'))
        await bed.target.sql(statement);
      const steps = [...READ, { changeUser: 'sbtest' as const }, ...READ, { changeUser: 'app' as const }];
      const recorded = await bed.record(() => runSteps(bed.lab, { steps, connections: 3 }));
      await replayAlike(bed, recorded, 'intercept');
      const before = await bed.target.counters();
      await replayAlike(bed, recorded, 'socket', ['--target-tls', 'none']);
      await replayAlike(bed, recorded, 'socket', ['--target-tls', '--target-ca', path]);
      const after = await bed.target.counters();
      assert.equal(after.Ssl_finished_accepts - before.Ssl_finished_accepts, 6);
      const unknown = await bed.replayAnyhow({
        path: 'socket',
        archive: recorded.archive,
        extra: ['--target-tls', 'ca'],
      });
      assert.equal(unknown.code, 5);
      assert.equal(unknown.summary().sessions.lost, 3);
      assert.match(unknown.stdout, /certificate/i);
    },
    commandObstacle('openssl'),
  );
});
