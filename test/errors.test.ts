import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { fileTrouble } from '../src/errors.ts';
import { CLI, mytape } from './verbs/mytape.ts';

const CAPTURE = fileURLToPath(new URL('../../fixtures/mysql2-types.pcap', import.meta.url));

/** As Node itself fails where a module was compiled for another of its releases. */
const NOT_LOADED = `const load = process.dlopen.bind(process);
process.dlopen = (module, path) => {
  if (!path.includes(process.env.LACKING)) return load(module, path);
  throw Object.assign(new Error('wrong NODE_MODULE_VERSION'), { code: 'ERR_DLOPEN_FAILED' });
};`;

/** A disk that fails once the archive is there: in its way to the disk, and when its files are closed. */
const FAILING_DISK = `const fs = require('node:fs');
const { closeSync, fdatasyncSync } = fs;
const fail = (call) => {
  throw Object.assign(new Error('EIO: i/o error, ' + call), { code: 'EIO', syscall: call });
};
const isSegment = (fd) => fs.readlinkSync('/proc/self/fd/' + fd).endsWith('.pcap.lz4');
let synced = 0;
fs.fdatasyncSync = (fd) => (synced++ > 0 ? fail('fdatasync') : fdatasyncSync(fd));
fs.closeSync = (fd) => (isSegment(fd) ? fail('close') : closeSync(fd));
require('node:module').syncBuiltinESMExports();`;

test('a disk that fails while an archive is closed: a summary, and whose fault it is', {
  skip: process.platform !== 'linux',
}, (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'mytape-eio-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const hook = join(folder, 'hook.cjs');
  writeFileSync(hook, FAILING_DISK);
  const args = ['import', CAPTURE, '-p', '33917', '-o', join(folder, 'a.tape')];
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--require', hook, CLI, ...args], {
    encoding: 'utf8',
  });
  assert.equal(status, 1);
  assert.match(stdout, /a\.tape: \d+ packets, .* sessions?, /);
  assert.match(
    stderr,
    /cannot write to .*a\.tape: EIO: i\/o error, fdatasync; the next mytape .* repairs it/,
  );
  assert.doesNotMatch(stderr, /fault|^ +at /m);
});

test("an error of the system's about a file is told as that", () => {
  const error = Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO', path: '/a/b' });
  assert.match(fileTrouble(error)!, /^a file operation failed: \/a\/b: EIO/);
  assert.match(
    fileTrouble(Object.assign(new Error('disk I/O error'), { code: 'SQLITE_IOERR_WRITE' }))!,
    /disk I\/O/,
  );
  assert.equal(fileTrouble(new TypeError('x is not a function')), undefined);
  assert.equal(fileTrouble(Object.assign(new Error('no'), { code: 'ERR_ASSERTION' })), undefined);
});

test('a native module that was not compiled: which one, and what to install', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'mytape-native-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const hook = join(folder, 'hook.cjs');
  writeFileSync(hook, NOT_LOADED);
  const archive = join(folder, 'a.tape');
  assert.equal(mytape('import', CAPTURE, '-p', '33917', '-o', archive).status, 0);
  for (const [name, ...args] of [
    ['better-sqlite3', 'ls', archive],
    ['lz4', 'export', archive, '-o', join(folder, 'a.pcap')],
  ]) {
    const { status, stderr } = spawnSync(process.execPath, ['--require', hook, CLI, ...args], {
      encoding: 'utf8',
      env: { ...process.env, LACKING: name },
    });
    assert.match(
      stderr,
      new RegExp(`^mytape: cannot load the package ${name}: it was not compiled for Node`),
    );
    assert.match(stderr, new RegExp(`npm rebuild ${name}\\)\n$`));
    assert.equal(status, 1);
  }
});
