import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { COM } from '../../../src/mysql/command.ts';
import { CommandKinds } from '../../../src/replay/choice/command-kinds.ts';
import type { StatementKind } from '../../../src/sql/kind/statement-kind.ts';
import { id4, Tape, type TapeSession } from '../support/tape.ts';

const IN_TRANSACTION = { reply: { status: 1 } };
const ERR = { reply: { kind: 'err', errno: 1064 } } as const;
const LAST = 0xffffffff;

/** What is said of each command of a session in the order in which it and its answer come, and which of them commit. */
function told(act: (session: TapeSession) => void): { kinds: StatementKind[]; commits: number[] } {
  const tape = new Tape();
  const session = tape.session();
  act(session);
  const kinds = new CommandKinds();
  const of: StatementKind[] = [];
  const commits: number[] = [];
  for (const event of tape.events()) {
    if (event.type === 'command') of.push(kinds.of(session.meta, event.command));
    if (event.type === 'reply') {
      // Whoever asks has told of the reply before, or not.
      if (event.command.ordinal % 2 === 0) kinds.replied(session.meta, event.command);
      if (kinds.commits(session.meta, event.command)) commits.push(event.command.ordinal);
    }
  }
  return { kinds: of, commits };
}

const kindsOf = (act: (session: TapeSession) => void) => told(act).kinds;
const prepare = (session: TapeSession, at: number, sql: string, statementId: number) =>
  session.command(at, COM.stmtPrepare, [sql], { reply: { statementId } });

