import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RowHash, thenRow } from '../../src/mysql/row-hash.ts';

function hash(...parts: Uint8Array[]): number {
  const rowHash = new RowHash();
  rowHash.begin();
  for (const part of parts) rowHash.update(part, 0, part.length);
  return rowHash.end();
}

test("is MurmurHash3's 32-bit variant with seed 0 (its published test values)", () => {
  const known: [string, number][] = [
    ['', 0],
    ['test', 0xba6bd213],
    ['Hello, world!', 0xc0363e43],
    ['The quick brown fox jumps over the lazy dog', 0x2e4ff723],
  ];
  for (const [text, value] of known) assert.equal(hash(Buffer.from(text)), value, text);
});

test('does not depend on how a row is cut', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 9 }), { maxLength: 12 }), (parts) => {
      assert.equal(hash(...parts), hash(Buffer.concat(parts)));
    }),
  );
});

test('the hash of rows depends on their order', () => {
  assert.notEqual(thenRow(thenRow(0, 1), 2), thenRow(thenRow(0, 2), 1));
});
