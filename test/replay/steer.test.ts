import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Tape } from './support/tape.ts';
import { type Run, replay, START_MS } from './support/world.ts';

/** Queries every 100 ms. */
function tape(queries = 10): Tape {
  const all = new Tape();
  const session = all.session(0);
  for (let i = 1; i <= queries; i++) session.query(i * 100);
  session.quit((queries + 1) * 100);
  return all;
}

function arrivals({ transport }: Run): number[] {
  return transport.connections[0].received.map(({ at }) => at - START_MS);
}

describe('a run is steered', () => {
  test('its speed changes from the moment that all threads are told, however late one hears of it', async () => {
    for (const lateMs of [0, 20]) {
      const run = await replay(tape(6), {
        at: [[250 + lateMs, ({ engine, clock }) => engine.setSpeed(2, clock.now() - lateMs)]],
      });
      assert.deepEqual(arrivals(run), [100, 200, 275, 325, 375, 425, 475]);
      for (const { outcome } of run.book.fates) assert.equal(outcome?.sent, outcome?.due);
    }
  });

  test('a pause holds what is not due by then, and all of it is as late', async () => {
    const run = await replay(tape(4), {
      at: [
        [250, ({ engine, clock }) => engine.pause(clock.now())],
        [1250, ({ engine, clock }) => engine.resume(clock.now())],
      ],
    });
    assert.deepEqual(arrivals(run), [100, 200, 1300, 1400, 1500]);
    assert.equal(run.summary.lateness_ms.max, 0);
  });

  test('how far it is', async () => {
    let sentTo = 0;
    await replay(tape(6), { at: [[450, ({ engine }) => (sentTo = engine.sentTo)]] });
    assert.equal(sentTo, 400e6);
  });
});
