import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { MytapeError } from '../../src/errors.ts';
import { LIVE_WAITS } from '../../src/flow/decoder.ts';
import { LiveConnectionIds } from '../../src/replay/session/live-connection-ids.ts';
import type { ReplayJob } from '../../src/run/job.ts';
import { liveSource } from '../../src/run/source.ts';
import { makeBlock, type PacketSource } from '../../src/wire/packets.ts';

const JOB = {
  archive: tmpdir(),
  connections: LiveConnectionIds.create(1).buffer,
  live: { places: [] },
} as unknown as ReplayJob;

const FACTS = {
  share: { index: 0, of: 1 },
  keys: { awaited: false, of: () => undefined, close: () => {} },
  say: () => {},
  onGone: () => {},
};

test('a capture whose interface is removed ends, and any other error is one', async () => {
  for (const [code, ends] of [
    ['no-interface', true],
    ['system-call', false],
  ] as const) {
    const block = makeBlock(new Uint8Array(0), 1, 1);
    const capture: PacketSource = {
      originSec: 0,
      linkType: 1,
      stats: () => ({ packets: 1, dropped: 0 }),
      close: () => {},
      async *[Symbol.asyncIterator]() {
        yield block;
        throw new MytapeError(code, 'eth0 was removed');
      },
    };
    const told: string[] = [];
    const source = liveSource(capture, JOB, { ...FACTS, onGone: (why) => told.push(why) });
    let blocks = 0;
    const read = (async () => {
      for await (const _ of source.packets) blocks++;
    })();
    if (ends) await read;
    else await assert.rejects(read, { code });
    assert.equal(blocks, 1);
    assert.deepEqual(told, ends ? ['eth0 was removed'] : []);
    source.close();
  }
});

test('a mirror waits for octets that its ring lost no longer than a live capture should', () => {
  const capture = { originSec: 0, linkType: 1, close: () => {} } as unknown as PacketSource;
  const { decode, close } = liveSource(capture, JOB, FACTS);
  assert.equal(decode.waits, LIVE_WAITS);
  close();
});
