import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { LINKTYPE } from '../../src/wire/packets.ts';
import { PcapParser, wholeSecond } from '../../src/wire/pcap.ts';
import { isPcapng, PcapngParser } from '../../src/wire/pcapng.ts';
import { ROOT } from '../support/root.ts';

interface Sample {
  sec: number;
  nsec: number;
  octets: Uint8Array;
  wireLength: number;
}

/** Writes blocks the slow way, in either byte order. */
class Writer {
  readonly #littleEndian: boolean;
  #blocks: Uint8Array[] = [];

  constructor(littleEndian: boolean) {
    this.#littleEndian = littleEndian;
  }

  get octets(): Uint8Array {
    return new Uint8Array(Buffer.concat(this.#blocks));
  }

  u16(...values: number[]): Buffer {
    return Buffer.concat(
      values.map((v) => (this.#littleEndian ? Buffer.of(v & 255, v >> 8) : Buffer.of(v >> 8, v & 255))),
    );
  }

  u32(...values: number[]): Buffer {
    const out = Buffer.alloc(4 * values.length);
    for (const [i, v] of values.entries()) {
      if (this.#littleEndian) out.writeUInt32LE(v, 4 * i);
      else out.writeUInt32BE(v, 4 * i);
    }
    return out;
  }

  block(type: number, ...parts: Uint8Array[]): this {
    const body = Buffer.concat(parts);
    const padding = Buffer.alloc(-body.length & 3);
    const length = 12 + body.length + padding.length;
    this.#blocks.push(this.u32(type, length), body, padding, this.u32(length));
    return this;
  }

  section(): this {
    return this.block(0x0a0d0d0a, this.u32(0x1a2b3c4d), this.u16(1, 0), this.u32(0xffffffff, 0xffffffff));
  }

  option(code: number, value: Uint8Array): Buffer {
    return Buffer.concat([this.u16(code, value.length), value, Buffer.alloc(-value.length & 3)]);
  }

  interface(linkType: number, snapLength = 0, ...options: Buffer[]): this {
    return this.block(1, this.u16(linkType, 0), this.u32(snapLength), ...options, this.u32(0));
  }

  /** An enhanced packet. `units` is its time. */
  packet(number: number, units: bigint, octets: Uint8Array, wireLength = octets.length): this {
    const time = this.u32(Number(units >> 32n), Number(units & 0xffffffffn));
    const padded = Buffer.concat([octets, Buffer.alloc(-octets.length & 3)]);
    const comment = this.option(1, Buffer.from('a comment'));
    return this.block(
      6,
      this.u32(number),
      time,
      this.u32(octets.length, wireLength),
      padded,
      comment,
      this.u32(0),
    );
  }

  secrets(text: string): this {
    return this.block(10, this.u32(0x544c534b, text.length), Buffer.from(text));
  }
}

type Parser = PcapParser | PcapngParser;

function parse<P extends Parser>(
  parser: P,
  octets: Uint8Array,
  pieceOctets = 1e9,
): { parser: P; found: Sample[] } {
  const found: Sample[] = [];
  for (let i = 0; i < octets.length; i += pieceOctets) {
    // A piece of its own, not at its buffer's beginning, and gone once it was pulled.
    const piece = new Uint8Array(5 + Math.min(pieceOctets, octets.length - i)).subarray(5);
    piece.set(octets.subarray(i, i + piece.length));
    parser.push(piece);
    while (parser.pull()) {
      const { block } = parser;
      for (let p = 0; p < block.count; p++) {
        const second = wholeSecond(block.at[p]);
        assert.equal(block.view.byteOffset, block.octets.byteOffset);
        found.push({
          sec: parser.originSec + second,
          nsec: block.at[p] - second * 1e9,
          octets: block.octets.slice(block.offset[p], block.offset[p] + block.length[p]),
          wireLength: block.wireLength[p],
        });
      }
    }
    if (parser.pendingOctets === 0) piece.fill(0xee);
  }
  return { parser, found };
}

const sample = fc.record(
  {
    sec: fc.integer({ min: 1_600_000_000, max: 1_600_000_100 }),
    nsec: fc.integer({ min: 0, max: 999_999_999 }),
    octets: fc.uint8Array({ maxLength: 40 }),
    wireLength: fc.integer({ min: 40, max: 70_000 }),
  },
  { noNullPrototype: true },
);

const NANOSECONDS = 9;

describe('pcapng', () => {
  test('files of both byte orders and many resolutions, cut anywhere, give the same packets', () => {
    const pieces = fc.integer({ min: 1, max: 200 });
    const powers = fc.constantFrom(0, 3, 6, NANOSECONDS, 12, 15);
    fc.assert(
      fc.property(
        fc.array(sample, { maxLength: 20 }),
        fc.boolean(),
        powers,
        pieces,
        (samples, little, power, cut) => {
          // 64 bits of times as fine as that do not reach far.
          const firstSec = power > NANOSECONDS ? 1_600_000_000 : 0;
          const packets = samples.map((each) => ({ ...each, sec: each.sec - firstSec }));
          const writer = new Writer(little).section();
          writer.interface(LINKTYPE.sll2, 0, writer.option(9, Uint8Array.of(power)));
          const perSec = 10n ** BigInt(power);
          for (const [i, { sec, nsec, octets, wireLength }] of packets.entries()) {
            writer.packet(
              0,
              BigInt(sec) * perSec + (BigInt(nsec) * perSec) / 1_000_000_000n,
              octets,
              wireLength,
            );
            if (i === 3)
              writer.block(4, new Uint8Array(300)).block(0x0bad, new Uint8Array(0)).secrets('one\n');
            if (i === 5) writer.secrets('two\n');
          }
          const { parser, found } = parse(new PcapngParser(), writer.octets, cut);
          const unitNs = power < NANOSECONDS ? 10 ** (NANOSECONDS - power) : 1;
          const wanted = packets.map((packet) => ({ ...packet, nsec: packet.nsec - (packet.nsec % unitNs) }));
          assert.deepEqual(found, wanted);
          assert.equal(parser.state, 'blocks');
          assert.equal(parser.linkType, LINKTYPE.sll2);
          assert.equal(parser.pendingOctets, 0);
          const texts = packets.length > 5 ? ['one\n', 'two\n'] : packets.length > 3 ? ['one\n'] : [];
          assert.deepEqual(parser.secrets, texts);
        },
      ),
    );
  });

  test('resolutions of powers of two, and offsets in seconds', () => {
    const writer = new Writer(true).section();
    const offset = Buffer.alloc(8);
    offset.writeBigInt64LE(-100n);
    writer.interface(1, 0, writer.option(9, Uint8Array.of(0x80 | 10)), writer.option(14, offset));
    writer.interface(1, 0, writer.option(9, Uint8Array.of(0x80 | 40)));
    writer.packet(0, (1_600_000_100n << 10n) | 256n, Uint8Array.of(1));
    writer.packet(1, (1_601n << 40n) | (1n << 39n), Uint8Array.of(2));
    const { found } = parse(new PcapngParser(), writer.octets);
    assert.deepEqual(
      found.map(({ sec, nsec }) => [sec, nsec]),
      [
        [1_600_000_000, 250_000_000],
        [1_601, 500_000_000],
      ],
    );
  });

  test('simple and obsolete packet blocks', () => {
    for (const little of [true, false]) {
      const writer = new Writer(little).section().interface(LINKTYPE.ethernet, 4);
      const units = 1_600_000_000_000_005n;
      const time = writer.u32(Number(units >> 32n), Number(units & 0xffffffffn));
      writer.block(2, writer.u16(0, 7), time, writer.u32(3, 9), Uint8Array.of(1, 2, 3));
      // Simple: 10 octets on the wire, of which the interface's snapshot length leaves 4.
      writer.block(3, writer.u32(10), Uint8Array.of(4, 5, 6, 7));
      writer.block(3, writer.u32(2), Uint8Array.of(8, 9));
      const { parser, found } = parse(new PcapngParser(), writer.octets);
      assert.equal(parser.state, 'blocks');
      const at = { sec: 1_600_000_000, nsec: 5000 };
      assert.deepEqual(found, [
        { ...at, octets: Uint8Array.of(1, 2, 3), wireLength: 9 },
        { ...at, octets: Uint8Array.of(4, 5, 6, 7), wireLength: 10 },
        { ...at, octets: Uint8Array.of(8, 9), wireLength: 2 },
      ]);
    }
  });

  test('simple packets in front of the first that tells its time have that time', () => {
    for (const linkTypes of [
      [LINKTYPE.ethernet, LINKTYPE.ethernet],
      [LINKTYPE.ethernet, LINKTYPE.raw],
    ]) {
      const writer = new Writer(true).section();
      for (const linkType of linkTypes) writer.interface(linkType);
      for (const octet of [1, 2]) writer.block(3, writer.u32(1), Uint8Array.of(octet));
      writer.packet(1, 1_600_000_000_000_005n, Uint8Array.of(3));
      writer.block(3, writer.u32(1), Uint8Array.of(4));
      for (const originSec of [-1, 1_600_000_000]) {
        const { found } = parse(new PcapngParser(originSec), writer.octets);
        assert.deepEqual(
          found.map(({ sec, nsec, octets }) => [sec, nsec, octets[0]]),
          [1, 2, 3, 4].map((octet) => [1_600_000_000, 5000, octet]),
        );
      }
      const inPieces = parse(new PcapngParser(1_600_000_000), writer.octets, 1).found;
      assert.deepEqual(
        inPieces.map(({ sec, nsec }) => [sec, nsec]),
        [0, 0, 5000, 5000].map((nsec) => [1_600_000_000, nsec]),
        'gone out before the time was known',
      );
    }
  });

  test('a new section has a byte order and interfaces of its own', () => {
    const first = new Writer(true).section().interface(1).packet(0, 1_600_000_000_000_000n, Uint8Array.of(1));
    const second = new Writer(false)
      .section()
      .interface(1, 0)
      .packet(0, 1_600_000_001_000_000n, Uint8Array.of(2));
    const { parser, found } = parse(new PcapngParser(), Buffer.concat([first.octets, second.octets]));
    assert.equal(parser.state, 'blocks');
    assert.deepEqual(
      found.map(({ sec, octets }) => [sec, octets[0]]),
      [
        [1_600_000_000, 1],
        [1_600_000_001, 2],
      ],
    );
    const orphan = new Writer(true).section().octets;
    const packet = new Writer(true).packet(0, 0n, Uint8Array.of(3)).octets;
    const { parser: after } = parse(new PcapngParser(), Buffer.concat([first.octets, orphan, packet]));
    assert.equal(after.state, 'blocks', 'of an interface that the section does not have');
    assert.deepEqual(after.leftOut, [{ interface: 0, linkType: -1, cause: 'undescribed', packets: 1 }]);
  });

  test('packets of several link types come in blocks of one each, in order', () => {
    const writer = new Writer(true).section().interface(LINKTYPE.raw).interface(LINKTYPE.ethernet);
    const interfaces = [1, 1, 0, 1, 0, 0, 0];
    for (const [i, number] of interfaces.entries()) writer.packet(number, BigInt(i), Uint8Array.of(i));
    for (const cut of [1, 13, 1e6]) {
      const parser = new PcapngParser();
      const found: [number, number][] = [];
      for (let at = 0; at < writer.octets.length; at += cut) {
        parser.push(writer.octets.subarray(at, at + cut));
        while (parser.pull()) {
          const { linkType, octets, offset, count } = parser.block;
          for (let i = 0; i < count; i++) found.push([linkType, octets[offset[i]]]);
        }
      }
      const wanted = interfaces.map((number, i) => [number === 0 ? LINKTYPE.raw : LINKTYPE.ethernet, i]);
      assert.deepEqual(found, wanted);
      assert.equal(
        parser.linkType,
        LINKTYPE.ethernet,
        'that of the first packet, not of the first interface',
      );
    }
  });

  test('packets that cannot be read are left out, and counted by interface', () => {
    const words = (...values: number[]) => new Writer(true).u32(...values);
    const writer = new Writer(true)
      .section()
      .interface(220)
      .interface(LINKTYPE.ethernet, 0xffffffff, Buffer.of(99, 0, 1, 0, 5, 0, 0, 0))
      // A resolution that no clock has, a description that ends too early, options longer than the block.
      .block(1, words(1, 0), Buffer.of(9, 0, 1, 0, 200, 0, 0, 0))
      .block(1)
      .block(1, words(1, 0), new Writer(true).u16(2, 100))
      .block(0x0bad, words(1, 2, 3));
    for (const [i, number] of [0, 1, 2, 0, 3, 1, 4, 77].entries())
      writer.packet(number, BigInt(i), Uint8Array.of(i));
    writer.block(6, words(1, 0, 0, 5, 5), Uint8Array.of(1, 2, 3, 4));
    writer.block(6, words(1, 0, 0, 600_000, 600_000), new Uint8Array(600_000));
    writer.block(6, words(0, 0, 0, 600_000, 600_000), new Uint8Array(600_000));
    writer.block(6, words(1, 0xffffffff, 0, 1, 1), Uint8Array.of(1, 0, 0, 0));
    writer.packet(1, 9n, Uint8Array.of(9));
    const { parser, found } = parse(new PcapngParser(), writer.octets, 1000);
    assert.equal(parser.state, 'blocks');
    assert.deepEqual(
      found.map(({ octets }) => octets[0]),
      [1, 5, 6, 9],
    );
    assert.deepEqual(parser.leftOut, [
      { interface: 0, linkType: 220, cause: 'link-type', packets: 2 },
      { interface: 2, linkType: 1, cause: 'description', packets: 1 },
      { interface: 3, linkType: -1, cause: 'description', packets: 1 },
      { interface: 77, linkType: -1, cause: 'undescribed', packets: 1 },
      { interface: 1, linkType: 1, cause: 'length', packets: 2 },
      { interface: 0, linkType: 220, cause: 'length', packets: 1 },
      { interface: 1, linkType: 1, cause: 'time', packets: 1 },
    ]);
  });

  test('hostile lengths are an answer, and cost no memory', () => {
    const head = () => new Writer(true).section().interface(1);
    const malformed = [
      Buffer.from('\x0a\x0d\x0d\x0a and no magic'),
      Buffer.from('something else entirely'),
      // Lengths: 8, no multiple of 4, a packet of 1 GiB, secrets of 1 GiB, another length behind the block.
      Buffer.concat([head().octets, new Writer(true).u32(6, 8, 0)]),
      Buffer.concat([head().octets, new Writer(true).u32(6, 33, 0)]),
      Buffer.concat([head().octets, new Writer(true).u32(6, 1 << 30, 0)]),
      Buffer.concat([head().octets, new Writer(true).u32(10, 1 << 30, 0)]),
      Buffer.concat([head().octets, new Writer(true).u32(5, 12, 16, 5, 12, 12)]).fill(6, 48, 49),
      Buffer.concat([head().octets, new Writer(true).u32(0x0bad, 0xfffffff0, 0)]),
      // Within blocks: secrets that are longer than they, a packet without its fields.
      head().block(6, new Writer(true).u32(0, 0)).octets,
      head().block(10, new Writer(true).u32(0x544c534b, 9, 0, 0)).octets,
      head().block(10, new Writer(true).u32(0x544c534b)).octets,
      new Writer(true).block(3, new Writer(true).u32(0)).octets,
    ];
    for (const [i, octets] of malformed.entries()) {
      const { parser, found } = parse(new PcapngParser(), octets);
      assert.equal(parser.state, 'malformed', `case ${i}`);
      assert.equal(found.length, 0);
    }
    // What is passed over is not kept.
    const parser = new PcapngParser();
    const passedOctets = 16 * 1024 * 1024;
    parser.push(Buffer.concat([head().octets, new Writer(true).u32(0x0bad, passedOctets, 0)]));
    parser.pull();
    for (let i = 0; i < 15; i++) {
      parser.push(new Uint8Array(1024 * 1024));
      assert.equal(parser.pull(), false);
    }
    assert.equal(parser.pendingOctets, passedOctets - 12 - 15 * 1024 * 1024);
    assert.equal(parser.state, 'blocks');
  });

  test('of secrets no more is kept than a bound, however few octets each block has', () => {
    const parser = new PcapngParser();
    const text = 'x'.repeat(1 << 20);
    const large = new Writer(true).secrets(text).octets;
    parser.push(new Writer(true).section().interface(1).octets);
    for (let i = 0; i < 80; i++) {
      parser.pull();
      parser.push(large);
    }
    parser.pull();
    assert.equal(parser.secrets.length, 63);
    assert.equal(parser.secretsLeftOut, 17 << 20);
    const many = new PcapngParser();
    const empty = new Writer(true).section().interface(1);
    const block = new Writer(true).secrets('').octets;
    many.push(Buffer.concat([empty.octets, ...Array.from({ length: 1_100_000 }, () => block)]));
    many.pull();
    assert.equal(many.secrets.length, 1 << 20);
    assert.equal(many.state, 'blocks');
  });

  test('octets changed at random make nobody throw', () => {
    const writer = new Writer(true).section().interface(1).secrets('x');
    for (let i = 0; i < 5; i++) writer.packet(0, 1_600_000_000_000_000n, new Uint8Array(30));
    const good = writer.octets;
    const changes = fc.array(fc.tuple(fc.nat({ max: good.length - 1 }), fc.nat({ max: 255 })), {
      maxLength: 5,
    });
    fc.assert(
      fc.property(changes, fc.integer({ min: 1, max: 100 }), (places, cut) => {
        const octets = good.slice();
        for (const [at, value] of places) octets[at] = value;
        const { found } = parse(new PcapngParser(), octets, cut);
        assert.ok(found.length <= 5);
      }),
      { numRuns: 500 },
    );
  });

  test('a file that ends inside a block leaves octets pending', () => {
    const octets = new Writer(true).section().interface(1).packet(0, 0n, new Uint8Array(10)).octets;
    const { parser, found } = parse(new PcapngParser(), octets.subarray(0, octets.length - 1), 7);
    assert.equal(found.length, 0);
    assert.ok(parser.pendingOctets > 10);
  });

  test('is told by its first octets', () => {
    assert.ok(isPcapng(new Writer(false).section().octets));
    assert.ok(!isPcapng(Uint8Array.of(0x0a, 0x0d, 0x0d)));
    assert.ok(!isPcapng(Uint8Array.of(0xd4, 0xc3, 0xb2, 0xa1)));
  });
});

const skip = spawnSync('editcap', ['--version']).error === undefined ? false : 'needs editcap';

test("editcap's file has the packets of the pcap file it was made from, and the secrets", { skip }, (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'mytape-test-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const pcap = join(ROOT, 'fixtures/sysbench-text.pcap');
  const keyLog = `CLIENT_RANDOM ${'0a'.repeat(32)} ${'0b'.repeat(48)}\n`;
  writeFileSync(join(dir, 'keys.log'), keyLog);
  const out = join(dir, 'out.pcapng');
  execFileSync('editcap', ['--inject-secrets', `tls,${join(dir, 'keys.log')}`, pcap, out]);
  const wanted = parse(new PcapParser(), readFileSync(pcap));
  const { parser, found } = parse(new PcapngParser(), readFileSync(out), 10_000);
  assert.ok(wanted.found.length > 40);
  assert.deepEqual(found, wanted.found);
  assert.equal(parser.linkType, wanted.parser.format!.linkType);
  assert.deepEqual(parser.secrets, [keyLog]);
});
