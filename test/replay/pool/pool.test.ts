import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { CLIENT } from '../../../src/mysql/capabilities.ts';
import { type ChangeUser, parseChangeUser, writeChangeUser } from '../../../src/mysql/change-user.ts';
import { COM } from '../../../src/mysql/command.ts';
import { poolShare } from '../../../src/replay/pool/pool.ts';
import { ConnectionIds } from '../../../src/replay/session/connection-ids.ts';
import type { Summary } from '../../../src/report/summary.ts';
import {
  CAPABILITIES,
  type FakeConnection,
  type FakeTarget,
  type Reaction,
  type Received,
} from '../../transport/fake.ts';
import { sent, USERS } from '../support/killed.ts';
import { Tape } from '../support/tape.ts';
import { type Run, replay, type Setup, START_MS } from '../support/world.ts';

const ASKED = "SELECT 1 FROM DUAL WHERE @@global.init_connect <> ''";
const NO_ROLE = 'SET ROLE NONE';
const PASSWORDS = { app: 'secret', other: 'hidden' };

/** Sessions one after the other, of one query each, every `everyMs`. */
function oneByOne(count: number, everyMs = 20, lastsMs = 10): Tape {
  const tape = new Tape();
  for (let i = 0; i < count; i++) {
    const at = i * everyMs;
    tape
      .session(at)
      .query(at + 1, `DO ${i}`)
      .quit(at + lastsMs);
  }
  return tape;
}

const inSchema = (schema: string) => ({ schema, capabilities: CLIENT.connectWithDb });

function pooled(tape: Tape, pool: number, setup: Setup = {}): Promise<Run> {
  return replay(tape, { ...setup, engine: { pool, ...setup.engine } });
}

/** A target that does these things, and else what a server does. */
function target(
  reacts: (received: Received, connection: FakeConnection) => Reaction | undefined,
): FakeTarget {
  return { users: PASSWORDS, reacts };
}

function changes({ received, capabilities }: FakeConnection): ChangeUser[] {
  return received
    .filter(({ com }) => com === COM.changeUser)
    .map(({ packet }) => parseChangeUser(packet, 0, packet.length, capabilities) as ChangeUser);
}

function poolOf(run: Run): NonNullable<Summary['pool']> {
  assert.ok(run.summary.pool !== undefined);
  return run.summary.pool;
}

function counts(run: Run) {
  const { wait_ms: _wait, ...rest } = poolOf(run);
  return rest;
}

