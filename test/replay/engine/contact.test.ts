import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Contact } from '../../../src/replay/engine/contact.ts';
import type { FakeTarget } from '../../transport/fake.ts';
import { cutAll, down, USERS } from '../support/killed.ts';
import { Tape } from '../support/tape.ts';
import { replay } from '../support/world.ts';

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

describe('while our own loop is blocked', () => {
  /** The first trouble told, and when, of looks at these moments; the first SYN goes out at 0. */
  const told = (looks: readonly number[], accepted = true) => {
    const contact = new Contact(1_000);
    contact.trouble(-1_000);
    contact.tried(0, '10.1.0.1');
    if (accepted) contact.accepted();
    for (const now of looks) {
      const trouble = contact.trouble(now);
      if (trouble !== undefined) return [trouble.kind, now];
    }
    return undefined;
  };

  test('nothing is said of the target: its answers are not read', () => {
    for (const looks of [
      [4_000],
      [500, 1_500, 9_000],
      [2_500, 5_000, 7_500, 10_000],
      [900, 1_900, 4_000, 5_000],
    ])
      assert.equal(told(looks), undefined, `${looks}`);
  });

  test('after three seconds in which it turns, it is said', () => {
    assert.deepEqual(told([500, 1_500, 2_510, 3_500]), ['mute', 3_500]);
    assert.deepEqual(told([500, 9_000, 10_000, 11_000, 12_000]), ['mute', 12_000]);
    assert.deepEqual(told([500, 9_000, 10_100, 11_200, 12_300], false), ['silent', 12_300]);
  });
});
