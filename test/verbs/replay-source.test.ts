import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { LIVE_WAITS } from '../../src/flow/decoder.ts';
import { LiveConnectionIds } from '../../src/replay/live-connection-ids.ts';
import type { ReplayJob } from '../../src/verbs/replay-share.ts';
import { liveSource } from '../../src/verbs/replay-source.ts';
import type { PacketSource } from '../../src/wire/packets.ts';

test('a mirror waits for octets that its ring lost no longer than a live capture should', () => {
  const capture = { originSec: 0, linkType: 1, close: () => {} } as unknown as PacketSource;
  const job = {
    archive: tmpdir(),
    connections: LiveConnectionIds.create(1).buffer,
    live: { places: [] },
  } as unknown as ReplayJob;
  const { decode, close } = liveSource(capture, job, { index: 0, of: 1 }, () => {});
  assert.equal(decode.waits, LIVE_WAITS);
  close();
});