describe('sessions over kept connections', () => {
  test('have one after the other, cleaned in between; COM_QUIT is said once, at the end', async () => {
    const run = await pooled(oneByOne(3), 1);
    assert.deepEqual(run.transport.connections.map(sent), [
      ['DO 0', 'resetConnection', ASKED, 'DO 1', 'resetConnection', 'DO 2', 'resetConnection', 'quit'],
    ]);
    for (const id of [0, 1, 2]) assert.deepEqual(run.book.story(id), ['answered', 'skipped pooled']);
    assert.deepEqual(run.summary.commands.skipped, { pooled: 3 });
    assert.equal(run.summary.sessions.completed, 3);
    assert.equal(run.summary.sessions.opened, 3);
    assert.deepEqual(counts(run), { connections: 1, sessions: 3, resets: 3, changes: 0, waited: 0 });
    const [connection] = run.transport.connections;
    assert.deepEqual([connection.clientEnd, connection.over], ['fin', true]);
  });

  test('are on time on a connection that is ready', async () => {
    const run = await pooled(oneByOne(3, 50), 1);
    for (const { outcome } of run.book.fates) {
      if (outcome !== undefined) assert.equal(outcome.sent, outcome.paced);
    }
    assert.equal(run.book.openedAt.get('2/0'), START_MS + 100);
  });

  test('wait their turn in order where all are busy, and are not timed out for it', async () => {
    const tape = new Tape();
    for (let i = 0; i < 4; i++)
      tape
        .session(i)
        .query(i + 1, `DO ${i}`)
        .quit(1_000);
    const run = await pooled(tape, 1, { connectTimeoutMs: 50, replyTimeoutMs: 50 });
    assert.deepEqual(
      run.transport.connections.map((one) => sent(one).filter((said) => said.startsWith('DO'))),
      [['DO 0', 'DO 1', 'DO 2', 'DO 3']],
    );
    assert.equal(poolOf(run).waited, 3);
    assert.ok(
      poolOf(run).wait_ms.max >= 995 && poolOf(run).wait_ms.max <= 1_010,
      JSON.stringify(poolOf(run).wait_ms),
    );
    assert.equal(run.summary.verdict, 'valid');
  });

  test('are lost for want of a place where nothing can be read on because of those who wait', async () => {
    const tape = new Tape();
    tape.session(0).query(1, 'DO 0').query(300_000, 'DO 1').quit(300_001);
    const second = tape.session(2);
    for (let i = 0; i < 25_000; i++) second.query(3 + i, 'DO B');
    second.quit(200_000);
    const run = await pooled(tape, 1, { speed: Number.POSITIVE_INFINITY });
    assert.deepEqual(run.summary.sessions.lost_by, { 'no-place': 1 });
    assert.deepEqual(run.book.story(0), ['answered', 'answered', 'skipped pooled']);
  });

  test('do not overtake one that waits, at the highest speed either', async () => {
    const tape = new Tape();
    tape.session(0).query(1, 'DO 0').quit(10);
    tape.session(5).query(6, 'DO 1').quit(15);
    // Recorded when the first one was over: it may begin when that is.
    tape.session(12).query(13, 'DO 2').quit(20);
    const run = await pooled(tape, 1, { speed: Number.POSITIVE_INFINITY });
    const [connection] = run.transport.connections;
    assert.deepEqual(
      sent(connection).filter((said) => said.startsWith('DO')),
      ['DO 0', 'DO 1', 'DO 2'],
    );
  });

  test('never have more than so many, for each user, of all copies', async () => {
    const tape = new Tape();
    for (let i = 0; i < 30; i++) {
      const user = i % 2 === 0 ? 'app' : 'other';
      tape
        .session(i, { user })
        .query(i + 1)
        .quit(i + 100);
    }
    const run = await pooled(tape, 3, { copies: 4, passwords: PASSWORDS, target: { users: PASSWORDS } });
    assert.equal(run.transport.connections.length, 6);
    assert.equal(run.summary.sessions.completed, 120);
    assert.equal(poolOf(run).sessions, 120);
    assert.deepEqual(run.summary.sessions.lost_by, {});
  });

  test('a recorded RST or cut gives the connection back as FIN does', async () => {
    for (const how of ['rst', 'fin', 'cut'] as const) {
      const tape = new Tape();
      tape.session().query(1, 'DO A').close(10, how);
      tape.session(20).query(21, 'DO B').quit(30);
      const run = await pooled(tape, 1);
      assert.equal(run.transport.connections.length, 1, how);
      assert.deepEqual(run.book.ends.length, 2);
      assert.deepEqual(run.summary.sessions.lost_by, {});
    }
  });

  test('what was sent without an answer counts as arrived when the connection is clean', async () => {
    const tape = new Tape();
    tape.session().prepare(1, 7).closeStatement(2, 7).quit(3);
    const run = await pooled(tape, 1);
    assert.deepEqual(run.book.story(), ['answered', 'answered', 'skipped pooled']);
  });
});

