import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import type { RingOptions } from '../../../src/net/capture/ring.ts';
import { openMmsgInjector } from '../../../src/net/mmsg.ts';
import { SegmentWriter } from '../../../src/wire/emit.ts';
import { PARSE } from '../../../src/wire/segment.ts';
import { Tuple } from '../../../src/wire/tuple.ts';
import { Pair, skip, THERE } from '../namespaces.ts';
import { FAMILIES, sendNumbers, stranger, THEIRS } from '../traffic.ts';

const OF = 3;

describe('a capture in shares', { skip, timeout: 30_000 }, () => {
  let pair: Pair;
  before(() => {
    pair = new Pair();
  });
  after(() => pair?.close());

  for (const [mode, filter] of [
    ['latency', 'tcp src port 3307 or udp dst port 9000'],
    ['throughput', undefined],
  ] as const) {
    test(`each packet once, to the thread that its port belongs to, ${mode}`, async () => {
      // A thread begins in the namespace of the one that made it.
      const workers = await pair.on('there', () =>
        Array.from({ length: OF }, (_, index) => {
          const options: RingOptions = { iface: THERE.iface, mode, share: { index, of: OF } };
          if (filter !== undefined) options.filter = filter;
          return new Worker(new URL('../share-worker.js', import.meta.url), { workerData: options });
        }),
      );
      await Promise.all(workers.map((worker) => once(worker, 'message')));

      const injector = await pair.on('here', () => openMmsgInjector());
      const writer = new SegmentWriter(injector.octets, injector.view);
      const expected: string[][] = Array.from({ length: OF }, () => []);
      for (let port = 65_000; port < 65_100; port++) {
        for (const family of FAMILIES) {
          const at = injector.slot();
          const data = writer.begin(
            at,
            new Tuple(stranger(family, 1), 3307, THEIRS[family], port),
            1,
            1,
            0x10,
            9,
          );
          injector.commit(writer.finish(at, writer.timestamps(at, data, 1, 1)));
          expected[port % OF].push(`${family} ${port}`);
        }
      }
      // IPv4 with options in its header: the port stands elsewhere.
      const at = injector.slot();
      const data = writer.begin(at, new Tuple(stranger(4, 1), 3307, THEIRS[4], 65_009), 1, 1, 0x10, 9);
      const length = writer.finish(at, data) + 4;
      injector.octets.copyWithin(at + 24, at + 20, data);
      injector.octets.set([0x46, 0, 0, length], at);
      injector.octets.fill(1, at + 20, at + 24);
      injector.commit(length);
      expected[65_009 % OF].push('4 65009');
      // What is no TCP is share 0's.
      for (const family of FAMILIES) sendNumbers(injector, 9000, 0, 4, family);
      expected[0].push(...Array<string>(8).fill(`none ${PARSE.notTcp}`));
      injector.close();
      assert.deepEqual(injector.stats().refused, {});

      for (const worker of workers) worker.postMessage('stop');
      const got = await Promise.all(workers.map(async (worker) => (await once(worker, 'message'))[0]));
      assert.deepEqual(got.slice(1), expected.slice(1));
      // Without a filter, what the kernels say to each other is there, too: share 0's as well.
      if (filter !== undefined) assert.deepEqual(got[0], expected[0]);
      else for (const each of expected[0]) assert.ok(got[0].includes(each), each);
    });
  }
});
