import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClockStep } from '../../src/flow/clock.ts';
import { MendedSource } from '../../src/flow/mended-source.ts';
import type { PacketSource } from '../../src/wire/packets.ts';
import { decode, fixture, pcapSource } from './support/capture.ts';

const HOUR = 3600e9;

/** `source` with each stamp as `stamped` makes it. */
function restamped(source: PacketSource, stamped: (at: number, packet: number) => number): PacketSource {
  let packet = 0;
  return {
    linkType: source.linkType,
    originSec: source.originSec,
    stats: () => source.stats(),
    close: () => source.close(),
    async *[Symbol.asyncIterator]() {
      for await (const block of source) {
        for (let i = 0; i < block.count; i++) block.at[i] = stamped(block.at[i], packet++);
        yield block;
      }
    },
  };
}

test('steps are taken out of what comes live, and told as they come', async () => {
  const steps: ClockStep[] = [];
  const source = restamped(pcapSource(fixture('mysql2')), (at, packet) => (packet < 50 ? at : at - HOUR));
  const mended = new MendedSource(source, (step) => steps.push(step));
  const { events } = await decode(mended);
  const right = await decode(pcapSource(fixture('mysql2')));
  assert.deepEqual(
    events.map(({ session, type }) => [session.id, type]),
    right.events.map(({ session, type }) => [session.id, type]),
  );
  const gaps = events.map(({ at }, i) => at - right.events[i].at);
  assert.ok(
    gaps.every((gap) => Math.abs(gap) < 1e9),
    'as if it had not been',
  );
  assert.deepEqual(
    steps.map(({ packet }) => packet),
    [50],
  );
  const last = events.at(-1)?.at as number;
  assert.ok(mended.now(0) >= last, 'now is never before what came');
});

test("a session's own times never run back, however the packets are out of order", async () => {
  const source = restamped(pcapSource(fixture('mysql2')), (at, packet) => at + ((packet * 7) % 5) * 190e6);
  const { events } = await decode(source);
  const newest = new Map<number, number>();
  for (const event of events) {
    const { id } = event.session;
    assert.ok(event.at >= (newest.get(id) ?? event.session.at), `${event.type} of session ${id}`);
    newest.set(id, event.at);
    if (event.type === 'reply') assert.ok((event.command.reply?.at ?? 0) >= event.command.at);
  }
  assert.ok(events.length > 50);
});
