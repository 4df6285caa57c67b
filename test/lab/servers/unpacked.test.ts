/** The cache of unpacked servers. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeCache } from '../../../scripts/lab/servers/unpacked.ts';

test('everybody may enter the cache, whatever the umask, and also one that was made closed', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'mytape-test-'));
  const umask = process.umask(0o077);
  t.after(() => {
    process.umask(umask);
    rmSync(folder, { recursive: true });
  });
  const [fresh, closed] = [join(folder, 'fresh'), join(folder, 'closed')];
  mkdirSync(closed);
  for (const cache of [fresh, closed]) {
    makeCache(cache);
    assert.equal(statSync(cache).mode & 0o777, 0o755);
  }
});
