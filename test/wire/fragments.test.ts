/** Also of fragment-join.ts. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { foldChecksum, sumWords } from '../../src/wire/checksum.ts';
import { FragmentStore, type WholePacket } from '../../src/wire/fragments.ts';
import { LINKTYPE } from '../../src/wire/link-types.ts';
import { PARSE, Segment } from '../../src/wire/segment.ts';
import { tcpFrame } from '../archive/support.ts';
import {
  ethernet,
  fragmentsOf,
  fragmentsOfIpv6,
  gre,
  ipv4,
  ipv6,
  join,
  snapFrame,
  tagged,
  u16,
  udp,
  vxlan,
} from './frames.ts';

const PAYLOAD = Uint8Array.from({ length: 3000 }, (_, i) => i * 7);
const FIELDS = { client: '10.1.2.3', clientPort: 40_000, fromClient: true, seq: 77, payload: PAYLOAD };
const IP4 = ipv4(6, tcpFrame(FIELDS).subarray(34), { src: [10, 1, 2, 3], dst: [10, 0, 0, 9] });
const IP6 = tcpFrame({ ...FIELDS, client: '2001:db8::7' }).subarray(14);

/** Gives a store the packets, one a millisecond, and returns what became whole. */
function feed(
  packets: readonly Uint8Array[],
  { store = new FragmentStore(), linkType = LINKTYPE.ethernet as number, stepNs = 1e6, captured = 1e6 } = {},
): { whole: WholePacket[]; store: FragmentStore } {
  const whole: WholePacket[] = [];
  const segment = new Segment();
  for (const [i, packet] of packets.entries()) {
    // A view into memory that is used again, as files come: a Buffer, whose `slice` does not copy.
    const memory = Buffer.alloc(packet.length + 7, 0xee);
    const octets = memory.subarray(7, 7 + Math.min(captured, packet.length));
    octets.set(packet.subarray(0, octets.length));
    const parsed = segment.parse(
      octets,
      new DataView(octets.buffer, octets.byteOffset, octets.length),
      0,
      octets.length,
      linkType,
    );
    assert.equal(parsed, PARSE.fragment);
    const made = store.add(segment.headers, 0, i * stepNs, linkType);
    if (made !== undefined) whole.push(made);
    memory.fill(0xee);
  }
  return { whole, store };
}

function read({ octets }: WholePacket, linkType: number = LINKTYPE.ethernet): Segment {
  const copy = octets.slice();
  const segment = new Segment();
  assert.equal(segment.parse(copy, new DataView(copy.buffer), 0, copy.length, linkType), PARSE.ok);
  return segment;
}

/** A packet whose segment has `PAYLOAD`, all checksums of its IPv4 headers and all lengths right. */
function assertWhole(made: WholePacket, linkType: number = LINKTYPE.ethernet): void {
  const segment = read(made, linkType);
  assert.deepEqual([segment.srcPort, segment.dstPort, segment.seq], [40_000, 3307, 77]);
  const { octets, dataOffset, dataLength, wireDataLength, headers } = segment;
  assert.equal(wireDataLength, PAYLOAD.length);
  assert.deepEqual(octets.slice(dataOffset, dataOffset + dataLength), PAYLOAD);
  assert.equal(made.wireLength, made.octets.length);
  if (segment.family === 4) assert.equal(checksumOf(octets, segment.ipOffset), 0);
  if (segment.layers === 0) return;
  for (let i = 0; i < headers.lengths; i++) {
    if (headers.lengthKind[i] === 0) assert.equal(checksumOf(octets, headers.lengthAt[i] - 2), 0, `${i}`);
  }
  // No length field is nearer than the end of the packet.
  assert.equal(headers.wireEnd, octets.length);
}

function checksumOf(octets: Uint8Array, ip: number): number {
  return foldChecksum(sumWords(octets, ip, ip + ((octets[ip] & 15) << 2)));
}

