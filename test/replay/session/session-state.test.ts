import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { COM } from '../../../src/mysql/command.ts';
import { STATUS } from '../../../src/mysql/packet.ts';
import type { Reaction, Received } from '../../transport/fake.ts';
import { dies, rebuilt, sent, USERS } from '../support/killed.ts';
import { id4, Tape, type TapeSession } from '../support/tape.ts';
import { replay, START_MS } from '../support/world.ts';

const TRANSACTION = { reply: { status: STATUS.inTransaction } };

describe('what is set up again', () => {
  test('nothing, where nothing was set up', async () => {
    const { steps, lost } = await rebuilt((session) =>
      session.query(1, 'SELECT 1').query(2, 'UPDATE t SET a = 1'),
    );
    assert.deepEqual([steps, lost], [[], []]);
  });

  test('schema, then SETs in their order, each side once, then statements', async () => {
    const { steps, lost } = await rebuilt((session) => {
      session.query(1, 'SET NAMES latin1').command(2, COM.initDb, ['shop']).query(3, 'SET @a = 1, @b = 2');
      session.prepare(4, 7).query(5, "set session sql_mode = 'ANSI'").query(6, 'SET NAMES utf8mb4');
      session
        .query(7, 'use `other shop`')
        .query(8, 'SET @a = 3')
        .query(9, '/* app */ SET @@sql_mode = DEFAULT');
      session
        .command(10, COM.setOption, [0, 0])
        .query(11, 'SET GLOBAL x = 1')
        .query(12, "SET PASSWORD = 'x'");
      session
        .query(13, 'SET TRANSACTION READ ONLY')
        .query(14, 'SET STATEMENT max_statement_time=1 FOR SELECT 1');
    });
    assert.deepEqual(steps, [
      'setOption',
      'use other shop',
      'SET @a = 1, @b = 2',
      'SET NAMES utf8mb4',
      'SET @a = 3',
      '/* app */ SET @@sql_mode = DEFAULT',
      'use shop',
      'prepare SELECT ?',
      'use other shop',
    ]);
    assert.deepEqual(lost, []);
  });

  test('what a SET has read stays in front of it', async () => {
    const { steps } = await rebuilt((session) => {
      session
        .query(1, 'SET @a = 1')
        .query(2, 'SET @b = @a')
        .query(3, 'SET @a = 2')
        .query(4, 'SET @a = @a + 1');
      session.query(5, 'SET @b = 9');
    });
    assert.deepEqual(steps, ['SET @a = 1', 'SET @b = @a', 'SET @a = 2', 'SET @a = @a + 1', 'SET @b = 9']);
  });

  test('only what the target carried out', async () => {
    const fails = ({ sql }: Received): Reaction | undefined =>
      sql.includes('bad') ? { reply: { kind: 'err', errno: 1193 } } : undefined;
    const { steps } = await rebuilt((session) => {
      session.query(1, 'USE good').query(2, 'USE bad').query(3, 'SET bad = 1').query(4, 'SET good = 1');
    }, fails);
    assert.deepEqual(steps, ['use good', 'SET good = 1']);
  });

  test('statements that are open, under the ids that they get now', async () => {
    const tape = new Tape();
    const session = tape
      .session()
      .prepare(1, 7)
      .prepare(2, 8)
      .prepare(3, 9)
      .execute(4, 7)
      .closeStatement(5, 8);
    session
      .query(6)
      .query(20, 'DIE')
      .execute(30, 9)
      .execute(31, 7)
      .execute(32, 8, { reply: { kind: 'err', errno: 1243 } });
    session.closeStatement(33, 7).execute(34, 9).quit(40);
    const run = await replay(tape, { copies: 2, target: { users: USERS, reacts: dies() } });
    const again = run.transport.connections.slice(2).map(sent);
    assert.deepEqual(again[0].slice(0, 2), Array(2).fill('prepare SELECT ?'));
    for (const [i, first] of [1006, 1007].entries()) {
      const ids = again[i].filter((one) => one.startsWith('stmt')).map((one) => Number(one.split(' ')[1]));
      assert.ok(
        ids.every((id) => id === 0 || id >= first),
        `${ids}`,
      );
      const [nine, seven] = ids;
      assert.ok(nine !== seven);
      assert.deepEqual(ids, [nine, seven, 0, seven, nine]);
    }
    assert.deepEqual(run.book.story(), [
      ...Array(6).fill('answered'),
      'lost reset',
      ...Array(6).fill('answered'),
    ]);
  });

  test('what was under way when the connection ended, as the recorded session had it from there on', async () => {
    const tape = new Tape();
    tape
      .session()
      .query(1, 'A')
      .command(2, COM.stmtPrepare, ['DIE'], { reply: { statementId: 5 } })
      .execute(300, 5)
      .quit(400);
    tape.session().query(1, 'A').query(2, 'USE shop').query(300, 'AFTER').quit(400);
    tape
      .session()
      .query(1, 'A')
      .query(2, 'USE nowhere', { reply: { kind: 'err' } })
      .query(300, 'AFTER')
      .quit(400);
    const run = await replay(tape, {
      target: {
        users: USERS,
        reacts: ({ sql }, { id }) => (id < 3 && sql !== 'A' ? 'reset' : undefined),
      },
    });
    const again = run.transport.connections.slice(3).map(sent);
    again.sort((a, b) => a.length - b.length || (a[0] < b[0] ? -1 : 1));
    assert.deepEqual(again[0], ['AFTER', 'quit']);
    assert.equal(again[1][0], 'prepare DIE');
    assert.match(again[1][1], /^stmtExecute 100\d$/);
    assert.deepEqual(again[2], ['use shop', 'AFTER', 'quit']);
    assert.deepEqual(run.book.story(0), ['answered', 'lost reset', 'answered', 'answered']);
  });

  test('COM_RESET_CONNECTION leaves the schema and nothing else', async () => {
    const { steps, lost } = await rebuilt((session) => {
      session.query(1, 'USE shop').query(2, 'SET @a = 1').prepare(3, 7).query(4, 'LOCK TABLES t WRITE');
      session.command(5, COM.resetConnection);
    });
    assert.deepEqual([steps, lost], [['use shop'], []]);
  });

  test('one of several statements of a COM_QUERY alone', async () => {
    const tape = new Tape();
    const session = tape.session();
    session.meta.capabilities |= 0x1_0000;
    session.meta.login = { ...session.meta.login!, capabilities: session.meta.capabilities };
    session.query(1, "INSERT INTO t VALUES ('a;b'); SET @x = ';' ; SELECT 2").query(2, 'SELECT 1; USE shop;');
    session.query(200, 'DIE').query(300, 'AFTER').quit(400);
    const run = await replay(tape, { target: { users: USERS, reacts: dies() } });
    assert.deepEqual(sent(run.transport.connections[1]), ['use shop', "SET @x = ';'", 'AFTER', 'quit']);
  });

  test('a SET that was prepared and executed, where it has no parameters', async () => {
    const { steps, lost } = await rebuilt((session) => {
      session.command(1, COM.stmtPrepare, ['SET @a = 5'], { reply: { statementId: 3 } }).execute(2, 3);
      session.command(3, COM.stmtPrepare, ['SET @b = ?'], { reply: { statementId: 4 } }).execute(5, 4);
      session.closeStatement(6, 3).closeStatement(7, 4);
    });
    assert.deepEqual([steps, lost], [['SET @a = 5'], ['user-variable']]);
  });

  test('a connection that ends meanwhile is begun anew', async () => {
    const tape = new Tape();
    tape
      .session()
      .query(1, 'SET @a = 1')
      .query(2, 'SET @b = 1')
      .prepare(3, 7)
      .query(4, 'BEGIN')
      .query(200, 'DIE');
    tape.sessions[0].execute(300, 7).quit(400);
    let b = 0;
    const run = await replay(tape, {
      target: {
        users: USERS,
        reacts: dies(({ sql }) =>
          sql === 'SET @b = 1' && b++ === 1 ? 'fin' : sql === 'BEGIN' ? TRANSACTION : undefined,
        ),
      },
    });
    assert.deepEqual(run.transport.connections.map(sent).slice(1), [
      ['SET @a = 1', 'SET @b = 1'],
      ['SET @a = 1', 'SET @b = 1', 'prepare SELECT ?', 'stmtExecute 1001', 'quit'],
    ]);
    assert.deepEqual(run.book.reconnections, [{ session: 0, copy: 0, lost: ['transaction'], commands: 5 }]);
    assert.deepEqual(run.summary.sessions.state_lost, { transaction: 1 });
  });

  test('at most 64 SETs and 64 KiB of them', async () => {
    const many = await rebuilt((session) => {
      for (let i = 0; i < 70; i++) session.query(1 + i, `SET @v${i} = ${i}`);
    });
    assert.equal(many.steps.length, 64);
    assert.equal(many.steps[0], 'SET @v6 = 6');
    assert.deepEqual(many.lost, ['user-variable']);
    const long = await rebuilt((session) => {
      session.query(1, `SET sql_mode = '${'x'.repeat(70_000)}'`).query(2, 'SET @a = 1');
    });
    assert.deepEqual([long.steps, long.lost], [['SET @a = 1'], ['setting']]);
  });
});

