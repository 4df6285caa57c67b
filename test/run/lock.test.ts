import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { test } from 'node:test';
import { findAccount } from '../../src/net/host/privileges.ts';
import { RunLock } from '../../src/run/lock.ts';
import { temporaryFolder } from '../archive/support.ts';

const skip =
  process.platform === 'linux' && process.getuid?.() === 0
    ? false
    : 'needs root on Linux, to become another user';

test('a run has its folder for itself, until it lets go', (t) => {
  const folder = temporaryFolder(t);
  const lock = RunLock.take(folder, undefined);
  assert.throws(
    () => RunLock.take(folder, undefined),
    /a run is under way in .*choose another folder by --out/,
  );
  lock.release();
  RunLock.take(folder, undefined).release();
});

test('a folder that the user of the run cannot write: the error names both', { skip }, (t) => {
  const folder = temporaryFolder(t);
  chmodSync(folder, 0o700);
  assert.throws(() => RunLock.take(folder, findAccount('nobody')), {
    code: 'bad-file',
    message: `cannot write into the folder ${folder} as nobody (choose another by --out, or its owner by --user root)`,
  });
  assert.equal(process.geteuid?.(), 0);
});
