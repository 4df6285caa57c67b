import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { seqAdd, seqDiff, seqLe, seqLt, seqMax } from '../../src/wire/sequence.ts';

test('sequence numbers keep their order across the wrap (RFC 9293 3.4)', () => {
  const numbers = fc.oneof(
    fc.integer({ min: 0, max: 0xffff_ffff }),
    fc.integer({ min: 0xffff_ff00, max: 0xffff_ffff }),
  );
  fc.assert(
    fc.property(numbers, fc.integer({ min: 1, max: 2 ** 31 - 1 }), (a, distance) => {
      const b = seqAdd(a, distance);
      assert.ok(b >= 0 && b <= 0xffff_ffff);
      assert.equal(seqDiff(b, a), distance);
      assert.equal(seqDiff(a, b), -distance);
      assert.ok(seqLt(a, b) && !seqLt(b, a) && seqLe(a, b) && seqLe(a, a) && !seqLt(a, a));
      assert.equal(seqMax(a, b), b);
      assert.equal(seqMax(b, a), b);
    }),
  );
});
