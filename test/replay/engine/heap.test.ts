import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DueHeap } from '../../../src/replay/engine/heap.ts';

test('gives back what was put in, the earliest first, however pushes and pops mix', () => {
  const step = fc.option(fc.integer({ min: 0, max: 50 }), { freq: 3 });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const heap = new DueHeap<number>();
      const model: number[] = [];
      for (const due of steps) {
        if (due !== null) {
          heap.push(due, due);
          model.push(due);
          model.sort((a, b) => a - b);
        } else if (heap.size > 0) {
          assert.equal(heap.pop(), model.shift());
        }
        assert.equal(heap.size, model.length);
        assert.equal(heap.nextDue, model[0] ?? Number.POSITIVE_INFINITY);
      }
      while (heap.size > 0) assert.equal(heap.pop(), model.shift());
    }),
  );
});
