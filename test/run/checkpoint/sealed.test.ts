import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { xxh32 } from '../../../src/archive/xxh32.ts';
import { readSealed, seal } from '../../../src/run/checkpoint/sealed.ts';
import { temporaryFolder } from '../../archive/support.ts';

const HOLDS = { run: 'a', left: [1, 2] };

function check(text: string): string {
  const octets = Buffer.from(text);
  const view = new DataView(octets.buffer, octets.byteOffset, octets.length);
  return xxh32(view, 0, octets.length).toString(16).padStart(8, '0');
}

test('a sealed file is read as it was written, and so is one of an earlier build', (t) => {
  const path = join(temporaryFolder(t), 'file');
  writeFileSync(path, seal(HOLDS, 2));
  assert.deepEqual(readSealed(path), HOLDS);
  writeFileSync(path, JSON.stringify({ version: 1, check: check(JSON.stringify(HOLDS)), holds: HOLDS }));
  assert.deepEqual(readSealed(path), HOLDS);
});

test('a version that was written over is damage; one that is meant names the mytape to use', (t) => {
  const path = join(temporaryFolder(t), 'file');
  const written = seal(HOLDS);
  for (const version of ['3', '"1"', 'null', '-1']) {
    writeFileSync(path, written.replace('"version":1', `"version":${version}`));
    assert.throws(() => readSealed(path), /^Error: it is damaged, or was edited: its sum is wrong$/);
  }
  writeFileSync(
    path,
    JSON.stringify({ version: 2, check: check(`2:${JSON.stringify(HOLDS)}`), holds: HOLDS }),
  );
  assert.throws(() => readSealed(path), /it has version 2, .*use the mytape that wrote it/);
});
