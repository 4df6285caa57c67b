import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { CLI, mytape } from './verbs/mytape.ts';

const CAPTURE = fileURLToPath(new URL('../../fixtures/mysql2-types.pcap', import.meta.url));

/** As Node itself fails where a module was compiled for another of its releases. */
const NOT_LOADED = `const load = process.dlopen.bind(process);
process.dlopen = (module, path) => {
  if (!path.includes(process.env.LACKING)) return load(module, path);
  throw Object.assign(new Error('wrong NODE_MODULE_VERSION'), { code: 'ERR_DLOPEN_FAILED' });
};`;

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
