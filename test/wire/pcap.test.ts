import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { LINKTYPE, makeBlock } from '../../src/wire/packets.ts';
import {
  PCAP_HEADER_OCTETS,
  PCAP_RECORD_OCTETS,
  PcapParser,
  readPcapHeader,
  readPcapRecords,
  segmentFormat,
  wholeSecond,
  writePcapHeader,
  writePcapRecord,
} from '../../src/wire/pcap.ts';

interface Sample {
  sec: number;
  nsec: number;
  octets: Uint8Array;
}

const samples = fc.array(
  fc.record(
    {
      sec: fc.integer({ min: 1_600_000_000, max: 1_600_000_100 }),
      nsec: fc.integer({ min: 0, max: 999_999 }).map((us) => us * 1000),
      octets: fc.uint8Array({ maxLength: 40 }),
    },
    { noNullPrototype: true },
  ),
  { maxLength: 20 },
);

/** A pcap file written the slow way, in either byte order and resolution, and with `more` octets in front of each packet. */
function pcapFile(
  packets: readonly Sample[],
  littleEndian: boolean,
  nanoseconds: boolean,
  more = 0,
): Uint8Array {
  const recordOctets = PCAP_RECORD_OCTETS + more;
  const total = packets.reduce((sum, packet) => sum + recordOctets + packet.octets.length, 0);
  const octets = new Uint8Array(PCAP_HEADER_OCTETS + total);
  const view = new DataView(octets.buffer);
  const magic = nanoseconds ? 0xa1b23c4d : more > 0 ? 0xa1b2cd34 : 0xa1b2c3d4;
  for (const [i, value] of [magic, 0, 0, 0, 262_144, LINKTYPE.sll2].entries()) {
    view.setUint32(4 * i, value, littleEndian);
  }
  view.setUint16(4, 2, littleEndian);
  view.setUint16(6, 4, littleEndian);
  let at = PCAP_HEADER_OCTETS;
  for (const packet of packets) {
    const fields = [
      packet.sec,
      nanoseconds ? packet.nsec : packet.nsec / 1000,
      packet.octets.length,
      packet.octets.length + 7,
    ];
    for (const [i, value] of fields.entries()) view.setUint32(at + 4 * i, value, littleEndian);
    octets.fill(0xee, at + PCAP_RECORD_OCTETS, at + recordOctets);
    octets.set(packet.octets, at + recordOctets);
    at += recordOctets + packet.octets.length;
  }
  return octets;
}

function parse(parser: PcapParser, octets: Uint8Array, pieceOctets: number): Sample[] {
  const found: Sample[] = [];
  for (let i = 0; i < octets.length; i += pieceOctets) {
    parser.push(octets.subarray(i, i + pieceOctets));
    while (parser.pull()) {
      const { block } = parser;
      for (let p = 0; p < block.count; p++) {
        const second = wholeSecond(block.at[p]);
        assert.equal(block.wireLength[p], block.length[p] + 7);
        found.push({
          sec: parser.originSec + second,
          nsec: block.at[p] - second * 1e9,
          octets: block.octets.slice(block.offset[p], block.offset[p] + block.length[p]),
        });
      }
    }
  }
  return found;
}

