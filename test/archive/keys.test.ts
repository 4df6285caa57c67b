import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { addKeys, KEYS_FILE, readKeys } from '../../src/archive/keys.ts';
import { temporaryFolder } from './support.ts';

const line = (random: string) => `CLIENT_RANDOM ${random.repeat(32)} ${'0b'.repeat(48)}`;

describe('keys of an archive', () => {
  test('are added up, and read', (t) => {
    const dir = temporaryFolder(t);
    assert.equal(readKeys(dir), undefined);
    addKeys(dir, line('01'));
    addKeys(dir, `${line('02')}\n${line('03')}\n`);
    assert.equal(readKeys(dir)!.size, 3);
    assert.ok(readKeys(dir)!.of('02'.repeat(32)));
    assert.equal(readFileSync(join(dir, KEYS_FILE), 'utf8').split('\n').length, 4);
  });

  test('are for their owner alone, whatever they were before', (t) => {
    const dir = temporaryFolder(t);
    writeFileSync(join(dir, KEYS_FILE), '', { mode: 0o644 });
    addKeys(dir, line('01'));
    assert.equal(statSync(join(dir, KEYS_FILE)).mode & 0o777, 0o600);
  });

  test('that cannot be written or read are said', (t) => {
    const dir = temporaryFolder(t);
    assert.throws(() => addKeys(join(dir, 'nowhere'), line('01')), { code: 'disk', message: /keys\.log/ });
    mkdirSync(join(dir, KEYS_FILE));
    assert.throws(() => readKeys(dir), { code: 'bad-archive', message: /keys\.log/ });
  });
});
