import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CLIENT, EXTENDED } from '../../../src/mysql/capabilities.ts';
import { COM } from '../../../src/mysql/command.ts';
import { CAPABILITIES, type FakeConnection, type FakeTarget } from '../../transport/fake.ts';
import { dies, sent, USERS } from '../support/killed.ts';
import { id4, Tape, type TapeSession } from '../support/tape.ts';
import { replay } from '../support/world.ts';

const ATTRIBUTES = { capabilities: CLIENT.queryAttributes };
const WITH: FakeTarget = { users: USERS };
const WITHOUT: FakeTarget = { users: USERS, capabilities: (CAPABILITIES & ~CLIENT.queryAttributes) >>> 0 };

/** What stands before a text: one attribute, a string `k` of value `v`. */
const ONE_ATTRIBUTE = [1, 1, 0, 1, 0xfd, 0, 1, 'k', 1, 'v'];
/** COM_STMT_EXECUTE behind its statement id: a parameter, INT 5, and that attribute … */
const EXECUTE = [8, 1, 0, 0, 0, 2, 0, 1, 3, 0, 0, 0xfd, 0, 1, 'k', 5, 0, 0, 0, 1, 'v'];
/** … and without it. */
const PLAIN_EXECUTE = [0, 1, 0, 0, 0, 0, 1, 3, 0, 5, 0, 0, 0];

/** The commands `com` that a connection was sent, behind the command octet. */
const bodies = ({ received }: FakeConnection, com: number) =>
  received.filter((one) => one.com === com).map(({ packet }) => Buffer.from(packet.subarray(5)));

const octets = (...parts: (number | string)[]) =>
  Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.of(part))));

describe('a COM_QUERY with attributes', () => {
  const tape = () => {
    const made = new Tape();
    const session = made.session(0, ATTRIBUTES).query(1, '\0\x01SELECT 1');
    session.command(2, COM.query, [...ONE_ATTRIBUTE, 'SELECT 2']).quit(9);
    return made;
  };

  test('goes as it is to a target that has them', async () => {
    const run = await replay(tape(), { copies: 2, target: WITH });
    for (const connection of run.transport.connections)
      assert.deepEqual(bodies(connection, COM.query), [
        octets('\0\x01SELECT 1'),
        octets(...ONE_ATTRIBUTE, 'SELECT 2'),
      ]);
    assert.deepEqual(run.book.story(), Array(3).fill('answered'));
  });

  test('goes without them to one that does not', async () => {
    const run = await replay(tape(), { copies: 2, target: WITHOUT });
    for (const connection of run.transport.connections) {
      assert.equal((connection.hello?.capabilities ?? -1) & CLIENT.queryAttributes, 0);
      assert.deepEqual(bodies(connection, COM.query), [octets('SELECT 1'), octets('SELECT 2')]);
    }
    assert.deepEqual(run.book.story(), Array(3).fill('answered'));
    assert.equal(run.summary.verdict, 'valid');
  });

  test('recorded without them is never given any, whatever it looks like', async () => {
    for (const target of [WITH, WITHOUT]) {
      const made = new Tape();
      made
        .session()
        .query(1, 'SELECT 1')
        .command(2, COM.query, [...ONE_ATTRIBUTE, 'SELECT 2'])
        .quit(9);
      const run = await replay(made, { target });
      assert.deepEqual(bodies(run.transport.connections[0], COM.query), [
        octets('SELECT 1'),
        octets(...ONE_ATTRIBUTE, 'SELECT 2'),
      ]);
    }
  });

  for (const [name, target] of [
    ['with', WITH],
    ['without', WITHOUT],
  ] as const) {
    test(`that set something up does so again on a target ${name} them`, async () => {
      const made = new Tape();
      const session = made.session(0, { capabilities: CLIENT.queryAttributes | CLIENT.multiStatements });
      session.query(1, '\0\x01SET @a = 1').query(2, '\0\x01SELECT 1; SET @b = 2');
      session.command(3, COM.query, [...ONE_ATTRIBUTE, 'SET @c = 3']).query(4, '\0\x01USE shop');
      session.query(200, '\0\x01DIE').query(300, '\0\x01AFTER').quit(400);
      const run = await replay(made, { target: { ...target, reacts: dies() } });
      assert.deepEqual(sent(run.transport.connections[1]), [
        'use shop',
        'SET @a = 1',
        'SET @b = 2',
        'SET @c = 3',
        'AFTER',
        'quit',
      ]);
      assert.deepEqual(run.book.reconnections[0].lost, []);
    });
  }

  test('of a connection of another kind than the last', async () => {
    const made = new Tape();
    made.session(0, ATTRIBUTES).query(200, '\0\x01DIE').query(300, '\0\x01AFTER').quit(400);
    // What a proxy does with servers of two versions behind it.
    const target: FakeTarget = { ...WITH, reacts: dies() };
    const run = await replay(made, {
      target,
      at: [[150, () => Object.assign(target, { capabilities: WITHOUT.capabilities })]],
    });
    const [first, second] = run.transport.connections;
    assert.deepEqual(bodies(first, COM.query), [octets('\0\x01DIE')]);
    assert.deepEqual(bodies(second, COM.query), [octets('AFTER')]);
  });
});

