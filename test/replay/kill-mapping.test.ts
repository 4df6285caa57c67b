import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CLIENT } from '../../src/mysql/capabilities.ts';
import { COM } from '../../src/mysql/command.ts';
import { ConnectionIds } from '../../src/replay/session/connection-ids.ts';
import { processKillId } from '../../src/replay/session/kill.ts';
import { type FakeConnection, FIRST_CONNECTION } from '../transport/fake.ts';
import { dies, sent, USERS } from './support/killed.ts';
import { id4, Tape } from './support/tape.ts';
import { replay, START_MS } from './support/world.ts';

const FIRST = FIRST_CONNECTION;

/** What `replay` needs to know connections by their numbers. Recorded ones count from 1, as sessions do from 0. */
function known(tape: Tape, copies = 1) {
  return { copies, engine: { connections: ConnectionIds.create(tape.sessions.length, copies) } };
}

function kills({ received }: FakeConnection): string[] {
  return received
    .filter(({ com, sql }) => com === COM.processKill || /kill/i.test(sql))
    .map(({ sql, packet }) => (sql === '' ? `process ${processKillId(packet)}` : sql));
}

describe('a KILL of a session that runs', () => {
  for (const shares of [1, 2, 3]) {
    test(`names its connection, in the same copy${shares > 1 ? `, of ${shares} shares` : ''}`, async () => {
      const tape = new Tape();
      tape.session(0).query(1).query(500).quit(600);
      tape.session(10).query(11).query(500).quit(600);
      tape
        .session(20)
        .query(100, 'KILL 1')
        .query(101, 'kill query 2 /* 1 */')
        .command(102, COM.processKill, [id4(1)])
        .query(103, '/* 2 */ KILL HARD CONNECTION 2')
        .quit(600);
      const run = await replay(tape, { ...known(tape, 2), shares });
      assert.equal(run.transport.connections.length, 6);
      // Sessions open one after the other, with two connections each.
      const of = (session: number, copy: number) =>
        run.transport.connections
          .slice(2 * session, 2 * session + 2)
          .find(({ identity }) => identity.copy === copy) as FakeConnection;
      for (const copy of [0, 1]) {
        const [one, two] = [of(0, copy).connectionId, of(1, copy).connectionId];
        assert.deepEqual(kills(of(2, copy)), [
          `KILL ${one}`,
          `kill query ${two} /* 1 */`,
          `process ${one}`,
          `/* 2 */ KILL HARD CONNECTION ${two}`,
        ]);
      }
      assert.deepEqual(run.book.story(2, 1), Array(5).fill('answered'));
      assert.deepEqual(run.summary.commands.skipped, {});
    });
  }

  test('names the connection that it has now', async () => {
    const tape = new Tape();
    tape.session(0).query(1, 'DIE').query(500).quit(600);
    tape.session(10).query(50, 'KILL 1').query(400, 'KILL 1').quit(600);
    const run = await replay(tape, { ...known(tape), target: { users: USERS, reacts: dies() } });
    // The first while it has none.
    assert.deepEqual(run.book.story(1), ['skipped kill', 'answered', 'answered']);
    assert.deepEqual(kills(run.transport.connections[1]), [`KILL ${FIRST + 2}`]);
  });

  test('may be its own', async () => {
    const tape = new Tape();
    tape.session(0).query(1, 'SELECT 1').query(2, 'KILL QUERY 1').query(3, 'KILL 1').close(4, 'fin');
    const run = await replay(tape, known(tape, 2));
    assert.deepEqual(run.transport.connections.map(kills), [
      [`KILL QUERY ${FIRST}`, `KILL ${FIRST}`],
      [`KILL QUERY ${FIRST + 1}`, `KILL ${FIRST + 1}`],
    ]);
    assert.deepEqual(run.book.endsOf(), [undefined, undefined]);
  });

  test('ends it on the target as it ended in the recording', async () => {
    const tape = new Tape();
    tape.session(0).query(1).close(102, 'fin');
    tape.session(10).query(100, 'KILL 1').quit(600);
    const run = await replay(tape, {
      ...known(tape),
      at: [[101, ({ transport }) => transport.connections[0].cut('fin')]],
    });
    assert.deepEqual(
      run.book.ends.map(({ cause }) => cause),
      [undefined, undefined],
    );
    assert.equal(run.transport.connections.length, 2);
  });

  test('behind query attributes, and among several statements', async () => {
    const tape = new Tape();
    tape.session(0).query(1).quit(600);
    const capabilities = CLIENT.queryAttributes | CLIENT.multiStatements;
    tape.session(10, { capabilities }).query(50, '\0\x01SELECT 2; KILL 1').quit(600);
    const run = await replay(tape, known(tape));
    assert.deepEqual(kills(run.transport.connections[1]), [`SELECT 2; KILL ${FIRST}`]);
    assert.deepEqual(run.book.story(1), ['answered', 'answered']);
  });
});

