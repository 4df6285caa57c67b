import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { openCapture } from '../../../src/net/capture/drivers.ts';
import type { Injector } from '../../../src/net/injector.ts';
import { openMmsgInjector } from '../../../src/net/mmsg.ts';
import { captureContract } from '../capture-contract.ts';
import { Pair, skip, THERE } from '../namespaces.ts';
import { numbersOf, sendNumbers, upTo } from '../traffic.ts';

for (const mode of ['throughput', 'latency'] as const) {
  captureContract({
    name: `ring (${mode})`,
    isRing: true,
    open: (options) => openCapture('ring', { ...options, mode }),
  });
}

describe('throughput ring', { skip, timeout: 60_000 }, () => {
  let pair: Pair;
  let injector: Injector;
  before(async () => {
    pair = new Pair();
    injector = await pair.on('here', () => openMmsgInjector());
  });
  after(() => {
    injector?.close();
    pair?.close();
  });

  test('a reader that is far slower than the packets come loses none, twice the ring behind', async () => {
    const bufferOctets = 8 << 20;
    const source = await pair.on('there', () =>
      openCapture('ring', {
        iface: THERE.iface,
        filter: 'udp dst port 9000',
        mode: 'throughput',
        bufferOctets,
      }),
    );
    const blocks = source[Symbol.asyncIterator]();
    const seen: number[] = [];
    let sent = 0;
    // Of some 750 octets each: nine ring blocks of 256 KiB come for each that is read, and the ring has 32. No fewer: one is
    // handed over 20 ms after its first packet, however empty, and a busy machine takes long to send so many.
    for (; sent < 24_000; sent += 3_000) {
      sendNumbers(injector, 9000, sent, sent + 3_000);
      const { value } = await blocks.next();
      seen.push(...numbersOf(value!));
    }
    assert.ok(seen.length < sent - 12_000, `${seen.length} of ${sent}: the reader is not behind`);
    source.close();
    for await (const block of source) seen.push(...numbersOf(block));
    assert.deepEqual(source.stats(), { packets: sent, dropped: 0 });
    assert.deepEqual(seen, upTo(sent));
  });
});
