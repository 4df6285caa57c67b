import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { skip } from '../net/namespaces.ts';

const CHILD = fileURLToPath(new URL('paws-child.js', import.meta.url));

/** What decision 0047 stands on: two halves whose clocks differ by a tick are not good enough. */
test('Linux forgives a TSval one tick too old on a connection that stands, and nowhere else', {
  skip,
}, async () => {
  const { stdout } = await promisify(execFile)('unshare', ['--net', process.execPath, CHILD]);
  assert.deepEqual(JSON.parse(stdout), {
    handshake: [
      [-1, false],
      [0, true],
    ],
    established: [
      [-2, false],
      [-1, true],
      [0, true],
    ],
    'TIME_WAIT, an ACK': [
      [-1, false],
      [0, true],
    ],
    'TIME_WAIT, a SYN': [
      [-1, false],
      [0, false],
      [1, true],
    ],
  });
});