describe('what cleans a connection', () => {
  /** What is sent between a session that says `first` and one of the same login. */
  async function between(first: string, options: Partial<FakeTarget> = {}): Promise<string[]> {
    const tape = new Tape();
    tape.session(0).query(1, first).quit(10);
    tape.session(30).query(31, 'DO B').quit(40);
    const run = await pooled(tape, 1, { target: { users: PASSWORDS, ...options } });
    const all = run.transport.connections.flatMap(sent);
    return all.slice(1, all.indexOf('DO B'));
  }

  test('COM_RESET_CONNECTION on MariaDB; COM_CHANGE_USER behind what that leaves there', async () => {
    assert.deepEqual(await between('SET @x = 1'), ['resetConnection', ASKED]);
    assert.deepEqual(await between('USE elsewhere'), [NO_ROLE, 'changeUser', ASKED]);
    assert.deepEqual(await between('SET ROLE admin'), [NO_ROLE, 'changeUser', ASKED]);
    assert.deepEqual(await between('SET profiling = 1'), ['quit']);
  });

  test('scripted MySQL peer: COM_CHANGE_USER, as its COM_RESET_CONNECTION brings back no character set', async () => {
    const capabilities = (CAPABILITIES | CLIENT.mysql) >>> 0;
    assert.deepEqual(await between('SELECT 1', { capabilities }), ['changeUser', ASKED]);
  });

  test('COM_CHANGE_USER for a session of another schema, or character set: to what its login says', async () => {
    const tape = new Tape();
    tape.session(0, inSchema('a')).query(1, 'DO A').quit(10);
    tape.session(20, inSchema('b')).query(21, 'DO B').quit(30);
    const third = tape.session(40, inSchema('b'));
    third.meta.login!.charset = 33;
    third.query(41, 'DO C').quit(50);
    tape.session(60).query(61, 'DO D').quit(70);
    const run = await pooled(tape, 1, {
      target: { users: USERS, asksAgain: (nth) => nth === 1 },
    });
    const [connection] = run.transport.connections;
    assert.equal(run.transport.connections.length, 1);
    assert.deepEqual(
      sent(connection).filter((said) => said !== ASKED && said !== NO_ROLE),
      // Its first login was of another character set: COM_RESET_CONNECTION would bring back that.
      [
        ...['DO A', 'resetConnection', 'changeUser', 'DO B', 'resetConnection'],
        ...['changeUser', 'DO C', 'changeUser', 'changeUser', 'DO D', 'resetConnection', 'quit'],
      ],
    );
    assert.deepEqual(
      changes(connection).map(({ user, schema, charset }) => [user, schema, charset]),
      [
        ['app', 'b', 8],
        ['app', 'b', 33],
        ['app', 'b', 33],
        ['app', '', 8],
      ],
    );
    for (const id of [0, 1, 2, 3]) assert.deepEqual(run.book.story(id), ['answered', 'skipped pooled']);
    assert.deepEqual(counts(run), { connections: 1, sessions: 4, resets: 3, changes: 4, waited: 0 });
  });

  test('sets again what MariaDB keeps of a login by neither', async () => {
    const tape = new Tape();
    const flags = { capabilities: CLIENT.ignoreSpace | CLIENT.interactive };
    tape.session(0, flags).query(1, 'DO A').quit(10);
    tape.session(20, flags).query(21, 'USE b').quit(30);
    tape.session(40, flags).query(41, 'DO C').quit(50);
    const run = await pooled(tape, 1);
    const sets = [
      "SET sql_mode = CONCAT(@@sql_mode, ',IGNORE_SPACE')",
      'SET wait_timeout = @@interactive_timeout',
    ];
    assert.deepEqual(run.transport.connections.map(sent), [
      [
        ...['DO A', 'resetConnection', ...sets, ASKED, 'USE b', NO_ROLE, 'changeUser', ...sets],
        ...['DO C', 'resetConnection', ...sets, 'quit'],
      ],
    ]);
  });

  test('where the target has an init_connect, which only a login runs, no connection is kept', async () => {
    const run = await pooled(oneByOne(3, 50), 1, {
      target: target(({ sql }) => (sql === ASKED ? { reply: { kind: 'rows', rows: 1 } } : undefined)),
    });
    assert.equal(run.transport.connections.length, 3);
    assert.deepEqual(run.summary.sessions.lost_by, {});
    assert.equal(run.transport.mostOpen.get(0), 1);
  });

  test('other capabilities need another connection: the one idle longest makes room', async () => {
    const tape = new Tape();
    tape.session(0).query(1, 'DO A').quit(10);
    tape.session(2).query(3, 'DO B').quit(12);
    tape.session(30, { capabilities: CLIENT.foundRows }).query(31, 'DO C').quit(40);
    tape.session(50).query(51, 'DO D').quit(60);
    const run = await pooled(tape, 2);
    assert.deepEqual(
      run.transport.connections.map((one) => sent(one).filter((said) => /^DO|quit/.test(said))),
      [
        ['DO A', 'quit'],
        ['DO B', 'DO D', 'quit'],
        ['DO C', 'quit'],
      ],
    );
    // Never three at once.
    assert.equal(run.transport.mostOpen.get(0), 2);
    assert.deepEqual(run.summary.sessions.lost_by, {});
  });

  test('a session that has changed its user leaves the connection to its first one', async () => {
    const change: ChangeUser = { user: 'other', authResponse: new Uint8Array(20).fill(7), schema: 's' };
    const packet = writeChangeUser(change, CLIENT.secureConnection).subarray(5);
    const tape = new Tape();
    tape.session(0).query(1, 'DO A').command(2, COM.changeUser, [packet]).query(3, 'DO B').quit(10);
    tape.session(20).query(21, 'DO C').quit(30);
    const users: string[] = [];
    const run = await pooled(tape, 1, {
      passwords: PASSWORDS,
      target: {
        users: PASSWORDS,
        asksAgain: () => true,
        reacts: ({ sql }, { user }) => {
          if (/^DO/.test(sql)) users.push(`${sql} ${user}`);
          return undefined;
        },
      },
    });
    assert.deepEqual(users, ['DO A app', 'DO B other', 'DO C app']);
    assert.equal(run.transport.connections.length, 1);
    assert.deepEqual(run.book.story(1), ['answered', 'skipped pooled']);
  });
});

