/** Intercepts that die, and channels that break, at any moment: what becomes of the connections (docs/relay-protocol.md). */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { EXPECT } from '../../src/mysql/command.ts';
import { column, command, eof, ok, packets, payload, row } from '../mysql/support/packets.ts';
import { randomFrom } from '../support/random.ts';
import { type Bed, connect, GREETING, type Handler, loggedIn, query, setUp, TICK_MS } from './bed.ts';

const ROWS = 60;
const ANSWER = packets(
  1,
  payload(1),
  column('a'),
  eof(),
  ...Array.from({ length: ROWS }, (_, i) => row(`${i} `.repeat(60))),
  eof(),
);

/** Sends `count` queries, each when the one before it was answered, and has the target answer with rows. */
function queries(bed: Bed, handler: Handler, count: number): void {
  let left = count;
  bed.onData = (server) => server.write(ANSWER);
  handler.onReply = () => {
    if (--left > 0) query(handler, 'select a from t');
  };
  query(handler, 'select a from t');
}

const replies = (handler: Handler) => handler.told.filter((line) => line === 'reply rows 0').length;

/** One connection that lives through intercepts that die at moments that `seed` chooses, also between two packets. */
function liveThrough(t: TestContext, seed: number): void {
  const random = randomFrom(seed);
  const bed = setUp(t, { resumable: true });
  const handler = loggedIn(bed);
  const count = 30;
  let deaths = 0;
  bed.isLost = (packet, fromTarget) => {
    if (fromTarget && packet.data.length > 0 && bed.port !== undefined && deaths < 8 && random() < 0.02) {
      deaths++;
      bed.interceptDies();
    }
    return fromTarget && bed.port === undefined;
  };
  queries(bed, handler, count);
  for (let i = 0; i < 400 && replies(handler) < count; i++) {
    bed.run(TICK_MS * Math.ceil(random() * 40));
    if (bed.port === undefined) bed.comesBack();
  }
  assert.ok(deaths > 0, `seed ${seed}: nobody died`);
  assert.deepEqual([replies(handler), handler.told.length], [count, count], `seed ${seed}, ${deaths} deaths`);
  bed.isLost = () => false;
  handler.take();
  handler.connection.end();
  bed.run(3000);
  assert.deepEqual(handler.take(), ['closed fin']);
}

describe('an intercept that dies and is started again', () => {
  test('at any moment of thirty long answers: nothing is lost', (t) => {
    for (let seed = 1; seed <= 25; seed++) {
      liveThrough(t, seed);
      t.mock.timers.reset();
    }
  });

  test('in mid-answer: what it had acknowledged itself is not asked for again', (t) => {
    const bed = setUp(t, { resumable: true });
    const handler = loggedIn(bed);
    let sent = 0;
    // The first part comes through, and is acknowledged; the rest is lost.
    bed.isLost = ({ data }, fromTarget) => {
      if (fromTarget) sent += data.length;
      return fromTarget && sent > 5000;
    };
    queries(bed, handler, 1);
    bed.run(TICK_MS);
    bed.interceptDies();
    assert.deepEqual(handler.told, []);
    bed.run(1000);
    sent = 0;
    bed.isLost = ({ data }, fromTarget) => {
      if (fromTarget) sent += data.length;
      return false;
    };
    bed.comesBack();
    bed.run(4000);
    assert.deepEqual(handler.told, ['reply rows 0']);
    assert.ok(sent < ANSWER.length - 4000, `${sent} of ${ANSWER.length} octets came again`);
  });

  test('connections that begin while it is away begin when it is back, those under way log in', (t) => {
    const bed = setUp(t, { resumable: true });
    const before = connect(bed);
    bed.interceptDies();
    const meanwhile = connect(bed);
    bed.run(3000);
    assert.deepEqual([before.told, meanwhile.told], [[], []]);
    bed.comesBack();
    bed.run(4000);
    for (const handler of [before, meanwhile]) {
      assert.deepEqual(handler.take(), ['established', `packet ${GREETING.length}`]);
      handler.connection.writeLogin(packets(1, payload('response')));
      bed.run(TICK_MS);
      handler.connection.commandPhase(0, 0);
      handler.take();
      query(handler, 'select 1');
      bed.run(TICK_MS);
      assert.deepEqual(handler.take(), ['reply ok 7']);
    }
  });

  test('a command of a shape of its own: announced again, or expected where it is on its way', (t) => {
    for (const moment of ['before it was announced', 'on its way'] as const) {
      const bed = setUp(t, { resumable: true });
      const handler = loggedIn(bed);
      bed.onData = (server) => server.write(packets(1, payload(0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)));
      const prepare = () => handler.connection.write(command(0x16, 'select 1'), EXPECT.prepare);
      if (moment === 'on its way') {
        bed.isLost = () => true;
        prepare();
        bed.run(TICK_MS);
        bed.interceptDies();
        bed.isLost = () => false;
      } else {
        bed.interceptDies();
        prepare();
      }
      bed.run(500);
      assert.deepEqual(handler.take(), []);
      bed.comesBack();
      bed.run(3000);
      assert.deepEqual(handler.take(), ['reply ok 0'], moment);
      bed.onData = (server) => server.write(packets(1, ok(3)));
      query(handler, 'select 1');
      bed.run(TICK_MS);
      assert.deepEqual(handler.take(), ['reply ok 3']);
      t.mock.timers.reset();
    }
  });

  test('a connection cut while it is away stays cut', (t) => {
    const bed = setUp(t, { resumable: true });
    const handler = loggedIn(bed);
    bed.interceptDies();
    handler.connection.abort();
    bed.run(100);
    bed.comesBack();
    bed.run(100);
    assert.deepEqual([handler.take(), bed.port!.flows], [['closed aborted'], 0]);
  });
});

describe('a channel that breaks', () => {
  test('between answers: the connection goes on', (t) => {
    const bed = setUp(t, { resumable: true });
    const handler = loggedIn(bed);
    bed.run(200);
    bed.channelBreaks();
    query(handler, 'select 1');
    bed.run(2000);
    assert.deepEqual(handler.take(), []);
    bed.comesBack();
    bed.run(2000);
    assert.deepEqual(handler.take(), ['reply ok 7']);
  });

  test('for longer than the lease: the target was reset, and the connection is lost by name', (t) => {
    const bed = setUp(t, { resumable: true });
    const handler = loggedIn(bed);
    bed.channelBreaks();
    bed.run(11_000);
    assert.equal([...bed.servers.values()][0].state, 'reset');
    bed.comesBack();
    bed.run(TICK_MS);
    assert.deepEqual(handler.take(), ['closed relay']);
  });
});
