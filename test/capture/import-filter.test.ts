import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { totalOf } from '../../src/capture/import-census.ts';
import { ImportFilter } from '../../src/capture/import-filter.ts';
import { PARSE, Segment } from '../../src/wire/segment.ts';
import { blockOf, tcpFrame } from '../archive/support.ts';
import { encapsulations, ethernet, fragmentsOf, ipv4, udp, vxlan } from '../wire/frames.ts';

const FIELDS = {
  client: '10.1.2.3',
  clientPort: 40_000,
  fromClient: true,
  seq: 77,
  payload: new Uint8Array(200),
};
const IP4 = tcpFrame(FIELDS).subarray(14);
const IP6 = tcpFrame({ ...FIELDS, client: '2001:db8::7' }).subarray(14);
const OTHER = tcpFrame({ ...FIELDS, serverPort: 80 });

/** A few dozen packets: in every encapsulation, of another port, and pieces of pieces. */
const PACKETS = [
  ...encapsulations(IP4, IP6).map(({ octets, linkType }) => ({ octets, linkType })),
  { octets: OTHER, linkType: 1 },
  ...fragmentsOf(IP4, 80).flatMap((piece, id) =>
    fragmentsOf(ipv4(17, udp(vxlan(ethernet(piece)), 4789)), 64, id).map((part) => ({
      octets: ethernet(part),
      linkType: 1,
    })),
  ),
];

test('whatever comes, each packet is kept, or part of one that is, or counted with a cause', () => {
  const picks = fc.array(
    fc.record({
      which: fc.nat({ max: PACKETS.length - 1 }),
      changes: fc.array(fc.tuple(fc.nat({ max: 120 }), fc.nat({ max: 255 })), { maxLength: 3 }),
      cut: fc.oneof(fc.constant(1000), fc.nat({ max: 200 })),
    }),
    { maxLength: 120 },
  );
  const segment = new Segment();
  fc.assert(
    fc.property(picks, fc.boolean(), (picked, whole) => {
      let kept = 0;
      const filter = new ImportFilter([3307], (block) => {
        for (let i = 0; i < block.count; i++) {
          const { octets, view, offset, length, wireLength, linkType } = block;
          assert.equal(segment.parse(octets, view, offset[i], length[i], linkType), PARSE.ok);
          assert.ok(segment.srcPort === 3307 || segment.dstPort === 3307);
          assert.ok(length[i] <= wireLength[i]);
        }
        kept += block.count;
      });
      const all = whole ? PACKETS.map((_, which) => ({ which, changes: [], cut: 1000 })) : picked;
      for (const [i, { which, changes, cut }] of all.entries()) {
        const { octets, linkType } = PACKETS[which];
        const changed = octets.slice(0, cut);
        for (const [at, value] of changes) if (at < changed.length) changed[at] = value;
        filter.take(blockOf([{ octets: changed, at: i * 1e6, wireLength: octets.length }], linkType));
      }
      filter.finish();
      const out = totalOf(filter.census.findings([]));
      assert.equal(kept - filter.joined + filter.joinedFragments + out, all.length);
      if (whole) assert.deepEqual([out, filter.joined], [1, 1]);
    }),
    { numRuns: 400, seed: 11 },
  );
});