describe('a COM_STMT_EXECUTE with attributes', () => {
  const tape = () => {
    const made = new Tape();
    const session = made.session(0, ATTRIBUTES).prepare(1, 7);
    session.command(2, COM.stmtExecute, [id4(7), ...EXECUTE]);
    // Without any, but with the count, and no types: those of the execution before.
    session.command(3, COM.stmtExecute, [id4(7), 8, 1, 0, 0, 0, 1, 0, 0, 6, 0, 0, 0]).quit(9);
    return made;
  };

  test('goes as it is to a target that has them, but for its id', async () => {
    const run = await replay(tape(), { copies: 2, target: WITH });
    assert.deepEqual(
      bodies(run.transport.connections[1], COM.stmtExecute).map((body) => body.subarray(4)),
      [octets(...EXECUTE), octets(8, 1, 0, 0, 0, 1, 0, 0, 6, 0, 0, 0)],
    );
  });

  test('goes without them to one that does not', async () => {
    const run = await replay(tape(), { copies: 2, target: WITHOUT });
    for (const [copy, connection] of run.transport.connections.entries()) {
      assert.deepEqual(bodies(connection, COM.stmtExecute), [
        octets(...id4(1000 + copy), ...PLAIN_EXECUTE),
        octets(...id4(1000 + copy), 0, 1, 0, 0, 0, 0, 0, 6, 0, 0, 0),
      ]);
    }
    assert.deepEqual(run.book.story(), Array(4).fill('answered'));
  });

  test('and a parameter that came as long data', async () => {
    const made = new Tape();
    const session = made.session(0, ATTRIBUTES).prepare(1, 7);
    session.command(2, COM.stmtSendLongData, [id4(7), 0, 0, 'blob']);
    const head = [8, 1, 0, 0, 0, 2, 0, 1, 0xfc, 0, 0, 0xfd, 0, 1, 'k'];
    session
      .command(3, COM.stmtExecute, [id4(7), ...head, 1, 'v'])
      .command(4, COM.stmtExecute, [id4(7), ...[...head, 1, 'x', 1, 'v']]);
    session.quit(9);
    const run = await replay(made, { target: WITHOUT });
    assert.deepEqual(
      bodies(run.transport.connections[0], COM.stmtExecute).map((body) => body.subarray(4)),
      [octets(0, 1, 0, 0, 0, 0, 1, 0xfc, 0), octets(0, 1, 0, 0, 0, 0, 1, 0xfc, 0, 1, 'x')],
    );
  });

  test('that is malformed is skipped as untranslatable, and the session goes on', async () => {
    const made = new Tape();
    const session = made.session(0, ATTRIBUTES).prepare(1, 7);
    session
      .command(2, COM.stmtExecute, [id4(7), 8, 1, 0, 0, 0, 2, 0, 1, 3])
      .query(3, '\0\x01SELECT 1')
      .quit(9);
    const run = await replay(made, { copies: 2, target: WITHOUT });
    assert.deepEqual(run.summary.commands.skipped, { untranslatable: 2 });
    assert.deepEqual(
      run.transport.connections.map((one) => sent(one).slice(1)),
      Array(2).fill(['SELECT 1', 'quit']),
    );
  });
});

/** A session with COM_STMT_BULK_EXECUTE in force, and a statement prepared under 7. */
function bulkSession(tape: Tape): TapeSession {
  const session = tape.session();
  const { meta } = session;
  meta.extendedCapabilities = EXTENDED.stmtBulkOperations;
  meta.capabilities &= ~CLIENT.mysql;
  const { capabilities, extendedCapabilities } = meta;
  meta.login = { ...meta.login!, capabilities, extendedCapabilities };
  return session.prepare(1, 7);
}

/** Behind the statement id: rows of 5, NULL and 6, an INT. */
const BULK = [0x80, 0, 3, 0, 0, 5, 0, 0, 0, 1, 0, 6, 0, 0, 0];
const ROWS = [PLAIN_EXECUTE, [0, 1, 0, 0, 0, 1, 1, 3, 0], [0, 1, 0, 0, 0, 0, 1, 3, 0, 6, 0, 0, 0]];

