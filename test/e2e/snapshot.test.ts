/** `record --snapshot-from` against real servers: what it learns of sessions that are older than the recording. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { Background } from '../../scripts/lab/background.ts';
import { Lab, type RunResult } from '../../scripts/lab/lab.ts';
import { CLIENT_ADDRESSES } from '../../scripts/lab/network.ts';
import { PORT, USERS } from '../../scripts/lab/server.ts';
import { CLI, type RecordSummary, tape } from '../../scripts/lab/tape.ts';
import { openArchive } from '../../src/archive/reader.ts';
import { readSnapshots, SNAPSHOTS_FILE } from '../../src/archive/snapshots.ts';
import { adoptionOf } from '../../src/replay/accounts/adoption.ts';
import { askSessions } from '../../src/snapshot/queries.ts';
import { until } from '../support/until.ts';
import { brandsObstacle } from './support/capability.ts';
import { PAIR, runSteps } from './support/path.ts';
import type { Step } from './support/steps.ts';

const CLIENTS = 3;
const VALUE = "it's é\\";
const LONG = `SELECT ? /* ${'long '.repeat(300)} */`;

const isMysql = PAIR.online === 'mysql';

/** For a node that takes its snapshots each half second instead of each minute. */
const HASTE = [
  '--import',
  `data:text/javascript,${encodeURIComponent(
    'const slow = setInterval; globalThis.setInterval = (f, ms) => slow(f, ms === 60000 ? 500 : ms)',
  )}`,
];

describe('record --snapshot-from', { skip: brandsObstacle(PAIR.online) ?? false }, () => {
  let lab: Lab;
  let names = 0;
  const fresh = (name: string) => join(lab.runFolder, `${++names}-${name}`);
  const online = () => lab.server('online');

  before(async () => {
    lab = await Lab.up({ name: 'mytape-e2e-snapshot', servers: ['online'], online: PAIR.online });
    await online().sql("CREATE USER monitor@'%' IDENTIFIED BY 'monitor-secret'");
    await online().sql("GRANT PROCESS ON *.* TO monitor@'%'");
    await online().sql("GRANT SELECT ON performance_schema.* TO monitor@'%'");
    await restart('ON');
  });
  after(() => lab?.down());

  async function restart(performanceSchema: 'ON' | 'OFF'): Promise<void> {
    await online().stop();
    await online().start([`--performance-schema=${performanceSchema}`]);
  }

  function recording(archive: string, password = 'monitor-secret', node: string[] = []): Promise<Background> {
    const file = fresh('password');
    writeFileSync(file, `${password}\n`, { mode: 0o600 });
    const server = `mysql://monitor@${lab.addresses.online}:${PORT}`;
    const from = ['--snapshot-from', server, '--password-file', file, ...online().brand.loginOptions];
    const args = ['record', '-i', 'eth0', '-p', String(PORT), '-o', archive, '--json', ...from];
    return Background.start(lab, 'online', [process.execPath, ...node, CLI, ...args], /recording/);
  }

  function lines(archive: string): number {
    const path = join(archive, SNAPSHOTS_FILE);
    return existsSync(path) ? readFileSync(path, 'latin1').split('\n').length - 1 : 0;
  }

  /** Sessions that are open, and stay so until the answer is called; that ends them. */
  async function openSessions(before: readonly Step[], then: readonly Step[]): Promise<() => Promise<void>> {
    const go = fresh('go');
    const steps: Step[] = [...before, { query: 'USE sbtest2' }, { untilFile: go }, ...then];
    const ended = runSteps(lab, { connections: CLIENTS, steps });
    // Its failure is for those who end them.
    ended.catch(() => {});
    await until('all sessions are open', async () => {
      const rows = await online().processlist();
      return rows.filter((row) => row.db === 'sbtest2' && row.Command === 'Sleep').length === CLIENTS;
    });
    return () => {
      writeFileSync(go, '');
      return ended;
    };
  }

  async function stopped(
    record: Background,
  ): Promise<RunResult & { summary: RecordSummary & { snapshots: number } }> {
    const result = await record.stop();
    assert.equal(result.code, 0, result.stderr);
    return { ...result, summary: JSON.parse(result.stdout) };
  }

  /** Statement ids of COM_STMT_EXECUTE by the client's port, as tshark sees its payloads. */
  async function executed(archive: string): Promise<Map<number, number[]>> {
    const file = fresh('whole.pcap');
    assert.equal((await tape(lab, 'online', ['export', archive, '-o', file])).code, 0);
    const fields = ['-T', 'fields', '-e', 'tcp.srcport', '-e', 'tcp.payload'];
    const filter = ['-Y', `tcp.dstport==${PORT} && tcp.len>9`];
    const { stdout } = await lab.run('online', 'tshark', ['-n', '-r', file, ...filter, ...fields]);
    const ids = new Map<number, number[]>();
    for (const line of stdout.trim().split('\n')) {
      const [port, hex] = line.split('\t');
      const payload = Buffer.from(hex.replaceAll(':', ''), 'hex');
      if (payload[4] !== 0x17) continue;
      ids.set(Number(port), [...(ids.get(Number(port)) ?? []), payload.readUInt32LE(5)]);
    }
    return ids;
  }

  test('sessions from before: user, schema, statements by the ids they execute, user variables', async () => {
    const short: Step = { execute: 'SELECT ? + 1', values: [1] };
    const long: Step = { execute: LONG, values: [1] };
    const end = await openSessions(
      [
        short,
        { query: `SET @text = '${VALUE.replaceAll("'", "''").replaceAll('\\', '\\\\')}', @n = 7` },
        long,
      ],
      [short, long],
    );
    const archive = fresh('tape');
    const record = await recording(archive);
    await until('a snapshot is there', () => lines(archive) > 0);
    await end();
    const { summary, stderr } = await stopped(record);
    assert.equal(summary.snapshots, 1);
    assert.equal(statSync(join(archive, SNAPSHOTS_FILE)).mode & 0o777, 0o600);
    if (isMysql) assert.doesNotMatch(stderr, /lack/);
    else assert.match(stderr, /lack variables_by_thread: /, 'which MariaDB has not');

    const [line] = readFileSync(join(archive, SNAPSHOTS_FILE), 'utf8').split('\n');
    const users = JSON.parse(line).sessions.map(({ user }: { user: string }) => user);
    assert.deepEqual(users, Array(CLIENTS).fill('app'), 'not monitor, who asks');
    const snapshots = readSnapshots(archive);
    const ids = await executed(archive);
    const opened = openArchive(archive);
    const sessions = [...opened.sessions()];
    opened.close();
    assert.equal(sessions.length, CLIENTS);
    for (const { client, clientPort, firstAt, coverage } of sessions) {
      assert.equal(coverage, 'joined-late');
      const found = snapshots.find(client, clientPort, firstAt);
      assert.ok(found, `${client}:${clientPort}`);
      assert.deepEqual([found.user, found.schema], ['app', 'sbtest2']);
      assert.ok(CLIENT_ADDRESSES.includes(found.host));
      const [shortId, longId] = ids.get(clientPort) ?? [];
      assert.deepEqual(found.statements, [
        { id: shortId, sql: 'SELECT ? + 1' },
        { id: longId, sql: undefined },
      ]);
      const adoption = adoptionOf(found);
      assert.deepEqual(adoption.statements, [{ id: shortId, sql: 'SELECT ? + 1' }]);
      for (const setting of adoption.settings) await online().sql(setting);
      const [row] = await online().sql('SELECT @text AS text, @n + 0 AS n');
      assert.deepEqual({ ...row }, { text: VALUE, n: 7 });
    }
  });

  test('a server that restarts is told of once when it is gone, and once when it is back', async () => {
    const end = await openSessions([{ execute: 'SELECT ? + 1', values: [1] }], []);
    const archive = fresh('tape');
    const record = await recording(archive, undefined, HASTE);
    await until('a snapshot is there', () => lines(archive) > 0);
    const earlier = readSnapshots(archive);
    assert.equal(
      JSON.parse(readFileSync(join(archive, SNAPSHOTS_FILE), 'utf8').split('\n')[0]).sessions.length,
      CLIENTS,
    );
    await online().stop();
    await end().catch(() => {});
    await sleep(1200);
    await online().start(['--performance-schema=ON']);
    const count = lines(archive);
    await until('snapshots go on', () => lines(archive) > count + 1);
    const { stderr } = await stopped(record);
    assert.equal(stderr.match(/cannot ask monitor@10\.77\.0\.2:3307 for its sessions/g)?.length, 1, stderr);
    assert.equal(stderr.match(/answers again/g)?.length, 1, stderr);
    assert.equal(stderr.match(/lack variables_by_thread/g)?.length, isMysql ? undefined : 1, stderr);
    const last = readSnapshots(archive);
    assert.ok(earlier.count < last.count);
    const all = readFileSync(join(archive, SNAPSHOTS_FILE), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.equal(all.flatMap((line) => line.gone ?? []).length, CLIENTS, 'those of before are gone');
  });

  test('killed while it records: what was written is there', async () => {
    const end = await openSessions([], []);
    const archive = fresh('tape');
    const record = await recording(archive);
    await until('a snapshot is there', () => lines(archive) > 0);
    assert.equal((await record.stop('SIGKILL')).code, 137);
    await end();
    assert.deepEqual([readSnapshots(archive).count, readSnapshots(archive).note], [1, undefined]);
  });

  test('a wrong password: the recording goes on without', async () => {
    const archive = fresh('tape');
    const record = await recording(archive, 'wrong-secret', HASTE);
    await runSteps(lab, { connections: 2, steps: [{ query: 'SELECT 1' }, { pauseMs: 1200 }] });
    const { summary, stderr } = await stopped(record);
    assert.equal(stderr.match(/cannot ask [^\n]*Access denied/g)?.length, 1, stderr);
    assert.deepEqual([summary.sessions, summary.snapshots], [2, 0]);
    assert.equal(existsSync(join(archive, SNAPSHOTS_FILE)), false);
  });

  test('a server that hangs holds up neither the recording nor its end', async () => {
    process.kill(online().pid, 'SIGSTOP');
    try {
      const archive = fresh('tape');
      const record = await recording(archive);
      await sleep(500);
      const { summary, stderr } = await stopped(record);
      assert.equal(summary.snapshots, 0);
      assert.doesNotMatch(stderr, /cannot ask/);
    } finally {
      process.kill(online().pid, 'SIGCONT');
    }
  });

  test('without performance_schema: user and schema, and what is lacking', async () => {
    await restart('OFF');
    try {
      const end = await openSessions([{ execute: 'SELECT ? + 1', values: [1] }], [{ query: 'SELECT 1' }]);
      const archive = fresh('tape');
      const record = await recording(archive, undefined, HASTE);
      await until('snapshots are there', () => lines(archive) > 2);
      await end();
      const { stderr } = await stopped(record);
      assert.equal(stderr.match(/lack performance_schema: it is OFF/g)?.length, 1, stderr);
      const snapshots = readSnapshots(archive);
      assert.equal(snapshots.lacks.size, 1);
      const opened = openArchive(archive);
      const [{ client, clientPort, firstAt }] = opened.sessions();
      opened.close();
      const found = snapshots.find(client, clientPort, firstAt);
      assert.deepEqual([found?.user, found?.schema, found?.statements], ['app', 'sbtest2', []]);
    } finally {
      await restart('ON');
    }
  });

  test('a password in the URL is refused before anything is made', async () => {
    const archive = fresh('tape');
    const url = `mysql://monitor:hunter2@${lab.addresses.online}:${PORT}`;
    const { code, stderr } = await tape(lab, 'online', [
      'record',
      '-i',
      'eth0',
      '-o',
      archive,
      '--snapshot-from',
      url,
    ]);
    assert.equal(code, 2);
    assert.match(stderr, /--password-file/);
    assert.doesNotMatch(stderr, /hunter2/);
    assert.equal(existsSync(archive), false);
  });
});

