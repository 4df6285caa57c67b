import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { newRunId } from '../../../src/run/checkpoint/file.ts';
import { writeRunFile } from '../../../src/run/checkpoint/run-file.ts';
import { RunControl, type RunStatus } from '../../../src/run/control/control.ts';
import { askRun, isUnderWay, openControl } from '../../../src/run/control/socket.ts';
import type { Steering, StopCause } from '../../../src/run/job.ts';
import { statusLines } from '../../../src/verbs/ctl.ts';
import { parseLoops, planCourse } from '../../../src/verbs/plan-course.ts';
import { temporaryFolder } from '../../archive/support.ts';
import { mytape } from '../../verbs/mytape.ts';

const LATENESS = { p50: 0.1, p99: 0.5, max: 2 };
const ROOT = process.geteuid?.() === 0;

/** run.json, but for whether the run is over. */
const RUN = {
  id: newRunId(),
  args: [],
  recording: { startedMs: 1, originSec: 1, packets: 1 },
  cwd: '/',
  resumed: 0,
};
const ORIGIN_SEC = 1_700_000_000;

/** A run whose threads only write down what they are told. */
function fakeRun({
  speed = 1,
  live = false,
  endsByHand = false,
  underWayMs = 0,
}: {
  speed?: number;
  live?: boolean;
  endsByHand?: boolean;
  /** What a thread says of it when it is stopped. */
  underWayMs?: number | undefined;
}) {
  const steered: Steering[] = [];
  const stopped: (StopCause | 'cut')[] = [];
  const said: string[] = [];
  const clock = { ms: 10_000 };
  const control = new RunControl({
    threads: {
      progress: {
        answered: 5,
        lost: 1,
        open: 2,
        reconnected: 0,
        restsUntilMs: 0,
        restsTo: undefined,
        captured: 0,
        sentTo: 3e9,
      },
      prepare() {},
      shed: async () => {},
      lateness: async () => LATENESS,
      steer: (steering) => steered.push(steering),
      stop: async (cause = 'interrupted') => {
        stopped.push(cause);
        return underWayMs;
      },
      cut: () => stopped.push('cut'),
      run: async () => undefined,
      end: async () => [],
      close: async () => {},
    },
    speed: live ? undefined : speed,
    recording: live ? undefined : { from: 1e9, to: 5e9, originSec: ORIGIN_SEC },
    endsByHand,
    now: () => clock.ms,
    say: (line) => said.push(line),
  });
  return { control, steered, stopped, said, clock };
}