describe('the kind of a command', () => {
  test('COM_QUERY: its text, behind its attributes too', () => {
    const attribute = [1, 1, 0, 1, 0xfd, 0, 4, 'name', 6, 'DELETE'];
    const kinds = kindsOf((session) =>
      session
        .query(1, 'SELECT 1')
        .query(2, 'SET @a = 1')
        .query(3, 'SELECT 1; DELETE FROM t')
        .command(4, COM.query, [...attribute, 'SELECT 1']),
    );
    assert.deepEqual(kinds, ['read', 'session', 'write', 'read']);
  });

  test('COM_QUERY of several packets', () => {
    const text = Buffer.alloc(0xffffff + 40, ' ');
    text.write('SELECT 1');
    // The second packet's header stands within UPDATE.
    text.write('FOR UPDATE', 0xffffff - 1 - 5);
    assert.deepEqual(
      kindsOf((session) => session.command(1, COM.query, [text])),
      ['write'],
    );
  });

  test('others by what they are', () => {
    const session = [
      COM.quit,
      COM.initDb,
      COM.ping,
      COM.setOption,
      COM.changeUser,
      COM.resetConnection,
    ] as const;
    const write = [COM.createDb, COM.dropDb, COM.refresh, COM.processKill, COM.shutdown, COM.debug] as const;
    const read = [COM.fieldList, COM.statistics, COM.processInfo] as const;
    for (const [kind, coms] of Object.entries({ session, write, read })) {
      for (const com of coms)
        assert.deepEqual(
          kindsOf((one) => one.command(1, com, ['x'])),
          [kind],
          `${com}`,
        );
    }
  });

  test('a prepared statement has that of its text, whatever is done with it', () => {
    const act = (sql: string) => (session: TapeSession) => {
      prepare(session, 1, sql, 7).execute(10, 7);
      for (const [i, com] of [COM.stmtSendLongData, COM.stmtReset, COM.stmtFetch].entries())
        session.command(20 + i, com, [id4(7), 0, 0]);
      session.command(30, COM.stmtBulkExecute, [id4(7), 0, 0]).closeStatement(40, 7);
    };
    for (const [sql, kind] of [
      ['SELECT ?', 'read'],
      ['DELETE FROM t', 'write'],
      ['SET @a = ?', 'session'],
    ])
      assert.deepEqual(kindsOf(act(sql)), Array(7).fill(kind));
  });

  test('what was not seen being prepared, or is no more, is a write', () => {
    const kinds = kindsOf((session) => {
      session.execute(1, 3);
      prepare(session, 2, 'SELECT ?', 3).execute(4, 3).closeStatement(5, 3).execute(6, 3);
      prepare(session, 7, 'SELECT ?', 4).command(9, COM.resetConnection).execute(11, 4);
      prepare(session, 12, 'SELECT ?', 5).command(14, COM.changeUser, ['x']).execute(16, 5);
      prepare(session, 17, 'SELECT ?', 6).command(19, COM.resetConnection, [], ERR).execute(21, 6);
      session.command(22, COM.stmtPrepare, ['SELECT ?'], ERR).execute(24, 0);
    });
    const executed = [0, 2, 4, 7, 10, 13, 15].map((i) => kinds[i]);
    assert.deepEqual(executed, ['write', 'read', 'write', 'write', 'write', 'read', 'write']);
  });

  test('an id that is given again names the new statement', () => {
    const kinds = kindsOf((session) => {
      prepare(session, 1, 'SELECT ?', 3).closeStatement(3, 3);
      prepare(session, 4, 'DELETE FROM t', 3).execute(6, 3);
    });
    assert.deepEqual(kinds, ['read', 'read', 'write', 'write']);
  });

  test("MariaDB's id -1 is the statement prepared last, whose answer nobody waits for", () => {
    const kinds = kindsOf((session) => {
      prepare(session, 1, 'DELETE FROM t', 3);
      session.command(4, COM.stmtPrepare, ['SELECT ?'], { reply: { statementId: 4 }, replyMs: 9 });
      session.execute(5, LAST, { replyMs: 10 }).execute(20, 3).execute(21, 4);
    });
    assert.deepEqual(kinds, ['write', 'read', 'read', 'write', 'read']);
  });

  test('EXECUTE has that of the text of its PREPARE', () => {
    const kinds = kindsOf((session) =>
      session
        .query(1, 'EXECUTE p')
        .query(3, "PREPARE p FROM 'SELECT ''DELETE'' FROM t'")
        .query(5, 'EXECUTE `P` USING @a')
        .query(7, "/* x */ prepare q from 'delete from t'")
        .query(9, 'EXECUTE q')
        .query(11, "SELECT 1; PREPARE p FROM 'DELETE FROM t'")
        .query(13, 'EXECUTE p')
        .query(15, "PREPARE q FROM 'SET @a = 1'")
        .query(17, 'EXECUTE q')
        .query(19, 'SELECT 1; EXECUTE q')
        .query(21, 'PREPARE q FROM @text')
        .query(23, 'EXECUTE q'),
    );
    assert.deepEqual(kinds, [
      'write',
      'session',
      'read',
      'write',
      'write',
      'write',
      'write',
      'session',
      'session',
      'write',
      'write',
      'write',
    ]);
  });

  test('sessions know nothing of one another, nor of one that is over', () => {
    const tape = new Tape();
    const [one, other] = [tape.session(), tape.session()];
    prepare(one, 1, 'SELECT ?', 3).execute(3, 3).query(5, "PREPARE p FROM 'SELECT 1'").query(7, 'EXECUTE p');
    const kinds = new CommandKinds();
    const of = ({ meta }: TapeSession) =>
      one.commands.map((command) => {
        const kind = kinds.of(meta, command);
        kinds.replied(meta, command);
        return kind;
      });
    assert.deepEqual(of(one), ['read', 'read', 'session', 'read']);
    const [execute, executeText] = [one.commands[1], one.commands[3]];
    assert.deepEqual([kinds.of(other.meta, execute), kinds.of(other.meta, executeText)], ['write', 'write']);
    kinds.closed(one.meta);
    assert.deepEqual([kinds.of(one.meta, execute), kinds.of(one.meta, executeText)], ['write', 'write']);
  });

  test('asked again of the last command, it says the same', () => {
    const tape = new Tape();
    const session = prepare(tape.session(), 1, 'SELECT ?', 3).closeStatement(3, 3);
    const kinds = new CommandKinds();
    const [one, close] = session.commands;
    for (const command of [one, one]) assert.equal(kinds.of(session.meta, command), 'read');
    kinds.replied(session.meta, one);
    for (const command of [close, close]) assert.equal(kinds.of(session.meta, command), 'read');
  });

  test('strings end as the status flags of the answer before say', () => {
    const sql = "SELECT '\\'; DELETE FROM t; -- '";
    const kinds = kindsOf((session) =>
      session
        .query(1, sql, { reply: { status: 0x0202 } })
        .query(3, sql, { reply: { status: 2 } })
        .query(5, sql),
    );
    assert.deepEqual(kinds, ['read', 'write', 'read']);
  });
});