describe('a KILL of a connection that is not open yet', () => {
  for (const shares of [1, 2])
    test(`waits for its login${shares > 1 ? ', in another thread too' : ''}`, async () => {
      const tape = new Tape();
      tape.session(0).query(1).query(30, 'KILL QUERY 2').query(31).quit(600);
      tape.session(20).query(21).query(500).quit(600);
      // As fast as recorded the second would have been let in by then.
      const run = await replay(tape, { ...known(tape), shares, target: { users: USERS, greetMs: 50 } });
      const [killer] = run.transport.connections;
      assert.deepEqual(kills(killer), [`KILL QUERY ${FIRST + 1}`]);
      const { at } = killer.received[1];
      assert.ok(at >= START_MS + 70 && at < START_MS + 80, `sent at ${at}`);
      assert.deepEqual(run.summary.commands.skipped, {});
      assert.equal(run.summary.lateness_ms.max, 0, 'that is not our lateness');
    });

  test('does not wait for one that began after it was recorded', async () => {
    const later = new Tape();
    later.session(0).query(100, 'KILL 2').quit(600);
    later.session(200).query(300).quit(600);
    const run = await replay(later, { ...known(later), speed: Number.POSITIVE_INFINITY });
    assert.deepEqual(run.book.story(0), ['skipped kill', 'answered']);
  });

  test('waits no longer than a connection may take', async () => {
    const tape = new Tape();
    tape.session(0).query(1).quit(600);
    tape.session(10).query(11, 'KILL QUERY 1').query(12, 'SELECT 2').quit(600);
    const run = await replay(tape, {
      ...known(tape),
      connectTimeoutMs: 3_000,
      target: { users: USERS, meets: ({ id }) => (id === 0 ? 'silent' : 'greets') },
    });
    assert.deepEqual(run.book.story(1), ['skipped kill', 'answered', 'answered']);
  });
});

describe('a KILL is skipped', () => {
  test('of a session that is over, not open yet, or not in the recording', async () => {
    const tape = new Tape();
    tape.session(0).query(1).quit(10);
    tape
      .session(10)
      .query(100, 'KILL 1')
      .query(101, 'KILL 3')
      .query(102, 'KILL 99')
      .query(103, 'KILL QUERY 0');
    tape.sessions[1]
      .command(104, COM.processKill, [id4(1)])
      .command(105, COM.processKill, [1])
      .quit(600);
    tape.session(300).query(301).quit(600);
    const run = await replay(tape, known(tape));
    assert.deepEqual(run.book.story(1), [...Array(6).fill('skipped kill'), 'answered']);
    assert.deepEqual(sent(run.transport.connections[1]), ['quit']);
  });

  test('of another copy', async () => {
    const tape = new Tape();
    tape.session(0).query(1).query(500).quit(600);
    tape.session(10).query(100, 'KILL 1').quit(600);
    const run = await replay(tape, {
      ...known(tape, 2),
      // Of the first session one copy has lost its connection for good.
      target: { users: USERS, meets: ({ id }) => (id === 1 ? 'desync' : 'greets') },
    });
    assert.deepEqual(run.transport.connections.slice(2).map(kills), [[`KILL ${FIRST}`], []]);
    assert.equal(run.summary.commands.skipped.kill, 1);
  });

  test('of a user, a query by its id, or what an expression says', async () => {
    const tape = new Tape();
    tape.session(0).query(1, 'KILL USER app').query(2, 'KILL QUERY ID 1').query(3, 'KILL CONNECTION_ID()');
    tape.sessions[0].query(4, 'KILL @a').query(5, "EXECUTE IMMEDIATE 'KILL 1'").quit(6);
    const run = await replay(tape, known(tape));
    assert.deepEqual(run.book.story(), [...Array(5).fill('skipped kill'), 'answered']);
  });

  test('that a prepared statement executes', async () => {
    const tape = new Tape();
    const prepare = { reply: { statementId: 7 } };
    tape
      .session(0)
      .command(1, COM.stmtPrepare, ['KILL ?'], prepare)
      .execute(2, 7)
      .closeStatement(3, 7)
      .quit(4);
    const run = await replay(tape, known(tape, 2));
    assert.deepEqual(run.summary.commands.skipped, { kill: 2 });
    assert.deepEqual(
      run.transport.connections.map((one) => sent(one)[1]),
      ['stmtClose 1000', 'stmtClose 1001'],
    );
  });

  test('where no connection is known by its number', async () => {
    const tape = new Tape();
    tape.session(0).query(1, 'KILL 1').quit(9);
    const run = await replay(tape);
    assert.deepEqual(run.book.story(), ['skipped kill', 'answered']);
  });
});
