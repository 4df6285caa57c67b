import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chownSync,
  existsSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { writePidFile } from '../../src/verbs/pid-file.ts';
import { temporaryFolder } from '../archive/support.ts';

describe('a pid file', () => {
  test('can be read by all, whatever the umask, and goes', (t) => {
    const path = join(temporaryFolder(t), 'pid');
    const umask = process.umask(0o077);
    t.after(() => process.umask(umask));
    const file = writePidFile(path);
    assert.equal(readFileSync(path, 'utf8'), `${process.pid}\n`);
    assert.equal(statSync(path).mode & 0o777, 0o644);
    file.remove();
    assert.ok(!existsSync(path));
  });

  test('left by a process that is gone is written over', (t) => {
    const path = join(temporaryFolder(t), 'pid');
    writeFileSync(path, '4194305\n');
    writePidFile(path).remove();
    assert.ok(!existsSync(path));
  });

  test("another's in its place stays", (t) => {
    const path = join(temporaryFolder(t), 'pid');
    const file = writePidFile(path);
    renameSync(path, `${path}-moved`);
    writeFileSync(path, '1\n');
    file.remove();
    assert.equal(readFileSync(path, 'utf8'), '1\n');
  });

  test('is not written through a link, nor into a FIFO', (t) => {
    const folder = temporaryFolder(t);
    const [precious, link, fifo] = ['precious', 'link', 'fifo'].map((name) => join(folder, name));
    writeFileSync(precious, 'precious');
    symlinkSync(precious, link);
    execFileSync('mkfifo', [fifo]);
    assert.throws(
      () => writePidFile(link),
      /cannot write the pid file .*link: it is a symbolic link.*--pid-file/,
    );
    assert.throws(() => writePidFile(fifo), /cannot write the pid file .*fifo: it is a FIFO/);
    assert.equal(readFileSync(precious, 'utf8'), 'precious');
  });

  test("is not written into another user's file", {
    skip: process.geteuid?.() !== 0 && 'needs root',
  }, (t) => {
    const path = join(temporaryFolder(t), 'pid');
    writeFileSync(path, 'precious');
    chownSync(path, 54_321, 0);
    assert.throws(() => writePidFile(path), /cannot write the pid file .*: it belongs to user 54321/);
    assert.equal(readFileSync(path, 'utf8'), 'precious');
  });
});
