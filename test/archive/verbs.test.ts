import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chownSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { interleave, recordArchive, sessionFrames, temporaryFolder } from './support.ts';

const CHILD = fileURLToPath(new URL('./verbs-child.js', import.meta.url));

function run(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [CHILD, ...args], { encoding: 'buffer' });
  return { status, octets: stdout, stdout: stdout.toString(), stderr: stderr.toString() };
}

describe('ls and export', () => {
  let dir: string;
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'mytape-test-'));
    dir = join(folder, 'a');
    recordArchive(dir, interleave([1, 2, 3].map((i) => sessionFrames(`10.0.0.${i}`, 40_000 + i, 10 * i))));
  });

  after(() => rmSync(folder, { recursive: true, force: true }));

  test('ls lists the sessions for people', () => {
    const { status, stdout, stderr } = run('ls', dir);
    assert.equal(status, 0);
    assert.equal(stderr, '');
    const lines = stdout.trimEnd().split('\n');
    assert.match(
      lines[0],
      /^ID +CLIENT +USER +SCHEMA +START +DURATION +COMMANDS +PACKETS +OCTETS +COVERAGE$/,
    );
    assert.match(lines[3], /^ 2 +10\.0\.0\.3:40003 +app +shop +20\S+ \S+ +0\.\d\ds +30 +66 +[\d,]+ +whole$/);
    assert.match(lines[4], /^3 sessions, 60 commands, 138 packets, [\d.]+ KiB$/);
    assert.equal(lines.length, 5);
  });

  test('ls --json gives an object a line', () => {
    const lines = run('ls', dir, '--json', '--user', 'app').stdout.trimEnd().split('\n');
    const sessions = lines.map((line) => JSON.parse(line));
    assert.deepEqual(
      sessions.map(({ id, client, server, user, commands }) => ({ id, client, server, user, commands })),
      [1, 2, 3].map((i) => ({
        id: i - 1,
        client: `10.0.0.${i}:${40_000 + i}`,
        server: '10.0.0.9:3307',
        user: 'app',
        commands: 10 * i,
      })),
    );
    assert.equal(run('ls', dir, '--json', '--user', 'nobody').stdout, '');
  });

  test('export writes to stdout, whole', () => {
    const { status, octets, stderr } = run('export', dir, '-o', '-', '--session', '2');
    assert.equal(status, 0);
    assert.match(stderr, /66 packets written to stdout/);
    assert.equal(octets.readUInt32LE(0), 0xa1b23c4d);
  });

  test("export writes through no link, into no FIFO or device, and not into another user's file", (t) => {
    const away = temporaryFolder(t);
    const [precious, link, fifo, another] = ['precious', 'link', 'fifo', 'another'].map((name) =>
      join(away, name),
    );
    for (const path of [precious, another]) writeFileSync(path, 'precious');
    symlinkSync(precious, link);
    spawnSync('mkfifo', [fifo]);
    const refused = (path: string, why: RegExp) => {
      const { status, stderr } = run('export', dir, '-o', path);
      assert.match(
        stderr,
        /^disk: cannot write .*\(name a new file; or write to stdout, and let the shell open it: -o - > \S+\)\n$/,
      );
      assert.match(stderr, why);
      assert.equal(status, 1);
    };
    refused(link, /symbolic link/);
    refused(fifo, /a FIFO/);
    refused('/dev/null', /a device/);
    if (process.geteuid?.() === 0) {
      chownSync(another, 54_321, 0);
      refused(another, /belongs to user 54321/);
    }
    for (const path of [precious, another]) assert.equal(readFileSync(path, 'utf8'), 'precious');
  });

  test('what is wrong is said in one line', () => {
    const { status, stderr } = run('ls', join(dir, 'none'));
    assert.equal(status, 1);
    assert.match(stderr, /^bad-archive: there is no archive .*none\n$/);
  });
});
