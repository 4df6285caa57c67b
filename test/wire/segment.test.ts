import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { ipv4Number, parseAddress } from '../../src/wire/address.ts';
import { LINKTYPE } from '../../src/wire/packets.ts';
import { PARSE, Segment } from '../../src/wire/segment.ts';
import { tcpFrame } from '../archive/support.ts';

const FIELDS = {
  client: '10.1.2.3',
  clientPort: 40_000,
  fromClient: true,
  seq: 0xffff_fff0,
  payload: Buffer.from('hello'),
};
const V4 = tcpFrame(FIELDS);
const V6 = tcpFrame({ ...FIELDS, client: '2001:db8::7' });
const ETHERNET_OCTETS = 14;

function parse(
  octets: Uint8Array,
  linkType: number = LINKTYPE.ethernet,
): { segment: Segment; answer: number } {
  // In the middle of other octets, as in a block: nothing before or behind the packet may matter.
  const around = new Uint8Array(octets.length + 20).fill(0x06);
  around.set(octets, 10);
  const segment = new Segment();
  const answer = segment.parse(around, new DataView(around.buffer), 10, octets.length, linkType);
  return { segment, answer };
}

function payloadOf(segment: Segment): string {
  return Buffer.from(
    segment.octets.subarray(segment.dataOffset, segment.dataOffset + segment.dataLength),
  ).toString();
}

/** `inner` (an IP packet) behind a link-layer header of `octets`. */
function behind(header: number[], inner: Uint8Array): Uint8Array {
  return Uint8Array.from([...header, ...inner]);
}

