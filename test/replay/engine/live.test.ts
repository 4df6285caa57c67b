import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { FlowEvent } from '../../../src/flow/events.ts';
import { COM } from '../../../src/mysql/command.ts';
import { LIVE_HARD, LIVE_OCTETS } from '../../../src/replay/engine/live.ts';
import type { FakeTarget } from '../../transport/fake.ts';
import { Tape } from '../support/tape.ts';
import { type Run, replay, START_MS } from '../support/world.ts';

/** So few of these are as much as a live run may have waiting. */
const OCTETS = 1 << 20;
const SOFT = LIVE_OCTETS / OCTETS;
const HARD = LIVE_HARD * SOFT;

/** A query of a mebioctet, whose octets all have in common. */
function large(): Uint8Array {
  const packet = new Uint8Array(OCTETS).fill(0x20);
  packet.set([0xfb, 0xff, 0x0f, 0, COM.query]);
  packet.set(Buffer.from('SELECT 1'), 5);
  return packet;
}
const LARGE = large();

function makeLarge(tape: Tape): Tape {
  for (const session of tape.sessions) {
    for (const command of session.commands) if (command.com === COM.query) command.packet = LARGE;
  }
  return tape;
}

/** A live source whose clock is that of the run: what was recorded at 0 is due at its start. */
function live(run: () => number) {
  return { anchor: { at: 0, now: START_MS }, live: { now: () => (run() - START_MS) * 1e6 } };
}

/** Replays as if it came live; answers, too, how many commands waited at most, those under way included. */
async function mirror(tape: Tape, target: FakeTarget, copies = 1): Promise<Run & { most: number }> {
  let most = 0;
  let now = START_MS;
  let book: Run['book'] | undefined;
  const look = () => {
    if (book !== undefined) most = Math.max(most, book.commands.size - book.fates.length / copies);
  };
  const run = await replay(tape, {
    target,
    copies,
    batch: 1,
    replyTimeoutMs: 30_000,
    engine: live(() => now),
    at: [
      [
        0,
        (begun) => {
          book = begun.book;
        },
      ],
    ],
    // Each comes when it happens, whatever becomes of the others.
    made: async (events: FlowEvent[]) => {
      look();
      const [{ at }] = events;
      if (at / 1e6 > now - START_MS) {
        await new Promise((resolve) => setTimeout(resolve, at / 1e6 - (now - START_MS)));
        now = START_MS + at / 1e6;
      }
    },
  });
  return Object.assign(run, { most });
}

const USERS = { app: 'secret' };
/** Lets everybody in, and answers no query. */
const HUNG: FakeTarget = { users: USERS, reacts: ({ com }) => (com === COM.query ? 'silent' : undefined) };

