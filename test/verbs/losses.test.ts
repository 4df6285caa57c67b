/** What every reader of an archive says of packets that its recording lost. */
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { writeKnownServers } from '../../src/archive/known-servers.ts';
import { EXIT } from '../../src/errors.ts';
import type { Step } from '../../src/report/step.ts';
import type { Summary } from '../../src/report/summary.ts';
import type { DryReport } from '../../src/run/dry/report.ts';
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
import { ROOT } from '../support/root.ts';
import { noSmallDisk, onSmallDisk } from '../support/small-disk.ts';
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
    assert.doesNotMatch(mytape('replay', whole, '--dry-run', ...TO).stdout, /would be invalid/);
  });

  test('verify finds nothing damaged, and says what was lost', () => {
    const { status, stdout, stderr } = mytape('verify', tape);
    assert.equal(status, 0);
    assert.match(stderr, DISK);
    assert.match(stdout, /^nothing in \S+full\.tape is damaged, but 7 packets were lost \(disk 7\): /);
    const report = JSON.parse(mytape('verify', tape, '--json').stdout);
    assert.deepEqual([report.whole, report.lost, report.losses.length], [true, { disk: 7 }, 1]);
    assert.match(report.losses[0], DISK);
    assert.match(mytape('verify', whole).stdout, /whole\.tape is whole: /);
  });

  test('doctor warns of it', () => {
    // Nobody listens at port 1: the steps about the archive come before.
    const onto = ['-x', '3307-127.0.0.1:1', '--transport', 'socket', '--json'];
    const warnings = (dir: string) => {
      const { steps } = JSON.parse(mytape('doctor', ...onto, '--archive', dir).stdout) as { steps: Step[] };
      return steps.filter(({ name, status }) => name === 'archive' && status === 'warning');
    };
    assert.equal(warnings(tape).length, 1);
    assert.match(warnings(tape)[0].says, DISK);
    assert.deepEqual(warnings(whole), []);
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

describe('an archive of a capture that was cut off', () => {
  let folder: string;
  let tape: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'mytape-test-'));
    tape = join(folder, 'cut.tape');
    const pcap = join(folder, 'cut.pcap');
    const whole = readFileSync(join(ROOT, 'fixtures/mysql2.pcap'));
    writeFileSync(pcap, whole.subarray(0, whole.length - 1));
    const { status, stderr } = mytape('import', pcap, '-o', tape, '-p', '33917');
    assert.equal(status, 0, stderr);
    assert.match(stderr, CUT);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const CUT = /cut\.tape is partial: .*cut\.pcap ends inside a packet/;
  const CUT_REASON = /^the recording is partial: .*cut\.pcap ends inside a packet/;
  const ONTO = ['-x', '33917-10.9.9.9:3306', '--transport', 'socket'];

  test('ls says so, for people and in JSON', () => {
    const { status, stdout, stderr } = mytape('ls', tape, '--json');
    assert.equal(status, 0, stderr);
    assert.match(stderr, CUT);
    const { type, why } = JSON.parse(stdout.trimEnd().split('\n').at(-1) as string);
    assert.equal(type, 'partial');
    assert.match(why, /ends inside a packet/);
  });

  test('a replay of it is invalid, and --dry-run says so', () => {
    const dry = JSON.parse(mytape('replay', tape, '--dry-run', '--json', ...ONTO).stdout) as DryReport;
    assert.match(dry.invalid_by[0], CUT_REASON);
    assert.match(
      mytape('replay', tape, '--dry-run', ...ONTO).stdout,
      /A run would be invalid:\n {2}- the recording is partial/,
    );
    const out = join(folder, 'run');
    const nobody = ['--include-user', 'nobody', '--allow-live-target', '--out', out];
    assert.equal(mytape('replay', tape, ...ONTO, ...nobody).status, EXIT.invalidRun);
    const { captured, verdict, reasons } = JSON.parse(
      readFileSync(join(out, 'summary.json'), 'utf8'),
    ) as Summary;
    assert.equal(verdict, 'invalid');
    assert.match(captured.partial ?? '', /ends inside a packet/);
    assert.ok(reasons.some((reason) => CUT_REASON.test(reason)));
  });
});

test('--dry-run of an archive whose last block is damaged says what a run would lack, and by what', (t) => {
  const tape = join(temporaryFolder(t), 'damaged.tape');
  recordArchive(tape, interleave([1, 2].map((i) => sessionFrames(`10.0.0.${i}`, 40_000, 800))), {
    rotateOctets: 4000,
  });
  // The archive says who was recorded, so that its packets are not read for that.
  const identity = { uuid: '6f5e4d3c-0000-4000-8000-000000000001', hostname: 'db1', port: 3307 };
  writeKnownServers(tape, [{ addresses: ['10.0.0.9'], port: 3307, identity }]);
  const last = readdirSync(tape)
    .filter((name) => name.endsWith('.lz4'))
    .sort()
    .at(-1) as string;
  const octets = readFileSync(join(tape, last));
  octets[octets.length >> 1] ^= 1;
  writeFileSync(join(tape, last), octets);
  const { status, stdout, stderr } = mytape('replay', tape, '--dry-run', ...TO);
  assert.match(stdout, /skipped: damaged-block +2 /);
  assert.match(stdout, /A run would be invalid:\n {2}- the archive lost 19 packets/);
  assert.match(stderr, /damaged: its checksum is wrong/);
  assert.equal(status, EXIT.done, stderr);
});

test('as many as did not fit on a real disk are reported as lost', { skip: noSmallDisk }, async (t) => {
  const folder = temporaryFolder(t);
  const tape = join(folder, 'full.tape');
  const lost = await onSmallDisk(folder, '4m', (mount) => {
    const writer = createWriter(join(mount, 'a'));
    const frames = interleave([sessionFrames('10.0.0.1', 40_001, 10)]);
    writer.write(blockOf(frames));
    let packets = frames.length;
    for (; writer.droppedByDisk === 0; packets++)
      writer.write(blockOf([{ octets: noise(10_000, packets), at: packets * 1e9 }]));
    writer.close({ packets, dropped: 0 });
    cpSync(join(mount, 'a'), tape, { recursive: true });
    return writer.droppedByDisk;
  });
  const { captured } = JSON.parse(mytape('replay', tape, '--dry-run', '--json', ...TO).stdout) as DryReport;
  assert.deepEqual([captured.sessions, captured.dropped_by], [1, { disk: lost }]);
  assert.match(
    mytape('ls', tape).stderr,
    new RegExp(`the recording lost ${lost} packets?( |$).*its disk was full`),
  );
});
