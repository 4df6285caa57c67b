/** Also of headers.ts, link-layer.ts, ethernet.ts, ip.ts and tunnels.ts, which the walk goes through. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join as joinPath } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { walkHeaders } from '../../src/wire/header-walk.ts';
import { Headers, LAYER, STOP } from '../../src/wire/headers.ts';
import { LINKTYPE } from '../../src/wire/link-types.ts';
import { PARSE, Segment } from '../../src/wire/segment.ts';
import { tcpFrame, temporaryFolder } from '../archive/support.ts';
import {
  type Encapsulated,
  encapsulations,
  ethernet,
  gre,
  ipv4,
  ipv6,
  join,
  tagged,
  u16,
  u32,
  udp,
  vxlan,
} from './frames.ts';

const FIELDS = {
  client: '10.1.2.3',
  clientPort: 40_000,
  fromClient: true,
  seq: 77,
  payload: Buffer.from('hello'),
};
const IP4 = tcpFrame(FIELDS).subarray(14);
const IP6 = tcpFrame({ ...FIELDS, client: '2001:db8::7' }).subarray(14);
const ALL = encapsulations(IP4, IP6);

const BEFORE = 10;

/** In the middle of other octets, as in a block: nothing before or behind the packet may matter. */
function parse(octets: Uint8Array, linkType: number = LINKTYPE.ethernet, captured = octets.length) {
  const around = new Uint8Array(captured + 2 * BEFORE).fill(0x06);
  around.set(octets.subarray(0, captured), BEFORE);
  const segment = new Segment();
  const answer = segment.parse(around, new DataView(around.buffer), BEFORE, captured, linkType);
  return { segment, answer };
}

function payloadOf({ octets, dataOffset, dataLength }: Segment): string {
  return Buffer.from(octets.subarray(dataOffset, dataOffset + dataLength)).toString();
}

function addressOf({ octets, srcOffset, family }: Segment): number[] {
  return [...octets.subarray(srcOffset, srcOffset + (family === 4 ? 4 : 16))];
}

describe('a packet out of its encapsulation', () => {
  for (const { name, octets, linkType } of ALL) {
    test(name, () => {
      const { segment, answer } = parse(octets, linkType);
      assert.equal(answer, PARSE.ok);
      assert.deepEqual([segment.srcPort, segment.dstPort, segment.seq], [40_000, 3307, 77]);
      assert.equal(payloadOf(segment), 'hello');
      assert.equal(segment.wireDataLength, 5);
      const inner = segment.octets.subarray(segment.ipOffset);
      assert.deepEqual(addressOf(segment), [
        ...(inner[0] >> 4 === 4 ? inner.subarray(12, 16) : inner.subarray(8, 24)),
      ]);
      // Padding, a frame's checksum: what is behind the packet is no payload.
      assert.equal(payloadOf(parse(join(octets, Array<number>(9).fill(0x41)), linkType).segment), 'hello');
    });
  }

  test('cut short anywhere, it is never more than what is there', () => {
    for (const { name, octets, linkType } of ALL) {
      for (let captured = 0; captured < octets.length; captured++) {
        const { segment, answer } = parse(octets, linkType, captured);
        if (answer !== PARSE.ok) {
          // MPLS can't tell what it carries from an octet or two.
          assert.ok(
            answer === PARSE.truncated || name.includes('MPLS') || name.includes('NFLOG'),
            `${name} at ${captured}: ${answer}`,
          );
          continue;
        }

        // NFLOG pads what it carries.
        assert.equal(segment.dataLength, Math.min(5, BEFORE + captured - segment.dataOffset), name);
        assert.equal(segment.wireDataLength, 5, name);
      }
    }
  });

  test('the layers are named, the plain ones none', () => {
    const layersOf = (octets: Uint8Array) => parse(octets).segment.layers;
    assert.equal(layersOf(ethernet(IP4)), 0);
    assert.equal(layersOf(ethernet(tagged(IP4), 0x9100)), 0);
    assert.equal(
      layersOf(ethernet(ipv4(17, udp(vxlan(ethernet(ipv4(4, IP4))), 4789)))),
      LAYER.vxlan | LAYER.ipInIp,
    );
    assert.equal(layersOf(ethernet(ipv6(47, gre(ethernet(IP4), 0x88be)))), LAYER.erspan);
  });

  test('networks that may have the same addresses are told apart', () => {
    const headers = new Headers();
    const networkOf = (octets: Uint8Array) => {
      walkHeaders(headers, octets, new DataView(octets.buffer), 0, octets.length, LINKTYPE.ethernet);
      return headers.network;
    };
    const over = (vni: number) => ethernet(ipv4(17, udp(vxlan(ethernet(IP4), vni), 4789)));
    assert.equal(networkOf(over(1)), networkOf(over(1)));
    assert.notEqual(networkOf(over(1)), networkOf(over(2)));
    assert.notEqual(
      networkOf(ethernet(tagged(IP4, 0x0800, 1), 0x8100)),
      networkOf(ethernet(tagged(IP4, 0x0800, 2), 0x8100)),
    );
  });
});