describe('segment', () => {
  test('is found behind every link layer', () => {
    const ip4 = V4.subarray(ETHERNET_OCTETS);
    const ip6 = V6.subarray(ETHERNET_OCTETS);
    const macs = Array<number>(12).fill(1);
    const cases: [string, Uint8Array, number][] = [
      ['Ethernet, IPv4', V4, LINKTYPE.ethernet],
      ['Ethernet, IPv6', V6, LINKTYPE.ethernet],
      ['VLAN', behind([...macs, 0x81, 0, 0, 5, 8, 0], ip4), LINKTYPE.ethernet],
      ['VLAN in VLAN', behind([...macs, 0x88, 0xa8, 0, 5, 0x81, 0, 0, 6, 8, 0], ip4), LINKTYPE.ethernet],
      ['Linux cooked', behind([...Array<number>(14).fill(0), 8, 0], ip4), LINKTYPE.sll],
      ['Linux cooked 2', behind([0x86, 0xdd, ...Array<number>(18).fill(0)], ip6), LINKTYPE.sll2],
      ['BSD loopback', behind([2, 0, 0, 0], ip4), LINKTYPE.null],
      ['raw IPv4', ip4, LINKTYPE.raw],
      ['raw IPv6', ip6, LINKTYPE.raw],
      ['IPv6', ip6, LINKTYPE.ipv6],
    ];
    for (const [name, octets, linkType] of cases) {
      const { segment, answer } = parse(octets, linkType);
      assert.equal(answer, PARSE.ok, name);
      assert.equal(payloadOf(segment), 'hello', name);
      assert.deepEqual([segment.srcPort, segment.dstPort, segment.seq], [40_000, 3307, 0xffff_fff0], name);
    }
    assert.equal(parse(V4).segment.src, ipv4Number(parseAddress('10.1.2.3')!));
  });

  test('IPv6 extension headers are passed over', () => {
    const octets = new Uint8Array(V6.length + 8);
    octets.set(V6.subarray(0, 54));
    octets.set(V6.subarray(54), 62);
    octets[14 + 6] = 60;
    octets[54] = 6;
    octets[14 + 5] += 8;
    const { segment, answer } = parse(octets);
    assert.equal(answer, PARSE.ok);
    assert.equal(payloadOf(segment), 'hello');
  });

  test('what is no whole TCP segment says why', () => {
    const changed = (octets: Uint8Array, at: number, value: number) => {
      const copy = octets.slice();
      copy[at] = value;
      return copy;
    };
    assert.equal(parse(changed(V4, 12, 0x07)).answer, PARSE.notIp);
    assert.equal(parse(changed(V4, 14 + 9, 17)).answer, PARSE.notTcp);
    assert.equal(parse(changed(V6, 14 + 6, 58)).answer, PARSE.notTcp);
    assert.equal(parse(changed(V6, 14 + 6, 44)).answer, PARSE.fragment);
    assert.equal(parse(changed(V4, 14 + 6, 0x20)).answer, PARSE.fragment);
    assert.equal(parse(changed(V4, 14 + 7, 1)).answer, PARSE.fragment);
    assert.equal(parse(changed(V4, 14, 0x44)).answer, PARSE.malformed);
    assert.equal(parse(changed(V4, 34 + 12, 0x40)).answer, PARSE.malformed);
  });

  test('cut short anywhere, it never reads what is not there', () => {
    for (const whole of [V4, V6]) {
      const headers = whole.length - 5;
      for (let length = 0; length < whole.length; length++) {
        const { segment, answer } = parse(whole.subarray(0, length));
        if (length < headers) {
          assert.equal(answer, PARSE.truncated, `${length}`);
          continue;
        }
        assert.equal(answer, PARSE.ok);
        assert.equal(segment.dataLength, length - headers);
        assert.equal(segment.wireDataLength, 5);
      }
    }
  });

  test("Ethernet's padding is no payload", () => {
    const padded = new Uint8Array(80).fill(0xff);
    padded.set(V4);
    assert.equal(payloadOf(parse(padded).segment), 'hello');
  });

  test('any octets are an answer', () => {
    const linkTypes = fc.constantFrom(...Object.values(LINKTYPE));
    const near = fc
      .tuple(
        fc.constantFrom(V4, V6),
        fc.array(fc.tuple(fc.nat({ max: 70 }), fc.nat({ max: 255 })), { maxLength: 5 }),
      )
      .map(([frame, changes]) => {
        const copy = frame.slice();
        for (const [at, value] of changes) copy[at] = value;
        return copy;
      });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 120 }), near), linkTypes, (octets, linkType) => {
        const { segment, answer } = parse(octets, linkType);
        if (answer !== PARSE.ok) return;
        const end = segment.dataOffset + segment.dataLength;
        assert.ok(segment.dataLength >= 0 && segment.dataLength <= segment.wireDataLength);
        assert.ok(segment.dataOffset >= 10 && end <= 10 + octets.length);
        assert.ok(segment.mss >= -1 && segment.windowShift >= -1 && segment.windowShift <= 14);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('timestamps', () => {
  const stamps = [8, 10, 0x80, 0, 0, 1, 0xff, 0xff, 0xff, 0xfe];

  /** V4 with these options, a multiple of 4 octets. */
  function withOptions(...options: number[]): Segment {
    const headers = ETHERNET_OCTETS + 40;
    const octets = Uint8Array.from([...V4.subarray(0, headers), ...options, ...V4.subarray(headers)]);
    octets[ETHERNET_OCTETS + 3] += options.length;
    octets[ETHERNET_OCTETS + 32] = (5 + options.length / 4) << 4;
    const { segment, answer } = parse(octets);
    assert.equal(answer, PARSE.ok);
    assert.equal(payloadOf(segment), 'hello');
    return segment;
  }

  test('are found wherever they stand', () => {
    const layouts = [
      [1, 1, ...stamps],
      [...stamps, 1, 1],
      [4, 2, ...stamps],
      [1, 1, 4, 2, 1, 1, ...stamps],
      [1, 1, ...stamps, 1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2],
    ];
    for (const layout of layouts) {
      const { tsVal, tsEcr } = withOptions(...layout);
      assert.deepEqual([tsVal, tsEcr], [0x8000_0001, 0xffff_fffe], `${layout}`);
    }
  });

  test('are not, where there are none or not of their length', () => {
    const layouts = [
      [],
      [1, 1, 1, 0],
      [1, 1, 8, 10],
      [1, 1, 8, 10, 0, 0, 0, 1],
      [8, 12, ...stamps.slice(2), 1, 1],
      [0, 0, ...stamps],
    ];
    for (const layout of layouts) {
      const { tsVal, tsEcr } = withOptions(...layout);
      assert.deepEqual([tsVal, tsEcr], [-1, -1], `${layout}`);
    }
  });
});
