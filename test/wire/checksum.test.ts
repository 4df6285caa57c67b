import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { foldChecksum, sumWords } from '../../src/wire/checksum.ts';

test("RFC 1071's own example", () => {
  const octets = Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7);
  assert.equal(foldChecksum(sumWords(octets, 0, 8)), ~0xddf2 & 0xffff);
});

test('octets with their checksum behind them sum up to zero, whole or in parts', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 2, maxLength: 200 }), fc.nat({ max: 100 }), (octets, half) => {
      const even = octets.subarray(0, octets.length & ~1);
      const cut = Math.min(half * 2, even.length);
      const sum = sumWords(even, cut, even.length, sumWords(even, 0, cut));
      const checksum = foldChecksum(sum);
      assert.equal(foldChecksum(sum + checksum), 0);
      assert.equal(checksum, foldChecksum(sumWords(even, 0, even.length)));
    }),
  );
});
