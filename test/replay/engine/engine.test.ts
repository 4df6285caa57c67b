import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { COM } from '../../../src/mysql/command.ts';
import type { FakeTarget, Reaction, Welcome } from '../../transport/fake.ts';
import { Tape } from '../support/tape.ts';
import { type Run, replay } from '../support/world.ts';

const USERS = { app: 'secret' };

describe('stopping', () => {
  const tape = () => {
    const made = new Tape();
    made.session(0).query(1).query(500).quit(600);
    made.session(0).query(20, 'SLOW').query(500).quit(600);
    made.session(400).query(410).quit(600);
    made.session(60).query(61).quit(600);
    return made;
  };
  // Of four sessions one is idle, one waits for an answer, one is not due and one is in its login.
  const target: FakeTarget = {
    users: USERS,
    meets: ({ id }) => (id === 2 ? 'silent' : 'greets'),
    reacts: ({ sql }) => (sql === 'SLOW' ? { reply: {}, afterMs: 150 } : undefined),
  };

  test('stop lets what is under way finish, and nothing begin', async () => {
    let leftMs = 0;
    const stop = ({ engine }: Run) => {
      leftMs = engine.stop();
    };
    const run = await replay(tape(), { target, at: [[100, stop]] });
    // SLOW was sent at 20, and may take five minutes.
    assert.ok(leftMs > 299_900 && leftMs <= 299_950, `${leftMs}`);
    const gone = 'lost interrupted';
    assert.deepEqual(run.book.story(0), ['answered', gone, gone]);
    assert.deepEqual(run.book.story(1), ['answered', gone, gone]);
    assert.deepEqual(run.book.story(2), [gone, gone]);
    assert.deepEqual(run.book.story(3), [gone, gone]);
    assert.deepEqual(run.summary.sessions.lost_by, { interrupted: 4 });
    assert.deepEqual(
      run.transport.connections.map(({ clientEnd }) => clientEnd),
      ['fin', 'fin', 'rst'],
    );
    assert.ok(run.elapsedMs > 160 && run.elapsedMs < 200, `${run.elapsedMs}`);
  });

  test('cut ends all at once', async () => {
    const run = await replay(tape(), { target, at: [[100, ({ engine }) => engine.cut()]] });
    assert.deepEqual(run.book.story(1), Array(3).fill('lost interrupted'));
    assert.deepEqual(
      run.transport.connections.map(({ clientEnd }) => clientEnd),
      ['rst', 'rst', 'rst'],
    );
    assert.equal(run.elapsedMs, 100);
  });

  test('stop, then cut', async () => {
    const run = await replay(tape(), {
      target,
      at: [
        [100, ({ engine }) => engine.stop()],
        [110, ({ engine }) => engine.cut()],
      ],
    });
    assert.equal(run.elapsedMs, 110);
    assert.deepEqual(run.summary.sessions.lost_by, { interrupted: 4 });
  });

  test('what the recording tells after the stop begins no session', async () => {
    const made = new Tape();
    made.session(0).query(1).quit(5);
    made.session(6).query(7).quit(8);
    const run = await replay(made, {
      batch: 4,
      speed: 1000,
      // A live source: the second batch comes when the run was stopped long ago.
      made: ([first]) => (first.at >= 5e6 ? new Promise((resolve) => setTimeout(resolve, 50)) : undefined),
      at: [[20, ({ engine }) => engine.stop()]],
    });
    assert.equal(run.transport.connections.length, 1);
    assert.equal(run.summary.sessions.scheduled, 1);
  });

  test('a recording that cannot be read on rejects', async () => {
    const made = new Tape();
    made.session(0).query(1).query(2).quit(5);
    const broken = replay(made, {
      batch: 3,
      made: ([first]) => {
        if (first.at > 1e6) throw new Error('block 7 is torn');
      },
    });
    await assert.rejects(broken, /block 7 is torn/);
  });
});