describe('what cannot be set up again is counted by name', () => {
  const cases: [string, (session: TapeSession) => void, string[]][] = [
    [
      'CREATE TEMPORARY TABLE',
      (s) => s.query(1, 'create temporary table if not exists a.t (i int)'),
      ['temporary-table'],
    ],
    [
      '… dropped',
      (s) =>
        s.query(1, 'CREATE OR REPLACE TEMPORARY TABLE t SELECT 1').query(2, 'DROP TABLE IF EXISTS x, `t`'),
      [],
    ],
    ['a table like any other', (s) => s.query(1, 'CREATE TABLE temporary_t (i int)'), []],
    ['LOCK TABLES', (s) => s.query(1, 'LOCK TABLES t WRITE'), ['lock']],
    ['… unlocked', (s) => s.query(1, 'LOCK TABLES t WRITE').query(2, 'UNLOCK TABLES'), []],
    ['GET_LOCK', (s) => s.query(1, "SELECT GET_LOCK('a', 1)").query(2, "DO RELEASE_LOCK('b')"), ['lock']],
    ['… released', (s) => s.query(1, "do get_lock('a', 1)").query(2, "SELECT RELEASE_LOCK('a')"), []],
    ['… all', (s) => s.query(1, "SELECT GET_LOCK('a', 1)").query(2, 'SELECT RELEASE_ALL_LOCKS()'), []],
    ['SELECT … INTO @x', (s) => s.query(1, 'SELECT MAX(i), 2 FROM t INTO @x, @y'), ['user-variable']],
    ['@x :=', (s) => s.query(1, 'SELECT @row := @row + 1 FROM t'), ['user-variable']],
    ['CALL p(@x)', (s) => s.query(1, 'CALL p(1, @x)'), ['user-variable']],
    ['… SET since', (s) => s.query(1, 'SELECT 1 INTO @X').query(2, 'SET @x = 1'), []],
    ['a SET of what changes', (s) => s.query(1, 'SET @x = (SELECT MAX(i) FROM t)'), ['user-variable']],
    ['an address in a string', (s) => s.query(1, "SELECT 'joe@example.org' INTO OUTFILE 'x'"), []],
    ['PREPARE in SQL', (s) => s.query(1, "PREPARE s FROM 'SELECT 1'"), ['prepared-in-sql']],
    ['… and dropped', (s) => s.query(1, "PREPARE s FROM 'SELECT 1'").query(2, 'DEALLOCATE PREPARE S'), []],
    ['GLOBAL and SESSION at once', (s) => s.query(1, 'SET GLOBAL a = 1, SESSION b = 2'), ['setting']],
    ['autocommit off and a transaction', (s) => s.query(1, 'BEGIN'), ['transaction']],
    ['a transaction that is over', (s) => s.query(1, 'BEGIN').query(2, 'COMMIT'), []],
    ['one that a deadlock rolled back', (s) => s.query(1, 'BEGIN').query(2, 'DEADLOCK'), []],
    [
      'one that another error did not',
      (s) => s.query(1, 'BEGIN').query(2, 'DUPLICATE').prepare(3, 1),
      ['transaction'],
    ],
    ['a cursor', (s) => s.prepare(1, 7).execute(3, 7, { reply: { affected: 1 } }), ['cursor']],
    [
      'a cursor that the next execution did without',
      (s) =>
        s
          .prepare(1, 7)
          .execute(3, 7)
          .execute(4, 7, { reply: { affected: 1 } }),
      [],
    ],
    [
      'a cursor that was closed',
      (s) =>
        s
          .prepare(1, 7)
          .execute(3, 7)
          .command(4, COM.stmtReset, [id4(7)]),
      [],
    ],
  ];
  const serves = ({ at, com, sql }: Received): Reaction | undefined => {
    if (sql === 'BEGIN') return TRANSACTION;
    if (sql === 'DEADLOCK') return { reply: { kind: 'err', errno: 1213 } };
    if (sql === 'DUPLICATE') return { reply: { kind: 'err', errno: 1062 } };
    if (com === COM.stmtExecute && at < START_MS + 4) return { reply: { status: STATUS.cursorExists } };
    return undefined;
  };
  for (const [name, before, lost] of cases) {
    test(name, async () => {
      const { run, ...found } = await rebuilt(before, serves);
      assert.deepEqual(found.lost, lost);
      assert.deepEqual(Object.keys(run.summary.sessions.state_lost), lost);
      assert.equal(
        run.summary.reasons.some((reason) => reason.includes('not set up again')),
        lost.length > 0,
      );
    });
  }

  test('what the target refuses the second time; its executions are lost by name', async () => {
    const tape = new Tape();
    const session = tape.session().query(1, 'USE shop').query(2, 'SET x = 1').prepare(3, 7).query(200, 'DIE');
    session.execute(300, 7).query(301).quit(400);
    const run = await replay(tape, {
      target: {
        users: USERS,
        reacts: dies(({ com }) => {
          if (run2 === 0 || com === COM.quit) return undefined;
          return { reply: { kind: 'err', errno: 1146 } };
        }),
        meets: ({ id }) => {
          run2 = id;
          return 'greets';
        },
      },
    });
    assert.deepEqual(run.book.reconnections[0].lost, ['prepared-statement', 'schema', 'setting']);
    assert.deepEqual(run.book.story().slice(4), ['lost unprepared', 'answered error', 'answered']);
  });
  let run2 = 0;

  test('long data: the execution that needs it is lost with it, the next one is not', async () => {
    const tape = new Tape();
    const data = (atMs: number) =>
      tape.sessions[0].command(atMs, COM.stmtSendLongData, [id4(7), 0, 0, 'blob']);
    tape.session().prepare(1, 7);
    data(2);
    tape.sessions[0].query(200, 'DIE');
    data(210);
    tape.sessions[0].execute(300, 7);
    data(301);
    tape.sessions[0].execute(302, 7).quit(400);
    const run = await replay(tape, { target: { users: USERS, reacts: dies() } });
    const reset = 'lost reset';
    assert.deepEqual(run.book.story(), [
      'answered',
      reset,
      reset,
      reset,
      reset,
      'answered',
      'answered',
      'answered',
    ]);
    assert.deepEqual(sent(run.transport.connections[1]), [
      'prepare SELECT ?',
      'stmtSendLongData 1001',
      'stmtExecute 1001',
      'quit',
    ]);
  });
});
