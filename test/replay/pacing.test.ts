import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Tape } from './support/tape.ts';
import { type Run, replay, START_MS } from './support/world.ts';

/** When the target got each command of the nth connection, ms since the start. */
function arrivals({ transport }: Run, connection = 0): number[] {
  return transport.connections[connection].received.map(({ at }) => at - START_MS);
}

describe('order and pace', () => {
  test('commands go in order, each no sooner than the answer before it', async () => {
    const tape = new Tape();
    const session = tape.session(0);
    for (let i = 0; i < 20; i++) session.query(i, `SELECT ${i}`);
    session.quit(20);
    let under = 0;
    const run = await replay(tape, {
      target: {
        users: { app: 'secret' },
        reacts: ({ com }) => {
          if (com === 1) return undefined;
          assert.equal(under++, 0, 'a command before the answer to the last one');
          setTimeout(() => under--, 6);
          return { reply: {}, afterMs: 7 };
        },
      },
    });
    const texts = run.transport.connections[0].received.map(({ sql }) => sql);
    assert.deepEqual(texts, [...Array.from({ length: 20 }, (_, i) => `SELECT ${i}`), '']);
    assert.deepEqual(run.book.endsOf(), [undefined]);
  });

  for (const speed of [1, 2, 0.5]) {
    test(`at speed ${speed} all is due from the first packet on`, async () => {
      const tape = new Tape();
      tape.session(100).query(120).query(220).quit(300);
      tape.session(180).query(200).close(260, 'fin');
      const run = await replay(tape, { speed });
      assert.deepEqual(arrivals(run, 0), [20 / speed, 120 / speed, 200 / speed]);
      assert.deepEqual(arrivals(run, 1), [100 / speed]);
      assert.equal(run.transport.connections[1].openedAt - START_MS, 80 / speed);
      for (const { outcome } of run.book.fates) {
        assert.equal(outcome!.paced - START_MS, (outcome!.command.at / 1e6 - 100) / speed);
      }
    });
  }

  test('a slow target delays what comes behind, but lateness does not add up', async () => {
    const tape = new Tape();
    const session = tape.session(0);
    for (let i = 0; i < 5; i++) session.query(100 * i);
    session.quit(1000);
    let first = true;
    const run = await replay(tape, {
      target: {
        users: { app: 'secret' },
        reacts: () => {
          const afterMs = first ? 250 : 0;
          first = false;
          return { reply: {}, afterMs };
        },
      },
    });
    assert.deepEqual(arrivals(run), [0, 250, 250, 300, 400, 1000]);
    const slips = run.book.fates.map(({ outcome }) => [
      outcome!.due - outcome!.paced,
      outcome!.sent - outcome!.due,
    ]);
    assert.deepEqual(slips, [
      [0, 0],
      [150, 0],
      [50, 0],
      [0, 0],
      [0, 0],
      [0, 0],
    ]);
  });

  test('a login that takes longer than recorded delays the first command, and is not our lateness', async () => {
    const tape = new Tape();
    tape.session(0).query(10).quit(100);
    const run = await replay(tape, { target: { users: { app: 'secret' }, greetMs: 40 } });
    assert.deepEqual(arrivals(run), [40, 100]);
    const { outcome } = run.book.fates[0];
    assert.deepEqual([outcome!.due - outcome!.paced, outcome!.sent - outcome!.due], [30, 0]);
    assert.equal(run.summary.lateness_ms.max, 0);
  });

  test('copies are decoded once and each gets everything', async () => {
    const tape = new Tape();
    const session = tape.session(0);
    for (let i = 0; i < 50; i++) session.query(i);
    session.quit(60);
    const run = await replay(tape, { copies: 5 });
    assert.equal(run.summary.captured.commands, 51);
    assert.equal(run.summary.commands.answered, 255);
    assert.deepEqual(
      run.transport.connections.map(({ identity, received }) => [identity.copy, received.length]),
      [0, 1, 2, 3, 4].map((copy) => [copy, 51]),
    );
  });

  test('reading stays two seconds ahead of what is due, and no more', async () => {
    const tape = new Tape();
    const session = tape.session(0);
    for (let i = 0; i < 100; i++) session.query(i * 100);
    session.quit(10_000);
    let furthestMs = 0;
    const start = { now: () => 0 };
    await replay(tape, {
      batch: 2,
      fineMs: 10_000,
      at: [
        [
          0,
          (run) => {
            start.now = () => run.clock.now() - START_MS;
          },
        ],
      ],
      made: (events) => {
        furthestMs = Math.max(furthestMs, events[0].at / 1e6 - start.now());
      },
    });
    assert.ok(furthestMs > 1_800 && furthestMs <= 2_101, `read ${furthestMs} ms ahead`);
  });

  test('what lies a month ahead does not keep the processor busy', async () => {
    const month = 31 * 24 * 3600 * 1000;
    const tape = new Tape();
    tape.session(0).query(0).query(month);
    let wakes = 0;
    const run = await replay(tape, {
      at: [
        [100, ({ transport }) => (wakes = -transport.flushes)],
        [
          900,
          ({ transport, engine }) => {
            wakes += transport.flushes;
            engine.stop();
          },
        ],
      ],
    });
    assert.ok(wakes < 5, `woke ${wakes} times in 800 ms`);
    assert.deepEqual(run.book.endsOf(), ['interrupted']);
  });
});