describe('memory', () => {
  test('20,000 commands ahead of the target hold back the reader, which goes on as they are sent', async () => {
    const sessions = 20;
    const each = 1_500;
    const tape = new Tape();
    for (let i = 0; i < sessions; i++) {
      const session = tape.session(0);
      for (let j = 0; j < each; j++) session.command(1, COM.ping, [], { answered: 'never' });
      session.close(2, 'fin');
    }
    let read = 0;
    let sent = 0;
    let most = 0;
    let wakes = 0;
    let stuck = true;
    const run = await replay(tape, {
      speed: Number.POSITIVE_INFINITY,
      batch: 1000,
      made: (events) => {
        read += events.length;
        most = Math.max(most, read - sent);
      },
      at: [
        [100, ({ transport }) => (wakes = -transport.flushes)],
        [
          900,
          ({ transport }) => {
            wakes += transport.flushes;
            stuck = false;
          },
        ],
      ],
      target: {
        users: USERS,
        reacts: () => {
          sent++;
          return { reply: {}, afterMs: stuck ? 1000 : 0 };
        },
      },
    });
    assert.ok(most > 19_000 && most < 22_000, `${most} commands were held`);
    assert.equal(run.summary.commands.answered, sessions * each);
    assert.ok(wakes < 5, `woke ${wakes} times in 800 ms though there was nothing to do`);
  });

  test('128 MiB do so, too', async () => {
    const big = 'x'.repeat(8 << 20);
    const tape = new Tape();
    const session = tape.session(0);
    for (let i = 0; i < 40; i++) session.query(1, big);
    session.close(2, 'fin');
    let read = 0;
    let sent = 0;
    let most = 0;
    const run = await replay(tape, {
      speed: Number.POSITIVE_INFINITY,
      batch: 1,
      made: ([event]) => {
        if (event.type === 'command') read++;
        most = Math.max(most, read - sent);
      },
      target: {
        users: USERS,
        reacts: () => {
          sent++;
          return { reply: {}, afterMs: 3 };
        },
      },
    });
    assert.ok(most >= 15 && most <= 18, `${most} times 8 MiB were held`);
    assert.equal(run.summary.commands.answered, 40);
  });
});

describe('comparison', () => {
  const rows = { kind: 'rows', columns: 2, rows: 3, hash: 17, hashUnordered: 5 } as const;
  test('the gravest difference names it', async () => {
    const tape = new Tape();
    const session = tape.session(0);
    for (let i = 1; i <= 7; i++) session.query(i, `Q${i}`, { reply: rows });
    session
      .query(8, 'Q8', { reply: { affected: 2 } })
      .query(9, 'Q9', { reply: rows, answered: 'never' })
      .quit(20);
    const replies: Record<string, Reaction> = {
      Q1: { reply: rows },
      Q2: { reply: { ...rows, hash: 18 } },
      Q3: { reply: { ...rows, hash: 18, hashUnordered: 6 } },
      Q4: { reply: { ...rows, rows: 4 } },
      Q5: { reply: { kind: 'err', errno: 1146 } },
      Q6: { reply: { ...rows, columns: 3 } },
      Q7: { reply: rows },
      Q8: { reply: { affected: 3 } },
      Q9: { reply: rows },
    };
    const run = await replay(tape, { target: { users: USERS, reacts: ({ sql }) => replies[sql] } });
    const story = ['', '', ' data', ' rows', ' error', ' rows', '', ' rows', ' unknown', ''];
    assert.deepEqual(
      run.book.story(),
      story.map((one) => `answered${one}`),
    );
    assert.deepEqual(run.summary.divergence, {
      error: 1,
      rows: 3,
      data: 1,
      none: 4,
      unknown: 1,
      'not-comparable': 0,
    });
  });

  test('an answer that overtakes the recorded one is compared when that is read', async () => {
    const tape = new Tape();
    const later = { answered: 'later', replyMs: 50 } as const;
    tape
      .session(0)
      .query(1, 'SAME', { ...later, reply: rows })
      .query(60, 'OTHER', { ...later, reply: rows })
      .quit(200);
    const run = await replay(tape, {
      copies: 2,
      batch: 1,
      speed: Number.POSITIVE_INFINITY,
      target: { users: USERS, reacts: ({ sql }) => (sql === 'OTHER' ? { reply: {} } : { reply: rows }) },
    });
    assert.deepEqual(run.summary.divergence, {
      error: 0,
      rows: 2,
      data: 0,
      none: 4,
      unknown: 0,
      'not-comparable': 0,
    });
    assert.equal(Math.round(run.summary.latency_ms.recorded.p50), 50);
  });

  test('an answer whose recorded one never comes is told of when its session is read to its end', async () => {
    const tape = new Tape();
    tape.session(0).query(1, 'LOST', { answered: 'never' }).quit(10);
    tape.session(0).query(1).quit(20_000);
    let told = -1;
    await replay(tape, {
      batch: 1,
      at: [[15_000, ({ book }) => (told = book.story(0).length)]],
    });
    assert.equal(told, 2);
  });
});

