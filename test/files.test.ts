import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  closeSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import {
  countAsOurs,
  OPEN,
  openRegular,
  openRegularHandle,
  ourUsers,
  readPrivate,
  readRegular,
  UnsafeFileError,
  whyNotRegular,
} from '../src/files.ts';

const DIR = mkdtempSync(join(tmpdir(), 'files-'));
after(() => rmSync(DIR, { recursive: true, force: true }));

/** A path in the folder, with `text` in it unless that is undefined. */
function file(name: string, text?: string): string {
  const path = join(DIR, name);
  if (text !== undefined) writeFileSync(path, text);
  return path;
}

function refused(open: () => number, what: RegExp): void {
  assert.throws(open, (error) => error instanceof UnsafeFileError && what.test(error.message));
}

describe('regular files', () => {
  test('a file is made, emptied, appended to and read', () => {
    const path = file('new');
    const write = (flags: number, text: string) => {
      const fd = openRegular(path, flags);
      writeSync(fd, text);
      closeSync(fd);
    };
    write(OPEN.createNew, 'first');
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.throws(() => openRegular(path, OPEN.createNew), { code: 'EEXIST' });
    write(OPEN.create, 'one');
    write(OPEN.append, ' two');
    assert.equal(readRegular(path).toString(), 'one two');
    refused(() => readRegular(path, 6).length, /has 7 octets, more than 6/);
    assert.throws(() => openRegular(join(DIR, 'none'), OPEN.read), { code: 'ENOENT' });
  });

  test('a link is not followed, whatever for, and what it names stays as it is', async () => {
    const target = file('target', 'precious');
    const link = file('link');
    symlinkSync(target, link);
    for (const flags of Object.values(OPEN)) {
      refused(() => openRegular(link, flags), /symbolic link/);
      await assert.rejects(openRegularHandle(link, flags), UnsafeFileError);
    }
    const dangling = file('dangling');
    symlinkSync(join(DIR, 'made-by-link'), dangling);
    refused(() => openRegular(dangling, OPEN.create), /symbolic link/);
    assert.match(whyNotRegular(dangling) ?? '', /symbolic link/);
    assert.equal(readFileSync(target, 'utf8'), 'precious');
  });

  test('a file of several names is read, but not written', () => {
    const target = file('first-name', 'precious');
    linkSync(target, join(DIR, 'second-name'));
    assert.equal(readRegular(target).toString(), 'precious');
    refused(() => openRegular(target, OPEN.create), /2 hard links/);
    assert.match(whyNotRegular(target) ?? '', /2 hard links/);
    assert.equal(readFileSync(target, 'utf8'), 'precious');
  });

  test('a FIFO, a device and a folder are refused at once', async () => {
    const fifo = file('fifo');
    execFileSync('mkfifo', [fifo]);
    mkdirSync(file('folder'));
    for (const flags of [OPEN.read, OPEN.update, OPEN.create]) {
      refused(() => openRegular(fifo, flags), /is a FIFO/);
      refused(() => openRegular('/dev/null', flags), /is a device/);
      refused(() => openRegular(file('folder'), flags), /is a folder/);
    }
    await assert.rejects(openRegularHandle(fifo, OPEN.read), /is a FIFO/);
  });

  test("another user's file is refused where an owner is asked for, before it is emptied", () => {
    const path = file('owned', 'precious');
    const { uid } = statSync(path);
    const owner = uid + 1;
    refused(() => openRegular(path, OPEN.create, 0o600, { owner }), /belongs to user \d+, not to user \d+/);
    assert.equal(readFileSync(path, 'utf8'), 'precious');
    closeSync(openRegular(path, OPEN.create, 0o600, { owner: uid }));
    assert.equal(readFileSync(path, 'utf8'), '');
    assert.equal(whyNotRegular(path, { owner: uid }), undefined);
    assert.equal(whyNotRegular(join(DIR, 'none')), undefined);
  });
});

describe('a file with secrets', () => {
  test('is read where it is ours alone', () => {
    const path = file('secret', 'word');
    chmodSync(path, 0o400);
    assert.equal(readPrivate(path), 'word');
    for (const mode of [0o440, 0o404, 0o620, 0o602]) {
      chmodSync(path, mode);
      assert.throws(() => readPrivate(path), /can be read by others \(run: chmod 600 .*secret\)/);
    }
    chmodSync(path, 0o600);
    assert.throws(() => readPrivate(path, 3), /has 4 octets, more than 3/);
  });

  test('is neither a link nor a FIFO', () => {
    const secret = file('linked-secret', 'word');
    const link = file('secret-link');
    chmodSync(secret, 0o600);
    symlinkSync(secret, link);
    assert.throws(() => readPrivate(link), /symbolic link/);
    const fifo = file('secret-fifo');
    execFileSync('mkfifo', ['-m', '600', fifo]);
    assert.throws(() => readPrivate(fifo), /is a FIFO/);
  });

  const isRoot = process.geteuid?.() === 0;
  test('of somebody else is refused, also to root; who called root, and whom it goes on as, are not somebody else', {
    skip: isRoot ? false : 'needs root',
  }, () => {
    const path = file('of-another', 'word');
    chmodSync(path, 0o600);
    chownSync(path, 54_321, 0);
    assert.throws(
      () => readPrivate(path),
      /belongs to user 54321, who could change it.*chown 0 .*of-another/,
    );
    assert.deepEqual(ourUsers({ SUDO_UID: '54321', PKEXEC_UID: 'x' }), [0, 54_321]);
    assert.deepEqual(ourUsers({}), [0]);
    countAsOurs(54_321);
    assert.equal(readPrivate(path), 'word');
  });
});
