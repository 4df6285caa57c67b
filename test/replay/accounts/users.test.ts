import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { readUsersFile } from '../../../src/replay/accounts/users.ts';

describe('users file', () => {
  let folder: string;
  let path: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'mytape-test-'));
    path = join(folder, 'users');
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  function read(text: string, mode = 0o600): Record<string, string> {
    writeFileSync(path, text);
    chmodSync(path, mode);
    return Object.fromEntries(readUsersFile(path));
  }

  test('the password is all behind the first colon and one space', () => {
    const text =
      '# who\napp: secret\n\nweb:no-space\nodd: a:b # c \ntwo:  x\nempty:\n#old: gone\r\ndos: line\r\n';
    assert.deepEqual(read(text), {
      app: 'secret',
      web: 'no-space',
      odd: 'a:b # c ',
      two: ' x',
      empty: '',
      dos: 'line',
    });
  });

  test('the user without a name has a password, too, and nothing is quoted', () => {
    assert.deepEqual(read(': secret\napp: "a\'b"\n'), { '': 'secret', app: '"a\'b"' });
    assert.deepEqual(read(':\n'), { '': '' });
  });

  test('a line of another form is named, and its text is kept to itself', () => {
    assert.throws(
      () => read('app: secret\n# note\nhunter2\n'),
      (error: Error & { code: string }) =>
        error.code === 'bad-users-file' &&
        /users:3 .*`user: password`/.test(error.message) &&
        !/hunter2/.test(error.message),
    );
    assert.throws(() => read('app\n'), /users:1 /);
  });

  test('what others can read is refused, with the way out', () => {
    for (const mode of [0o640, 0o604, 0o620, 0o601]) {
      assert.throws(() => read('app: secret\n', mode), new RegExp(`chmod 600 ${path}`), mode.toString(8));
    }
    assert.deepEqual(read('app: secret\n', 0o400), { app: 'secret' });
  });

  test('a file that is not there is named', () => {
    assert.throws(() => readUsersFile(join(folder, 'none')), /cannot read the users file .*none: ENOENT/);
  });
});
