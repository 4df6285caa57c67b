import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Done } from '../../src/replay/resume.ts';
import { Tape } from './support/tape.ts';
import { type Run, replay } from './support/world.ts';

function done(
  counted: readonly number[],
  begun: readonly string[],
  opened: readonly string[] = [],
  horizon = -1,
): Done {
  return {
    isCounted: (session) => counted.includes(session),
    lostBy: (session, copy) => {
      if (begun.includes(`${session}/${copy}`)) return 'interrupted';
      return session <= horizon ? 'unknown-after-crash' : undefined;
    },
    wasOpened: (session, copy) => opened.includes(`${session}/${copy}`),
  };
}

/** Sessions of two queries each and a COM_QUIT, one every 100 ms. */
function sessions(count: number): Tape {
  const tape = new Tape();
  for (let i = 0; i < count; i++) {
    const at = i * 100;
    tape
      .session(at)
      .query(at + 10)
      .query(at + 150)
      .quit(at + 160);
  }
  return tape;
}

describe('a run that goes on with another', () => {
  for (const speed of [1, Number.POSITIVE_INFINITY]) {
    test(`leaves out what is counted, loses what was begun, and runs the rest, at speed ${speed}`, async () => {
      const { book, summary, transport } = await replay(sessions(5), {
        copies: 2,
        speed,
        engine: { done: done([0], ['1/0', '1/1', '2/1'], ['1/0', '2/1']) },
      });
      // Session 0 is nowhere.
      assert.equal(summary.captured.sessions, 4);
      assert.equal(summary.captured.commands, 12);
      assert.deepEqual(book.endsOf(0), []);
      assert.deepEqual(book.endsOf(1), ['interrupted', 'interrupted']);
      assert.deepEqual(book.story(1, 0), Array(3).fill('lost interrupted'));
      assert.deepEqual(book.story(2, 0), Array(3).fill('answered'));
      assert.deepEqual(book.story(2, 1), Array(3).fill('lost interrupted'));
      assert.equal(transport.connections.length, 5, 'one for 2/0, and two for each of sessions 3 and 4');
      assert.equal(summary.commands.sent, 15);
      // By this run, and 1/0 and 2/1 by the one before.
      assert.equal(summary.sessions.opened, 7);
    });
  }

  test('loses by name what nobody knows to have been begun, and sends nothing of it', async () => {
    const { book, summary, transport } = await replay(sessions(4), {
      copies: 2,
      engine: { done: done([0], ['1/0'], [], 2) },
    });
    assert.deepEqual(book.endsOf(1), ['interrupted', 'unknown-after-crash']);
    assert.deepEqual(book.story(2, 1), Array(3).fill('lost unknown-after-crash'));
    assert.deepEqual(summary.sessions.lost_by, { interrupted: 1, 'unknown-after-crash': 3 });
    assert.equal(transport.connections.length, 2, 'those of session 3');
    assert.equal(summary.verdict, 'invalid');
    assert.ok(summary.reasons.includes('9 commands were lost: unknown-after-crash'));
  });

  test('of which nothing is left', async () => {
    const { summary, transport } = await replay(sessions(2), { engine: { done: done([0, 1], []) } });
    assert.equal(summary.captured.sessions, 0);
    assert.equal(transport.connections.length, 0);
  });
});

describe('a run whose time is over', () => {
  const late = (run: Run) => run.engine.stop('out-of-time');

  test('finishes what is under way, and skips the rest', async () => {
    const { book, summary } = await replay(sessions(8), {
      copies: 2,
      at: [[205, late]],
      target: { users: { app: 'secret' }, reacts: () => ({ reply: {}, afterMs: 20 }) },
    });
    assert.deepEqual(summary.commands.lost, {});
    assert.deepEqual(summary.sessions.lost_by, {});
    assert.deepEqual(book.endsOf(0), [undefined, undefined]);
    // Begun: its first query was answered, its second was not due.
    assert.deepEqual(book.story(1), ['answered', ...Array(4).fill('skipped out-of-time')]);
    assert.deepEqual(book.story(3), Array(6).fill('skipped out-of-time'));
    assert.deepEqual(Object.keys(summary.sessions.skipped), ['out-of-time']);
    assert.notEqual(summary.verdict, 'invalid');
  });

  test('cut thereafter, it loses what was under way', async () => {
    const { summary } = await replay(sessions(2), {
      at: [
        [15, late],
        [30, (run) => run.engine.cut()],
      ],
      target: { users: { app: 'secret' }, reacts: () => ({ reply: {}, afterMs: 1000 }) },
    });
    assert.deepEqual(summary.commands.lost, { interrupted: 3 });
    assert.deepEqual(summary.sessions.lost_by, { interrupted: 1 });
  });
});