describe('a run that is steered', () => {
  test('one that is stopped says when what is under way is over at the latest', async () => {
    const one = fakeRun({ underWayMs: 286_500 });
    one.control.stop();
    await new Promise(setImmediate);
    assert.deepEqual(one.said, [
      'stopping: what is under way finishes, or comes to its time-out at the latest in 4m48s (Ctrl-C again: now)',
    ]);
    const twice = fakeRun({ underWayMs: 286_500 });
    twice.control.stop();
    twice.control.stop();
    await new Promise(setImmediate);
    assert.deepEqual([twice.said, twice.stopped], [[], ['interrupted', 'cut']]);
  });

  test('all threads are told the same moment, and changes are written down', async () => {
    const { control, steered, clock } = fakeRun({});
    await control.begin();
    clock.ms += 1500;
    control.setSpeed(3);
    control.setSpeed(3);
    clock.ms += 1000;
    control.pause();
    control.pause();
    control.setSpeed(Number.POSITIVE_INFINITY);
    clock.ms += 500;
    control.resume();
    control.resume();
    assert.deepEqual(steered, [
      { speed: 3, epochMs: 11_500 },
      { paused: true, epochMs: 12_500 },
      { speed: Number.POSITIVE_INFINITY, epochMs: 12_500 },
      { paused: false, epochMs: 13_000 },
    ]);
    assert.deepEqual(control.changes, [
      { at_s: 1.5, speed: 3 },
      { at_s: 2.5, speed: 'paused' },
      { at_s: 3, speed: 'max' },
    ]);
  });

  test('its status', async () => {
    const { control, clock } = fakeRun({ speed: 2 });
    assert.deepEqual([(await control.status()).state, (await control.status()).elapsed_s], ['waiting', 0]);
    await control.begin();
    clock.ms += 2000;
    const status: RunStatus = {
      state: 'running',
      pid: process.pid,
      elapsed_s: 2,
      speed: 2,
      loop: 1,
      answered: 5,
      lost: 1,
      sessions_open: 2,
      reconnected: 0,
      lateness_ms: LATENESS,
      recorded: { at: new Date(ORIGIN_SEC * 1000 + 3000).toISOString(), percent: 50 },
    };
    assert.deepEqual(await control.status(), status);
    assert.match(
      statusLines(status).join('\n'),
      /^running .* for 2\.00s, at 2 times the recorded speed\nat 2023-.* 50 %\n5 commands/,
    );
    control.pause();
    assert.equal((await control.status()).state, 'paused');
    control.stop();
    assert.equal((await control.status()).state, 'stopping');
  });

  test('what is stopped twice is cut; where that is its normal end, its time is over at first', () => {
    const { control, stopped } = fakeRun({});
    control.stop();
    control.stop();
    assert.deepEqual([stopped, control.stops], [['interrupted', 'cut'], 2]);
    const forever = fakeRun({ endsByHand: true });
    forever.control.stop();
    assert.deepEqual(forever.stopped, ['out-of-time']);
  });

  test('a mirror keeps to the time of what it mirrors', async () => {
    const { control, steered } = fakeRun({ live: true });
    assert.throws(() => control.setSpeed(2), /mirrors what happens now: its speed cannot be changed/);
    assert.throws(() => control.pause(), /mirrors what happens now: it cannot be paused/);
    assert.deepEqual(steered, []);
    assert.equal((await control.status()).recorded, undefined);
  });

  test('a wait for its beginning ends when it is stopped', async () => {
    const { control, clock } = fakeRun({});
    const waits = control.begin(clock.ms + 3_600_000);
    control.stop();
    await waits;
    assert.equal(control.stops, 1);
  });
});

