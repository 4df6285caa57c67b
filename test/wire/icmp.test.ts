import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { addressFromOctets, parseAddress } from '../../src/wire/address.ts';
import { SegmentWriter } from '../../src/wire/emit.ts';
import { IcmpError } from '../../src/wire/icmp.ts';
import { LINKTYPE } from '../../src/wire/packets.ts';
import { PARSE } from '../../src/wire/segment.ts';
import { Tuple } from '../../src/wire/tuple.ts';

const TUPLES = {
  4: new Tuple(parseAddress('10.1.2.3')!, 40_000, parseAddress('10.128.6.83')!, 3307),
  6: new Tuple(parseAddress('2001:db8::7')!, 40_000, parseAddress('fd00::83')!, 3307),
};

/** A segment of ours, seq 0xfffffff0, with 20 octets of payload. */
function refused(family: 4 | 6): Uint8Array {
  const octets = new Uint8Array(120);
  const writer = new SegmentWriter(octets, new DataView(octets.buffer));
  const data = writer.begin(0, TUPLES[family], 0xffff_fff0, 1, 0x18, 500);
  return octets.slice(0, writer.finish(0, data + 20));
}

/** RFC 1191 (4): type 3, code 4, the MTU in the last two octets; `quoted` octets of the packet. */
function fragmentationNeeded(mtu: number, quoted = 28): Uint8Array {
  const header = [0x45, 0, 0, 28 + quoted, 0, 1, 0, 0, 64, 1, 0, 0, 10, 9, 9, 9, 10, 1, 2, 3];
  return Uint8Array.from([
    ...header,
    ...[3, 4, 0, 0, 0, 0, mtu >> 8, mtu & 255],
    ...refused(4).subarray(0, quoted),
  ]);
}

/** RFC 4443 (3.2): type 2, code 0, the MTU in four octets. */
function packetTooBig(mtu: number, quoted = 80): Uint8Array {
  const header = [0x60, 0, 0, 0, 0, 8 + quoted, 58, 64, ...Array<number>(32).fill(0xfd)];
  return Uint8Array.from([
    ...header,
    ...[2, 0, 0, 0, 0, 0, mtu >> 8, mtu & 255],
    ...refused(6).subarray(0, quoted),
  ]);
}

function parse(octets: Uint8Array, linkType: number = LINKTYPE.raw): { icmp: IcmpError; answer: number } {
  // In the middle of other octets, as in a block.
  const around = new Uint8Array(octets.length + 60).fill(0x06);
  around.set(octets, 10);
  const icmp = new IcmpError();
  const answer = icmp.parse(around, new DataView(around.buffer), 10, octets.length, linkType);
  if (answer === PARSE.ok) {
    const family = icmp.family as 4 | 6;
    const { client, target } = TUPLES[family];
    assert.deepEqual(addressFromOctets(around, icmp.srcOffset, family), client);
    assert.deepEqual(addressFromOctets(around, icmp.dstOffset, family), target);
  }
  return { icmp, answer };
}

describe('ICMP errors', () => {
  test('too long: whose segment it was, and the MTU', () => {
    const macs = Array<number>(12).fill(2);
    const cases: [string, Uint8Array, number, number][] = [
      ['IPv4', fragmentationNeeded(1400), LINKTYPE.raw, 4],
      ['IPv4, quoted whole', fragmentationNeeded(1400, 60), LINKTYPE.raw, 4],
      ['IPv6', packetTooBig(1400), LINKTYPE.raw, 6],
      ['Ethernet', Uint8Array.of(...macs, 8, 0, ...fragmentationNeeded(1400)), LINKTYPE.ethernet, 4],
      [
        'VLAN',
        Uint8Array.of(...macs, 0x81, 0, 0, 5, 0x86, 0xdd, ...packetTooBig(1400)),
        LINKTYPE.ethernet,
        6,
      ],
    ];
    for (const [name, octets, linkType, family] of cases) {
      const { icmp, answer } = parse(octets, linkType);
      assert.equal(answer, PARSE.ok, name);
      const { clientNumber, targetNumber } = TUPLES[family as 4 | 6];
      assert.deepEqual(
        [icmp.family, icmp.src, icmp.dst, icmp.srcPort, icmp.dstPort, icmp.seq, icmp.mtu],
        [family, clientNumber, targetNumber, 40_000, 3307, 0xffff_fff0, 1400],
        name,
      );
    }
  });

  test('a router that names no MTU (RFC 1191 3)', () => {
    const { icmp, answer } = parse(fragmentationNeeded(0));
    assert.deepEqual([answer, icmp.mtu], [PARSE.ok, 0]);
  });

  test('what is another message, or quotes no TCP segment, says why', () => {
    const changed = (octets: Uint8Array, at: number, value: number) => {
      const copy = octets.slice();
      copy[at] = value;
      return parse(copy).answer;
    };
    const v4 = fragmentationNeeded(1400);
    const v6 = packetTooBig(1400);
    assert.equal(parse(refused(4)).answer, PARSE.notTcp);
    assert.equal(parse(refused(6)).answer, PARSE.notTcp);
    assert.equal(parse(v4, 9999).answer, PARSE.notIp);
    assert.equal(changed(v4, 20, 11), PARSE.notTcp, 'time exceeded');
    assert.equal(changed(v4, 21, 3), PARSE.notTcp, 'port unreachable');
    assert.equal(changed(v4, 28 + 9, 17), PARSE.notTcp, 'quotes UDP');
    assert.equal(changed(v4, 28, 0x65), PARSE.malformed);
    assert.equal(changed(v4, 28, 0x44), PARSE.malformed);
    assert.equal(changed(v4, 0, 0x44), PARSE.malformed);
    assert.equal(changed(v4, 28 + 7, 1), PARSE.fragment);
    assert.equal(changed(v4, 7, 1), PARSE.fragment);
    assert.equal(changed(v4, 0, 0x15), PARSE.notIp);
    assert.equal(changed(v6, 40, 1), PARSE.notTcp, 'unreachable');
    assert.equal(changed(v6, 48 + 6, 17), PARSE.notTcp);
    assert.equal(changed(v6, 48, 0x45), PARSE.malformed);
  });

  test('cut short anywhere, it never reads what is not there', () => {
    for (const [octets, needed] of [
      [fragmentationNeeded(1400), 56],
      [packetTooBig(1400), 96],
    ] as const) {
      for (let length = 0; length < octets.length; length++) {
        const expected = length < needed ? PARSE.truncated : PARSE.ok;
        assert.equal(parse(octets.subarray(0, length)).answer, expected, `${length}`);
      }
    }
  });

  test('any octets are an answer', () => {
    const near = fc
      .tuple(
        fc.constantFrom(fragmentationNeeded(1400), packetTooBig(1400)),
        fc.array(fc.tuple(fc.nat(110), fc.nat(255)), { maxLength: 5 }),
        fc.nat(110),
      )
      .map(([octets, changes, length]) => {
        const copy = octets.slice();
        for (const [at, value] of changes) copy[at] = value;
        return copy.slice(0, length);
      });
    const icmp = new IcmpError();
    fc.assert(
      fc.property(
        fc.oneof(fc.uint8Array({ maxLength: 120 }), near),
        fc.constantFrom(...Object.values(LINKTYPE)),
        (octets, linkType) => {
          const view = new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
          const answer = icmp.parse(octets, view, 0, octets.length, linkType);
          assert.ok(Object.values(PARSE).includes(answer as never));
        },
      ),
      { numRuns: 3000 },
    );
  });
});
