import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { MAX_BLOCK_OCTETS, makeCodec } from '../../src/archive/codec.ts';
import { xxh32 } from '../../src/archive/xxh32.ts';
import { noise } from './support.ts';

const codec = makeCodec('lz4')!;

function hash(octets: Uint8Array): number {
  return xxh32(new DataView(octets.buffer, octets.byteOffset, octets.length), 0, octets.length);
}

function roundTrip(input: Uint8Array): { packed: Uint8Array; unpacked: Uint8Array } {
  const output = new Uint8Array(codec.bound(input.length) + 3).fill(0xee);
  const stored = codec.pack(input, input.length, output, 1);
  assert.ok(stored <= codec.bound(input.length));
  assert.deepEqual([...output.subarray(1 + stored, 3 + stored)], [0xee, 0xee], 'nothing behind the block');
  assert.equal(codec.packedLength(output, 1, 1 + codec.peekOctets), stored);
  const unpacked = new Uint8Array(MAX_BLOCK_OCTETS);
  const length = codec.unpack(output, 1, 1 + stored, unpacked);
  return { packed: output.slice(1, 1 + stored), unpacked: unpacked.slice(0, length) };
}

describe('codec', () => {
  test('xxh32 gives the published values', () => {
    assert.equal(hash(new Uint8Array(0)), 0x02cc5d05);
    assert.equal(hash(Buffer.from('a')), 0x550d7456);
    assert.equal(hash(Buffer.from('abc')), 0x32d153ff);
    assert.equal(hash(Buffer.from('Nobody inspects the spammish repetition')), 0xe2293b2f);
  });

  test('the frame header is that of the LZ4 frame format', () => {
    // Magic, FLG 0x70, BD 0x50, and their checksum, as the lz4 tool writes it for -B5 -BX --no-frame-crc.
    assert.equal(Buffer.from(codec.prefix).toString('hex'), '04224d18705084');
    assert.equal(Buffer.from(codec.end).toString('hex'), '00000000');
  });

  test('any octets come back, whether they shrink or not', () => {
    const repetitive = fc
      .tuple(fc.uint8Array({ minLength: 1, maxLength: 30 }), fc.integer({ min: 1, max: 3000 }))
      .map(([unit, times]) =>
        Uint8Array.from({ length: unit.length * times }, (_, i) => unit[i % unit.length]),
      );
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ minLength: 1, maxLength: 5000 }), repetitive), (input) => {
        assert.deepEqual(roundTrip(input).unpacked, input);
      }),
    );
  });

  test('the largest block, of noise and of zeros', () => {
    for (const input of [noise(MAX_BLOCK_OCTETS), new Uint8Array(MAX_BLOCK_OCTETS)]) {
      assert.ok(Buffer.from(roundTrip(input).unpacked).equals(input));
    }
  });

  test('a block with any one bit wrong is noticed', () => {
    const { packed, unpacked } = roundTrip(Buffer.from('select 1 from t; select 2 from t; select 3 from t'));
    const output = new Uint8Array(MAX_BLOCK_OCTETS);
    for (let bit = 0; bit < packed.length * 8; bit++) {
      const wrong = packed.slice();
      wrong[bit >> 3] ^= 1 << (bit & 7);
      const length = codec.unpack(wrong, 0, wrong.length, output);
      // The format's checksum leaves out the bit that says whether a block is compressed: there the length gives it away.
      if (bit === 31) assert.notEqual(length, unpacked.length);
      else assert.ok(length < 0 && codec.answer !== 'block', `bit ${bit}`);
    }
  });

  test('what is cut off says so', () => {
    const { packed } = roundTrip(noise(100));
    const output = new Uint8Array(MAX_BLOCK_OCTETS);
    for (let end = 0; end < packed.length; end++) {
      assert.ok(codec.unpack(packed, 0, end, output) < 0);
      assert.equal(codec.answer, 'truncated');
    }
  });

  test('any octets at all are an answer', () => {
    const output = new Uint8Array(MAX_BLOCK_OCTETS);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (octets) => {
        codec.unpack(octets, 0, octets.length, output);
      }),
    );
  });
});
