import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { binaryValueLength } from '../../src/mysql/binary-value.ts';
import { binaryValue } from './support/values.ts';

test('a value of every type ends where its encoder ended, and not before', () => {
  fc.assert(
    fc.property(
      binaryValue,
      fc.nat(3),
      fc.uint8Array({ maxLength: 3 }),
      ({ type, octets }, before, after) => {
        const all = Buffer.concat([new Uint8Array(before), octets, after]);
        const end = before + octets.length;
        assert.equal(binaryValueLength(all, before, all.length, type), octets.length);
        assert.equal(binaryValueLength(all, before, end, type), octets.length);
        assert.equal(binaryValueLength(all, before, end - 1, type), undefined);
        assert.equal(binaryValueLength(all, end, end, type), undefined);
      },
    ),
    { numRuns: 1000 },
  );
});

test('NULL has no octets', () => {
  assert.equal(binaryValueLength(Uint8Array.of(1), 1, 1, 6), 0);
});

test('a length that no date has, and one that is none, are malformed', () => {
  const octets = new Uint8Array(300).fill(200, 0, 1);
  for (const type of [0x07, 0x0a, 0x0b, 0x0c])
    assert.equal(binaryValueLength(octets, 0, 300, type), undefined);
  assert.equal(binaryValueLength(octets, 0, 300, 0xfe), 201);
  for (const first of [0xfb, 0xff]) {
    octets[0] = first;
    assert.equal(binaryValueLength(octets, 0, 300, 0xfe), undefined, String(first));
  }
  octets.fill(0xff, 1).fill(0xfe, 0, 1);
  assert.equal(binaryValueLength(octets, 0, 300, 0xfe), undefined);
});

test('whatever the octets are, a value is within them', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 20 }), fc.nat(255), fc.nat(20), (octets, type, at) => {
      const length = binaryValueLength(octets, at, octets.length, type);
      assert.ok(length === undefined || (length >= 0 && at + length <= octets.length));
    }),
    { numRuns: 1000 },
  );
});