describe('pcap', () => {
  test('files of both byte orders and resolutions, cut anywhere, give the same packets', () => {
    const pieces = fc.integer({ min: 1, max: 100 });
    fc.assert(
      fc.property(samples, fc.boolean(), fc.boolean(), pieces, (packets, littleEndian, nano, pieceOctets) => {
        const parser = new PcapParser();
        const found = parse(parser, pcapFile(packets, littleEndian, nano), pieceOctets);
        assert.deepEqual(found, packets);
        assert.equal(parser.state, 'records');
        assert.equal(parser.format!.linkType, LINKTYPE.sll2);
        assert.equal(parser.pendingOctets, 0);
      }),
    );
  });

  test("files of Kuznetzov's modified libpcap, cut anywhere and before another file", () => {
    fc.assert(
      fc.property(
        samples,
        samples,
        fc.boolean(),
        fc.integer({ min: 1, max: 100 }),
        (first, then, little, cut) => {
          const parser = new PcapParser();
          const files = [pcapFile(first, little, false, 8), pcapFile(then, !little, true)];
          const octets = new Uint8Array(Buffer.concat(files));
          assert.deepEqual(parse(parser, octets, cut), [...first, ...then]);
          assert.equal(parser.state, 'records');
          assert.equal(parser.pendingOctets, 0);
        },
      ),
    );
  });

  test('a header that we write is one that we read', () => {
    for (const precision of ['ns', 'us'] as const) {
      const octets = new Uint8Array(PCAP_HEADER_OCTETS);
      writePcapHeader(new DataView(octets.buffer), 0, LINKTYPE.raw, precision);
      const unitNs = precision === 'ns' ? 1 : 1000;
      const format = { ...segmentFormat(LINKTYPE.raw), unitNs, checksLengths: true };
      assert.deepEqual(readPcapHeader(octets), format);
      assert.equal(readPcapHeader(octets.subarray(0, 23)), 'truncated');
    }
  });

  test("the link type is read without the bits of the frame check sequence, as libpcap's LT_LINKTYPE", () => {
    const octets = new Uint8Array(PCAP_HEADER_OCTETS);
    for (const bits of [0x24000000, 0x04000000, 0xf4000000, 0xfc000000]) {
      writePcapHeader(new DataView(octets.buffer), 0, (bits | LINKTYPE.sll2) >>> 0);
      const format = readPcapHeader(octets);
      assert.equal(typeof format === 'object' && format.linkType, LINKTYPE.sll2);
    }
  });

  test('files one behind another are read as one, each in its own way', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(samples, fc.boolean(), fc.boolean()), { maxLength: 4 }),
        fc.integer({ min: 1, max: 100 }),
        (files, pieceOctets) => {
          const octets = new Uint8Array(
            Buffer.concat(
              files.map(([packets, little, nano], i) => {
                const file = pcapFile(packets, little, nano);
                new DataView(file.buffer).setUint32(20, 100 + i, little);
                return file;
              }),
            ),
          );
          const linkTypes: number[] = [];
          const parser = new PcapParser();
          const { block } = parser;
          for (let i = 0; i < octets.length; i += pieceOctets) {
            parser.push(octets.subarray(i, i + pieceOctets));
            while (parser.pull()) for (let p = 0; p < block.count; p++) linkTypes.push(block.linkType);
          }
          assert.deepEqual(
            parse(new PcapParser(), octets, pieceOctets),
            files.flatMap(([packets]) => packets),
          );
          assert.deepEqual(
            linkTypes,
            files.flatMap(([packets], i) => packets.map(() => 100 + i)),
          );
          assert.equal(parser.pendingOctets, 0);
        },
      ),
    );
  });

  test('what is no pcap file is answered, not thrown', () => {
    const parser = new PcapParser();
    parser.push(new Uint8Array(100).fill(0x41));
    assert.equal(parser.pull(), false);
    assert.equal(parser.state, 'malformed');
  });

  test('a record of an impossible length ends the stream after the good ones', () => {
    const octets = pcapFile([{ sec: 5, nsec: 0, octets: new Uint8Array(10) }], true, true);
    const bad = new Uint8Array(PCAP_RECORD_OCTETS);
    writePcapRecord(new DataView(bad.buffer), 0, 5, 0, 0x7fffffff, 10);
    const parser = new PcapParser();
    assert.equal(parse(parser, Buffer.concat([octets, bad]), 1000).length, 1);
    assert.equal(parser.state, 'malformed');
  });

  /** A good record, one of these lengths and 400 zero octets. */
  function fileWith(captured: number, wire: number): Uint8Array {
    const good = pcapFile([{ sec: 5, nsec: 0, octets: new Uint8Array(10) }], true, true);
    const record = new Uint8Array(PCAP_RECORD_OCTETS + 400);
    writePcapRecord(new DataView(record.buffer), 0, 5, 0, captured, wire);
    return Buffer.concat([good, record]);
  }

  test('lengths that contradict each other end the stream after the good packets', () => {
    for (const [captured, wire] of [
      [60_000, 924],
      [301, 300],
      [0, 0],
    ]) {
      for (const piece of [1000, 1]) {
        const parser = new PcapParser();
        let packets = 0;
        const octets = fileWith(captured, wire);
        for (let i = 0; i < octets.length; i += piece) {
          parser.push(octets.subarray(i, i + piece));
          while (parser.pull()) packets += parser.block.count;
        }
        assert.deepEqual([packets, parser.state], [1, 'malformed'], `${captured} of ${wire}`);
      }
    }
  });

  test('a packet of no known length on the wire is one, and a cut one, too', () => {
    for (const [captured, wire] of [
      [400, 0],
      [400, 400],
      [400, 60_000],
    ]) {
      const parser = new PcapParser();
      parser.push(fileWith(captured, wire));
      assert.equal(parser.pull(), true);
      assert.deepEqual([parser.block.count, parser.state, parser.pendingOctets], [2, 'records', 0]);
    }
  });

  test('a program that writes too small a length on the wire from the first packet on is read', () => {
    const octets = pcapFile(Array(3).fill({ sec: 5, nsec: 0, octets: new Uint8Array(100) }), true, true);
    const view = new DataView(octets.buffer);
    for (let i = 0; i < 3; i++) view.setUint32(PCAP_HEADER_OCTETS + i * 116 + 12, 86, true);
    const parser = new PcapParser();
    let packets = 0;
    for (const octet of Buffer.concat([octets, fileWith(301, 300)])) {
      parser.push(Uint8Array.of(octet));
      while (parser.pull()) packets += parser.block.count;
    }
    assert.equal(packets, 4, 'those of this file, and the good one of the next');
    assert.equal(parser.state, 'malformed');
  });

  test("a segment's lengths are as the source of its packets said", () => {
    const octets = new Uint8Array(PCAP_RECORD_OCTETS + 10);
    writePcapRecord(new DataView(octets.buffer), 0, 5, 0, 10, 3);
    const block = makeBlock(octets, 4, LINKTYPE.raw);
    assert.equal(readPcapRecords(block, 0, octets.length, segmentFormat(LINKTYPE.raw), 5), octets.length);
    assert.equal(block.count, 1);
  });

  test('at the end, a length that no packet has is damage, and any other a packet that was cut off', () => {
    for (const [captured, snapLength, isDamage] of [
      [200_000, 65_535, true],
      [200_000, 0, true],
      [200_000, 262_144, false],
      [65_549, 65_535, false],
      [401, 96, false],
    ] as const) {
      const octets = fileWith(captured, captured);
      new DataView(octets.buffer, octets.byteOffset).setUint32(16, snapLength, true);
      const parser = new PcapParser();
      parser.push(octets);
      while (parser.pull());
      assert.equal(parser.state, 'records');
      assert.equal(parser.endsInDamage, isDamage, `${captured} of at most ${snapLength}`);
    }
  });

  test('a file that ends inside a packet leaves octets pending', () => {
    const octets = pcapFile([{ sec: 5, nsec: 0, octets: new Uint8Array(10) }], true, true);
    const parser = new PcapParser();
    assert.equal(parse(parser, octets.subarray(0, octets.length - 1), 1000).length, 0);
    assert.equal(parser.pendingOctets, PCAP_RECORD_OCTETS + 9);
  });

  test('the whole second of a time is never past it', () => {
    const seconds = fc.integer({ min: 0, max: 9_000_000 });
    fc.assert(
      fc.property(seconds, fc.integer({ min: 0, max: 999_999_999 }), (second, nsec) => {
        assert.equal(wholeSecond(second * 1e9 + nsec), second);
      }),
      { examples: [[8_999_999, 999_999_999]] },
    );
  });
});