describe('a COM_STMT_BULK_EXECUTE', () => {
  const tape = (rest = BULK) => {
    const made = new Tape();
    bulkSession(made).command(2, COM.stmtBulkExecute, [id4(7), ...rest], { reply: { affected: 3 } });
    made.sessions[0].query(300).quit(400);
    return made;
  };
  /** Each execution affects a row. */
  const affects =
    (nth = -1): NonNullable<FakeTarget['reacts']> =>
    ({ com }, { received }) => {
      if (com === COM.stmtBulkExecute) return { reply: { affected: 3 } };
      if (com !== COM.stmtExecute) return undefined;
      const isNth = received.filter((one) => one.com === com).length === nth;
      return { reply: isNth ? { kind: 'err', errno: 1062 } : { affected: 1 }, afterMs: 5 };
    };

  test('goes to a target that has it under the id there', async () => {
    const run = await replay(tape(), { copies: 2, target: { ...WITH, reacts: affects() } });
    for (const [copy, connection] of run.transport.connections.entries())
      assert.deepEqual(bodies(connection, COM.stmtBulkExecute), [octets(...id4(1000 + copy), ...BULK)]);
    assert.deepEqual(run.book.story(), Array(4).fill('answered'));
  });

  for (const [name, lacks] of [
    ['a MariaDB without it', { extendedCapabilities: 0 }],
    ['a MySQL', { capabilities: (CAPABILITIES | CLIENT.mysql) >>> 0, extendedCapabilities: 0 }],
  ] as const) {
    const target = { users: USERS, ...lacks };

    test(`goes to ${name} row by row, with one answer`, async () => {
      const run = await replay(tape(), { copies: 2, target: { ...target, reacts: affects() } });
      for (const [copy, connection] of run.transport.connections.entries()) {
        const id = id4(1000 + copy);
        assert.deepEqual(
          bodies(connection, COM.stmtExecute),
          ROWS.map((row) => octets(...id, ...row)),
        );
      }
      assert.deepEqual(run.book.story(), Array(4).fill('answered'));
      assert.equal(run.summary.commands.sent, 8);
      const [{ outcome }] = run.book.fates.filter(({ ordinal }) => ordinal === 1);
      assert.equal((outcome?.answered as number) - (outcome?.sent as number), 15);
    });

    test(`ends on ${name} with the first error`, async () => {
      const run = await replay(tape(), { target: { ...target, reacts: affects(2) } });
      assert.equal(bodies(run.transport.connections[0], COM.stmtExecute).length, 2);
      assert.deepEqual(run.book.story(), ['answered', 'answered error', 'answered', 'answered']);
    });

    test(`is skipped on ${name} where a row has what COM_STMT_EXECUTE cannot say`, async () => {
      const useDefault = 2;
      const run = await replay(tape([0x80, 0, 3, 0, useDefault]), { copies: 2, target });
      assert.deepEqual(run.summary.commands.skipped, { untranslatable: 2 });
      assert.deepEqual(
        run.transport.connections.map((one) => sent(one).slice(1)),
        Array(2).fill(['SELECT 1', 'quit']),
      );
    });
  }

  test('whose connection ends between its rows is lost, and nothing of it goes to the next', async () => {
    const target: FakeTarget = { users: USERS, extendedCapabilities: 0, reacts: affects() };
    const run = await replay(tape(), {
      target,
      at: [[10, ({ transport }) => transport.connections[0].cut('reset')]],
    });
    assert.deepEqual(run.book.story(), ['answered', 'lost reset', 'answered', 'answered']);
    assert.deepEqual(sent(run.transport.connections[1]), ['prepare SELECT ?', 'SELECT 1', 'quit']);
  });

  test('without types has those of the one before', async () => {
    const made = new Tape();
    const session = bulkSession(made).command(2, COM.stmtBulkExecute, [id4(7), ...BULK], {
      reply: { affected: 3 },
    });
    session
      .command(3, COM.stmtBulkExecute, [id4(7), 0, 0, 0, 9, 0, 0, 0], { reply: { affected: 1 } })
      .quit(9);
    const target: FakeTarget = { users: USERS, extendedCapabilities: 0, reacts: affects() };
    const run = await replay(made, { target });
    assert.deepEqual(run.book.story(), Array(4).fill('answered'));
    assert.deepEqual(
      bodies(run.transport.connections[0], COM.stmtExecute).at(-1),
      octets(...id4(1000), 0, 1, 0, 0, 0, 0, 1, 3, 0, 9, 0, 0, 0),
    );
  });
});

describe('a login with what the target lacks', () => {
  for (const [name, flag] of [
    ['CLIENT_FOUND_ROWS', CLIENT.foundRows],
    ['CLIENT_MULTI_STATEMENTS', CLIENT.multiStatements],
  ] as const) {
    test(`${name}: would mean something else, and is lost`, async () => {
      const made = new Tape();
      made.session(0, { capabilities: flag }).query(1).quit(9);
      const capabilities = (CAPABILITIES & ~flag) >>> 0;
      const run = await replay(made, { target: { users: USERS, capabilities } });
      assert.deepEqual(run.book.story(), Array(2).fill('lost auth'));
      assert.match(
        run.summary.reasons.join(),
        new RegExp(`recorded with ${name}, which the target does not offer`),
      );
    });
  }
});
