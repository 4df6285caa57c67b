/** A target that goes away, hangs or has no room: sessions go on where they can, and what they cannot is counted. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Recorded } from '../../scripts/lab/path.ts';
import { type ReplayPath, replayArguments, startIntercept, tape } from '../../scripts/lab/tape.ts';
import { EXIT } from '../../src/errors.ts';
import { until } from '../support/until.ts';
import { assertAddsUp, labTests, runSteps, type TestBed, UNASKED } from './support/path.ts';
import type { Step } from './support/steps.ts';

const CONNECTIONS = 6;

/** What a session sets up … */
const SETUP: readonly Step[] = [
  { query: 'SET NAMES utf8mb4' },
  { query: "SET SESSION sql_mode = 'ANSI_QUOTES,STRICT_ALL_TABLES'" },
  { query: "SET @x = 'seventeen', @y = 3" },
  { query: 'USE sbtest2' },
];

/** … and what only works where all of it is there: 6 s of it. */
const LOOK: readonly Step[] = Array.from({ length: 30 }, (): Step[] => [
  { query: 'SELECT @x, @y, DATABASE(), @@session.sql_mode, @@character_set_client' },
  { execute: 'SELECT k FROM sbtest1 WHERE id = ? AND @y = 3', values: [7] },
  { pauseMs: 200 },
]).flat();

async function recordSteps(bed: TestBed, steps: readonly Step[]): Promise<Recorded> {
  return bed.record(() => runSteps(bed.lab, { connections: CONNECTIONS, steps }));
}

/** The target is killed and started again, as its data is, while twice CONNECTIONS connections are open to it. */
async function killedInMidRun(bed: TestBed, path: ReplayPath, archive: string): Promise<void> {
  const replay = await bed.replayUnderWay({
    path,
    archive,
    copies: 2,
    connections: 2 * CONNECTIONS,
  });
  await sleep(1500);
  await bed.target.kill9();
  await bed.target.start();
  const { code, stderr } = await replay.ended;
  const summary = replay.summary();
  assertAddsUp(summary);
  const { sessions, commands, divergence } = summary;
  assert.equal(sessions.opened, 2 * CONNECTIONS, stderr);
  assert.equal(sessions.reconnected, 2 * CONNECTIONS);
  assert.deepEqual([sessions.lost_by, sessions.state_lost], [{}, {}]);
  // SET NAMES and the like, schema, and a statement.
  assert.equal(sessions.rebuild_commands, 2 * CONNECTIONS * 5);
  assert.deepEqual([divergence.error, divergence.rows, divergence.data], [0, 0, 0]);
  // What was under way at that moment, if anything was.
  const { reset = 0, ...others } = commands.lost;
  assert.deepEqual(others, {});
  assert.ok(reset <= 2 * CONNECTIONS);
  assert.equal(commands.answered, 2 * summary.captured.commands - reset);
  assert.equal(code, reset > 0 ? EXIT.invalidRun : EXIT.done);
  await bed.assertNobodyOnTarget();
}