describe('what is not read is named', () => {
  const cases: [string, Uint8Array, number, number, number, number][] = [
    ['ARP', ethernet(new Uint8Array(28), 0x0806), LINKTYPE.ethernet, PARSE.notIp, STOP.etherType, 0x0806],
    ['MACsec', ethernet(new Uint8Array(28), 0x88e5), LINKTYPE.ethernet, PARSE.notIp, STOP.etherType, 0x88e5],
    ['ESP', ethernet(ipv4(50, IP4)), LINKTYPE.ethernet, PARSE.notTcp, STOP.protocol, 50],
    ['UDP', ethernet(ipv4(17, udp(IP4, 53))), LINKTYPE.ethernet, PARSE.notTcp, STOP.protocol, 17],
    [
      'ICMP, which quotes TCP',
      ethernet(ipv4(1, join([3, 4, 0, 0, 0, 0, 0, 0], IP4))),
      LINKTYPE.ethernet,
      PARSE.notTcp,
      STOP.protocol,
      1,
    ],
    [
      'UDP in VXLAN',
      ethernet(ipv4(17, udp(vxlan(ethernet(ipv4(17, udp(IP4, 53)))), 4789))),
      LINKTYPE.ethernet,
      PARSE.notTcp,
      STOP.protocol,
      17,
    ],
    [
      'no VXLAN',
      ethernet(ipv4(17, udp(join(u32(0), u32(0), ethernet(IP4)), 4789))),
      LINKTYPE.ethernet,
      PARSE.notTcp,
      STOP.tunnel,
      LAYER.vxlan,
    ],
    [
      'GRE with routes',
      ethernet(ipv4(47, gre(IP4, 0x0800, 0x4000, u32(0)))),
      LINKTYPE.ethernet,
      PARSE.notTcp,
      STOP.tunnel,
      LAYER.gre,
    ],
    [
      'spanning tree',
      join(ethernet(new Uint8Array(0), 38), [0x42, 0x42, 3], new Uint8Array(35)),
      LINKTYPE.ethernet,
      PARSE.notIp,
      STOP.llc,
      0x42,
    ],
    [
      'PPP, compressed',
      join([0xff, 3], u16(0xfd), new Uint8Array(30)),
      LINKTYPE.ppp,
      PARSE.notIp,
      STOP.ppp,
      0xfd,
    ],
    [
      '802.11, encrypted',
      join([0x08, 0x41], new Uint8Array(60)),
      LINKTYPE.ieee80211,
      PARSE.notIp,
      STOP.wireless,
      1,
    ],
    [
      '802.11, a beacon',
      join([0x80, 0], new Uint8Array(60)),
      LINKTYPE.ieee80211,
      PARSE.notIp,
      STOP.wireless,
      0,
    ],
    ['USB', new Uint8Array(64), 220, PARSE.notIp, STOP.linkType, 220],
    ['loopback of another family', join([7, 0, 0, 0], IP4), LINKTYPE.null, PARSE.notIp, STOP.linkType, 0],
  ];
  for (const [name, octets, linkType, wanted, stop, type] of cases) {
    test(name, () => {
      const { segment, answer } = parse(octets, linkType);
      assert.deepEqual([answer, segment.headers.stop, segment.headers.type], [wanted, stop, type]);
    });
  }

  test('nothing is taken out of a tunnel where only plain packets are wanted', () => {
    const segment = new Segment();
    for (const { name, octets, linkType } of ALL) {
      const view = new DataView(octets.buffer, octets.byteOffset, octets.length);
      assert.equal(segment.parse(octets, view, 0, octets.length, linkType), PARSE.ok, name);
      const { layers } = segment;
      if (segment.parsePlain(octets, view, 0, octets.length, linkType) === PARSE.ok)
        assert.equal(layers, 0, name);
    }
  });
});

