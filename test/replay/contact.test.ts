import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { FakeTarget } from '../transport/fake.ts';
import { cutAll, down, USERS } from './killed.ts';
import { Tape } from './tape.ts';
import { replay } from './world.ts';

describe('what is said while it happens, once', () => {
  const sessions = (n: number) => {
    const tape = new Tape();
    for (let i = 0; i < n; i++)
      tape
        .session(i)
        .query(i + 1)
        .quit(i + 2);
    return tape;
  };

  test('nobody answers: after three seconds', async () => {
    const silent: FakeTarget = { meets: () => 'timeout', greetMs: 31_000 };
    const { book } = await replay(sessions(30), { target: silent });
    assert.equal(book.troubles.length, 1);
    const [{ kind, at, client, failures, wasReached }] = book.troubles;
    assert.deepEqual(
      { kind, client, failures, wasReached },
      { kind: 'silent', client: '10.1.0.1', failures: 0, wasReached: false },
    );
    assert.ok(at >= 3_000 && at <= 4_100, `${at}`);
  });

  test('twenty connections in a row fail: at once, with the cause', async () => {
    for (const kind of ['refused', 'reset'] as const) {
      const { book } = await replay(sessions(30), {
        speed: Number.POSITIVE_INFINITY,
        target: { meets: () => kind },
      });
      assert.deepEqual(
        book.troubles.map(({ kind, failures, wasReached }) => ({ kind, failures, wasReached })),
        [{ kind, failures: 20, wasReached: false }],
      );
    }
    const few = await replay(sessions(19), { target: { meets: () => 'refused' } });
    assert.deepEqual(few.book.troubles, []);
  });

  test('a target that goes away', async () => {
    const tape = new Tape();
    for (let i = 0; i < 10; i++)
      tape
        .session(i)
        .query(i + 1)
        .query(10_000)
        .quit(10_001);
    const { book } = await replay(tape, {
      target: { users: USERS, meets: down(50, 5_000) },
      at: [[100, cutAll]],
    });
    assert.deepEqual(
      book.troubles.map(({ kind, wasReached }) => ({ kind, wasReached })),
      [{ kind: 'refused', wasReached: true }],
    );
  });

  test('nothing of a run that goes well, however slow its first login is', async () => {
    const { book } = await replay(sessions(30), { target: { users: USERS, greetMs: 2_500 } });
    assert.deepEqual(book.troubles, []);
  });
});
