import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { sumWords } from '../../src/wire/checksum.ts';
import { HEADERS_OCTETS, SegmentWriter } from '../../src/wire/emit.ts';
import { LINKTYPE } from '../../src/wire/packets.ts';
import { PARSE, Segment } from '../../src/wire/segment.ts';

const u32 = fc.oneof(
  fc.integer({ min: 0, max: 0xffff_ffff }),
  fc.constantFrom(0, 1, 0x7fff_ffff, 0xffff_ffff),
);
const u16 = fc.oneof(fc.integer({ min: 0, max: 0xffff }), fc.constantFrom(0, 0xffff));

const segments = fc.record({
  source: u32,
  destination: u32,
  sourcePort: u16,
  destinationPort: u16,
  seq: u32,
  ack: u32,
  flags: fc.integer({ min: 0, max: 0x3f }),
  window: u16,
  options: fc.option(fc.record({ mss: u16, shift: fc.integer({ min: 0, max: 14 }) })),
  payload: fc.oneof(
    fc.uint8Array({ maxLength: 70 }),
    // Sums that carry far.
    fc.integer({ min: 0, max: 1460 }).map((length) => new Uint8Array(length).fill(0xff)),
  ),
  /** In which slot it stands, and what was in the memory before. */
  slot: fc.integer({ min: 0, max: 3 }),
  before: fc.integer({ min: 0, max: 255 }),
});

const SLOT_OCTETS = 1516;

/** RFC 1071 over words read one by one, nothing deferred or swapped. */
function checksumOfTcp(packet: Uint8Array): number {
  const length = packet.length - 20;
  const octets = [...packet.subarray(12, 20), 0, 6, length >> 8, length & 255, ...packet.subarray(20)];
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
    fc.assert(
      fc.property(segments, (wanted) => {
        const octets = new Uint8Array(4 * SLOT_OCTETS).fill(wanted.before);
        const view = new DataView(octets.buffer);
        const writer = new SegmentWriter(octets, view);
        const at = wanted.slot * SLOT_OCTETS;
        const { source, destination, sourcePort, destinationPort, seq, ack, flags, window, options } = wanted;
        let end = writer.begin(at, source, destination, sourcePort, destinationPort, seq, ack, flags, window);
        assert.equal(end, at + HEADERS_OCTETS);
        if (options !== null) end = writer.synOptions(at, options.mss, options.shift);
        octets.set(wanted.payload, end);
        const length = writer.finish(at, end + wanted.payload.length);
        const headers = HEADERS_OCTETS + (options === null ? 0 : 8);
        assert.equal(length, headers + wanted.payload.length);

        const segment = new Segment();
        assert.equal(segment.parse(octets, view, at, length, LINKTYPE.raw), PARSE.ok);
        const { src, dst, srcPort, dstPort, mss, windowShift, dataOffset, dataLength } = segment;
        assert.deepEqual(
          [src, dst, srcPort, dstPort, segment.seq, segment.ack, segment.flags, segment.window],
          [source, destination, sourcePort, destinationPort, seq, ack, flags, window],
        );
        assert.deepEqual([mss, windowShift], options === null ? [-1, -1] : [options.mss, options.shift]);
        assert.deepEqual(octets.slice(dataOffset, dataOffset + dataLength), wanted.payload);

        // RFC 1071 (1): the sum over everything, the checksum included, is all ones.
        const packet = octets.subarray(at, at + length);
        assert.equal(checksumOfTcp(packet), 0xffff);
        const folded = sumWords(packet, 12, packet.length, 6 + length - 20);
        assert.equal(folded % 0xffff, 0, 'sumWords agrees');
        assert.deepEqual([...packet.subarray(0, 4)], [0x45, 0, length >> 8, length & 255]);
        assert.deepEqual([...packet.subarray(8, 10)], [64, 6]);
        // Nothing of the slots around it was touched.
        if (at > 0) assert.equal(octets[at - 1], wanted.before);
        assert.equal(octets[at + ((length + 3) & ~3)], wanted.before);
      }),
      { seed: 1071, numRuns: 400 },
    );
  });

  test('every sum is folded right: all values of one word, among others that carry', () => {
    const octets = new Uint8Array(SLOT_OCTETS);
    const writer = new SegmentWriter(octets, new DataView(octets.buffer));
    for (let window = 0; window <= 0xffff; window++) {
      const most = 0xffff_ffff;
      const end = writer.begin(0, most, most, 0xffff, 0xffff, most, most, 0x3f, window);
      const packet = octets.subarray(0, writer.finish(0, end));
      if (checksumOfTcp(packet) !== 0xffff) assert.fail(`window ${window}`);
    }
  });

  test('hostile octets are an answer of parse, never an exception, on every link type', () => {
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
          writer.begin(0, 1, 2, 3, 4, 5, 6, 2, 7);
          writer.finish(0, writer.synOptions(0, 1460, 7));
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
        for (const value of [
          segment.mss,
          segment.windowShift,
          segment.sackOffset,
          segment.timestampsOffset,
        ]) {
          assert.ok(value >= -1 && value <= 0xffff);
        }
      }),
      { seed: 9293, numRuns: 5000 },
    );
    assert.equal(answers.size, Object.keys(PARSE).length, 'every answer of parse was met');
  });
});