describe('full speed', () => {
  test('no more connections are open in a copy than were when the session began', async () => {
    const tape = new Tape();
    // Two side by side at any time, the next beginning when one ended.
    for (let i = 0; i < 60; i++) {
      tape
        .session(i * 10)
        .query(i * 10 + 1)
        .query(i * 10 + 12)
        .quit(i * 10 + 18);
    }
    const run = await replay(tape, {
      copies: 3,
      speed: Number.POSITIVE_INFINITY,
      batch: 7,
      target: { users: { app: 'secret' }, reacts: ({ at }) => ({ reply: {}, afterMs: at % 3 }) },
    });
    assert.deepEqual(
      [...run.transport.mostOpen],
      [0, 1, 2].map((copy) => [copy, 2]),
    );
    assert.equal(run.summary.sessions.completed, 180);
  });

  test('500 short sessions one after another stay one after another', async () => {
    const tape = new Tape();
    for (let i = 0; i < 500; i++)
      tape
        .session(i * 10)
        .query(i * 10 + 1)
        .quit(i * 10 + 2);
    const run = await replay(tape, { speed: Number.POSITIVE_INFINITY, copies: 2 });
    assert.deepEqual([...run.transport.mostOpen.values()], [1, 1]);
    assert.equal(run.summary.sessions.completed, 1000);
    assert.ok(run.elapsedMs < 5000, `took ${run.elapsedMs} ms for 5 s of recording`);
  });

  test('sessions that the target loses make room for the next', async () => {
    const tape = new Tape();
    for (let i = 0; i < 30; i++)
      tape
        .session(i * 10)
        .query(i * 10 + 1)
        .query(i * 10 + 2)
        .quit(i * 10 + 3);
    const run = await replay(tape, {
      speed: Number.POSITIVE_INFINITY,
      target: {
        users: { app: 'secret' },
        meets: ({ id }) => (['greets', 'refused', 1045, 'reset'] as const)[id % 4],
        reacts: (_, { id }) => (id % 8 === 0 ? 'reset' : undefined),
      },
    });
    assert.equal([...run.transport.mostOpen.values()][0], 1);
    assert.ok(run.summary.sessions.lost > 0 && run.summary.sessions.completed > 0);
    assert.deepEqual(Object.keys(run.summary.sessions.lost_by), ['auth']);
  });

  test('a stopped run opens none of the sessions that wait for their turn', async () => {
    const tape = new Tape();
    for (let i = 0; i < 100; i++)
      tape
        .session(i * 10)
        .query(i * 10 + 1)
        .quit(i * 10 + 2);
    for (const way of ['stop', 'cut'] as const) {
      const run = await replay(tape, {
        speed: Number.POSITIVE_INFINITY,
        target: { users: { app: 'secret' }, greetMs: 50 },
        at: [[20, ({ engine }) => engine[way]()]],
      });
      assert.equal(run.transport.connections.length, 1, way);
      assert.deepEqual(run.summary.sessions.lost_by, { interrupted: 100 });
    }
  });
});
