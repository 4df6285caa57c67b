import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { lenenc, lenencSize, OctetReader, OctetWriter, parseError } from '../../src/mysql/packet.ts';
import { err, packets, payload } from './support/packets.ts';

test('int<lenenc> reads what was written, and takes the octets it says', () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), (value) => {
      const packet = new OctetWriter().lenenc(value).packet(0);
      assert.equal(lenencSize(packet[4]), packet.length - 4);
      assert.equal(lenenc(packet, 4), value);
      const reader = new OctetReader(packet, 4, packet.length);
      assert.equal(reader.lenenc(), value);
      assert.equal(reader.left, 0);
      assert.equal(reader.short, false);
    }),
  );
});

test('int<lenenc> changes its size where the manual says', () => {
  const sizes = [0, 250, 251, 0xffff, 0x10000, 0xffffff, 0x1000000].map(
    (value) => new OctetWriter().lenenc(value).packet(0).length - 4,
  );
  assert.deepEqual(sizes, [1, 1, 3, 3, 4, 4, 9]);
});

test('reading past the end answers zeros, and says so once for all', () => {
  const reader = new OctetReader(Uint8Array.of(1, 2), 0, 2);
  assert.equal(reader.uint(1), 1);
  assert.equal(reader.uint(4), 2);
  assert.equal(reader.short, true);
  assert.equal(reader.lenenc(), 0);
  assert.deepEqual(reader.take(3), new Uint8Array(0));
});

test('an error is read with and without an SQL state', () => {
  const after = packets(2, err(1045, 'Access denied'));
  assert.deepEqual(parseError(after, 0, after.length), { errno: 1045, message: 'Access denied' });
  const before = packets(0, payload(0xff, 0x10, 0x04, 'Too many connections'));
  assert.deepEqual(parseError(before, 0, before.length), { errno: 1040, message: 'Too many connections' });
});