describe('hostile packets', () => {
  test('headers in headers without end are an answer', () => {
    let packet: Uint8Array = IP4;
    for (let i = 0; i < 200; i++) packet = ipv4(4, packet);
    assert.equal(parse(ethernet(packet)).answer, PARSE.malformed);
    const tags = join(...Array.from({ length: 500 }, () => [0, 1, 0x91, 0]));
    assert.equal(parse(ethernet(tags, 0x9100)).answer, PARSE.malformed);
  });

  test('octets changed at random: an answer, and no octet beyond the packet', () => {
    const changes = fc.array(fc.tuple(fc.nat({ max: 160 }), fc.nat({ max: 255 })), {
      minLength: 1,
      maxLength: 6,
    });
    fc.assert(
      fc.property(fc.constantFrom(...ALL), changes, fc.nat({ max: 200 }), (from, changed, cut) => {
        const octets = from.octets.slice();
        for (const [at, value] of changed) if (at < octets.length) octets[at] = value;
        const length = Math.min(octets.length, cut);
        // Exactly as long: a read beyond it throws, or is undefined, which no comparison survives.
        const exact = octets.slice(0, length);
        const alone = new Segment();
        const answer = alone.parse(exact, new DataView(exact.buffer), 0, length, from.linkType);
        const { segment, answer: within } = parse(exact, from.linkType);
        assert.equal(within, answer);
        if (answer !== PARSE.ok) return;
        assert.deepEqual(
          [segment.dataOffset, segment.dataLength, segment.wireDataLength, segment.srcPort, segment.seq],
          [alone.dataOffset + BEFORE, alone.dataLength, alone.wireDataLength, alone.srcPort, alone.seq],
        );
        assert.ok(segment.dataLength >= 0 && segment.dataLength <= segment.wireDataLength);
        assert.ok(alone.dataOffset + alone.dataLength <= length);
      }),
      { numRuns: 20_000, seed: 11 },
    );
  });
});

const skip = spawnSync('tshark', ['--version']).error === undefined ? false : 'needs tshark';

/** A pcapng file with an interface for each packet. */
function pcapngOf(packets: readonly Encapsulated[]): Uint8Array {
  const word = (value: number) => u32(value).reverse();
  const block = (type: number, body: Uint8Array) => {
    const padded = join(body, Array<number>(-body.length & 3).fill(0));
    return join(word(type), word(12 + padded.length), padded, word(12 + padded.length));
  };
  return join(
    block(0x0a0d0d0a, join(word(0x1a2b3c4d), word(1), word(0xffffffff), word(0xffffffff))),
    ...packets.map(({ linkType }) => block(1, join(word(linkType), word(0)))),
    ...packets.map(({ octets }, i) =>
      block(6, join(word(i), word(0), word(i), word(octets.length), word(octets.length), octets)),
    ),
  );
}

test('tshark reads the same segments in them', { skip }, (t) => {
  const file = joinPath(temporaryFolder(t), 'all.pcapng');
  // Without those it does not open the file at all.
  const all = ALL.filter(({ linkType }) => linkType !== LINKTYPE.rawBsd && linkType !== LINKTYPE.rawOpenBsd);
  writeFileSync(file, pcapngOf(all));
  const read = execFileSync(
    'tshark',
    ['-n', '-r', file, '-T', 'fields', '-e', 'tcp.srcport', '-e', 'tcp.len'],
    {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  );
  const lines = read.split('\n').slice(0, -1);
  assert.equal(lines.length, all.length);
  const surprises = all.flatMap(({ name, tsharkDiffers }, i) =>
    (lines[i] === '40000\t5') === (tsharkDiffers === true) ? [`${name}: ${lines[i] || 'nothing'}`] : [],
  );
  assert.deepEqual(surprises, []);
});
