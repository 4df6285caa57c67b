import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { NumberSet } from '../../src/transport/number-set.ts';

test('holds what was added and not removed, as a Set does', () => {
  // Few numbers close together, so that they meet in the table; and some that differ only beyond 2^32.
  const value = fc.oneof(
    fc.integer({ min: 1, max: 400 }),
    fc.nat(50).map((n) => 2 ** 33 * n + 7),
    fc.maxSafeNat().filter((n) => n > 0),
  );
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.boolean(), value), { minLength: 200, maxLength: 1500, size: 'max' }),
      (steps) => {
        const set = new NumberSet();
        const model = new Set<number>();
        for (const [add, n] of steps) {
          if (add) {
            set.add(n);
            model.add(n);
          } else {
            set.delete(n);
            model.delete(n);
          }
          assert.equal(set.size, model.size);
        }
        for (const [, n] of steps) assert.equal(set.has(n), model.has(n));
      },
    ),
    { seed: 3, numRuns: 40 },
  );
});