describe('a kept connection that ends', () => {
  test('while it is idle is dropped', async () => {
    const run = await pooled(oneByOne(2, 100), 1, {
      at: [[50, ({ transport }) => transport.connections[0].cut('reset')]],
    });
    assert.equal(run.transport.connections.length, 2);
    assert.deepEqual(run.summary.sessions.reconnected, 0);
    assert.deepEqual(run.summary.sessions.lost_by, {});
  });

  test('while a session has it: the session goes on with another, set up again', async () => {
    const tape = new Tape();
    tape.session(0).query(1, 'SET @x = 1').query(200, 'DO B').quit(300);
    tape.session(10).query(11, 'DO C').quit(20);
    const run = await pooled(tape, 2, {
      at: [[100, ({ transport }) => transport.connections[0].cut('reset')]],
    });
    assert.equal(run.summary.sessions.reconnected, 1);
    assert.deepEqual(
      sent(run.transport.connections[1]).filter((said) => !/SELECT|reset/.test(said)),
      ['DO C', 'SET @x = 1', 'DO B', 'quit'],
    );
    assert.equal(run.transport.connections.length, 2);
  });

  test('while it is cleaned: the session is over all the same, and the next has a new one', async () => {
    for (const how of ['reset', 'fin'] as const) {
      let resets = 0;
      const run = await pooled(oneByOne(2), 1, {
        target: target(({ com }) => (com === COM.resetConnection && resets++ === 0 ? how : undefined)),
      });
      assert.equal(run.transport.connections.length, 2);
      assert.deepEqual(run.book.endsOf(0), [undefined]);
      assert.deepEqual(run.book.story(1), ['answered', 'skipped pooled']);
    }
  });

  test('an error in place of the cleaning ends it', async () => {
    const run = await pooled(oneByOne(2), 1, {
      target: target(({ com }, { id }) =>
        com === COM.resetConnection && id === 0 ? { reply: { kind: 'err', errno: 1047 } } : undefined,
      ),
    });
    assert.deepEqual(
      run.transport.connections.map(({ clientEnd }) => clientEnd),
      ['fin', 'fin'],
    );
    assert.deepEqual(run.book.story(1), ['answered', 'skipped pooled']);
    assert.deepEqual(run.summary.sessions.lost_by, {});
  });

  for (const reaction of [{ reply: { kind: 'err', errno: 1049 } }, 'reset', 'fin'] as Reaction[]) {
    test(`what cannot be made the next one's (${JSON.stringify(reaction)}): that logs in on a new one`, async () => {
      const tape = new Tape();
      tape.session(0, inSchema('a')).query(1, 'DO A').quit(10);
      tape.session(20, inSchema('b')).query(21, 'DO B').quit(30);
      const run = await pooled(tape, 1, {
        target: target(({ com }) => (com === COM.changeUser ? reaction : undefined)),
      });
      assert.deepEqual(
        run.transport.connections.map(({ hello }) => hello?.schema),
        ['a', 'b'],
      );
      assert.deepEqual(run.book.story(1), ['answered', 'skipped pooled']);
      assert.equal(run.transport.mostOpen.get(0), 1);
      // At once, as on the first connection of all: no try has failed.
      assert.ok((run.book.openedAt.get('1/0') as number) < START_MS + 25);
    });
  }

  test('a login that is refused loses its session only, and gives its place away', async () => {
    const tape = new Tape();
    tape.session(0).query(1, 'DO A').quit(10);
    tape.session(1, { user: 'other' }).query(2, 'DO B').quit(11);
    tape.session(12, { user: 'other' }).query(13, 'DO C').quit(20);
    const run = await pooled(tape, 1, {
      passwords: { ...PASSWORDS, other: 'wrong' },
      target: { users: PASSWORDS },
    });
    assert.deepEqual(run.summary.sessions.lost_by, { auth: 2 });
    assert.equal(run.summary.sessions.completed, 1);
  });
});