describe('the control socket', () => {
  test('steers the run, for its owner alone', async (t) => {
    const folder = temporaryFolder(t);
    const { control, steered, stopped } = fakeRun({});
    const served = await openControl(folder, control);
    t.after(() => served.close());
    assert.equal(statSync(join(folder, 'control.sock')).mode & 0o777, 0o600);
    assert.equal((await askRun(folder, { do: 'speed', speed: 4 })).speed, 4);
    assert.equal((await askRun(folder, { do: 'speed', speed: 'max' })).speed, 'max');
    await askRun(folder, { do: 'pause' });
    await askRun(folder, { do: 'resume' });
    await askRun(folder, { do: 'stop' });
    assert.deepEqual(
      steered.map(({ speed, paused }) => speed ?? paused),
      [4, Number.POSITIVE_INFINITY, true, false],
    );
    assert.deepEqual(stopped, ['interrupted']);
    await assert.rejects(askRun(folder, { do: 'speed', speed: -1 }), /-1 is no speed/);
    await assert.rejects(askRun(folder, { do: 'dance' as 'stop' }), /status, pause, resume, speed and stop/);
    assert.ok(await isUnderWay(folder));
    await assert.rejects(openControl(folder, control), /a run is under way in /);
  });

  test('lies elsewhere where the path of the folder is too long', async (t) => {
    const folder = join(temporaryFolder(t), 'a'.repeat(120));
    mkdirSync(folder);
    const served = await openControl(folder, fakeRun({}).control);
    const { socket } = JSON.parse(readFileSync(join(folder, 'control.json'), 'utf8')) as { socket: string };
    assert.equal(statSync(socket).mode & 0o777, 0o600);
    assert.equal((await askRun(folder, { do: 'status' })).answered, 5);
    assert.deepEqual(
      [statSync(dirname(socket)).mode & 0o777, statSync(join(folder, 'control.json')).mode & 0o777],
      [0o700, 0o600],
    );
    served.close();
    assert.ok(!existsSync(dirname(socket)) && !existsSync(join(folder, 'control.json')));
  });

  test('lies below XDG_RUNTIME_DIR only where that is ours alone', async (t) => {
    const folder = join(temporaryFolder(t), 'a'.repeat(120));
    mkdirSync(folder);
    const runtime = temporaryFolder(t);
    const before = process.env.XDG_RUNTIME_DIR;
    t.after(() => {
      if (before === undefined) delete process.env.XDG_RUNTIME_DIR;
      else process.env.XDG_RUNTIME_DIR = before;
    });
    process.env.XDG_RUNTIME_DIR = runtime;
    const whereIn = async (mode: number) => {
      chmodSync(runtime, mode);
      const served = await openControl(folder, fakeRun({}).control);
      const { socket } = JSON.parse(readFileSync(join(folder, 'control.json'), 'utf8')) as { socket: string };
      served.close();
      return dirname(dirname(socket));
    };
    assert.equal(await whereIn(0o700), runtime);
    assert.equal(await whereIn(0o770), tmpdir());
  });

  test('nothing is removed, and nobody is asked, that a pointer of somebody else names', async (t) => {
    const folder = temporaryFolder(t);
    const precious = join(folder, 'precious');
    const pointer = join(folder, 'control.json');
    writeFileSync(precious, 'precious');
    const ask = () => askRun(folder, { do: 'status' });
    writeFileSync(pointer, JSON.stringify({ socket: precious }));
    await assert.rejects(ask, /precious is no socket: nothing is asked of it/);
    assert.ok(existsSync(precious));
    rmSync(pointer);
    symlinkSync(precious, pointer);
    await assert.rejects(ask, /cannot read .*control\.json: it is a symbolic link/);
    rmSync(pointer);
    spawnSync('mkfifo', [pointer]);
    await assert.rejects(ask, /cannot read .*control\.json: it is a FIFO/);
    rmSync(pointer);
    writeFileSync(pointer, '{}');
    await assert.rejects(ask, /cannot read .*control\.json: it names no socket/);
    assert.equal(readFileSync(precious, 'utf8'), 'precious');
  });

  test('the socket, or the pointer, of another user', { skip: ROOT ? false : 'needs root' }, async (t) => {
    const folder = temporaryFolder(t);
    const path = join(folder, 'control.sock');
    const pointer = join(folder, 'control.json');
    const server = createServer((socket) => socket.end('{"status":{"answered":7}}\n')).listen(path);
    t.after(() => server.close());
    await once(server, 'listening');
    chownSync(path, 54_321, 0);
    const ask = () => askRun(folder, { do: 'status' });
    await assert.rejects(ask, /control\.sock belongs to user 54321, and not to this one: nothing is asked/);
    // Root may steer what is all of one user's.
    chownSync(folder, 54_321, 0);
    assert.equal((await ask()).answered, 7);
    writeFileSync(pointer, JSON.stringify({ socket: path }));
    chownSync(pointer, 54_322, 0);
    await assert.rejects(ask, /cannot read .*control\.json: it belongs to user 54322/);
  });

  test('that was left behind says what became of the run, and goes', async (t) => {
    const folder = temporaryFolder(t);
    const path = join(folder, 'control.sock');
    const ask = () => askRun(folder, { do: 'status' });
    await assert.rejects(ask, /no run is under way in /);
    await assert.rejects(askRun(join(folder, 'none'), { do: 'status' }), /there is no folder/);
    // Bound, and nobody listens: as of a process that was killed.
    const listen = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 9))`;
    spawnSync(process.execPath, ['-e', listen]);
    assert.ok(existsSync(path));
    const run = { ...RUN, completed: false };
    writeRunFile(folder, run);
    await assert.rejects(ask, /was stopped or killed: mytape replay --resume .* goes on with it/);
    assert.ok(!existsSync(path));
    writeRunFile(folder, { ...run, completed: true });
    writeFileSync(join(folder, 'summary.json'), '{}');
    await assert.rejects(ask, /is over: see its summary\.json/);
  });

  test('a run that hangs up does not hang who asks', async (t) => {
    const folder = temporaryFolder(t);
    const server = createServer((socket) => socket.end()).listen(join(folder, 'control.sock'));
    t.after(() => server.close());
    await sleep(10);
    await assert.rejects(askRun(folder, { do: 'status' }), /the run ended/);
  });
});

describe('mytape ctl', () => {
  test('usage', () => {
    const fails = (message: RegExp, ...args: string[]) => {
      const out = mytape('ctl', ...args);
      assert.match(out.stderr, message);
      assert.equal(out.status, 2, out.stderr);
    };
    fails(/missing required argument 'what'/, 'run');
    fails(/dance is not one of status, pause, resume, stop, speed/, 'run', 'dance');
    fails(/say which speed: mytape ctl RUN speed 2/, 'run', 'speed');
    fails(/neither from 0\.01 to 1000 nor max/, 'run', 'speed', 'fast');
    fails(/pause takes nothing behind it: leave out 3/, 'run', 'pause', '3');
    const { status, stderr } = mytape('ctl', '/nowhere/run', 'status');
    assert.match(stderr, /there is no folder \/nowhere\/run/);
    assert.equal(status, 1);
  });

  test('--resume goes with nothing else', (t) => {
    const folder = temporaryFolder(t);
    const fails = (message: RegExp, status: number, ...args: string[]) => {
      const out = mytape('replay', ...args);
      assert.match(out.stderr, message);
      assert.equal(out.status, status, out.stderr);
    };
    fails(/say mytape replay --resume RUN and nothing else/, 2, '--resume', folder, '--speed', '2');
    fails(/say mytape replay --resume RUN and nothing else/, 2, 'a.tape', `--resume=${folder}`);
    fails(/say mytape replay --resume RUN and nothing else/, 2, '--resume');
    fails(/has no run to resume/, 1, '--resume', folder);
    const run = { ...RUN, args: ['gone.tape', '-x', '1-127.0.0.1:1', '--local'], cwd: folder };
    writeRunFile(folder, { ...run, completed: true });
    fails(/came to its end: nothing is left to resume/, 2, '--resume', folder);
    // As it was started, and where.
    writeRunFile(folder, { ...run, completed: false });
    fails(/there is no archive gone\.tape/, 1, `--resume=${folder}`);
    writeRunFile(folder, { ...run, cwd: '/nowhere', completed: false });
    fails(/cannot go to \/nowhere, where the run was started/, 1, '--resume', folder);
  });

  test("--resume types nobody else's words", { skip: ROOT ? false : 'needs root' }, (t) => {
    const folder = temporaryFolder(t);
    writeRunFile(folder, {
      ...RUN,
      args: ['gone.tape', '-x', '1-127.0.0.1:1', '--local'],
      cwd: folder,
      completed: false,
    });
    for (const path of [folder, join(folder, 'run.json')]) chownSync(path, 1, 1);
    const refused = mytape('replay', '--resume', folder);
    assert.match(
      refused.stderr,
      /run\.json belongs to user 1, who could have changed.*resume it as that user/,
    );
    assert.equal(refused.status, 1);
    // Who called sudo may: it is they who type.
    process.env.SUDO_UID = '1';
    t.after(() => delete process.env.SUDO_UID);
    assert.match(mytape('replay', '--resume', folder).stderr, /there is no archive gone\.tape/);
  });
});

test('how often, how long, and from when on', () => {
  assert.deepEqual([parseLoops('3'), parseLoops('forever')], [3, Number.POSITIVE_INFINITY]);
  for (const wrong of ['0', '-1', '1.5', 'ever']) assert.throws(() => parseLoops(wrong), /nor forever/);
  const noon = new Date(2026, 0, 31, 12).getTime();
  const choices = { loop: 2, for: 500, startAt: { ofDayMs: 13 * 3_600_000, lastsMs: 60_000 } };
  assert.deepEqual(planCourse(choices, noon), { loops: 2, forMs: 500, startMs: noon + 3_600_000 });
  assert.equal(planCourse(choices, noon, true).startMs, undefined);
});
