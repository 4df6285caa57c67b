import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { clientShareFilter } from '../../../src/net/capture/client-share.ts';
import { openRing } from '../../../src/net/capture/ring.ts';
import { openMmsgInjector } from '../../../src/net/mmsg.ts';
import { SegmentWriter } from '../../../src/wire/emit.ts';
import type { PacketSource } from '../../../src/wire/packets.ts';
import { LINKTYPE } from '../../../src/wire/packets.ts';
import { PARSE, Segment } from '../../../src/wire/segment.ts';
import { Tuple } from '../../../src/wire/tuple.ts';
import { Pair, skip, THERE } from '../namespaces.ts';
import { FAMILIES, stranger, THEIRS } from '../traffic.ts';

const OF = 3;
const SERVERS = [3307, 3308];

/** `family client-port server-port direction` of each segment. */
async function segmentsOf(source: PacketSource): Promise<string[]> {
  const segment = new Segment();
  const got: string[] = [];
  for await (const { octets, view, count, offset, length } of source) {
    for (let i = 0; i < count; i++) {
      assert.equal(segment.parse(octets, view, offset[i], length[i], LINKTYPE.ethernet), PARSE.ok);
      const { family, srcPort, dstPort } = segment;
      got.push(
        SERVERS.includes(dstPort)
          ? `${family} ${srcPort} to ${dstPort}`
          : `${family} ${dstPort} from ${srcPort}`,
      );
    }
  }
  return got.sort();
}

describe('a capture in shares of clients', { skip, timeout: 30_000 }, () => {
  let pair: Pair;
  before(() => {
    pair = new Pair();
  });
  after(() => pair?.close());

  test('both directions of a connection in the share of its client, whatever the port of the server', async () => {
    const sources = await pair.on('there', () =>
      Array.from({ length: OF }, (_, index) =>
        openRing({
          iface: THERE.iface,
          mode: 'throughput',
          filter: clientShareFilter('tcp port 3307 or tcp port 3308', SERVERS, { index, of: OF }),
        }),
      ),
    );
    const injector = await pair.on('here', () => openMmsgInjector());
    const writer = new SegmentWriter(injector.octets, injector.view);
    const expected: string[][] = Array.from({ length: OF }, () => []);
    for (let client = 65_000; client < 65_050; client++) {
      const server = SERVERS[client % 2];
      for (const family of FAMILIES) {
        for (const [from, to, text] of [
          [client, server, `${family} ${client} to ${server}`],
          [server, client, `${family} ${client} from ${server}`],
          [client, 9, ''],
        ] as const) {
          const at = injector.slot();
          const tuple = new Tuple(stranger(family, 1), from, THEIRS[family], to);
          const data = writer.begin(at, tuple, 1, 1, 0x10, 9);
          injector.commit(writer.finish(at, writer.timestamps(at, data, 1, 1)));
          if (text !== '') expected[(client >> 1) % OF].push(text);
        }
      }
    }
    injector.close();
    for (const source of sources) source.close();
    assert.deepEqual(
      await Promise.all(sources.map(segmentsOf)),
      expected.map((each) => each.sort()),
    );
  });

  test('one share has what the filter takes', () => {
    assert.equal(clientShareFilter('tcp port 3307', [3307], { index: 0, of: 1 }), 'tcp port 3307');
  });
});
