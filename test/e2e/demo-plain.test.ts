/** The demo as somebody without rights runs it: with a server of its own, and where none is installed. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { collect } from '../../scripts/lab/lab.ts';
import { EXIT } from '../../src/errors.ts';
import { commandObstacle } from './support/capability.ts';

const DEMO = fileURLToPath(new URL('../../scripts/demo/demo.js', import.meta.url));
const NOBODY = '65534';

describe('npm run demo, without root', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'mytape-test-'));
    chmodSync(folder, 0o777);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  /** Everything of its own is in `folder`. */
  function demo(...env: string[]): ChildProcess {
    const isRoot = process.getuid?.() === 0;
    const as = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', '--'];
    const [file, ...args] = [...(isRoot ? as : []), 'env', ...env, process.execPath, DEMO];
    return spawn(file, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, HOME: folder, TMPDIR: folder },
    });
  }

  const noSetpriv = process.getuid?.() === 0 ? commandObstacle('setpriv') : undefined;
  const noServer = noSetpriv ?? commandObstacle('mariadb-install-db') ?? commandObstacle('mariadbd');

  test('onto a mariadbd of its own, which ends with it', { skip: noServer ?? false }, async () => {
    const { code, stdout, stderr } = await collect(demo());
    assert.equal(code, 0, stdout + stderr);
    assert.match(stdout, /The whole demo needs root/);
    assert.match(stdout, /mariadbd \S+ with a data folder of its own, at 127\.0\.0\.1:\d+/);
    assert.match(stdout, /Com_select +28 +28 +equal\n/);
    assert.match(stdout, /Com_select +140 +140 +equal\n/);
    assert.equal(stdout.match(/✓ all counters equal/g)?.length, 2);
    assert.doesNotMatch(stdout, /✗/);
    assert.deepEqual(readdirSync(folder), []);
  });

  test('onto the null responder, where no server is installed', { skip: noSetpriv ?? false }, async () => {
    const { code, stdout, stderr } = await collect(demo(`PATH=${join(folder, 'none')}`));
    assert.equal(code, 0, stdout + stderr);
    assert.match(stdout, /no mariadbd is installed: the built-in null responder/);
    assert.match(stdout, /✓ 205 commands answered, once for each copy/);
    assert.doesNotMatch(stdout, /✗|Com_select/);
    assert.deepEqual(readdirSync(folder), []);
  });

  test('Ctrl-C leaves nothing behind', { skip: noServer ?? false }, async () => {
    const child = demo();
    let said = '';
    let port = 0;
    child.stdout?.on('data', (octets) => {
      said += octets;
      const found = /of its own, at 127\.0\.0\.1:(\d+)/.exec(said);
      if (found === null || port !== 0) return;
      port = Number(found[1]);
      child.kill('SIGINT');
    });
    const { code, stderr } = await collect(child);
    assert.equal(code, EXIT.interrupted, said + stderr);
    assert.ok(port > 0);
    assert.deepEqual(readdirSync(folder), []);
    const { reach } = await import('../../src/transport/reach.ts');
    assert.equal(await reach('127.0.0.1', port, 2000), 'refused');
  });
});