describe('fragments', () => {
  const pieces4 = fragmentsOf(IP4, 1000);
  const pieces6 = fragmentsOfIpv6(IP6, 1000);

  test('of IPv4 are put together in any order', () => {
    for (const order of [
      [0, 1, 2, 3],
      [3, 2, 1, 0],
      [1, 3, 0, 2],
    ]) {
      const { whole, store } = feed(order.map((i) => ethernet(pieces4[i])));
      assert.equal(whole.length, 1);
      assert.equal(whole[0].packets, 4);
      assertWhole(whole[0]);
      assert.deepEqual(whole[0].octets, ethernet(IP4));
      assert.deepEqual(store.counts, { incomplete: 0, conflicting: 0, repeated: 0 });
      assert.equal(store.waiting, 0);
    }
  });

  test('of IPv6 are put together, without the fragment header', () => {
    const { whole } = feed(pieces6.map((piece) => ethernet(piece)));
    assert.deepEqual(whole[0].octets, ethernet(IP6));
  });

  test('keep what is in front of them, and any link type', () => {
    const vlan = feed(pieces4.map((piece) => ethernet(tagged(piece), 0x8100)));
    assert.deepEqual(vlan.whole[0].octets, ethernet(tagged(IP4), 0x8100));
    const raw = feed(pieces4, { linkType: LINKTYPE.raw });
    assert.deepEqual(raw.whole[0].octets, IP4);
  });

  test('inside of a tunnel: all lengths around them are mended', () => {
    const inVxlan = (piece: Uint8Array) => ethernet(ipv4(17, udp(vxlan(ethernet(piece)), 4789)));
    const inGreOverIpv6 = (piece: Uint8Array) => ethernet(ipv6(47, gre(piece, 0x0800)));
    const inPppoe = (piece: Uint8Array) =>
      ethernet(join([0x11, 0, 0, 1], u16(2 + piece.length), u16(0x21), piece), 0x8864);
    for (const inTunnel of [inVxlan, inGreOverIpv6, inPppoe]) {
      const { whole } = feed(pieces4.map(inTunnel));
      assert.deepEqual(whole[0].octets, inTunnel(IP4));
      assertWhole(whole[0]);
    }
    const { whole } = feed(pieces6.map(inVxlan));
    assertWhole(whole[0]);
  });

  test('behind LLC: the frame has a type where its length can no longer be said', () => {
    const { whole } = feed(pieces4.map((piece) => snapFrame(piece)));
    assert.deepEqual(whole[0].octets, ethernet(IP4));
    const small = fragmentsOf(ipv4(6, IP4.subarray(20, 20 + 800)), 400);
    assert.deepEqual(
      feed(small.map((piece) => snapFrame(piece))).whole[0].octets.length,
      snapFrame(IP4.subarray(0, 820)).length,
    );
    const inVxlan = (frame: Uint8Array) => ethernet(ipv4(17, udp(vxlan(frame), 4789)));
    assertWhole(feed(pieces4.map((piece) => inVxlan(snapFrame(piece)))).whole[0]);
  });

  test('a whole that is itself a tunnel has what is in it', () => {
    const outer = ipv4(17, udp(vxlan(ethernet(IP4)), 4789));
    const { whole } = feed(fragmentsOf(outer, 1400).map((piece) => ethernet(piece)));
    assertWhole(whole[0]);
  });

  test('seen twice are taken once, also after they were whole', () => {
    const frames = pieces4.map((piece) => ethernet(piece));
    const { whole, store } = feed([frames[0], ...frames.flatMap((frame) => [frame, frame])]);
    assert.equal(whole.length, 1);
    assert.deepEqual(store.counts, { incomplete: 0, conflicting: 0, repeated: 5 });
  });

  test('the id used anew for other octets is another packet', () => {
    const other = ipv4(
      6,
      join(
        IP4.subarray(20, 60),
        PAYLOAD.map((octet) => octet ^ 1),
      ),
      {
        src: [10, 1, 2, 3],
        dst: [10, 0, 0, 9],
      },
    );
    const { whole } = feed([...pieces4, ...fragmentsOf(other, 1000)].map((piece) => ethernet(piece)));
    assert.equal(whole.length, 2);
    assert.deepEqual(whole[1].octets, ethernet(other));
  });

  describe('where the id is used anew after one was lost (RFC 4963)', () => {
    /** Six packets, all of the same id, whose payloads are of one octet each. */
    const packets = (withChecksum: boolean) =>
      Array.from({ length: 6 }, (_, i) => {
        const tcp = join(IP4.subarray(20, 40), new Uint8Array(2960).fill(i + 1));
        if (withChecksum) {
          const pseudo = sumWords(Uint8Array.of(10, 1, 2, 3, 10, 0, 0, 9), 0, 8) + 6 + tcp.length;
          tcp.set(u16(foldChecksum(sumWords(tcp, 0, tcp.length, pseudo))), 16);
        }
        return ipv4(6, tcp, { src: [10, 1, 2, 3], dst: [10, 0, 0, 9] });
      });
    const told = (whole: readonly WholePacket[]) =>
      whole.map((one) => {
        const { octets, dataOffset, dataLength } = read(one);
        return [...new Set(octets.subarray(dataOffset, dataOffset + dataLength))].join();
      });

    for (const missing of [0, 1, 2, 3]) {
      const pieces = (withChecksum: boolean) =>
        packets(withChecksum).flatMap((packet, i) => {
          const all = fragmentsOf(packet, 800).map((piece) => ethernet(piece));
          return i === 1 ? all.filter((_, n) => n !== missing) : all;
        });

      test(`fragment ${missing}: what it belongs to is lost, and nothing else`, () => {
        const { whole, store } = feed(pieces(true));
        assert.deepEqual(told(whole), ['1', '3', '4', '5', '6']);
        store.finish();
        assert.equal(store.counts.incomplete + store.counts.conflicting, 3);
      });

      test(`fragment ${missing}, without checksums, seconds apart: the same`, () => {
        const { whole } = feed(pieces(false), { stepNs: 0.2e9 });
        assert.deepEqual(
          told(whole).filter((one) => one.length > 1),
          [],
        );
      });
    }

    test('a checksum joins what comes late, and is not asked where all of them are wrong', () => {
      const late = fragmentsOf(packets(true)[0], 800).map((piece) => ethernet(piece));
      assert.deepEqual(told(feed(late, { stepNs: 5e9 }).whole), ['1']);
      const wrong = packets(true).flatMap((packet) => {
        packet[20 + 16] ^= 1;
        return fragmentsOf(packet, 800).map((piece) => ethernet(piece));
      });
      assert.deepEqual(told(feed(wrong).whole), ['1', '2', '3', '4', '5', '6']);
    });
  });

  test('of different networks, ids, protocols and ends are not mixed', () => {
    const { whole, store } = feed([
      ethernet(pieces4[0]),
      ethernet(fragmentsOf(IP4, 1000, 8)[1]),
      ethernet(tagged(pieces4[2], 0x0800, 9), 0x8100),
      ethernet(fragmentsOf(ipv4(17, IP4.subarray(20), { src: [10, 1, 2, 3], dst: [10, 0, 0, 9] }), 1000)[3]),
    ]);
    assert.equal(whole.length, 0);
    store.finish();
    assert.equal(store.counts.incomplete, 4);
  });

  test('that overlap give the packet up, and what comes of it later (RFC 5722)', () => {
    const overlapping = ethernet(
      ipv4(6, new Uint8Array(64), { src: [10, 1, 2, 3], dst: [10, 0, 0, 9], fragment: 0x2000 | (992 >> 3) }),
    );
    const { whole, store } = feed([
      ethernet(pieces4[0]),
      overlapping,
      ...pieces4.slice(1).map((piece) => ethernet(piece)),
    ]);
    assert.equal(whole.length, 0);
    store.finish();
    assert.deepEqual(store.counts, { incomplete: 0, conflicting: 5, repeated: 0 });
  });

  test('that say different lengths, or go past what IP can have, are refused', () => {
    const ends = { src: [10, 1, 2, 3], dst: [10, 0, 0, 9] };
    const two = [4, 8].map((at) => ethernet(ipv4(6, new Uint8Array(16), { ...ends, fragment: at })));
    assert.equal(feed(two).store.counts.conflicting, 2);
    const beyond = ethernet(ipv4(6, new Uint8Array(64), { ...ends, fragment: 0x1fff }));
    assert.equal(feed([beyond]).store.counts.conflicting, 1);
    const odd = ethernet(ipv4(6, new Uint8Array(13), { ...ends, fragment: 0x2000 }));
    assert.equal(feed([odd]).store.counts.conflicting, 1);
  });

  test('are given up after a minute, and when there are too many', () => {
    const { store } = feed([ethernet(pieces4[0]), ethernet(fragmentsOf(IP4, 1000, 9)[0])], { stepNs: 61e9 });
    assert.equal(store.waiting, 1);
    assert.equal(store.counts.incomplete, 1);
    const many = Array.from({ length: 5000 }, (_, id) => ethernet(fragmentsOf(IP4, 1000, id)[0]));
    const flood = feed(many, { stepNs: 1 });
    assert.equal(flood.store.waiting, 4096);
    assert.equal(flood.store.counts.incomplete, 5000 - 4096);
  });

  test('cut by the capture: whole up to there', () => {
    const { whole } = feed(
      pieces4.map((piece) => ethernet(piece)),
      { captured: 600 },
    );
    const segment = read(whole[0]);
    assert.equal(segment.wireDataLength, PAYLOAD.length);
    assert.equal(segment.dataLength, 600 - 14 - 40);
    assert.equal(whole[0].wireLength, 14 + IP4.length);
  });

  test('any fragments in any order: nothing but what was sent comes out', () => {
    const cuts = fc.record({
      most: fc.integer({ min: 1, max: 400 }).map((n) => 8 * n),
      inTunnel: fc.boolean(),
      picks: fc.array(fc.nat(), { minLength: 1, maxLength: 60 }),
      noise: fc.array(
        fc.record({ at: fc.nat({ max: 400 }), length: fc.nat({ max: 80 }), more: fc.boolean() }),
        { maxLength: 2 },
      ),
    });
    fc.assert(
      fc.property(cuts, ({ most, inTunnel, picks, noise }) => {
        const pack = (piece: Uint8Array) =>
          inTunnel ? ethernet(ipv4(17, udp(vxlan(ethernet(piece)), 4789))) : ethernet(piece);
        const pieces = fragmentsOf(IP4, most).map(pack);
        if (pieces.length === 1) return;
        const stray = noise.map(({ at, length, more }) =>
          pack(
            ipv4(6, new Uint8Array(length), {
              src: [10, 1, 2, 3],
              dst: [10, 0, 0, 9],
              fragment: (more ? 0x2000 : 0) | (at + 1),
            }),
          ),
        );
        const { whole } = feed([...picks.map((pick) => pieces[pick % pieces.length]), ...stray, ...pieces]);
        for (const made of whole) if (stray.length === 0) assert.deepEqual(made.octets, pack(IP4));
        if (stray.length === 0) assert.equal(whole.length, 1);
      }),
      { numRuns: 500, seed: 11 },
    );
  });
});
