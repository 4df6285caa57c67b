import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { packBlocks, unpackBlocks } from '../../src/archive/block-list.ts';

test('a list of blocks comes back', () => {
  const lists = fc
    .uniqueArray(fc.integer({ min: 0, max: 2 ** 33 }), { minLength: 1, maxLength: 300 })
    .map((blocks) => blocks.sort((a, b) => a - b));
  fc.assert(
    fc.property(lists, (blocks) => {
      const found: number[] = [];
      unpackBlocks(blocks[0], packBlocks(blocks), (block) => found.push(block));
      assert.deepEqual(found, blocks);
    }),
  );
});
