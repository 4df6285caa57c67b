import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { COM } from '../../src/mysql/command.ts';
import type { CloseCause } from '../../src/transport/transport.ts';
import type { FakeTarget, Welcome } from '../transport/fake.ts';
import { cutAll, dies, down, sent, USERS } from './support/killed.ts';
import { Tape } from './support/tape.ts';
import { replay, START_MS } from './support/world.ts';

describe('a connection that ends before its session', () => {
  for (const cause of ['reset', 'fin', 'timeout'] as CloseCause[]) {
    test(`by ${cause}: what was under way is lost and not sent again, the rest goes on another`, async () => {
      const tape = new Tape();
      tape.session().query(1, 'A').query(50, 'B').query(300, 'C').quit(400);
      const ends: FakeTarget['reacts'] = ({ sql }) => (sql === 'B' ? cause : undefined);
      const run = await replay(tape, { copies: 2, target: { users: USERS, reacts: ends } });
      const lost = cause === 'timeout' ? 'timeout' : 'reset';
      for (const copy of [0, 1])
        assert.deepEqual(run.book.story(0, copy), ['answered', `lost ${lost}`, 'answered', 'answered']);
      assert.deepEqual(run.book.endsOf(), [undefined, undefined]);
      assert.deepEqual(run.transport.connections.map(sent), [
        ['A', 'B'],
        ['A', 'B'],
        ['C', 'quit'],
        ['C', 'quit'],
      ]);
      const { opened, reconnected } = run.summary.sessions;
      assert.deepEqual({ opened, reconnected }, { opened: 2, reconnected: 2 });
      assert.equal(run.summary.verdict, 'invalid');
      // On time again.
      assert.equal(run.transport.connections[2].received[0].at - START_MS, 300);
    });
  }

  test('a transaction that went with the first connection does not go with the second', async () => {
    const tape = new Tape();
    tape.session().query(1, 'BEGIN').query(900).quit(1000);
    const run = await replay(tape, {
      target: { users: USERS, reacts: ({ sql }) => (sql === 'BEGIN' ? { reply: { status: 1 } } : undefined) },
      at: [
        [100, cutAll],
        [500, cutAll],
      ],
    });
    assert.deepEqual(
      run.book.reconnections.map(({ lost }) => lost),
      [['transaction'], []],
    );
  });

  test('while it is idle: nothing is lost, and the run is valid', async () => {
    const tape = new Tape();
    tape.session().query(1).query(500).quit(600);
    const run = await replay(tape, { at: [[100, ({ transport }) => transport.connections[0].cut('fin')]] });
    assert.deepEqual(run.book.story(), ['answered', 'answered', 'answered']);
    assert.equal(run.summary.verdict, 'valid');
    assert.match(run.summary.reasons[0], /sessions went on over 1 new one/);
  });

  test('the target is gone for five seconds: tries come less and less often, up to every 2 to 3 s', async () => {
    const tape = new Tape();
    tape.session().query(1).query(200).query(6_000).quit(9_000);
    const run = await replay(tape, {
      fineMs: 20_000,
      target: { users: USERS, meets: down(50, 5_050) },
      at: [[50, ({ transport }) => transport.connections[0].cut('reset')]],
    });
    const tries = run.transport.connections.map(({ openedAt }) => openedAt - START_MS);
    assert.deepEqual(tries, [0, 150, 350, 750, 1550, 3150, 5150]);
    assert.deepEqual(run.book.story(), Array(4).fill('answered'));
    const [late] = run.book.fates.filter(({ ordinal }) => ordinal === 1);
    // The wait is the target's, not ours.
    assert.deepEqual(
      [late.outcome?.paced, late.outcome?.due, late.outcome?.sent].map((ms) => (ms as number) - START_MS),
      [200, 5150, 5150],
    );
  });

  test('a target that lets in and at once out again is not knocked at all the time', async () => {
    const tape = new Tape();
    tape.session().query(1).query(3_000).query(3_300).quit(3_500);
    const run = await replay(tape, {
      fineMs: 5_000,
      at: [100, 300, 600, 1100, 3100].map((ms) => [ms, cutAll]),
    });
    const opened = run.transport.connections.map(({ openedAt }) => openedAt - START_MS);
    assert.deepEqual(opened, [0, 200, 500, 1000, 1900, 3200]);
    assert.deepEqual(run.book.story(), Array(4).fill('answered'));
  });

  test('for good: it is given up after a minute, and whoever comes later tries once', async () => {
    const tape = new Tape();
    for (let i = 0; i < 10; i++) tape.session(i).query(i).query(100).quit(200);
    for (let i = 0; i < 200; i++)
      tape
        .session(300 + i)
        .query(301 + i)
        .quit(302 + i);
    const run = await replay(tape, {
      speed: Number.POSITIVE_INFINITY,
      target: { users: USERS, meets: down(1, 1e9), reacts: () => ({ reply: {}, afterMs: 5 }) },
      at: [[8, cutAll]],
    });
    assert.ok(run.elapsedMs > 60_000 && run.elapsedMs < 65_000, `${run.elapsedMs}`);
    assert.deepEqual(run.summary.sessions.lost_by, { connect: 210 });
    assert.equal(run.summary.sessions.reconnected, 0);
    // Each admitted session keeps its place meanwhile.
    assert.ok(run.transport.connections.length < 210 + 10 * 45, `${run.transport.connections.length}`);
  });

  test('at full speed a session keeps its place while it has no connection', async () => {
    const tape = new Tape();
    for (let i = 0; i < 20; i++)
      tape
        .session(i * 10)
        .query(i * 10 + 1)
        .query(i * 10 + 2)
        .quit(i * 10 + 3);
    let n = 0;
    const run = await replay(tape, {
      speed: Number.POSITIVE_INFINITY,
      target: {
        users: USERS,
        reacts: ({ com }) => (com === COM.query && n++ % 7 === 0 ? 'reset' : undefined),
      },
    });
    assert.equal(run.transport.mostOpen.get(0), 1);
    assert.equal(run.summary.sessions.completed, 20);
    assert.ok(run.summary.sessions.reconnected > 3);
  });

  test('a stop ends it at once', async () => {
    for (const way of ['stop', 'cut'] as const) {
      const tape = new Tape();
      tape.session().query(1).query(900).quit(1000);
      const run = await replay(tape, {
        target: { users: USERS, meets: down(50, 1e9) },
        at: [
          [50, ({ transport }) => transport.connections[0].cut('reset')],
          [400, ({ engine }) => engine[way]()],
        ],
      });
      assert.deepEqual(run.book.story(), ['answered', 'lost interrupted', 'lost interrupted']);
      assert.ok(run.elapsedMs <= 401, `${run.elapsedMs}`);
    }
  });
});

