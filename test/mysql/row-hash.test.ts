import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { OctetReader, OctetWriter } from '../../src/mysql/packet.ts';
import { RowHash, thenRow } from '../../src/mysql/row-hash.ts';

function hash(...parts: Uint8Array[]): number {
  const rowHash = new RowHash();
  rowHash.begin();
  for (const part of parts) rowHash.update(part, 0, part.length);
  return rowHash.end();
}

/** The definition, word by word. */
function defined(octets: Uint8Array): number {
  const rotl = (value: number, bits: number) => (value << bits) | (value >>> (32 - bits));
  const mix = (lane: number, word: number) =>
    (Math.imul(rotl(lane ^ Math.imul(rotl(Math.imul(word, 0xcc9e2d51), 15), 0x1b873593), 13), 5) +
      0xe6546b64) |
    0;
  const padded = Buffer.concat([octets, Buffer.alloc(8)]);
  const lanes = [0, 0x3c6ef372];
  const inPairs = octets.length - (octets.length % 8);
  for (let at = 0; at < inPairs; at += 4)
    lanes[(at / 4) % 2] = mix(lanes[(at / 4) % 2], padded.readInt32LE(at));
  let value = mix(lanes[0], lanes[1]);
  for (let at = inPairs; at < octets.length; at += 4) value = mix(value, padded.readInt32LE(at));
  value ^= octets.length;
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}

test('is what its definition says, of rows of any length', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 70 }), (row) => {
      assert.equal(hash(row), defined(row));
    }),
  );
});

test('does not depend on how a row is cut, nor on where its octets stand', () => {
  const parts = fc.array(fc.oneof(fc.uint8Array({ maxLength: 9 }), fc.uint8Array({ maxLength: 40 })), {
    maxLength: 12,
  });
  fc.assert(
    fc.property(parts, fc.nat(7), (list, offset) => {
      const whole = Buffer.concat(list);
      assert.equal(hash(...list), hash(whole));
      const moved = new Uint8Array(offset + whole.length + 9).fill(0xee);
      moved.set(whole, offset);
      const rowHash = new RowHash();
      rowHash.begin();
      rowHash.update(moved, offset, offset + whole.length);
      assert.equal(rowHash.end(), hash(whole));
    }),
  );
});

test('another RowHash goes on with a row where the first one stood', () => {
  const row = Uint8Array.from({ length: 40 }, (_, i) => 255 - i);
  for (let cut = 0; cut <= row.length; cut++) {
    const first = new RowHash();
    first.begin();
    first.update(row, 0, cut);
    const writer = new OctetWriter();
    first.save(writer);
    const reader = new OctetReader(writer.all(), 0, writer.all().length);
    const second = new RowHash();
    second.restore(reader);
    assert.ok(!reader.short && reader.left === 0);
    second.update(row, cut, row.length);
    assert.equal(second.end(), hash(row), `cut at ${cut}`);
  }
});

test('rows that are hardly different have different hashes', () => {
  const hashes = new Set<number>();
  for (let i = 0; i < 10_000; i++) hashes.add(hash(Buffer.from(`\x05${10_000 + i}\x08customer`)));
  assert.equal(hashes.size, 10_000);
  const row = Uint8Array.from({ length: 64 }, (_, i) => i);
  const changed = new Set([hash(row)]);
  for (let bit = 0; bit < 512; bit++) {
    const other = row.slice();
    other[bit >> 3] ^= 1 << (bit & 7);
    changed.add(hash(other));
  }
  // Two words changed places: of one lane, of both.
  for (const [from, to] of [
    [0, 8],
    [0, 4],
    [4, 60],
  ]) {
    const other = row.slice();
    other.copyWithin(from, to, to + 4);
    other.set(row.subarray(from, from + 4), to);
    changed.add(hash(other));
  }
  for (let length = 0; length < 64; length++) changed.add(hash(new Uint8Array(length)));
  assert.equal(changed.size, 1 + 512 + 3 + 64);
});

test('the hash of rows depends on their order', () => {
  assert.notEqual(thenRow(thenRow(0, 1), 2), thenRow(thenRow(0, 2), 1));
});