describe('beside the pool', () => {
  test('a login that production refused has a connection of its own', async () => {
    const tape = new Tape();
    tape.session(0, { refused: 1045 }).close(5, 'fin');
    tape.session(10).query(11, 'DO A').quit(20);
    tape.session(30, { refused: 1045 }).close(35, 'fin');
    const run = await pooled(tape, 1);
    assert.equal(run.transport.connections.length, 3);
    assert.equal(run.summary.sessions.refused, 2);
    assert.equal(poolOf(run).sessions, 1);
  });

  test('KILL hits the connection that the session has now, and none that it has given back', async () => {
    const tape = new Tape();
    tape.session(0).query(1, 'DO A').quit(10);
    tape.session(20).query(21, 'DO B').quit(100);
    tape.session(30).query(31, 'KILL 2').query(32, 'KILL 1').quit(60);
    const run = await pooled(tape, 2, { engine: { connections: ConnectionIds.create(3, 1) } });
    assert.deepEqual(run.book.story(2), ['answered', 'skipped kill', 'skipped pooled']);
    const said = run.transport.connections.flatMap(sent).filter((one) => one.startsWith('KILL'));
    assert.deepEqual(said, [`KILL ${run.transport.connections[0].connectionId}`]);
  });
});

describe('the end of a run', () => {
  test('stop: what is under way finishes, what waits is lost, kept connections are left in order', async () => {
    const tape = new Tape();
    tape.session(0).query(1, 'DO A').query(900, 'DO B').quit(1_000);
    tape.session(5).query(6, 'DO C').quit(1_000);
    const run = await pooled(tape, 1, { at: [[100, ({ engine }) => engine.stop()]] });
    assert.deepEqual(run.summary.sessions.lost_by, { interrupted: 2 });
    const [connection] = run.transport.connections;
    assert.deepEqual(sent(connection), ['DO A', 'resetConnection', ASKED, 'quit']);
    assert.deepEqual([connection.clientEnd, connection.over], ['fin', true]);
  });

  test('cut: kept connections are reset', async () => {
    const tape = oneByOne(2, 1_000);
    const run = await pooled(tape, 1, { at: [[100, ({ engine }) => engine.cut()]] });
    assert.equal(run.transport.connections[0].clientEnd, 'rst');
    assert.ok(run.elapsedMs < 200);
  });

  test('a target that does not close: cut after a minute', async () => {
    const run = await pooled(oneByOne(2), 1, { target: { users: USERS, keepsOpen: true } });
    assert.equal(run.transport.connections[0].clientEnd, 'rst');
    assert.ok(run.elapsedMs > 60_000 && run.elapsedMs < 63_000, String(run.elapsedMs));
    assert.equal(run.summary.verdict, 'valid');
  });
});

test('threads share the connections', () => {
  for (const [size, of, parts] of [
    [4, 4, [1, 1, 1, 1]],
    [7, 3, [3, 2, 2]],
    [5, 1, [5]],
  ] as const)
    assert.deepEqual(
      parts.map((_, index) => poolShare(size, { index, of })),
      parts,
    );
});

test('whatever sessions come: all end, each is counted once, and no more connections are open than may be', async () => {
  const session = fc.record({
    at: fc.integer({ min: 0, max: 60 }),
    lasts: fc.integer({ min: 1, max: 40 }),
    user: fc.constantFrom('app', 'other'),
    schema: fc.constantFrom(undefined, 'a', 'b'),
    flags: fc.constantFrom(0, CLIENT.foundRows),
    says: fc.constantFrom('SELECT 1', 'USE x', 'SET profiling = 1', 'DIE'),
    how: fc.constantFrom('quit', 'rst', 'fin'),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(session, { minLength: 1, maxLength: 12 }),
      fc.integer({ min: 1, max: 3 }),
      fc.constantFrom(1, Infinity),
      async (sessions, size, speed) => {
        const tape = new Tape();
        for (const { at, lasts, user, schema, flags, says, how } of [...sessions].sort(
          (a, b) => a.at - b.at,
        )) {
          const capabilities = flags | CLIENT.connectWithDb;
          const options = { user, capabilities, ...(schema === undefined ? {} : { schema }) };
          const one = tape.session(at, options).query(at + 1, says);
          if (how === 'quit') one.quit(at + 1 + lasts);
          else one.close(at + 1 + lasts, how as 'rst');
        }
        let most = 0;
        const connections: FakeConnection[] = [];
        const run = await pooled(tape, size, {
          speed,
          fineMs: 500,
          passwords: PASSWORDS,
          target: {
            users: PASSWORDS,
            meets: (connection) => {
              connections.push(connection);
              return 'greets';
            },
            reacts: ({ sql }, { user }) => {
              most = Math.max(most, connections.filter((one) => !one.over && one.user === user).length);
              return sql === 'DIE' ? 'reset' : undefined;
            },
          },
        });
        assert.ok(most <= size, `${most} connections of a user, of ${size}`);
        assert.ok(run.transport.connections.every(({ over }) => over));
      },
    ),
    { numRuns: 60 },
  );
});
