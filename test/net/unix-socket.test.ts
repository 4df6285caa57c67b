import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { isServed, listenPrivately } from '../../src/net/unix-socket.ts';

/** Listens at the path that it is given, and never accepts: it stands still as soon as it listens. */
const STALLED = `
const server = require('node:net').createServer().listen({ path: process.argv[1], backlog: 1 }, () => {
  process.stdout.write('listening');
  setTimeout(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0), 50);
});`;

describe('a Unix socket', () => {
  const folder = mkdtempSync(join(tmpdir(), 'mytape-test-'));
  after(() => rmSync(folder, { recursive: true }));

  test('is made with mode 0600, and is served until it is closed', async () => {
    const path = join(folder, 'a.sock');
    const server = createServer();
    const before = process.umask();
    await new Promise<void>((resolve) => listenPrivately(server, path, resolve));
    assert.equal(process.umask(), before);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.ok(await isServed(path));
    server.close();
    await once(server, 'close');
    assert.ok(!(await isServed(path)));
  });

  test('a file of another kind, and a path that no socket can have, are not served', async () => {
    const file = join(folder, 'file');
    writeFileSync(file, '');
    assert.ok(!(await isServed(file)));
    assert.ok(!(await isServed(join(folder, 'x'.repeat(200)))));
  });

  test('is served also where its process does not keep up with connections', async () => {
    const path = join(folder, 'stalled.sock');
    const child = spawn(process.execPath, ['-e', STALLED, path], { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      await once(child.stdout, 'data');
      const waiting = [];
      for (let code = ''; code !== 'EAGAIN'; ) {
        const socket = createConnection(path);
        waiting.push(socket);
        code = await new Promise<string>((resolve) => {
          socket.once('connect', () => resolve(''));
          socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
        });
      }
      assert.ok(await isServed(path));
      for (const socket of waiting) socket.destroy();
    } finally {
      child.kill('SIGKILL');
    }
  });
});