describe('a live source', () => {
  test('a target that keeps up has everything', async () => {
    const tape = new Tape();
    for (let n = 0; n < 20; n++) {
      const session = tape.session(n);
      for (let i = 0; i < 30; i++) session.query(n + 1 + i * 5);
      session.quit(n + 200);
    }
    const { summary } = await mirror(makeLarge(tape), { users: USERS }, 2);
    assert.equal(summary.commands.answered, 20 * 31 * 2);
    assert.deepEqual(summary.sessions.lost_by, {});
    assert.deepEqual(summary.sessions.skipped, {});
  });

  test('a target that hangs: no session is begun any more, then those furthest behind end, whole', async () => {
    const tape = new Tape();
    // Ten sessions say more than anybody can keep; those that come later are many.
    for (let n = 0; n < 10; n++) {
      const session = tape.session(n);
      for (let i = 0; i < 60; i++) session.query(20 + n + i * 10);
      session.quit(900 + n);
    }
    for (let n = 0; n < 40; n++) {
      tape
        .session(100 + n * 10)
        .query(101 + n * 10)
        .query(700 + n)
        .quit(950 + n);
    }
    const { summary, book, most, transport } = await mirror(makeLarge(tape), HUNG);
    assert.ok(most >= HARD - 1 && most <= HARD + 50, `${most} commands waited`);
    const { shed: ended } = summary.sessions.lost_by;
    const { shed: notBegun } = summary.sessions.skipped;
    assert.ok(ended > 0 && notBegun > 0, JSON.stringify(summary.sessions));
    // What was skipped and what was lost are whole sessions: of those that ran none has lost a command between two others.
    for (const { meta, commands } of tape.sessions) {
      const story = book.story(meta.id);
      assert.equal(story.length, commands.length);
      if (story[0] === 'skipped shed') assert.deepEqual(new Set(story), new Set(['skipped shed']));
      else if (book.endsOf(meta.id)[0] === 'shed')
        assert.deepEqual(new Set(story.slice(1)), new Set(['lost shed']));
    }
    assert.ok(transport.connections.length < 50);
  });

  test('who is shed finishes the command under way, and closes in order', async () => {
    const tape = new Tape();
    const slow = tape.session(0);
    for (let i = 0; i < HARD + 20; i++) slow.query(1 + i);
    slow.quit(5_000);
    const other = tape.session(2);
    for (let i = 0; i < 50; i++) other.query(3 + i * 10);
    other.quit(600);
    const target: FakeTarget = {
      users: USERS,
      reacts: (_, { id }) => (id === 0 ? { reply: {}, afterMs: 1_000 } : undefined),
    };
    const { summary, book, transport } = await mirror(makeLarge(tape), target);
    assert.deepEqual(book.endsOf(0), ['shed']);
    assert.equal(book.story(0)[0], 'answered');
    // What comes while it waits for its answer is not kept either.
    const told = (ordinal: number) =>
      book.fates.findIndex((one) => one.session === 0 && one.ordinal === ordinal);
    assert.ok(told(HARD + 19) < told(0));
    assert.equal(book.story(0).at(-1), 'lost shed');
    assert.equal(transport.connections[0].clientEnd, 'fin');
    assert.deepEqual(book.endsOf(1), [undefined], 'the one that keeps up goes on');
    assert.deepEqual(new Set(book.story(1)), new Set(['answered']));
    assert.equal(summary.sessions.lost, 1);
  });

  test('no more sessions end than must, those first that are furthest behind', async () => {
    const tape = new Tape();
    const oldest = tape.session(0);
    for (let i = 0; i < 0.6 * HARD; i++) oldest.query(1 + i);
    oldest.quit(5_000);
    const younger = tape.session(2);
    for (let i = 0; i < 0.45 * HARD; i++) younger.query(20 + i);
    younger.quit(6_000);
    // Each hangs on its first command, so that the younger one may go on where it was let.
    const hung = new Set<number>();
    const target: FakeTarget = {
      users: USERS,
      reacts: (_, { id }) => {
        if (hung.has(id)) return undefined;
        hung.add(id);
        return { reply: {}, afterMs: 1_000 };
      },
    };
    const { book } = await mirror(makeLarge(tape), target);
    assert.deepEqual([book.endsOf(0), book.endsOf(1)], [['shed'], [undefined]]);
  });

  test('all copies of a session count as one: those of them that are behind end', async () => {
    const tape = new Tape();
    const session = tape.session(0);
    for (let i = 0; i < HARD + 20; i++) session.query(1 + i);
    session.quit(2_000);
    const target: FakeTarget = {
      users: USERS,
      reacts: ({ com }, { id }) =>
        id === 0 && com === COM.query ? { reply: {}, afterMs: 1_000 } : undefined,
    };
    const { book, most } = await mirror(makeLarge(tape), target, 3);
    assert.deepEqual(book.endsOf(0).sort(), ['shed', undefined, undefined]);
    assert.ok(most <= HARD + 1);
  });

  test('an archive waits: nothing is shed, however slow the target', async () => {
    const tape = new Tape();
    const session = tape.session(0);
    for (let i = 0; i < HARD + 20; i++) session.query(1 + i);
    session.quit(1_000);
    const target: FakeTarget = { users: USERS, reacts: () => ({ reply: {}, afterMs: 20 }) };
    let most = 0;
    let book: Run['book'] | undefined;
    const run = await replay(makeLarge(tape), {
      target,
      batch: 1,
      at: [
        [
          0,
          (begun) => {
            book = begun.book;
          },
        ],
      ],
      made: () => {
        if (book !== undefined) most = Math.max(most, book.commands.size - book.fates.length);
      },
    });
    assert.equal(run.summary.commands.answered, HARD + 21);
    assert.ok(most <= SOFT + 2, `${most} commands waited`);
  });

  for (const [title, sessionEndsMs, cause] of [
    ['the recorded end is read a little later: as recorded', 350, undefined],
    ['no recorded end is read: lost, and it goes on with another', undefined, 'lost reset'],
  ] as const) {
    test(`the target ends a connection under a command, and ${title}`, async () => {
      const tape = new Tape();
      const session = tape.session(0).query(1).query(100, 'SLEEP', { answered: 'never' });
      if (sessionEndsMs === undefined) session.query(2_000).quit(3_000);
      else session.close(sessionEndsMs, 'fin');
      const target: FakeTarget = {
        users: USERS,
        reacts: ({ sql }) => (sql === 'SLEEP' ? 'reset' : undefined),
      };
      const { book, summary } = await mirror(tape, target);
      assert.deepEqual(book.story(0).slice(0, 2), ['answered', cause ?? 'answered']);
      assert.deepEqual(book.endsOf(0), [undefined]);
      assert.equal(summary.sessions.reconnected, cause === undefined ? 0 : 1);
    });
  }

  test('lateness is what passed since it was on the wire, and the wall clock may be set meanwhile', async () => {
    const tape = new Tape();
    const hour = 3_600_000;
    tape.session(0).query(100).query(300);
    // From here on, what is stamped on packets is an hour more.
    tape.sessions[0]
      .query(hour + 2_500)
      .query(hour + 2_600)
      .quit(hour + 2_700);
    let wall = 0;
    let real = START_MS;
    let clock = () => START_MS;
    const atOf = (ms: number) => (ms >= hour ? ms - hour : ms);
    const run = await replay(tape, {
      batch: 1,
      engine: {
        anchor: { at: 0, now: START_MS },
        live: { now: () => (clock() - START_MS + wall) * 1e6 },
      },
      at: [
        [0, (begun) => (clock = () => begun.clock.now())],
        [1_000, () => (wall = hour)],
      ],
      made: async ([{ at }]) => {
        const due = START_MS + atOf(at / 1e6) + 3;
        if (due > real) await new Promise((resolve) => setTimeout(resolve, due - real));
        real = Math.max(real, due);
      },
    });
    assert.equal(run.summary.commands.answered, 5);
    assert.ok(run.elapsedMs < 3_500, `${run.elapsedMs}`);
    for (const { outcome } of run.book.fates) {
      const late = (outcome?.sent ?? 0) - (outcome?.due ?? 0);
      assert.ok(late >= 0 && late <= 6, `${late} ms late`);
    }
  });
});
