import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TickingSource } from '../../src/flow/ticking-source.ts';
import { makeBlock, type PacketSource } from '../../src/wire/packets.ts';

test('empty blocks come while something is waited for; packets come as ever', async () => {
  let send = () => {};
  let isClosed = false;
  const block = makeBlock(new Uint8Array(8), 1, 1);
  block.count = 1;
  const source: PacketSource = {
    linkType: 1,
    originSec: 0,
    stats: () => ({ packets: 0, dropped: 0 }),
    close: () => {},
    async *[Symbol.asyncIterator]() {
      try {
        yield block;
        await new Promise<void>((resolve) => {
          send = resolve;
        });
        yield block;
      } finally {
        isClosed = true;
      }
    },
  };
  let waits = false;
  const aborted: boolean[] = [];
  const tick = async (signal: AbortSignal) => {
    signal.addEventListener('abort', () => aborted.push(true));
  };
  const counts: number[] = [];
  for await (const { count } of new TickingSource(source, () => waits, tick)) {
    counts.push(count);
    waits = counts.length < 4;
    if (counts.length === 4) send();
  }
  assert.deepEqual(counts, [1, 0, 0, 0, 1]);
  assert.equal(aborted.length, 3);
  assert.ok(isClosed);
});