describe('accounts', () => {
  const coms = [
    COM.query,
    COM.ping,
    COM.stmtPrepare,
    COM.stmtExecute,
    COM.stmtClose,
    COM.resetConnection,
    COM.changeUser,
  ];
  const command = fc.record({
    com: fc.constantFrom(...coms),
    gapMs: fc.integer({ min: 0, max: 40 }),
    statement: fc.integer({ min: 1, max: 3 }),
    sql: fc.constantFrom('SELECT 1', 'KILL 5', 'UPDATE t'),
    answered: fc.constantFrom('at once', 'later', 'never'),
    replyMs: fc.integer({ min: 1, max: 60 }),
    kind: fc.constantFrom('ok', 'err', 'rows', 'infile'),
  } as const);
  const session = fc.record({
    atMs: fc.integer({ min: 0, max: 200 }),
    user: fc.constantFrom('app', 'app', 'app', 'stranger', 'open'),
    commands: fc.array(command, { maxLength: 8 }),
    lost: fc.option(fc.integer({ min: 0, max: 4 })),
    how: fc.constantFrom('quit', 'fin', 'rst', 'cut'),
    skip: fc.option(fc.constantFrom('tls', 'joined-late'), { freq: 8 }),
  } as const);
  const reaction = fc.oneof(
    { weight: 12, arbitrary: fc.constant(undefined) },
    { weight: 6, arbitrary: fc.record({ reply: fc.constant({}), afterMs: fc.integer({ min: 0, max: 90 }) }) },
    { weight: 1, arbitrary: fc.constant({ reply: { kind: 'err', errno: 1213 } } as const) },
    { weight: 2, arbitrary: fc.constantFrom('reset', 'fin', 'timeout', 'desync', 'relay', 'silent') },
  );
  const welcome = fc.oneof(
    { weight: 8, arbitrary: fc.constant('greets' as Welcome) },
    { weight: 2, arbitrary: fc.constantFrom<Welcome>(1040, 1045, 'refused', 'reset', 'timeout', 'silent') },
  );

  test('whatever is recorded and whatever the target does, every command and session is accounted for', async () => {
    const runs = fc.asyncProperty(
      fc.array(session, { minLength: 1, maxLength: 8 }),
      fc.array(reaction, { minLength: 1, maxLength: 30 }),
      fc.array(welcome, { minLength: 1, maxLength: 6 }),
      fc.record({
        copies: fc.integer({ min: 1, max: 3 }),
        speed: fc.constantFrom(0.5, 1, 4, Number.POSITIVE_INFINITY),
        batch: fc.integer({ min: 1, max: 20 }),
        stopMs: fc.option(fc.integer({ min: 0, max: 400 }), { freq: 3 }),
        cutMs: fc.option(fc.integer({ min: 0, max: 400 }), { freq: 4 }),
        greetMs: fc.integer({ min: 0, max: 30 }),
      }),
      async (sessions, reactions, welcomes, { copies, speed, batch, stopMs, cutMs, greetMs }) => {
        const tape = new Tape();
        for (const { atMs, user, commands, lost, how, skip } of sessions) {
          if (skip !== null) {
            tape.skipped(atMs, skip, lost ?? 0);
            continue;
          }
          const made = tape.session(atMs, { user, password: user !== 'open' });
          let ms = atMs;
          for (const { com, gapMs, statement, sql, answered, replyMs, kind } of commands) {
            ms += gapMs;
            const options = { answered, replyMs, reply: { kind, errno: kind === 'err' ? 1064 : 0 } };
            if (com === COM.stmtPrepare) made.prepare(ms, statement, { answered, replyMs });
            else if (com === COM.stmtExecute) made.execute(ms, statement, { answered, replyMs });
            else if (com === COM.stmtClose) made.closeStatement(ms, statement);
            else if (com === COM.query) made.query(ms, sql, options);
            else made.command(ms, com, [], { answered, replyMs });
            // A session's next command comes behind the answer to the last.
            ms += replyMs;
          }
          if (lost !== null) made.lost(ms, 'gap', lost);
          if (how === 'quit') made.quit(ms + 1);
          else made.close(ms + 1, how);
        }
        let n = 0;
        const run = await replay(tape, {
          copies,
          speed,
          batch,
          passwords: { app: 'secret' },
          target: {
            users: { app: 'secret', open: '' },
            greetMs,
            meets: ({ id }) => welcomes[id % welcomes.length],
            reacts: () => reactions[n++ % reactions.length],
          },
          at: [
            ...(stopMs === null
              ? []
              : [[stopMs, ({ engine }) => engine.stop()] as [number, (run: Run) => void]]),
            ...(cutMs === null
              ? []
              : [[cutMs, ({ engine }) => engine.cut()] as [number, (run: Run) => void]]),
          ],
        });
        // `replay` has balanced the books; and nothing is left open.
        assert.ok(run.transport.connections.every(({ over }) => over));
      },
    );
    await fc.assert(runs, { numRuns: 500 });
  });
});
