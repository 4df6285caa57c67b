import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import net, { type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { MytapeError } from '../../src/errors.ts';
import { clearSocketPath, whyNotTrusted } from '../../src/intercept/relay-path.ts';
import { listenPrivately } from '../../src/net/unix-socket.ts';

const IS_ROOT = process.getuid?.() === 0;

function setUp(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'mytape-path-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return { folder, path: join(folder, 'relay.sock') };
}

async function serve(t: TestContext, path: string): Promise<Server> {
  const server = net.createServer((socket) => socket.end());
  t.after(() => server.close());
  await new Promise<void>((resolve) => listenPrivately(server, path, resolve));
  return server;
}

const refused = (pattern: RegExp) => (error: MytapeError) =>
  error.code === 'relay' && pattern.test(error.message);

describe('a relay at a path', () => {
  test('is of its owner alone, whatever the umask', async (t) => {
    const { path } = setUp(t);
    const before = process.umask(0);
    try {
      await serve(t, path);
      assert.equal(process.umask(), 0, 'it is left as it was');
    } finally {
      process.umask(before);
    }
    assert.equal(lstatSync(path).mode & 0o777, 0o600);
    assert.equal(whyNotTrusted(path), undefined);
  });

  test('takes the place of a socket that nobody serves, and of nothing else', async (t) => {
    const { folder, path } = setUp(t);
    await clearSocketPath(path);
    const server = await serve(t, path);
    await assert.rejects(clearSocketPath(path), refused(/another intercept listens there/));
    // A process that was killed leaves it behind.
    renameSync(path, `${path}.kept`);
    await new Promise((resolve) => server.close(resolve));
    renameSync(`${path}.kept`, path);
    await clearSocketPath(path);
    assert.equal(existsSync(path), false);
    const file = join(folder, 'file');
    writeFileSync(file, 'precious');
    await assert.rejects(clearSocketPath(file), refused(/something else has that name/));
    assert.ok(existsSync(file));
  });

  test('is not where anybody could put another', async (t) => {
    const { folder, path } = setUp(t);
    chmodSync(folder, 0o1777);
    await assert.rejects(clearSocketPath(path), refused(/anyone may write to .*-p \/run\/mytape\.sock/));
    await assert.rejects(clearSocketPath('/nonexistent/x.sock'), refused(/choose a folder that is there/));
    await assert.rejects(clearSocketPath(`/tmp/${'x'.repeat(200)}`), refused(/longer than 107 octets/));
  });

  test("another user's is neither replaced nor spoken to", { skip: !IS_ROOT && 'needs root' }, async (t) => {
    const { folder, path } = setUp(t);
    await serve(t, path);
    chownSync(path, 65534, 65534);
    await assert.rejects(clearSocketPath(path), refused(/a socket of user 65534/));
    assert.equal(whyNotTrusted(path), undefined, 'only who may write to the folder can have put it there');
    chmodSync(folder, 0o1777);
    assert.match(whyNotTrusted(path) ?? '', /belongs to user 65534, and anyone could/);
  });
});
