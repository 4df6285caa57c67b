/** A run that is changed while it runs, stopped, killed, and resumed. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { collect, type RunResult } from '../../scripts/lab/lab.ts';
import { CLI, type ReplayPath, replayHost, startIntercept } from '../../scripts/lab/tape.ts';
import { EXIT } from '../../src/errors.ts';
import { type CheckpointFile, checkpointPath, logPath } from '../../src/run/checkpoint/file.ts';
import type { RunStatus } from '../../src/run/control/control.ts';
import { until } from '../support/until.ts';
import { commandObstacle } from './support/capability.ts';
import { assertAddsUp, labTests, type ReplayOptions, readSummary, type TestBed } from './support/path.ts';
import { clearVisits, makeVisits, type VisitPlan, visitsOn } from './support/visits.ts';

const PLAN: VisitPlan = { sessions: 60, steps: 8, everyMs: 60, stepMs: 80 };

interface UnderWay {
  out: string;
  pid: number;
  ended: Promise<RunResult>;
}

/** Starts a command of mytape's on the host of such a replay. */
function start(bed: TestBed, path: ReplayPath, args: readonly string[]): Omit<UnderWay, 'out'> {
  const child = bed.lab.spawn(replayHost(path), process.execPath, [CLI, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return { pid: child.pid as number, ended: collect(child) };
}

function startReplay(bed: TestBed, options: ReplayOptions & { archive: string }): UnderWay {
  const { args, out } = bed.replayCommand(options);
  return { ...start(bed, options.path, args), out };
}

function mytape(bed: TestBed, path: ReplayPath, args: readonly string[]): Promise<RunResult> {
  return start(bed, path, args).ended;
}

async function ctl(bed: TestBed, path: ReplayPath, out: string, ...what: string[]): Promise<RunStatus> {
  const result = await mytape(bed, path, ['ctl', out, ...what, '--json']);
  assert.equal(result.code, 0, result.stderr);
  return JSON.parse(result.stdout) as RunStatus;
}

async function visits(bed: TestBed): Promise<number> {
  return (await visitsOn(bed)).reduce((sum, { n }) => sum + n, 0);
}

async function visited(bed: TestBed, least: number): Promise<void> {
  await until(`${least} visits on target`, async () => (await visits(bed)) >= least);
}

/** Sessions of which each of `copies` has taken its last step, copies counted. */
async function sessionsOver(bed: TestBed, copies: number): Promise<number> {
  const last = (await visitsOn(bed)).filter(({ step }) => step === PLAN.steps - 1);
  return copies * last.filter(({ n }) => n === copies).length;
}

function visitTape(bed: TestBed, plan = PLAN): string {
  const archive = bed.fresh('visits.tape');
  makeVisits(archive, plan);
  return archive;
}

labTests('control', (it) => {
  for (const path of ['socket', 'intercept'] as const) {
    it(`what was killed again and again is resumed to its end, and nothing is begun twice; by ${path}`, async (bed) => {
      const archive = visitTape(bed);
      await clearVisits(bed);
      const intercept = path === 'intercept' ? await startIntercept(bed.lab, bed.files) : undefined;
      const extra = ['-C', '2'];
      const resume = (out: string) => ['replay', '--resume', out];
      const seen = await bed.counted(async () => {
        const run = startReplay(bed, { path, archive, copies: 2, extra });
        const { out } = run;
        await visited(bed, 150);
        process.kill(run.pid, 'SIGKILL');
        await run.ended;
        assert.match(
          (await mytape(bed, path, ['ctl', out, 'status'])).stderr,
          /was stopped or killed: mytape replay --resume/,
        );
        const before = await visits(bed);
        const again = start(bed, path, resume(out));
        await visited(bed, before + 150);
        const ended = await sessionsOver(bed, 2);
        await visited(bed, before + 200);
        process.kill(again.pid, 'SIGKILL');
        await again.ended;
        const last = await mytape(bed, path, resume(out));
        assert.equal(last.code, EXIT.invalidRun, last.stderr);

        const summary = readSummary(out);
        assertAddsUp(summary);
        const { sessions, steps } = PLAN;
        assert.deepEqual(summary.captured.sessions, sessions);
        // With a COM_QUIT each.
        assert.deepEqual(summary.captured.commands, sessions * (steps + 1));
        assert.equal(summary.sessions.scheduled, sessions * 2);
        assert.deepEqual(Object.keys(summary.sessions.lost_by), ['interrupted']);
        assert.deepEqual(Object.keys(summary.commands.lost), ['interrupted']);
        assert.equal(summary.commands.lost.interrupted, summary.sessions.lost * (steps + 1));
        assert.ok(ended > 0);
        assert.ok(summary.sessions.lost <= 2 * sessions - ended, 'sessions that were over were lost again');
        assert.equal(summary.resumed, 2);
        assert.ok(summary.sessions.opened >= summary.sessions.completed, 'more complete than opened');
        assert.ok(summary.sessions.opened <= summary.sessions.scheduled);
        assert.ok(
          !readdirSync(out).some((name) => /^(checkpoint|sessions)-/.test(name)),
          'checkpoints are left',
        );
        const twice = (await visitsOn(bed)).filter(({ n }) => n > 2);
        assert.deepEqual(twice, [], 'visits of more than each of two copies');
        const firsts = (await visitsOn(bed)).filter(({ step }) => step === 0).length;
        assert.ok(firsts > sessions - 8, `${firsts} of ${sessions} sessions came`);
        const over = await mytape(bed, path, resume(out));
        assert.equal(over.code, EXIT.usage);
        assert.match(over.stderr, /came to its end: nothing is left to resume/);
      });
      // A session begun is one connection, or none where the kill came first.
      assert.ok(seen.Connections <= PLAN.sessions * 2, `${seen.Connections} connections`);
      // What was killed leaves its connections to the kernel, or to the intercept.
      await bed.assertNobodyOnTarget(15_000);
      await intercept?.stop();
    });
  }

  it('whose log is shorter than its checkpoint loses by name what it may have sent, and sends none of it twice', async (bed) => {
    const archive = visitTape(bed);
    await clearVisits(bed);
    const run = startReplay(bed, { path: 'socket', archive, extra: ['-C', '2'] });
    const { out } = run;
    await visited(bed, 150);
    process.kill(run.pid, 'SIGKILL');
    await run.ended;
    for (const share of [0, 1]) {
      const { holds } = JSON.parse(readFileSync(checkpointPath(out, share), 'utf8')) as {
        holds: CheckpointFile;
      };
      truncateSync(logPath(out, share, 0), Math.floor(holds.logOctets / 2));
    }
    const last = await mytape(bed, 'socket', ['replay', '--resume', out]);
    assert.equal(last.code, EXIT.invalidRun, last.stderr);
    assert.match(
      last.stderr,
      /sessions-[01]\.0\.log ends at octet \d+, and its checkpoint names \d+ octets\. Sessions up to/,
    );
    const summary = readSummary(out);
    assertAddsUp(summary);
    assert.equal(summary.captured.sessions, PLAN.sessions);
    assert.ok(summary.sessions.lost_by['unknown-after-crash'] > 0);
    assert.ok(summary.reasons.some((reason) => /were lost: unknown-after-crash/.test(reason)));
    assert.deepEqual(
      (await visitsOn(bed)).filter(({ n }) => n > 1),
      [],
    );
    await bed.assertNobodyOnTarget();
  });

  it('a run is asked, paused, sped up and stopped by ctl, and then resumed', async (bed) => {
    const archive = visitTape(bed);
    await clearVisits(bed);
    const path = 'socket';
    const run = startReplay(bed, { path, archive, extra: ['-C', '2'] });
    await visited(bed, 40);
    const paused = await ctl(bed, path, run.out, 'pause');
    assert.equal(paused.state, 'paused');
    await sleep(300);
    const held = await visits(bed);
    await sleep(500);
    assert.equal(await visits(bed), held, 'commands went out while it was paused');
    const status = await ctl(bed, path, run.out, 'status');
    assert.equal(status.state, 'paused');
    // And a COM_QUIT for each session that is over.
    assert.ok(status.answered >= held && status.answered <= held + PLAN.sessions);
    assert.ok(status.sessions_open > 0 && status.pid === run.pid);
    const percent = status.recorded?.percent ?? 0;
    assert.ok(percent > 5 && percent < 100, `${percent} %`);
    assert.equal((await ctl(bed, path, run.out, 'speed', '0.5')).speed, 0.5);
    assert.equal((await ctl(bed, path, run.out, 'resume')).state, 'running');
    await visited(bed, held + 20);
    assert.equal((await ctl(bed, path, run.out, 'stop')).state, 'stopping');
    assert.equal((await run.ended).code, EXIT.interrupted);
    const stopped = readSummary(run.out);
    assertAddsUp(stopped);
    assert.equal(stopped.speed, 1);
    assert.deepEqual(
      stopped.speed_changes?.map(({ speed }) => speed),
      ['paused', 0.5],
    );
    assert.ok(!existsSync(join(run.out, 'control.sock')));
    assert.match(
      (await mytape(bed, path, ['ctl', run.out, 'status'])).stderr,
      /was stopped or killed: mytape replay --resume/,
    );
    const last = await mytape(bed, path, ['replay', '--resume', run.out]);
    assert.equal(last.code, EXIT.invalidRun, last.stderr);
    const summary = readSummary(run.out);
    assertAddsUp(summary);
    assert.equal(summary.captured.sessions, PLAN.sessions);
    assert.equal(summary.sessions.scheduled, PLAN.sessions);
    assert.deepEqual(
      (await visitsOn(bed)).filter(({ n }) => n > 1),
      [],
    );
    await bed.assertNobodyOnTarget();
  });

  it('the recording again and again, killed in between, and resumed', async (bed) => {
    const plan = { sessions: 20, steps: 4, everyMs: 40, stepMs: 40 };
    const archive = visitTape(bed, plan);
    await clearVisits(bed);
    const each = plan.sessions * plan.steps;
    const run = startReplay(bed, { path: 'socket', archive, extra: ['--loop', '3', '-C', '2'] });
    await visited(bed, each + 30);
    process.kill(run.pid, 'SIGKILL');
    await run.ended;
    const last = await mytape(bed, 'socket', ['replay', '--resume', run.out]);
    assert.equal(last.code, EXIT.invalidRun, last.stderr);
    const summary = readSummary(run.out);
    assertAddsUp(summary);
    assert.equal(summary.loops, 3);
    assert.equal(summary.captured.sessions, plan.sessions * 3);
    assert.equal(summary.captured.commands, plan.sessions * (plan.steps + 1) * 3);
    const { interrupted, ...others } = summary.sessions.lost_by;
    assert.ok(interrupted > 0 && interrupted < plan.sessions, `${interrupted} sessions interrupted`);
    assert.deepEqual(others, {});
    assert.deepEqual(
      (await visitsOn(bed)).filter(({ n }) => n > 3),
      [],
    );
  });

  it('for so long: what is not begun then is skipped, and the run is valid', async (bed) => {
    const archive = visitTape(bed);
    await clearVisits(bed);
    const replay = await bed.replayAnyhow({
      path: 'socket',
      archive,
      copies: 2,
      extra: ['--for', '1500ms', '--loop', 'forever', '-C', '2'],
    });
    const summary = replay.summary();
    assertAddsUp(summary);
    assert.deepEqual(summary.commands.lost, {});
    assert.deepEqual(summary.sessions.lost_by, {});
    assert.deepEqual(Object.keys(summary.sessions.skipped), ['out-of-time']);
    assert.deepEqual(Object.keys(summary.commands.skipped), ['out-of-time']);
    assert.notEqual(summary.verdict, 'invalid');
    assert.equal(replay.code, EXIT.done);
    assert.ok(summary.sessions.completed > 0 && summary.sessions.completed < PLAN.sessions * 2);
    await bed.assertNobodyOnTarget();
  });

  it('a run that waits for its beginning has sent nothing, and ends cleanly', async (bed) => {
    const archive = visitTape(bed);
    const startAt = new Date(Date.now() + 7_200_000).toISOString();
    const seen = await bed.counted(async () => {
      const run = startReplay(bed, { path: 'socket', archive, extra: ['--start-at', startAt, '-C', '2'] });
      await until('the control socket is there', () => existsSync(join(run.out, 'control.sock')));
      assert.equal((await ctl(bed, 'socket', run.out, 'status')).state, 'waiting');
      process.kill(run.pid, 'SIGINT');
      assert.equal((await run.ended).code, EXIT.interrupted);
      assertAddsUp(readSummary(run.out));
      assert.equal(readSummary(run.out).sessions.opened, 0);
    });
    assert.equal(seen.Connections, 0);
  });

  for (const path of ['socket', 'local'] as const) {
    it(`SIGINT once: what is under way finishes; twice: none is left; by ${path}`, async (bed) => {
      const archive = visitTape(bed, { sessions: 8, steps: 200, everyMs: 5, stepMs: 30 });
      for (const signals of [1, 2]) {
        await clearVisits(bed);
        const run = startReplay(bed, { path, archive });
        await visited(bed, 100);
        // Commands are under way for as long as this holds them.
        if (signals === 2) await bed.target.sql('LOCK TABLES sbtest.visits WRITE');
        try {
          if (signals === 2) await sleep(300);
          process.kill(run.pid, 'SIGINT');
          if (signals === 2) {
            await sleep(300);
            process.kill(run.pid, 'SIGINT');
          }
          const { code, stderr } = await run.ended;
          assert.equal(code, EXIT.interrupted, stderr);
        } finally {
          if (signals === 2) await bed.target.sql('UNLOCK TABLES');
        }
        const summary = readSummary(run.out);
        assertAddsUp(summary);
        assert.deepEqual(summary.sessions.lost_by, { interrupted: 8 });
        const { sent, answered } = summary.commands;
        assert.equal(sent - answered, signals === 1 ? 0 : 8);
        if (signals === 1) assert.equal(await visits(bed), answered);
        await bed.assertNobodyOnTarget(5000);
      }
    });
  }

  it(
    'keys on a terminal pause, go on, speed up and stop, and the terminal is as before',
    async (bed) => {
      const archive = visitTape(bed);
      await clearVisits(bed);
      const { args, out } = bed.replayCommand({ path: 'socket', archive });
      const command = [process.execPath, CLI, ...args].join(' ');
      // Echo is what a raw terminal lacks.
      const terminal = bed.lab.spawn(
        replayHost('socket'),
        'script',
        ['-qfec', `${command}; stty -a | grep -o -- '-*icanon'`, '/dev/null'],
        { stdio: ['pipe', 'pipe', 'inherit'] },
      );
      const ended = collect(terminal);
      const press = (key: string) => terminal.stdin?.write(key);
      await visited(bed, 40);
      press(' ');
      await sleep(400);
      const held = await visits(bed);
      await sleep(400);
      assert.equal(await visits(bed), held, 'commands went out while it was paused');
      press('+');
      press('p');
      await visited(bed, held + 20);
      press('q');
      const { stdout } = await ended;
      assert.match(stdout, /\+ - speed, space pause, q stop/);
      assert.match(stdout, /[^-]icanon\s*$/);
      assert.deepEqual(
        readSummary(out).speed_changes?.map(({ speed }) => speed),
        ['paused', 1.25],
      );
    },
    commandObstacle('script'),
  );
});
