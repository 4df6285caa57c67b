import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { MytapeError } from '../../src/errors.ts';
import { makeKeyFile, readKeyFile } from '../../src/intercept/relay-key.ts';

const IS_ROOT = process.getuid?.() === 0;

function setUp(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'mytape-key-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'key');
  const refused = (pattern: RegExp, of = path) =>
    assert.throws(
      () => readKeyFile(of),
      (error: MytapeError) => error.code === 'bad-key' && pattern.test(error.message),
    );
  return { folder, path, refused };
}

describe('key file', () => {
  test('is read, or refused with what to do', (t) => {
    const { path, refused } = setUp(t);
    refused(/cannot read the key file .*make one: mytape intercept --new-key/);
    writeFileSync(path, `${'0f'.repeat(32)}\n`, { mode: 0o600 });
    assert.deepEqual(readKeyFile(path), Buffer.alloc(32, 0x0f));
    for (const mode of [0o640, 0o604, 0o620, 0o602]) {
      chmodSync(path, mode);
      refused(/can be read by others \(run: chmod 600/);
    }
    chmodSync(path, 0o600);
    for (const text of ['', 'secret', '0f'.repeat(15), '0f'.repeat(16) + '0']) {
      writeFileSync(path, text);
      refused(/holds no key/);
    }
    writeFileSync(path, '0f'.repeat(4_000));
    refused(/it has 8000 octets, more than 4096/);
  });

  test('must be a regular file itself, not a link that somebody could turn elsewhere', (t) => {
    const { folder, path, refused } = setUp(t);
    writeFileSync(path, '0f'.repeat(32), { mode: 0o600 });
    const link = join(folder, 'link');
    symlinkSync(path, link);
    refused(/is a symbolic link, not a regular file/, link);
    refused(/is a folder, not a regular file/, folder);
    refused(/is a device, not a regular file/, '/dev/zero');
  });

  test("must be its user's own, or root's", { skip: IS_ROOT ? false : 'needs root' }, (t) => {
    const { path, refused } = setUp(t);
    writeFileSync(path, '0f'.repeat(32), { mode: 0o600 });
    chownSync(path, 65534, 65534);
    refused(/belongs to user 65534, who could change it.*run: chown 0 /);
  });

  test('a new one is random, of its owner alone, and takes no other’s place', (t) => {
    const { folder, path } = setUp(t);
    makeKeyFile(path);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.match(readFileSync(path, 'utf8'), /^[0-9a-f]{64}\n$/);
    assert.equal(readKeyFile(path).length, 32);
    const other = join(folder, 'other');
    makeKeyFile(other);
    assert.notDeepEqual(readKeyFile(other), readKeyFile(path));
    const before = readFileSync(path);
    assert.throws(() => makeKeyFile(path), /cannot make the key file .*it is there already/);
    assert.deepEqual(readFileSync(path), before);
    const dangling = join(folder, 'dangling');
    symlinkSync(join(folder, 'elsewhere'), dangling);
    assert.throws(() => makeKeyFile(dangling), /cannot make the key file/);
    assert.throws(() => makeKeyFile(join(folder, 'no', 'key')), /cannot make the key file .*ENOENT/);
  });
});
