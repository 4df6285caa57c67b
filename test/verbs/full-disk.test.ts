/** Verbs that write onto a full disk, print to one, or may open no more files: a sentence with the next move, and nothing left in the way. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { checkpointPath } from '../../src/run/checkpoint/file.ts';
import { canBeResumed, endRunFile, type RunFile, writeRunFile } from '../../src/run/checkpoint/run-file.ts';
import { giveRunReserveBack, takeRunReserve, writeSummary } from '../../src/run/folder.ts';
import { fillUp, interleave, recordArchive, sessionFrames } from '../archive/support.ts';
import { ROOT } from '../support/root.ts';
import { noSmallDisk, onSmallDisk } from '../support/small-disk.ts';
import { HANG_MS } from '../support/until.ts';
import { CLI, mytape } from './mytape.ts';

const OURS = /this is a fault of mytape's own|^\s+at /m;
const FULL = /(no space left|disk is full).*make (some|room)/;

interface Ended {
  status: number | string | null;
  stderr: string;
}

/** Runs a line of the shell, in which $MYTAPE stands for the program. */
function shell(line: string): Promise<Ended> {
  const env = { ...process.env, MYTAPE: `${process.execPath} ${CLI}`, BIN: join(ROOT, 'bin/mytape.js') };
  return new Promise((resolve) => {
    execFile('bash', ['-c', line], { env, timeout: HANG_MS }, (error, _stdout, stderr) =>
      resolve({ status: error === null ? 0 : (error.code ?? null), stderr }),
    );
  });
}

describe('a full disk', { skip: noSmallDisk }, () => {
  let folder: string;
  let tape: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'mytape-test-'));
    tape = join(folder, 'a.tape');
    recordArchive(tape, interleave([1, 2, 3].map((i) => sessionFrames(`10.0.0.${i}`, 40_000 + i, 10))));
    assert.equal(mytape('export', tape, '-o', join(folder, 'a.pcap')).status, 0);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  function assertSaid({ status, stderr }: Ended, what: RegExp): void {
    assert.match(stderr, what);
    assert.match(stderr, FULL);
    assert.doesNotMatch(stderr, OURS);
    assert.equal(status, 1, stderr);
  }

  test('under a replay, an import, an export, a rebuild: each says so, and leaves nothing in the way', async () => {
    await onSmallDisk(folder, '600k', async (mount) => {
      const replay =
        `$MYTAPE replay ${tape} -x 3307-10.9.9.9:3306 --transport socket --include-user nobody --allow-live-target ` +
        `--allow-unidentified --out ${join(mount, 'run')}`;
      const imported = join(mount, 'imported');
      const importing = `$MYTAPE import ${join(folder, 'a.pcap')} -p 3307 -o ${imported}`;
      recordArchive(join(mount, 'b.tape'), interleave([sessionFrames('10.0.0.1', 40_001, 10)]));
      const ballast = join(mount, 'ballast');
      fillUp(ballast);
      const lines = [
        replay,
        importing,
        `$MYTAPE export ${tape} -o ${join(mount, 'a.pcap')}`,
        `$MYTAPE verify --rebuild ${join(mount, 'b.tape')}`,
      ];
      const [replayed, importFailed, exported, rebuilt] = await Promise.all(lines.map(shell));
      assertSaid(replayed, /cannot lock the folder .*run.*--out|no room for a run in .*run.*--out/);
      assertSaid(importFailed, /cannot make the archive .*imported/);
      assertSaid(exported, /cannot write .*a\.pcap/);
      assertSaid(rebuilt, /cannot make the index of .*b\.tape anew/);
      assertSaid(
        await shell(`$MYTAPE intercept --new-key ${join(mount, 'key')}`),
        /cannot make the key file .*key/,
      );
      assert.ok(!existsSync(join(mount, 'run')) && !existsSync(join(mount, 'key')));
      assert.deepEqual(existsSync(imported) ? readdirSync(imported) : [], []);
      rmSync(ballast);
      const again = await shell(importing);
      assert.equal(again.status, 0, again.stderr);
    });
  });

  test('that other files have filled while a run was under way: its summary is written nonetheless', async () => {
    await onSmallDisk(folder, '600k', (mount) => {
      const run = join(mount, 'run');
      mkdirSync(run);
      takeRunReserve(run);
      const file: RunFile = {
        id: '0'.repeat(32),
        args: [],
        recording: { startedMs: 0, originSec: 0, packets: 1 },
        cwd: '/',
        resumed: 0,
        completed: false,
      };
      writeRunFile(run, file);
      writeFileSync(checkpointPath(run, 0), '{}');
      assert.ok(canBeResumed(run, 1) && !canBeResumed(run, 2));
      fillUp(join(mount, 'ballast'));
      assert.match(
        writeSummary(run, 'x'.repeat(50_000), true)!.message,
        /cannot write .*summary\.json: ENOSPC/,
      );
      giveRunReserveBack(run);
      assert.equal(writeSummary(run, 'x'.repeat(50_000), true), undefined);
      fillUp(join(mount, 'ballast2'));
      // Nothing is left that a run which is over could be resumed from.
      endRunFile(run, file);
      assert.deepEqual(readdirSync(run), ['summary.json']);
      assert.equal(readFileSync(join(run, 'summary.json')).length, 50_000);
    });
  });

  test('that is too small for what the end of a run writes is refused before the run', async () => {
    await onSmallDisk(folder, '64k', (mount) => {
      assert.throws(() => takeRunReserve(mount), { code: 'disk', message: FULL });
      assert.deepEqual(readdirSync(mount), []);
    });
  });
});

describe('stdout and stderr on a full disk', () => {
  let folder: string;
  let tape: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'mytape-test-'));
    tape = join(folder, 'a.tape');
    recordArchive(tape, interleave([sessionFrames('10.0.0.1', 40_001, 10, 1000, { letsIn: true })]));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  test('each verb that prints says that it cannot, and what to do', async () => {
    const onto = '-x 3307-10.9.9.9:3306 --transport socket --dry-run';
    const verbs = [
      `ls ${tape} --json`,
      `show ${tape} 0`,
      `verify ${tape}`,
      `export ${tape} -o -`,
      `replay ${tape} ${onto}`,
      '--help',
    ];
    for (const { status, stderr } of await Promise.all(
      verbs.map((verb) => shell(`$MYTAPE ${verb} >/dev/full`)),
    )) {
      assert.match(stderr, /mytape: cannot write to stdout: .*the disk is full: make room on it/);
      assert.doesNotMatch(stderr, OURS);
      assert.equal(status, 1);
    }
  });

  test('what cannot be said is no reason to end', async () => {
    const { status } = await shell(
      `$MYTAPE ls ${join(ROOT, 'nothing')} 2>/dev/full; $MYTAPE ls ${tape} 2>/dev/full`,
    );
    assert.equal(status, 0);
  });
});

test('with too few files to start, says so in a line', async () => {
  const { status, stderr } = await shell('ulimit -n 64; node $BIN replay --help');
  assert.match(
    stderr,
    /^mytape: cannot start: no more files can be opened: EMFILE \(raise .*ulimit -n 1024\)\n$/,
  );
  assert.equal(status, 1);
});