labTests('reconnect', (it) => {
  for (const path of ['local', 'intercept'] as const) {
    it(`mariadbd killed and started again in mid-run: sessions go on with all that they had; by ${path}`, async (bed) => {
      const { archive } = await recordSteps(bed, [...SETUP, ...LOOK]);
      const intercept = path === 'intercept' ? await startIntercept(bed.lab, bed.files) : undefined;
      await killedInMidRun(bed, path, archive);
      await intercept?.stop();
    });
  }

  it('connections killed one by one: what cannot be set up again is counted by name', async (bed) => {
    const setup = [
      'CREATE TEMPORARY TABLE mine (i INT)',
      "SELECT GET_LOCK(CONCAT('a', CONNECTION_ID()), 1)",
      'SELECT 5 INTO @five',
      "PREPARE p FROM 'SELECT 1'",
      'START TRANSACTION',
      'SELECT COUNT(*) FROM sbtest1',
    ];
    const pause: Step[] = [{ query: 'SELECT 1' }, { pauseMs: 2500 }, { query: 'SELECT @five' }];
    const { archive } = await recordSteps(bed, [...setup.map((query) => ({ query })), ...pause]);
    const replay = await bed.replayUnderWay({ path: 'local', archive, connections: CONNECTIONS });
    await sleep(1000);
    for (const { Id } of await bed.target.processlist()) await bed.target.sql(`KILL ${Id}`);
    const { code, stderr } = await replay.ended;
    assert.equal(code, EXIT.invalidRun, stderr);
    const summary = replay.summary();
    assertAddsUp(summary);
    assert.deepEqual(summary.commands.lost, {});
    assert.equal(summary.sessions.reconnected, CONNECTIONS);
    const kinds = ['lock', 'prepared-in-sql', 'temporary-table', 'transaction', 'user-variable'];
    assert.deepEqual(
      summary.sessions.state_lost,
      Object.fromEntries(kinds.map((kind) => [kind, CONNECTIONS])),
    );
    // Here SELECT @five is told apart.
    assert.equal(summary.divergence.data, CONNECTIONS);
  });

  it('a server that hangs: what waits for it is lost by timeout, in the time that was said', async (bed) => {
    const { archive } = await recordSteps(bed, LOOK);
    const replay = await bed.replayUnderWay({
      path: 'local',
      archive,
      connections: CONNECTIONS,
      extra: ['--reply-timeout', '2s'],
    });
    // The target lists a connection before its login is done, and a login has a timeout of its own.
    await sleep(300);
    process.kill(bed.target.pid, 'SIGSTOP');
    const { code, stderr } = await replay.ended.finally(() => process.kill(bed.target.pid, 'SIGCONT'));
    assert.equal(code, EXIT.invalidRun, stderr);
    const summary = replay.summary();
    assertAddsUp(summary);
    assert.deepEqual(summary.sessions.lost_by, { timeout: CONNECTIONS });
    assert.ok(summary.elapsed_s < 8, `${summary.elapsed_s} s`);
    await bed.assertNobodyOnTarget();
  });

  it('a port that takes connections and never greets: told in words, lost by timeout', async (bed) => {
    const { archive, online } = await bed.recorded('reads');
    const listener = bed.lab.spawn('target', process.execPath, [
      '-e',
      "require('net').createServer(() => {}).listen(3999, '0.0.0.0', () => console.log('listening'))",
    ]);
    await new Promise((resolve) => listener.stdout?.once('data', resolve));
    try {
      const out = bed.fresh('run');
      const args = replayArguments(bed.lab, 'local', archive, bed.files, ['--json', '--out', out, UNASKED]);
      args[args.indexOf('-x') + 1] = `3307-${bed.lab.addresses.target}:3999`;
      const replay = await tape(bed.lab, 'assistant', [...args, '--connect-timeout', '5s']);
      assert.equal(replay.code, EXIT.invalidRun, replay.stderr);
      assert.match(replay.stderr, /no answer from \S+:3999 yet: .*greet/);
      assert.match(replay.stderr, /mytape doctor -x 3307-\S+:3999 --local --archive /);
      const summary = JSON.parse(replay.stdout);
      assertAddsUp(summary);
      assert.deepEqual(summary.sessions.lost_by, { timeout: online.Connections });
      assert.ok(summary.elapsed_s < 9, `${summary.elapsed_s} s`);
    } finally {
      listener.kill();
    }
  });

  it('no room in the listen queue for a while: sessions connect again, and nothing is lost', async (bed) => {
    const { archive, online } = await bed.recorded('reads');
    await bed.target.stop();
    await bed.target.start(['--back-log=1']);
    const before = await listenOverflows(bed);
    process.kill(bed.target.pid, 'SIGSTOP');
    const awake = until('the queue is full', async () => (await listenOverflows(bed)) > before).finally(() =>
      process.kill(bed.target.pid, 'SIGCONT'),
    );
    // With SYN cookies a connection whose last ACK found no room stands at this end only: nobody greets it.
    const replay = await bed.replayAnyhow({ path: 'local', archive, extra: ['--connect-timeout', '3s'] });
    await awake;
    const summary = replay.summary();
    assertAddsUp(summary);
    assert.deepEqual([summary.sessions.lost_by, summary.commands.lost], [{}, {}], replay.stderr);
    assert.equal(summary.sessions.completed, online.Connections);
    assert.equal(summary.sessions.reconnected, 0);
    await bed.target.stop();
    await bed.target.start();
  });
});

/** How many connections found no room in the accept queues of host target. */
async function listenOverflows(bed: TestBed): Promise<number> {
  const lines = await bed.lines('target', "grep '^TcpExt:' /proc/net/netstat");
  const [names, values] = lines.map((line) => line.split(' '));
  return Number(values[names.indexOf('ListenOverflows')]);
}