describe('who tries again', () => {
  test('a first connection, once anybody was connected; before that nobody', async () => {
    const tape = new Tape();
    tape.session(0).query(1).query(400).quit(4_000);
    tape.session(100).query(101).quit(110);
    const target: FakeTarget = { users: USERS, meets: down(50, 2_000) };
    const run = await replay(tape, { target });
    assert.deepEqual(run.book.story(1), ['answered', 'answered']);
    assert.equal(run.summary.sessions.reconnected, 0, 'it had none before');

    const alone = new Tape();
    alone.session(100).query(101).quit(110);
    const never = await replay(alone, { target: { meets: () => 'refused' } });
    assert.deepEqual(never.book.endsOf(), ['connect']);
    assert.equal(never.transport.connections.length, 1);
  });

  const answers: [string, Welcome, boolean][] = [
    ['too many connections', 1040, true],
    ['server shutdown in progress', 1053, true],
    ['connection was killed', 1927, true],
    ['access denied', 1045, false],
    ['host is blocked', 1129, false],
    ['an answer that nobody understands', 'desync', false],
    ['no relay', 'relay', false],
  ];
  for (const [name, welcome, again] of answers) {
    test(`${name}, at the second connection: ${again ? 'tries again' : 'ends the session'}`, async () => {
      const tape = new Tape();
      tape.session().query(1, 'A').query(50, 'DIE').query(60, 'C').quit(70);
      const run = await replay(tape, {
        target: { users: USERS, reacts: dies(), meets: ({ id }) => (id === 1 ? welcome : 'greets') },
      });
      assert.equal(run.transport.connections.length, again ? 3 : 2);
      const cause = welcome === 1129 ? 'host-blocked' : typeof welcome === 'number' ? 'auth' : welcome;
      assert.deepEqual(run.book.endsOf(), [again ? undefined : cause]);
      assert.equal(run.book.story()[1], 'lost reset');
      assert.equal(run.book.story()[2], again ? 'answered' : `lost ${cause}`);
    });
  }

  test('its own patience ends after a minute, however well others fare', async () => {
    const tape = new Tape();
    tape.session().query(1).query(50, 'DIE').query(60).quit(70);
    const other = tape.session(1);
    for (let ms = 100; ms < 100_000; ms += 1_000) other.query(ms);
    other.quit(100_000);
    const run = await replay(tape, {
      target: { users: USERS, reacts: dies(), meets: ({ id }) => (id >= 2 ? 1040 : 'greets') },
      at: [[63_000, ({ book }) => assert.deepEqual(book.endsOf(0), ['too-many-connections'])]],
    });
    assert.deepEqual(run.summary.sessions.lost_by, { 'too-many-connections': 1 });
  });

  test('too many connections for good', async () => {
    const tape = new Tape();
    tape.session().query(1, 'A').query(50, 'DIE').query(60, 'C').quit(70);
    tape.session(60).query(61).query(90_000).quit(91_000);
    const run = await replay(tape, {
      target: { users: USERS, reacts: dies(), meets: ({ id }) => (id >= 2 ? 1040 : 'greets') },
    });
    assert.deepEqual(run.book.endsOf(0), ['too-many-connections']);
  });

  test('a target that does not greet, or does not answer, is waited for as long as was said', async () => {
    const tape = new Tape();
    tape.session().query(1, 'A').query(2).quit(3);
    const setup = { connectTimeoutMs: 5_000, replyTimeoutMs: 7_000 };
    const dumb = await replay(tape, { ...setup, target: { meets: () => 'silent' } });
    assert.deepEqual(dumb.book.story(), Array(3).fill('lost timeout'));
    assert.ok(dumb.elapsedMs > 5_000 && dumb.elapsedMs < 7_100, `${dumb.elapsedMs}`);
    const deaf = await replay(tape, { ...setup, target: { users: USERS, reacts: () => 'silent' } });
    assert.deepEqual(deaf.book.story(), Array(3).fill('lost timeout'));
    assert.ok(deaf.elapsedMs > 7_000 && deaf.elapsedMs < 9_100, `${deaf.elapsedMs}`);
    // Where others were greeted it is tried again.
    const two = new Tape();
    two.session().query(1, 'A').query(9_000).quit(9_100);
    two.session(100).query(101, 'B').quit(110);
    const once: FakeTarget = { users: USERS, meets: ({ id }) => (id === 1 ? 'silent' : 'greets') };
    const again = await replay(two, { ...setup, target: once });
    assert.deepEqual(again.summary.sessions.lost_by, {});
    assert.deepEqual(again.transport.connections.map(sent).at(-1), ['B', 'quit']);
    // So is one that falls silent while a session is set up again.
    const tape2 = new Tape();
    tape2.session().query(1, 'SET NAMES x').query(20, 'DIE').query(30).quit(40);
    let sets = 0;
    const half = await replay(tape2, {
      ...setup,
      target: {
        users: USERS,
        reacts: dies(({ sql }) => (sql.startsWith('SET') && sets++ > 0 ? 'silent' : undefined)),
      },
    });
    assert.deepEqual(half.book.story(), ['answered', 'lost reset', 'lost timeout', 'lost timeout']);
  });
});
