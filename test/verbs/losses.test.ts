/** What every reader of an archive says of packets that its recording lost. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { EXIT } from '../../src/errors.ts';
import type { Summary } from '../../src/report/summary.ts';
import type { DryReport } from '../../src/verbs/dry-report.ts';
import {
  blockOf,
  createWriter,
  editIndex,
  interleave,
  noise,
  recordArchive,
  sessionFrames,
  temporaryFolder,
} from '../archive/support.ts';
import { mytape } from './mytape.ts';

const DISK =
  /the recording lost 7 packets while it was made: its disk was full, and sessions .* have gaps \(free room/;
const TO = ['-x', '3307-10.9.9.9:3306', '--transport', 'socket'];
const LOST = { type: 'dropped', dropped: 7, dropped_by: { disk: 7 } };

describe('an archive whose disk was full for a while', () => {
  let folder: string;
  let whole: string;
  let tape: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'mytape-test-'));
    whole = join(folder, 'whole.tape');
    tape = join(folder, 'full.tape');
    for (const dir of [whole, tape])
      recordArchive(
        dir,
        interleave([sessionFrames('10.0.0.1', 40_001, 10), sessionFrames('10.0.0.2', 40_002, 5)]),
      );
    editIndex(tape, 'archive', 'true', { dropped_by_disk: 7 });
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const lastLine = (text: string) => JSON.parse(text.trimEnd().split('\n').at(-1) as string) as unknown;
  const firstLine = (text: string) => JSON.parse(text.split('\n')[0]) as unknown;

  for (const [verb, ...args] of [['ls'], ['show', '0'], ['export', '-o', '-']]) {
    test(`${verb} says what was lost, and what to do`, () => {
      const { status, stderr } = mytape(verb, tape, ...args);
      assert.equal(status, 0, stderr);
      assert.match(stderr, DISK);
      assert.doesNotMatch(mytape(verb, whole, ...args).stderr, /lost/);
    });
  }

  test('ls --json and show --json have an object of it, and none where nothing was lost', () => {
    assert.deepEqual(lastLine(mytape('ls', tape, '--json').stdout), LOST);
    assert.deepEqual(firstLine(mytape('show', tape, '--json').stdout), LOST);
    for (const verb of ['ls', 'show']) {
      const { stdout } = mytape(verb, whole, '--json');
      assert.ok(stdout.length > 0);
      assert.doesNotMatch(stdout, /"dropped"/);
    }
  });

  test('replay --dry-run says that a run would be invalid', () => {
    const text = mytape('replay', tape, '--dry-run', ...TO);
    assert.equal(text.status, 0, text.stderr);
    assert.match(
      text.stdout,
      /A run would be invalid:\n {2}- the recording lost 7 packets .*its disk was full/,
    );
    const { captured } = JSON.parse(mytape('replay', tape, '--dry-run', '--json', ...TO).stdout) as DryReport;
    assert.deepEqual([captured.dropped, captured.dropped_by], [7, { disk: 7 }]);
    assert.doesNotMatch(mytape('replay', whole, '--dry-run', ...TO).stdout, /invalid/);
  });

  test('a replay of it is invalid, and says that the disk was full', () => {
    const out = join(folder, 'run');
    // Nobody is connected to: what the recording lacks is known without.
    const nobody = ['--include-user', 'nobody', '--allow-live-target', '--out', out];
    const { status, stdout, stderr } = mytape('replay', tape, ...TO, ...nobody);
    assert.equal(status, EXIT.invalidRun, stderr);
    assert.match(stdout, DISK);
    const { captured, verdict, reasons } = JSON.parse(
      readFileSync(join(out, 'summary.json'), 'utf8'),
    ) as Summary;
    assert.equal(verdict, 'invalid');
    assert.deepEqual([captured.dropped, captured.dropped_by], [7, { disk: 7 }]);
    assert.ok(reasons.some((reason) => DISK.test(reason)));
  });
});

const skip =
  process.platform !== 'linux' || process.getuid?.() !== 0
    ? 'needs root on Linux, to mount a small disk'
    : false;

test('as many as did not fit on a real disk are reported as lost', { skip }, (t) => {
  const folder = temporaryFolder(t);
  const mount = join(folder, 'disk');
  const tape = join(folder, 'full.tape');
  mkdirSync(mount);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', mount]);
  let lost = 0;
  try {
    const writer = createWriter(join(mount, 'a'));
    const frames = interleave([sessionFrames('10.0.0.1', 40_001, 10)]);
    writer.write(blockOf(frames));
    let packets = frames.length;
    for (; writer.droppedByDisk === 0; packets++)
      writer.write(blockOf([{ octets: noise(10_000, packets), at: packets * 1e9 }]));
    writer.close({ packets, dropped: 0 });
    lost = writer.droppedByDisk;
    cpSync(join(mount, 'a'), tape, { recursive: true });
  } finally {
    execFileSync('umount', [mount]);
  }
  const { captured } = JSON.parse(mytape('replay', tape, '--dry-run', '--json', ...TO).stdout) as DryReport;
  assert.deepEqual([captured.sessions, captured.dropped_by], [1, { disk: lost }]);
  assert.match(
    mytape('ls', tape).stderr,
    new RegExp(`the recording lost ${lost} packets?( |$).*its disk was full`),
  );
});
