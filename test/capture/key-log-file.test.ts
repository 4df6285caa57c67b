import assert from 'node:assert/strict';
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readKeyLog } from '../../src/capture/key-log-file.ts';
import { temporaryFolder } from '../archive/support.ts';

test('a key log is read up to a bound', (t) => {
  const path = join(temporaryFolder(t), 'keys.log');
  const line = `CLIENT_RANDOM ${'ab'.repeat(32)} ${'cd'.repeat(48)}\n`;
  writeFileSync(path, line);
  assert.equal(readKeyLog(path), line);
  truncateSync(path, 64 * 1024 ** 2 + 1);
  assert.throws(() => readKeyLog(path), { code: 'bad-file', message: /keys\.log is longer than 64 MiB/ });
  writeFileSync(path, '# nothing\n');
  assert.throws(() => readKeyLog(path), { code: 'bad-file', message: /has no secret/ });
  assert.throws(() => readKeyLog('/dev/zero'), { code: 'bad-file', message: /longer than 64 MiB/ });
  assert.throws(() => readKeyLog(`${path}.not`), { code: 'bad-file', message: /ENOENT/ });
});
