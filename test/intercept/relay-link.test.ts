/** In a file of its own: the clock and the timers of the whole process stand still. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect, startIntercept, startWire, tupleOf, until } from './relay-bed.ts';

test('a wire that carries nothing any more is noticed at both ends after ten seconds', async (t) => {
  const heardMs = performance.now();
  let nowMs = heardMs;
  t.mock.method(performance, 'now', () => nowMs);
  t.mock.timers.enable({ apis: ['setInterval'] });
  const { address, log, receiver } = await startIntercept(t, undefined);
  const wire = await startWire(t, address);
  const { client, owner, events } = await connect(t, wire.address, undefined);
  client.register(1, tupleOf(300), 10);
  client.flush();
  await until(() => owner.told.length === 1, 'registered');
  wire.hold();
  const closed = () => log.find((line) => line.startsWith('closed'));
  // Each end looks once a second.
  const afterMs = (ms: number) => {
    nowMs = heardMs + ms;
    t.mock.timers.tick(1_000);
  };
  afterMs(9_999);
  assert.deepEqual([events, log.length, receiver.flows.open], [[], 1, 1]);
  afterMs(10_000);
  await until(() => events.length > 0 && closed() !== undefined, 'the loss');
  assert.equal(events[0], 'lost: was not heard for 10 s');
  assert.match(closed()!, /without a goodbye \(nothing was heard of it for 10 s\), 1 connection waits/);
});
