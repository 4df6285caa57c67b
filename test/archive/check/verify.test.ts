import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import Database from 'better-sqlite3';
import { type Finding, verifyArchive } from '../../../src/archive/check/verify.ts';
import { writeKnownServers } from '../../../src/archive/known-servers.ts';
import { CLI, mytape } from '../../verbs/mytape.ts';
import { recordReference, runTrial, trialOf } from '../flips.ts';
import {
  createWriter,
  editIndex,
  interleave,
  recordArchive,
  SERVER_PORT,
  sessionFrames,
  temporaryFolder,
} from '../support.ts';

const folder = mkdtempSync(join(tmpdir(), 'mytape-test-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** `npm run fuzz -- index` does more of them. */
const TRIALS = 120;

test('one bit flipped in an index or a segment: readers get what was recorded, or say what is damaged', async () => {
  const reference = join(folder, 'reference');
  const right = await recordReference(reference);
  for (let seed = 1; seed <= TRIALS; seed++) {
    const trial = trialOf(reference, seed);
    const failures = await runTrial(reference, right, join(folder, 'damaged'), trial, seed);
    const name = `npm run fuzz -- index --seed ${seed} --count 1: ${JSON.stringify(trial)}`;
    assert.deepEqual(failures, [], name);
  }
});

test('verify leaves nothing in the folder for temporary files, even where it is killed at work', (t) => {
  const dir = join(temporaryFolder(t), 'a');
  record(dir);
  editIndex(dir, 'sessions', 'id = 2', { packets: 7 });
  const scratch = temporaryFolder(t);
  const { TMPDIR } = process.env;
  t.after(() => {
    if (TMPDIR === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = TMPDIR;
  });
  process.env.TMPDIR = scratch;
  const left: string[][] = [];
  verifyArchive(dir, { onFinding: () => left.push(readdirSync(scratch)), onProgress: () => {} });
  assert.ok(left.length > 0);
  assert.deepEqual(left.flat(), []);
});

interface Report {
  whole: boolean;
  findings: Finding[];
  found: number;
  losses: string[];
}

function record(dir: string): void {
  const lists = [1, 2, 3, 4].map((i) => sessionFrames(`10.0.0.${i}`, 40_000, 800, 1000 * i));
  recordArchive(dir, interleave(lists), { rotateOctets: 4000 });
}

test('verify: an archive that is whole is said to be', (t) => {
  const dir = join(temporaryFolder(t), 'a');
  record(dir);
  const { status, stdout } = mytape('verify', dir);
  assert.match(stdout, /a is whole: 6,424 packets in \d+ blocks of \d+ segments, 4 sessions\n$/);
  assert.equal(status, 0);
});

test('verify: each row that is wrong is named, with what it says and what is true; --rebuild makes them right', (t) => {
  const dir = join(temporaryFolder(t), 'a');
  record(dir);
  const right = mytape('ls', dir, '--json').stdout;
  editIndex(dir, 'sessions', 'id = 2', { packets: 7, user: 'nobody' });
  editIndex(dir, 'session_blocks', 'session = 3', { blocks: Buffer.from([0]) });
  const db = new Database(join(dir, 'index.db'));
  db.exec('UPDATE blocks SET last_at = 5 WHERE number = 1; DELETE FROM sessions WHERE id = 0');
  db.close();
  const { status, stdout } = mytape('verify', dir, '--json');
  const { whole, findings, found } = JSON.parse(stdout) as Report;
  assert.equal(status, 1);
  assert.equal(whole, false);
  const rows = findings.map(({ table, key, column, says }) => [table, key, column, says]);
  assert.deepEqual(rows, [
    ['blocks', 'number 1', 'last_at', 5],
    ['sessions', 'id 0', undefined, undefined],
    ['sessions', 'id 2', 'packets', 7],
    ['sessions', 'id 2', 'user', 'nobody'],
    ['session_blocks', 'session 3', 'blocks', '0'],
  ]);
  assert.equal(found, 5);
  assert.equal(findings[2].what, 'table sessions, id 2: packets is 7, and should be 1606');
  assert.match(mytape('verify', dir).stdout, /is damaged in 5 places \(.*mytape verify --rebuild .*\)\n$/);
  const rebuilt = mytape('verify', dir, '--rebuild');
  assert.equal(rebuilt.status, 0, rebuilt.stdout + rebuilt.stderr);
  assert.equal(mytape('ls', dir, '--json').stdout, right);
});

test('verify --json has every finding, of which people are shown a hundred', (t) => {
  const dir = join(temporaryFolder(t), 'a');
  const lists = Array.from({ length: 150 }, (_, i) => sessionFrames(`10.0.1.${i + 1}`, 40_000, 1, 1000 * i));
  recordArchive(dir, interleave(lists));
  const db = new Database(join(dir, 'index.db'));
  db.exec('UPDATE sessions SET packets = 7');
  db.close();
  const { whole, findings, found } = JSON.parse(mytape('verify', dir, '--json').stdout) as Report;
  const ids = findings.filter(({ column }) => column === 'packets').map(({ key }) => key);
  assert.deepEqual(
    ids,
    [...Array(150).keys()].map((id) => `id ${id}`),
  );
  assert.deepEqual([whole, found], [false, findings.length]);
  const lines = mytape('verify', dir).stdout.split('\n');
  assert.equal(lines[100], `and ${found - 100} more`);
});

test('verify: a damaged segment is named; made anew, the rest can be read, and the loss is told', (t) => {
  const dir = join(temporaryFolder(t), 'a');
  record(dir);
  const path = join(dir, '000001.pcap.lz4');
  const octets = readFileSync(path);
  octets[400] ^= 1;
  writeFileSync(path, octets);
  const { status, stdout } = mytape('verify', dir);
  assert.equal(status, 1);
  assert.match(stdout, /000001\.pcap\.lz4: lost \d+ packets from 2023-\S+ to 2023-\S+: they are damaged\n/);
  assert.equal(mytape('export', dir, '-o', '-').status, 1);
  const { losses, whole } = JSON.parse(mytape('verify', dir, '--rebuild', '--json').stdout) as Report;
  assert.equal(whole, true);
  assert.equal(losses.length, 1);
  assert.deepEqual(readFileSync(path), octets, 'the segment is left as it is');
  const exported = mytape('export', dir, '-o', '-');
  assert.equal(exported.status, 0);
  assert.match(exported.stderr, /the archive lost \d+ packets or more after it was recorded/);
});

test('verify: what is being recorded, or cannot be told what it is, is not verified', (t) => {
  const folder = temporaryFolder(t);
  const writer = createWriter(join(folder, 'live'));
  const { status, stderr } = mytape('verify', join(folder, 'live'));
  assert.equal(status, 1);
  assert.match(stderr, /cannot verify .*live: it is being recorded/);
  writer.close({ packets: 0, dropped: 0 });
  record(join(folder, 'a'));
  cpSync(join(folder, 'a'), join(folder, 'b'), { recursive: true });
  editIndex(join(folder, 'b'), 'archive', 'true', { server_ports: 'x' });
  const lost = mytape('verify', join(folder, 'b'));
  assert.equal(lost.status, 1);
  assert.match(lost.stdout, /server_ports is "x", and not JSON\n.*lz4 -dc .* \| mytape import - /);
});

test('an index that cannot be made again is said to be, with a line that makes an archive of the segments', (t) => {
  const folder = temporaryFolder(t);
  const dir = join(folder, 'a b');
  const damages: ((index: string) => void)[] = [
    () => editIndex(dir, 'archive', 'true', { server_ports: '{not json' }),
    (index) => truncateSync(index, 20_000),
    (index) => writeFileSync(index, 'x'.repeat(20_000)),
  ];
  for (const [i, damage] of damages.entries()) {
    rmSync(dir, { recursive: true, force: true });
    record(dir);
    damage(join(dir, 'index.db'));
    let line = '';
    for (const words of [
      ['ls', dir],
      ['verify', dir],
      ['verify', dir, '--rebuild'],
    ]) {
      const { status, stdout, stderr } = mytape(...words);
      assert.equal(status, 1, words.join(' '));
      assert.doesNotMatch(stdout + stderr, /--rebuild/, words.join(' '));
      [, line] = /(n=1; for f .* -o NEW)\)/.exec(stdout + stderr) ?? [];
      assert.ok(line, `${words}: ${stdout}${stderr}`);
    }
    if (i > 0) continue;
    const made = join(folder, 'new');
    const command = line.replace('PORT', String(SERVER_PORT)).replace('NEW', made);
    const done = spawnSync('sh', ['-c', command.replace('| mytape', `| '${process.execPath}' '${CLI}'`)], {
      encoding: 'utf8',
    });
    assert.equal(done.status, 0, done.stderr);
    assert.match(mytape('verify', made).stdout, /is whole: 6,424 packets .* 4 sessions\n$/);
  }
});

test('verify: a damaged file of who was recorded is named, and what to do about it', (t) => {
  const dir = join(temporaryFolder(t), 'a');
  record(dir);
  const identity = { hostname: 'vm', port: 3306, datadir: '/data' };
  writeKnownServers(dir, [{ addresses: ['10.0.0.9'], port: 3306, identity }]);
  assert.equal(mytape('verify', dir).status, 0);
  const path = join(dir, 'servers.json');
  writeFileSync(path, readFileSync(path, 'utf8').replace('"vm"', '"wm"'));
  writeFileSync(join(dir, 'snapshots.jsonl'), 'x\n');
  for (const rebuild of [[], ['--rebuild']]) {
    const { status, stdout } = mytape('verify', dir, ...rebuild);
    assert.equal(status, 1);
    assert.match(stdout, /line 1 of \S+servers\.json is damaged.*\nline 1 of \S+snapshots\.jsonl is damaged/);
    assert.match(
      stdout,
      /damaged in 2 places \(--rebuild cannot make these files again.*--allow-unidentified\)\n$/,
    );
  }
  const { findings, whole } = JSON.parse(mytape('verify', dir, '--json').stdout);
  assert.equal(whole, false);
  assert.deepEqual(
    findings.map(({ file }: { file: string }) => file),
    ['servers.json', 'snapshots.jsonl'],
  );
});
