import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { addressFromOctets, parseAddress } from '../../src/wire/address.ts';
import { sumWords } from '../../src/wire/checksum.ts';
import { headersOctets, SegmentWriter } from '../../src/wire/emit.ts';
import { LINKTYPE } from '../../src/wire/packets.ts';
import { PARSE, Segment } from '../../src/wire/segment.ts';
import { Tuple } from '../../src/wire/tuple.ts';

const u32 = fc.oneof(
  fc.integer({ min: 0, max: 0xffff_ffff }),
  fc.constantFrom(0, 1, 0x7fff_ffff, 0xffff_ffff),
);
const u16 = fc.oneof(fc.integer({ min: 0, max: 0xffff }), fc.constantFrom(0, 0xffff));

const tuples = fc.constantFrom(4 as const, 6 as const).chain((family) => {
  const length = family === 4 ? 4 : 16;
  const address = fc
    .oneof(
      fc.uint8Array({ minLength: length, maxLength: length }),
      fc.constantFrom(new Uint8Array(length), new Uint8Array(length).fill(0xff)),
    )
    .map((octets) => addressFromOctets(octets, 0, family));
  return fc.tuple(address, u16, address, u16).map((parts) => new Tuple(...parts));
});

/** SYN options, or timestamps and SACK blocks as they come. */
const options = fc.oneof(
  fc.record({ mss: u16, shift: fc.integer({ min: 0, max: 14 }), tsVal: u32 }),
  fc.record({
    stamps: fc.option(fc.tuple(u32, u32)),
    blocks: fc.array(fc.tuple(u32, u32), { maxLength: 3 }),
  }),
);

const segments = fc.record({
  tuple: tuples,
  seq: u32,
  ack: u32,
  flags: fc.integer({ min: 0, max: 0x3f }),
  window: u16,
  options,
  payload: fc.oneof(
    fc.uint8Array({ maxLength: 70 }),
    // Sums that carry far.
    fc.integer({ min: 0, max: 1400 }).map((length) => new Uint8Array(length).fill(0xff)),
  ),
  /** In which slot it stands, and what was in the memory before. */
  slot: fc.integer({ min: 0, max: 3 }),
  before: fc.integer({ min: 0, max: 255 }),
});

const SLOT_OCTETS = 1516;

/** RFC 1071 over the pseudo-header and the segment, words read one by one, nothing deferred or swapped. */
function checksumOfTcp(packet: Uint8Array): number {
  const [addresses, tcp] = packet[0] >> 4 === 4 ? [12, 20] : [8, 40];
  const length = packet.length - tcp;
  const octets = [
    ...packet.subarray(addresses, tcp),
    0,
    6,
    length >> 8,
    length & 255,
    ...packet.subarray(tcp),
  ];
  if (octets.length & 1) octets.push(0);
  let sum = 0;
  for (let i = 0; i < octets.length; i += 2) {
    sum += octets[i] * 256 + octets[i + 1];
    if (sum > 0xffff) sum -= 0xffff;
  }
  return sum;
}

