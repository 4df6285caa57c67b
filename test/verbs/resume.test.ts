/** `mytape replay --resume`, and what a run does where its folder can't be written. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmdirSync,
  rmSync,
  truncateSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ArchiveLock } from '../../src/archive/lock.ts';
import { EXIT } from '../../src/errors.ts';
import type { Summary } from '../../src/report/summary.ts';
import { interleave, recordArchive, sessionFrames } from '../archive/support.ts';
import { CLI, mytape } from './mytape.ts';

const OURS = /this is a fault of mytape's own|^\s+at /m;

describe('a run whose folder is in the way', () => {
  let root: string;
  let tape: string;
  let out: string;
  before(() => {
    root = mkdtempSync(join(tmpdir(), 'mytape-test-'));
    tape = join(root, 'a.tape');
    out = join(root, 'run');
    recordArchive(tape, interleave([1, 2, 3].map((i) => sessionFrames(`10.0.0.${i}`, 40_000 + i, 10))));
  });
  after(() => rmSync(root, { recursive: true, force: true }));

  /** Nobody is connected to: all sessions are left out. */
  function replay(...args: string[]): ReturnType<typeof mytape> {
    const nobody = ['--include-user', 'nobody', '--allow-live-target'];
    const way = ['-x', '3307-10.9.9.9:3306', '--transport', 'socket', '--out', out];
    return mytape('replay', tape, ...way, ...nobody, ...args);
  }

  function fails(result: ReturnType<typeof mytape>, status: number, message: RegExp): void {
    assert.match(result.stderr, message);
    assert.equal(result.status, status, result.stderr);
    assert.doesNotMatch(result.stderr, OURS);
  }

  test('prints its summary where it cannot write it, and writes it when it is resumed, with nothing counted twice', () => {
    const path = join(out, 'summary.json');
    mkdirSync(path, { recursive: true });
    chmodSync(out, 0o700);
    const first = replay('--loop', '2', '-C', '2');
    fails(
      first,
      EXIT.failed,
      /cannot write .*summary\.json: .*: mytape replay --resume .*run sends nothing again, and writes it\)/,
    );
    assert.match(first.stdout, /Verdict: invalid/);
    assert.doesNotMatch(first.stdout, /Written:/);
    rmdirSync(path);
    const again = mytape('replay', '--resume', out);
    assert.equal(again.status, EXIT.invalidRun, again.stderr);
    const { captured, sessions, resumed, loops } = JSON.parse(readFileSync(path, 'utf8')) as Summary;
    assert.deepEqual([captured.sessions, sessions.scheduled, Object.values(sessions.skipped)], [6, 0, [6]]);
    assert.deepEqual([resumed, loops], [1, 2]);
    fails(mytape('replay', '--resume', out), EXIT.usage, /came to its end: nothing is left to resume/);
    assert.ok(!existsSync(join(out, 'run.lock')));
  });

  test('keeps its share and its sample, names the sessions, and takes no other share when it is resumed', () => {
    rmSync(out, { recursive: true, force: true });
    const path = join(out, 'summary.json');
    mkdirSync(path, { recursive: true });
    chmodSync(out, 0o700);
    const first = replay('--share', '2/2', '--sample', '99%');
    assert.match(
      first.stderr,
      /mytape: --share 2\/2 and --sample 99% pick (\d) of 3 sessions(: \d(, \d)*)?\n/,
    );
    rmdirSync(path);
    fails(mytape('replay', '--resume', out, '--share', '1/2'), EXIT.usage, /--resume RUN and nothing else/);
    const again = mytape('replay', '--resume', out);
    assert.equal(again.status, EXIT.invalidRun, again.stderr);
    const { picked } = JSON.parse(readFileSync(path, 'utf8')) as Summary;
    const { share, sample, sessions, of, ids } = picked!;
    assert.deepEqual([share, sample, of], ['2/2', 0.99, 3]);
    assert.equal(ids!.split(',').filter((id) => id !== '').length, sessions);
  });

  test('killed while it waits to begin, leaves nothing to resume, and says that nothing was sent', async () => {
    const waiting = join(root, 'waiting');
    const startAt = new Date(Date.now() + 7_200_000).toISOString();
    const args = [
      '-x',
      '3307-10.9.9.9:3306',
      '--transport',
      'socket',
      '--out',
      waiting,
      '--allow-live-target',
    ];
    const words = [CLI, 'replay', tape, ...args, '--start-at', startAt];
    const child = spawn(process.execPath, words, { stdio: 'ignore' });
    const ended = once(child, 'exit');
    try {
      while (!existsSync(join(waiting, 'control.sock'))) {
        assert.equal(child.exitCode, null);
        await sleep(20);
      }
    } finally {
      child.kill('SIGKILL');
      await ended;
    }
    fails(
      mytape('replay', '--resume', waiting),
      EXIT.failed,
      /no run to resume: .* a run that ended while it waited for --start-at has sent nothing: start it again\)/,
    );
  });

  test('is not begun where another process carries one out', () => {
    const lock = ArchiveLock.take(out, 'run.lock');
    assert.ok(lock instanceof ArchiveLock);
    try {
      fails(replay(), EXIT.usage, /a run is under way in .*run: choose another folder by --out/);
    } finally {
      lock.release();
    }
  });

  test('that has a folder in the place of a file is refused in words', () => {
    const log = join(out, 'sessions-0.0.log');
    mkdirSync(log);
    fails(replay(), EXIT.failed, /cannot remove what an earlier run left in .*run: .*sessions-0\.0\.log/);
    rmdirSync(log);
    const beside = join(out, 'checkpoint-0.json.tmp');
    mkdirSync(join(beside, 'full'), { recursive: true });
    fails(
      replay(),
      EXIT.failed,
      /cannot remove what an earlier run left in .*run: .*checkpoint-0\.json\.tmp/,
    );
    rmSync(beside, { recursive: true });
  });

  test('is not resumed where what it left is damaged, in words', () => {
    rmSync(join(out, 'summary.json'), { force: true });
    mkdirSync(join(out, 'summary.json'));
    assert.equal(replay().status, EXIT.failed);
    truncateSync(join(out, 'checkpoint-0.json'), 2 ** 36);
    fails(
      mytape('replay', '--resume', out),
      EXIT.failed,
      /cannot read .*checkpoint-0\.json: it has 68719476736 octets/,
    );
    truncateSync(join(out, 'run.json'), 10);
    fails(
      mytape('replay', '--resume', out),
      EXIT.failed,
      /cannot read .*run\.json: it is damaged: it is not JSON/,
    );
    fails(mytape('replay', '--resume', root), EXIT.failed, /has no run to resume: there is no .*run\.json/);
  });
});
