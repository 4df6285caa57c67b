import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { PacketAssembler } from '../../src/mysql/assembler.ts';
import { packets } from './support/packets.ts';

/** The packets that come out when `octets` go in, cut at `cuts`. */
function assemble(
  octets: Uint8Array,
  cuts: number[],
  limit = 1 << 26,
): { whole: Uint8Array[]; assembler: PacketAssembler } {
  const assembler = new PacketAssembler(limit);
  const whole: Uint8Array[] = [];
  let from = 0;
  for (const to of [...cuts, octets.length]) {
    for (let p = from; p < to; ) {
      p = assembler.take(octets, p, to);
      if (assembler.whole) whole.push(assembler.owned());
    }
    from = to;
  }
  return { whole, assembler };
}

test('any cut of the stream gives the same packets', () => {
  const payloads = fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(payloads, fc.array(fc.nat(), { maxLength: 10 }), (list, points) => {
      const each = list.map((one, i) => packets(i, one));
      const octets = new Uint8Array(Buffer.concat(each));
      const cuts = points.map((point) => point % (octets.length + 1)).sort((a, b) => a - b);
      const { whole, assembler } = assemble(octets, cuts);
      assert.deepEqual(
        whole.map((one) => Buffer.from(one)),
        each.map((one) => Buffer.from(one)),
      );
      assert.equal(assembler.heldOctets, 0);
    }),
  );
});

test('a payload of 16 MiB less one, and one more, goes on in the next packet', () => {
  for (const length of [0xffffff, 0x1000005]) {
    const octets = packets(0, new Uint8Array(length).fill(7));
    assert.equal(octets.length, length + 8);
    const { whole } = assemble(octets, [3, 0x8000, 0xffffff, 0x1000002, 0x1000004]);
    assert.equal(whole.length, 1);
    assert.ok(Buffer.from(whole[0]).equals(octets));
  }
});

test('what is owned stays as it was when the stream goes on', () => {
  // A Buffer, whose own `slice` would share its memory.
  const octets = Buffer.from(packets(0, Uint8Array.of(1, 2, 3), new Uint8Array(9000).fill(4)));
  const { whole } = assemble(octets, [5000]);
  octets.fill(0xee);
  assert.deepEqual(whole[0], Uint8Array.of(3, 0, 0, 0, 1, 2, 3));
  assert.ok(whole[1].subarray(4).every((octet) => octet === 4));
});

test('a packet longer than the limit stops the reading until reset, and costs no memory', () => {
  const { whole, assembler } = assemble(Uint8Array.of(0xff, 0xff, 0x7f, 0, 1, 2, 3), [4], 1000);
  assert.equal(whole.length, 0);
  assert.equal(assembler.tooLong, true);
  assert.equal(assembler.heldOctets, 0);
  assembler.reset();
  const next = packets(0, Uint8Array.of(14));
  assert.equal(assembler.take(next, 0, next.length), 5);
  assert.equal(assembler.whole, true);
});