describe('segment writer', () => {
  test('what it writes parses to the same fields, and its checksum is right', () => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(segments, (wanted) => {
        const octets = new Uint8Array(4 * SLOT_OCTETS).fill(wanted.before);
        const view = new DataView(octets.buffer);
        const writer = new SegmentWriter(octets, view);
        const at = wanted.slot * SLOT_OCTETS;
        const { tuple, seq, ack, flags, window, options } = wanted;
        let end = writer.begin(at, tuple, seq, ack, flags, window);
        assert.equal(end, at + headersOctets(tuple.family));
        let optionOctets = 0;
        if ('mss' in options) {
          end = writer.synOptions(at, end, options.mss, options.shift, options.tsVal);
          optionOctets = 20;
        } else {
          if (options.stamps !== null) {
            end = writer.timestamps(at, end, ...options.stamps);
            optionOctets = 12;
          }
          const { length } = options.blocks;
          if (length > 0) {
            end = writer.sack(at, end, Uint32Array.from(options.blocks.flat()), length);
            optionOctets += 4 + 8 * length;
          }
        }
        octets.set(wanted.payload, end);
        const length = writer.finish(at, end + wanted.payload.length);
        const headers = headersOctets(tuple.family) + optionOctets;
        assert.equal(length, headers + wanted.payload.length);

        const segment = new Segment();
        assert.equal(segment.parse(octets, view, at, length, LINKTYPE.raw), PARSE.ok);
        const { family, src, dst, srcPort, dstPort, dataOffset, dataLength, wireDataLength } = segment;
        assert.deepEqual(
          [family, src, dst, srcPort, dstPort, segment.seq, segment.ack, segment.flags, segment.window],
          [
            tuple.family,
            tuple.clientNumber,
            tuple.targetNumber,
            tuple.clientPort,
            tuple.targetPort,
            seq,
            ack,
            flags,
            window,
          ],
        );
        assert.deepEqual(addressFromOctets(octets, segment.srcOffset, family), tuple.client);
        assert.deepEqual(addressFromOctets(octets, segment.dstOffset, family), tuple.target);
        assert.deepEqual(octets.slice(dataOffset, dataOffset + dataLength), wanted.payload);
        assert.equal(wireDataLength, wanted.payload.length);
        if ('mss' in options) {
          assert.deepEqual([segment.mss, segment.windowShift], [options.mss, options.shift]);
          assert.ok(segment.sackPermitted);
          assert.deepEqual([segment.tsVal, segment.tsEcr], [options.tsVal, 0]);
        } else {
          assert.deepEqual([segment.mss, segment.windowShift, segment.sackPermitted], [-1, -1, false]);
          assert.deepEqual([segment.tsVal, segment.tsEcr], options.stamps ?? [-1, -1]);
          const found: [number, number][] = [];
          const { sackOffset } = segment;
          for (let i = sackOffset + 2; sackOffset >= 0 && i < sackOffset + octets[sackOffset + 1]; i += 8)
            found.push([view.getUint32(i), view.getUint32(i + 4)]);
          assert.deepEqual(found, options.blocks);
        }

        // RFC 1071 (1): the sum over everything, the checksum included, is all ones.
        const packet = octets.subarray(at, at + length);
        assert.equal(checksumOfTcp(packet), 0xffff);
        if (family === 4) {
          const folded = sumWords(packet, 12, packet.length, 6 + length - 20);
          assert.equal(folded % 0xffff, 0, 'sumWords agrees');
          assert.deepEqual([...packet.subarray(0, 8)], [0x45, 0, length >> 8, length & 255, 0, 0, 0x40, 0]);
          assert.deepEqual([...packet.subarray(8, 12)], [64, 6, 0, 0]);
        } else {
          const payload = length - 40;
          assert.deepEqual([...packet.subarray(0, 8)], [0x60, 0, 0, 0, payload >> 8, payload & 255, 6, 64]);
        }
        // Nothing of the slots around it was touched.
        if (at > 0) assert.equal(octets[at - 1], wanted.before);
        assert.equal(octets[at + ((length + 3) & ~3)], wanted.before);
        seen.add(`${family} ${'mss' in options} ${optionOctets}`);
      }),
      { seed: 1071, numRuns: 800 },
    );
    assert.ok(seen.size >= 16, 'every form of options in both versions was met');
  });

  test('every sum is folded right: all values of one word, among others that carry', () => {
    const octets = new Uint8Array(SLOT_OCTETS);
    const writer = new SegmentWriter(octets, new DataView(octets.buffer));
    const most = 0xffff_ffff;
    for (const text of ['255.255.255.255', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff']) {
      const address = parseAddress(text)!;
      const tuple = new Tuple(address, 0xffff, address, 0xffff);
      for (let window = 0; window <= 0xffff; window++) {
        const end = writer.begin(0, tuple, most, most, 0x3f, window);
        const packet = octets.subarray(0, writer.finish(0, end));
        if (checksumOfTcp(packet) !== 0xffff) assert.fail(`window ${window}`);
      }
    }
  });

  test('hostile octets are an answer of parse, never an exception, on every link type', () => {
    const tuple = new Tuple(parseAddress('0.0.0.1')!, 3, parseAddress('0.0.0.2')!, 4);
    const hostile = fc.oneof(
      fc.uint8Array({ maxLength: 120 }),
      // A right packet with a few octets changed, cut somewhere: gets further into the parser.
      fc
        .record({
          changes: fc.array(fc.tuple(fc.nat(70), fc.nat(255)), { maxLength: 4 }),
          length: fc.nat(70),
        })
        .map(({ changes, length }) => {
          const octets = new Uint8Array(72);
          const writer = new SegmentWriter(octets, new DataView(octets.buffer));
          const data = writer.begin(0, tuple, 5, 6, 2, 7);
          writer.finish(0, writer.synOptions(0, data, 1460, 7, 8));
          for (const [where, value] of changes) octets[where] = value;
          return octets.slice(0, length);
        }),
    );
    const linkTypes = fc.constantFrom(...Object.values(LINKTYPE), 9999);
    const segment = new Segment();
    const answers = new Set<number>();
    fc.assert(
      fc.property(hostile, linkTypes, (octets, linkType) => {
        const view = new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
        const answer = segment.parse(octets, view, 0, octets.length, linkType);
        answers.add(answer);
        // In the middle of a block, what stands around it makes no difference.
        const block = new Uint8Array(octets.length + 128).fill(0x56);
        block.set(octets, 64);
        assert.equal(
          new Segment().parse(block, new DataView(block.buffer), 64, octets.length, linkType),
          answer,
        );
        assert.ok(Object.values(PARSE).includes(answer as never));
        if (answer !== PARSE.ok) return;
        assert.ok(segment.dataOffset + segment.dataLength <= octets.length);
        assert.ok(segment.dataLength >= 0 && segment.dataLength <= segment.wireDataLength);
        const { mss, windowShift, sackOffset, tsVal, tsEcr } = segment;
        for (const value of [mss, windowShift, sackOffset]) assert.ok(value >= -1 && value <= 0xffff);
        for (const value of [tsVal, tsEcr]) assert.ok(value >= -1 && value <= 0xffff_ffff);
      }),
      { seed: 9293, numRuns: 5000 },
    );
    assert.equal(answers.size, Object.keys(PARSE).length, 'every answer of parse was met');
  });
});