describe('what commits', () => {
  const cases: [string, (session: TapeSession) => void, number[]][] = [
    ['a write by itself', (s) => s.query(1, 'DELETE FROM t').query(3, 'SELECT 1'), [0]],
    ['no read, and no change of the session', (s) => s.query(1, 'SELECT 1').query(3, 'SET @a = 1'), []],
    [
      'COMMIT, of what was written',
      (s) =>
        s
          .query(1, 'BEGIN', IN_TRANSACTION)
          .query(3, 'DELETE FROM t', IN_TRANSACTION)
          .query(5, 'SELECT 1', IN_TRANSACTION)
          .query(7, 'COMMIT')
          .query(9, 'COMMIT'),
      [3],
    ],
    [
      'no COMMIT of what was read only',
      (s) => s.query(1, 'BEGIN', IN_TRANSACTION).query(3, 'SELECT 1', IN_TRANSACTION).query(5, 'COMMIT'),
      [],
    ],
    [
      'no ROLLBACK; and nothing is left behind it',
      (s) =>
        s
          .query(1, 'BEGIN', IN_TRANSACTION)
          .query(3, 'DELETE FROM t', IN_TRANSACTION)
          .query(5, 'ROLLBACK')
          .query(7, 'COMMIT'),
      [],
    ],
    [
      'not ROLLBACK TO, but the COMMIT behind it',
      (s) =>
        s
          .query(1, 'DELETE FROM t', IN_TRANSACTION)
          .query(3, 'ROLLBACK TO a', IN_TRANSACTION)
          .query(5, 'COMMIT'),
      [2],
    ],
    [
      'a statement of the schema, with what was before it',
      (s) => s.query(1, 'DELETE FROM t', IN_TRANSACTION).query(3, 'ALTER TABLE t ADD a INT'),
      [1],
    ],
    [
      'BEGIN in a transaction, and COMMIT AND CHAIN, after which the next goes on',
      (s) =>
        s
          .query(1, 'DELETE FROM t', IN_TRANSACTION)
          .query(3, 'BEGIN', IN_TRANSACTION)
          .query(5, 'DELETE FROM t', IN_TRANSACTION)
          .query(7, 'COMMIT AND CHAIN', IN_TRANSACTION)
          .query(9, 'COMMIT'),
      [1, 3],
    ],
    [
      'SET autocommit = 1',
      (s) => s.query(1, 'DELETE FROM t', IN_TRANSACTION).query(3, 'SET autocommit = 1'),
      [1],
    ],
    [
      'nothing that failed; but a COMMIT of what went before',
      (s) => s.query(1, 'DELETE FROM t', ERR).query(3, 'COMMIT', ERR).query(5, 'SELECT 1'),
      [],
    ],
    [
      'nothing that a deadlock rolled back',
      (s) =>
        s
          .query(1, 'DELETE FROM t', IN_TRANSACTION)
          .query(3, 'DELETE FROM t', { reply: { kind: 'err', errno: 1213 } })
          .query(5, 'COMMIT'),
      [],
    ],
    [
      'what an error left in the transaction',
      (s) =>
        s
          .query(1, 'DELETE FROM t', IN_TRANSACTION)
          .query(3, 'DELETE FROM t', { reply: { kind: 'err', errno: 1062 } })
          .query(5, 'COMMIT'),
      [2],
    ],
    ['a text with a whole transaction', (s) => s.query(1, 'BEGIN; DELETE FROM t; COMMIT'), [0]],
    ['not where it is rolled back', (s) => s.query(1, 'BEGIN; DELETE FROM t; ROLLBACK'), []],
    [
      'a text that commits one and begins another',
      (s) =>
        s
          .query(1, 'DELETE FROM t', IN_TRANSACTION)
          .query(3, 'COMMIT; BEGIN; DELETE FROM t', IN_TRANSACTION)
          .query(5, 'ROLLBACK'),
      [1],
    ],
    [
      'an execution, but neither its PREPARE nor its FETCH',
      (s) => {
        prepare(s, 1, 'DELETE FROM t', 3).execute(3, 3);
        s.command(5, COM.stmtFetch, [id4(3), 0, 0, 0, 0]).command(7, COM.stmtReset, [id4(3)]);
      },
      [1],
    ],
    [
      'COMMIT and ROLLBACK as prepared statements',
      (s) => {
        prepare(s, 1, 'COMMIT', 3);
        prepare(s, 3, 'ROLLBACK', 4);
        s.query(5, 'DELETE FROM t', IN_TRANSACTION).execute(7, 4);
        s.query(9, 'DELETE FROM t', IN_TRANSACTION).execute(11, 3);
        s.query(13, "PREPARE p FROM 'ROLLBACK'").query(15, 'DELETE FROM t', IN_TRANSACTION);
        s.query(17, 'EXECUTE p').query(19, 'COMMIT');
      },
      [5],
    ],
    [
      'not COM_RESET_CONNECTION, which rolls back',
      (s) => s.query(1, 'DELETE FROM t', IN_TRANSACTION).command(3, COM.resetConnection).query(5, 'COMMIT'),
      [],
    ],
    ['COM_DROP_DB', (s) => s.command(1, COM.dropDb, ['shop']).command(3, COM.ping), [0]],
    [
      'XA COMMIT, and nothing before it',
      (s) =>
        s
          .query(1, "XA START 'a'", IN_TRANSACTION)
          .query(3, 'DELETE FROM t', IN_TRANSACTION)
          .query(5, "XA END 'a'", IN_TRANSACTION)
          .query(7, "XA PREPARE 'a'")
          .query(9, "XA COMMIT 'a'")
          .query(11, "XA ROLLBACK 'b'"),
      [4],
    ],
  ];
  for (const [name, act, ordinals] of cases) test(name, () => assert.deepEqual(told(act).commits, ordinals));
});