test("snapshots of MySQL 9: a session's statements, but PREPARE's, and its variables", {
  skip: brandsObstacle('mysql') ?? false,
}, async (t) => {
  const lab = await Lab.up({ name: 'mytape-e2e-snapshot9', servers: ['online'], online: 'mysql' });
  t.after(() => lab.down());
  const online = lab.server('online');
  await online.stop();
  await online.start(['--performance-schema=ON']);
  const socket = await createConnection({
    socketPath: online.socketPath,
    user: 'app',
    password: USERS.app,
    database: 'sbtest',
  });
  t.after(() => socket.destroy());
  const id = async () => (await socket.query<RowDataPacket[]>('SELECT CONNECTION_ID() AS id'))[0][0].id;
  const sql = 'SELECT ? + 1';
  await socket.execute(sql, [1]);
  await socket.query("PREPARE s FROM 'SELECT 5'");
  await socket.query("SET @a = 7, sql_mode = 'ANSI'");
  const mine = await id();
  const answered = await askSessions(async (asked) => {
    const rows = await online.sql(asked);
    if (!asked.includes('information_schema.PROCESSLIST')) return rows;
    // The session is one of the socket, which no snapshot is about.
    return [{ id: mine, user: 'app', host: '10.0.0.1:4000', db: 'sbtest' }];
  }, 'root');
  assert.deepEqual(answered.lacks, []);
  const [session] = answered.sessions;
  assert.deepEqual(
    session.statements.map((statement) => statement.sql),
    [sql],
  );
  assert.deepEqual(
    session.userVariables.map(([name]) => name),
    ['a'],
  );
  assert.ok(session.variables.some(([name, value]) => name === 'sql_mode' && value.includes('ANSI')));
});
