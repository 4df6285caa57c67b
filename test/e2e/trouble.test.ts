/** What goes wrong in the field: said in a sentence, ended by its own exit code, counted, and nothing left on the target. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { interceptArguments, replayArguments, startIntercept, tape } from '../../scripts/lab/tape.ts';
import { EXIT } from '../../src/errors.ts';
import { until } from '../support/until.ts';
import { assertAddsUp, labTests, UNASKED } from './support/path.ts';

labTests('trouble', (it) => {
  it('a key other than the one of the intercept is refused, by name', async (bed) => {
    const { archive } = await bed.recorded('reads');
    const intercept = await startIntercept(bed.lab, bed.files);
    const key = bed.fresh('key');
    writeFileSync(key, `${'ab'.repeat(32)}\n`, { mode: 0o600 });
    const counts = await bed.counted(async () => {
      const replay = await bed.replayAnyhow({ path: 'intercept', archive, files: { ...bed.files, key } });
      assert.equal(replay.code, EXIT.failed);
      assert.match(replay.stderr, /^mytape: [^\n]*key[^\n]*\n$/);
    });
    await intercept.stop();
    assert.equal(counts.Connections, 0);
  });

  it('a wrong password: every session is lost by auth, the run is not valid', async (bed) => {
    const { archive, online } = await bed.recorded('reads');
    const users = bed.fresh('users');
    writeFileSync(users, 'app: not-the-password\n', { mode: 0o600 });
    const replay = await bed.replayAnyhow({
      path: 'local',
      archive,
      speed: '4',
      files: { ...bed.files, users },
    });
    assert.equal(replay.code, EXIT.invalidRun, replay.stderr);
    const summary = replay.summary();
    assertAddsUp(summary);
    assert.equal(summary.verdict, 'invalid');
    assert.deepEqual(summary.sessions.lost_by, { auth: online.Connections });
    assert.deepEqual(summary.commands.lost, { auth: summary.captured.commands });
    await bed.assertNobodyOnTarget();
  });

  it('a target port where nobody listens: every session is lost by connect, at once', async (bed) => {
    const { archive, online } = await bed.recorded('reads');
    const args = replayArguments(bed.lab, 'local', archive, bed.files, [
      '--speed',
      'max',
      '--json',
      '--out',
      bed.fresh('run'),
      '--connect-timeout',
      '90s',
      UNASKED,
    ]);
    args[args.indexOf('-x') + 1] = `3307-${bed.lab.addresses.target}:3999`;
    const begun = performance.now();
    const replay = await tape(bed.lab, 'assistant', args);
    assert.ok(performance.now() - begun < 90_000);
    assert.equal(replay.code, EXIT.invalidRun, replay.stderr);
    const summary = JSON.parse(replay.stdout);
    assertAddsUp(summary);
    assert.deepEqual(summary.sessions.lost_by, { connect: online.Connections });
    assert.deepEqual(summary.commands.lost, { connect: summary.captured.commands });
  });

  it('the recorded server is refused as a target', async (bed) => {
    const { archive } = await bed.recorded('reads');
    const before = (await bed.online.counters()).Connections;
    const args = replayArguments(bed.lab, 'local', archive, bed.files, ['--out', bed.fresh('run')]);
    args[args.indexOf('-x') + 1] = `3307-${bed.lab.addresses.online}:3307`;
    const replay = await tape(bed.lab, 'assistant', args);
    assert.equal(replay.code, EXIT.refused);
    assert.match(replay.stderr, /10\.77\.0\.2:3307 is the server that .* was recorded from/);
    assert.equal((await bed.online.counters()).Connections, before);
  });

  for (const path of ['intercept', 'local'] as const) {
    it(`Ctrl-C in mid-run: what is under way ends, the summary is written and adds up; by ${path}`, async (bed) => {
      const { archive, online } = await bed.recorded('reads');
      const intercept = path === 'intercept' ? await startIntercept(bed.lab, bed.files) : undefined;
      let answered = 0;
      const counts = await bed.counted(async () => {
        const replay = await bed.replayUnderWay({ path, archive, connections: online.Connections });
        await sleep(500);
        process.kill(replay.pid, 'SIGINT');
        const { code, stderr } = await replay.ended;
        assert.equal(code, EXIT.interrupted, stderr);
        const summary = replay.summary();
        assertAddsUp(summary);
        assert.equal(summary.verdict, 'invalid');
        assert.equal(summary.sessions.lost_by.interrupted, online.Connections);
        await bed.assertNobodyOnTarget();
        answered = summary.commands.answered;
      });
      await intercept?.stop();
      assert.equal(answered, counts.Com_select, 'what the target did was answered');
      assert.ok(answered > 0 && answered < online.Com_select);
    });
  }

  it('intercept -d: returns when it listens, has a pid file and a log, and is stopped by kill', async (bed) => {
    const { archive, online } = await bed.recorded('reads');
    const pidFile = bed.fresh('pid');
    const logFile = bed.fresh('log');
    const files = ['--pid-file', pidFile, '--log-file', logFile];
    const start = () =>
      tape(bed.lab, 'assistant', [...interceptArguments(bed.lab, bed.files), '-d', ...files]);
    const started = await start();
    assert.equal(started.code, 0, started.stderr);
    const pid = Number(readFileSync(pidFile, 'utf8'));
    assert.match(started.stderr, new RegExp(`process ${pid}\\b`));
    assert.match(readFileSync(logFile, 'utf8'), /intercept listening on 10\.77\.0\.4:36525 \(TLS-PSK\)/);
    const counts = await bed.counted(async () => {
      const replay = await bed.replayAnyhow({ path: 'intercept', archive, speed: '4' });
      assert.equal(replay.code, 0, replay.stderr);
    });
    assert.deepEqual(counts, online);

    const second = await start();
    assert.equal(second.code, EXIT.failed, 'a second one on that port');
    assert.match(second.stderr, /^mytape: [^\n]*36525[^\n]*\n$/);
    assert.equal(Number(readFileSync(pidFile, 'utf8')), pid, 'the first one keeps its pid file');

    const stopped = await bed.lab.run('assistant', 'sh', ['-c', `kill $(cat ${pidFile})`]);
    assert.equal(stopped.code, 0, stopped.stderr);
    await until('it has ended', () => !existsSync(`/proc/${pid}`));
    assert.equal(existsSync(pidFile), false, 'and took its pid file along');
    assert.match(readFileSync(logFile, 'utf8'), /intercept stopped: [1-9]\d* packets seen, 0 dropped/);
  });

  it('an intercept that ends in mid-run: what was open is lost by relay, and the target keeps none of it', async (bed) => {
    const { archive, online } = await bed.recorded('reads');
    const intercept = await startIntercept(bed.lab, bed.files);
    const replay = await bed.replayUnderWay({ path: 'intercept', archive, connections: online.Connections });
    await intercept.stop();
    const { code, stderr } = await replay.ended;
    assert.equal(code, EXIT.invalidRun, stderr);
    const summary = replay.summary();
    assertAddsUp(summary);
    assert.deepEqual(summary.sessions.lost_by, { relay: online.Connections });
    await bed.assertNobodyOnTarget();
  });
});
