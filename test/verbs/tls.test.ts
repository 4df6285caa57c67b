/** What is said of sessions under TLS, with their keys and without, by each verb that meets them. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ROOT } from '../support/root.ts';
import { mytape } from './mytape.ts';

const PORT = '33917';
const fixture = (name: string) => join(ROOT, 'fixtures', name);
const KEYS = fixture('mysql2-tls13.keys');

/** What is said of the fixture's sessions. */
const CLOSED =
  /5 of 5 sessions are under TLS: they can't be replayed without keys \(give the keys with --keylog FILE, .*SSLKEYLOGFILE.*connect without TLS, and record again\)/;

describe('sessions under TLS', () => {
  let folder: string;
  /** With keys, and without. */
  let open: string;
  let closed: string;
  let imported: ReturnType<typeof mytape>[];
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'mytape-test-'));
    [open, closed] = ['open', 'closed'].map((name) => join(folder, name));
    const capture = fixture('mysql2-tls13.pcap');
    imported = [
      mytape('import', capture, '-o', open, '-p', PORT, '--keylog', KEYS, '--json'),
      mytape('import', capture, '-o', closed, '-p', PORT, '--json'),
    ];
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const ls = (...args: string[]) => {
    const { status, stdout, stderr } = mytape('ls', ...args, '--json');
    assert.equal(status, 0, stderr);
    const lines = stdout.trimEnd().split('\n');
    const listed = lines.map((line) => {
      const { user, schema, commands, tls, keys } = JSON.parse(line);
      return { user, schema, commands, tls, keys };
    });
    assert.equal(listed.length, 5);
    return { listed, stderr };
  };

  test('import and ls: user and commands where keys are there, else what to do', () => {
    const [withKeys, without] = imported;
    assert.doesNotMatch(withKeys.stderr, /under TLS/);
    assert.match(without.stderr, CLOSED);
    const [found, lacking] = imported.map(({ stdout }) => JSON.parse(stdout));
    assert.deepEqual([found.tls, found.tlsWithKeys, found.uncounted], [5, 5, 0]);
    assert.deepEqual([lacking.tls, lacking.tlsWithKeys, lacking.commands, lacking.uncounted], [5, 0, 0, 5]);
    for (const args of [[open], [closed, '--keylog', KEYS]]) {
      const { listed, stderr } = ls(...args);
      for (const { user, tls, keys } of listed)
        assert.deepEqual({ user, tls, keys }, { user: 'app', tls: true, keys: true });
      assert.equal(
        listed.reduce((sum, { commands }) => sum + commands, 0),
        found.commands,
      );
      assert.ok(found.commands > 5);
      assert.doesNotMatch(stderr, /under TLS/);
    }
    const { listed, stderr } = ls(closed);
    const nothing = { user: null, schema: null, commands: null, tls: true, keys: false };
    assert.deepEqual(listed, Array(5).fill(nothing));
    assert.match(stderr, CLOSED);
  });

  test('a dry run and doctor', () => {
    const users = join(folder, 'users');
    writeFileSync(users, 'app: secret\n', { mode: 0o600 });
    const dry = (...args: string[]) => mytape('replay', ...args, '--dry-run', '--users', users);
    assert.match(dry(closed).stdout, CLOSED);
    assert.equal(JSON.parse(dry(closed, '--json').stdout).tls_without_keys, 5);
    assert.doesNotMatch(dry(closed, '--keylog', KEYS).stdout, /under TLS/);
    // Nobody listens there: what it says of the archive comes first.
    const doctor = ['doctor', '-x', `${PORT}-127.0.0.1:1`, '--transport', 'socket', '--archive'];
    assert.match(mytape(...doctor, closed).stdout, CLOSED);
    assert.doesNotMatch(mytape(...doctor, open).stdout, /under TLS/);
  });
});
