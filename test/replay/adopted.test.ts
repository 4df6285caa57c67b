import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CLIENT } from '../../src/mysql/capabilities.ts';
import { COM } from '../../src/mysql/command.ts';
import type { Adoption } from '../../src/replay/accounts/adoption.ts';
import { SchemaRemap } from '../../src/replay/accounts/remap.ts';
import type { FakeTarget } from '../transport/fake.ts';
import { cutAll, dies, sent, USERS } from './support/killed.ts';
import { Tape } from './support/tape.ts';
import { replay, START_MS } from './support/world.ts';

const KNOWN: Adoption = {
  user: 'app',
  schema: 'shop',
  settings: ["SET SESSION `sql_mode` = 'ANSI'", 'SET @`a` = 5'],
  statements: [
    { id: 7, sql: 'SELECT ? FROM t' },
    { id: 9, sql: 'SELECT 9' },
  ],
};
const SET_UP = [...KNOWN.settings, 'prepare SELECT ? FROM t', 'prepare SELECT 9'];

const adopting = (adoption: Adoption | undefined = KNOWN) => ({ logins: { adopt: () => adoption } });

describe('a session joined late', () => {
  test('logs in as who it was, is given its settings, then its statements, then its commands', async () => {
    const tape = new Tape();
    tape.session(0, { late: true }).execute(1, 9).execute(2, 7).closeStatement(3, 9).query(4).quit(9);
    const run = await replay(tape, { ...adopting(), copies: 2 });
    for (const { hello } of run.transport.connections)
      assert.deepEqual([hello?.user, hello?.schema], ['app', 'shop']);
    assert.deepEqual(run.transport.connections.map(sent), [
      [...SET_UP, 'stmtExecute 1002', 'stmtExecute 1000', 'stmtClose 1002', 'SELECT 1', 'quit'],
      [...SET_UP, 'stmtExecute 1003', 'stmtExecute 1001', 'stmtClose 1003', 'SELECT 1', 'quit'],
    ]);
    assert.deepEqual(run.book.story(), Array(5).fill('answered'));
    assert.deepEqual(run.book.adoptions, [
      { session: 0, copy: 0, lost: [], commands: 4 },
      { session: 0, copy: 1, lost: [], commands: 4 },
    ]);
    const { adopted, opened, rebuild_commands, state_lost, reconnected } = run.summary.sessions;
    assert.deepEqual(
      { adopted, opened, rebuild_commands, state_lost, reconnected },
      { adopted: 2, opened: 2, rebuild_commands: 8, state_lost: {}, reconnected: 0 },
    );
    assert.equal(run.summary.verdict, 'valid');
  });

  test('is open when it is set up, and its commands are late by that', async () => {
    const tape = new Tape();
    tape.session(0, { late: true }).query(1).query(200).quit(300);
    const run = await replay(tape, { ...adopting(), target: { users: USERS, reacts: slow(10) } });
    assert.equal(run.book.openedAt.get('0/0'), START_MS + 40);
    assert.deepEqual(
      run.transport.connections[0].received.map(({ at }) => at - START_MS),
      [0, 10, 20, 30, 40, 200, 300],
    );
  });

  test('with nothing but a user is given nothing', async () => {
    const tape = new Tape();
    tape.session(0, { late: true }).query(1).quit(9);
    const user = { user: 'app', schema: undefined, settings: [], statements: [] };
    const run = await replay(tape, adopting(user));
    assert.deepEqual(run.transport.connections.map(sent), [['SELECT 1', 'quit']]);
    assert.equal(run.transport.connections[0].hello?.schema, undefined);
    assert.equal(run.summary.sessions.adopted, 1);
  });

  test('of which nothing is known is skipped, with its commands', async () => {
    const tape = new Tape();
    tape.session(0, { late: true }).query(1).execute(2, 7).quit(9);
    tape.session(5).query(6).quit(9);
    const run = await replay(tape, { logins: { adopt: () => undefined }, copies: 2 });
    const without = await replay(tape, { copies: 2 });
    for (const { summary } of [run, without]) {
      assert.deepEqual(summary.sessions.skipped, { 'joined-late': 2 });
      assert.deepEqual(summary.commands.skipped, { 'joined-late': 6 });
      assert.equal(summary.sessions.adopted, 0);
    }
  });

  test('of a user whose password is not known is skipped as that', async () => {
    const stranger = { ...KNOWN, user: 'stranger' };
    const late = () => {
      const tape = new Tape();
      tape.session(0, { late: true }).query(1).quit(9);
      return tape;
    };
    const run = await replay(late(), adopting(stranger));
    assert.deepEqual(run.summary.sessions.skipped, { 'unknown-user': 1 });
    assert.deepEqual(run.summary.commands.skipped, { 'unknown-user': 2 });
    // Unless it is somebody on the target whose password is.
    const adopt = () => stranger;
    for (const options of [
      { remapUser: new Map([['stranger', 'app']]) },
      { as: { user: 'app', password: 'secret' } },
    ]) {
      const other = await replay(late(), { logins: { adopt, ...options } });
      assert.equal(other.transport.connections[0].user, 'app');
      assert.equal(other.summary.sessions.adopted, 1);
    }
  });

  test('has the schemas of the target', async () => {
    const remapSchema = new SchemaRemap(new Map([['shop', 'left']]));
    const statements = [{ id: 7, sql: 'SELECT ? FROM shop.t' }];
    const tape = new Tape();
    tape.session(0, { late: true }).execute(1, 7).query(2, 'SELECT * FROM shop.t').quit(9);
    const run = await replay(tape, {
      logins: { adopt: () => ({ ...KNOWN, settings: [], statements }), remapSchema },
      engine: { remapSchema },
    });
    const [connection] = run.transport.connections;
    assert.equal(connection.hello?.schema, 'left');
    assert.deepEqual(sent(connection), [
      'prepare SELECT ? FROM `left`.t',
      'stmtExecute 1000',
      'SELECT * FROM `left`.t',
      'quit',
    ]);
  });
});

describe('what the target refuses of it', () => {
  const refuses =
    (...texts: string[]): NonNullable<FakeTarget['reacts']> =>
    ({ sql }) =>
      texts.some((text) => sql.includes(text)) ? { reply: { kind: 'err', errno: 1193 } } : undefined;

  for (const [text, lost] of [
    ['sql_mode', 'setting'],
    ['@`a`', 'user-variable'],
    ['SELECT 9', 'prepared-statement'],
  ]) {
    test(`${text} is missing as ${lost}`, async () => {
      const tape = new Tape();
      tape.session(0, { late: true }).execute(1, 7).query(2).quit(9);
      const run = await replay(tape, {
        ...adopting(),
        copies: 2,
        target: { users: USERS, reacts: refuses(text) },
      });
      assert.deepEqual(run.book.adoptions[1], { session: 0, copy: 1, lost: [lost], commands: 4 });
      assert.deepEqual(run.summary.sessions.state_lost, { [lost]: 2 });
      assert.deepEqual(run.book.story(), Array(3).fill('answered'));
    });
  }

  test('executions of a statement that could not be prepared are lost by that', async () => {
    const tape = new Tape();
    tape.session(0, { late: true }).execute(1, 9).execute(2, 7).closeStatement(3, 9).quit(9);
    const run = await replay(tape, { ...adopting(), target: { users: USERS, reacts: refuses('SELECT 9') } });
    assert.deepEqual(run.book.story(), ['lost unprepared', 'answered', 'lost unprepared', 'answered']);
  });

  test('executions without the types of their parameters get those that their values tell, or are skipped until there are types', async () => {
    const tape = new Tape();
    const session = tape.session(0, { late: true });
    const execution = (flag: number, types: number[], value: number) => [
      7,
      0,
      0,
      0,
      0,
      1,
      0,
      0,
      0,
      0,
      flag,
      ...types,
      value,
      0,
      0,
      0,
    ];
    // Zero of a LONG, or of a FLOAT; 5 of a LONG, since no FLOAT is so near to 0.
    session.command(1, COM.stmtExecute, execution(0, [], 0)).command(2, COM.stmtExecute, execution(0, [], 5));
    session
      .command(3, COM.stmtExecute, execution(0, [], 0))
      .command(4, COM.stmtExecute, execution(1, [4, 0], 0));
    session.command(5, COM.stmtExecute, execution(0, [], 5)).quit(9);
    const run = await replay(tape, adopting());
    assert.deepEqual(run.book.story(), ['skipped unknown-types', ...Array(5).fill('answered')]);
    const executes = run.transport.connections[0].received.filter(({ com }) => com === COM.stmtExecute);
    assert.deepEqual(
      executes.map(({ packet }) => [...packet.subarray(15)]),
      [
        [1, 3, 0, 5, 0, 0, 0],
        [0, 0, 0, 0, 0],
        [1, 4, 0, 0, 0, 0, 0],
        [0, 5, 0, 0, 0],
      ],
    );
  });

  test('executions of a statement that nobody knows are skipped by name', async () => {
    const tape = new Tape();
    // The target's own number of the first of these is 1000.
    tape.session(0, { late: true }).execute(1, 7).execute(2, 1000).execute(3, 8).quit(9);
    const run = await replay(tape, adopting());
    assert.deepEqual(sent(run.transport.connections[0]).slice(4), ['stmtExecute 1000', 'quit']);
    const skipped = 'skipped unknown-statement';
    assert.deepEqual(run.book.story(), ['answered', skipped, skipped, 'answered']);
  });
});

describe('its connection', () => {
  test('ends while it is set up: the next one is set up from the beginning', async () => {
    const tape = new Tape();
    tape.session(0).query(1).quit(2_000);
    tape.session(10, { late: true }).query(11).execute(300, 7).quit(400);
    let first = true;
    const reacts: FakeTarget['reacts'] = ({ sql }) => {
      if (sql !== 'SELECT 9' || !first) return undefined;
      first = false;
      return 'reset';
    };
    const run = await replay(tape, { ...adopting(), target: { users: USERS, reacts } });
    const [, cut, again] = run.transport.connections;
    assert.deepEqual(sent(cut), SET_UP);
    assert.deepEqual(sent(again), [...SET_UP, 'SELECT 1', 'stmtExecute 1001', 'quit']);
    assert.deepEqual(run.book.story(1), Array(3).fill('answered'));
    assert.deepEqual(run.book.adoptions, [{ session: 1, copy: 0, lost: [], commands: 8 }]);
    assert.deepEqual(run.book.reconnections, []);
  });

  test('ends later: the next one has that, and what the session set since', async () => {
    const tape = new Tape();
    const session = tape.session(0, { late: true }).query(1, 'SET @a = 6').prepare(2, 8).closeStatement(3, 9);
    session.query(4, 'USE other').query(200, 'DIE').execute(300, 7).execute(301, 8).quit(400);
    const run = await replay(tape, { ...adopting(), target: { users: USERS, reacts: dies() } });
    assert.deepEqual(sent(run.transport.connections[1]), [
      'use other',
      "SET SESSION `sql_mode` = 'ANSI'",
      'SET @a = 6',
      'use shop',
      'prepare SELECT ? FROM t',
      'prepare SELECT ?',
      'use other',
      'stmtExecute 1003',
      'stmtExecute 1004',
      'quit',
    ]);
    assert.equal(run.summary.sessions.adopted, 1);
    assert.equal(run.summary.sessions.reconnected, 1);
  });

  test('ends before it is of any use, and for good: all is lost', async () => {
    const tape = new Tape();
    tape.session(0).query(1).quit(2);
    tape.session(10, { late: true }).query(11).quit(400);
    const run = await replay(tape, {
      ...adopting(),
      target: {
        users: USERS,
        meets: ({ id }) => (id > 1 ? 'refused' : 'greets'),
        reacts: ({ sql }) => (sql.startsWith('SET') ? 'silent' : undefined),
      },
      at: [[20, cutAll]],
    });
    assert.deepEqual(run.book.story(1), Array(2).fill('lost connect'));
    assert.deepEqual([run.summary.sessions.adopted, run.summary.sessions.opened], [0, 1]);
    assert.equal(run.summary.commands.sent, 2);
  });
});

describe('what it had in force', () => {
  test('query attributes are taken off, where they seem to be', async () => {
    const tape = new Tape();
    const session = tape.session(0, { late: true, capabilities: CLIENT.queryAttributes });
    session.query(1, '\0\x01SELECT 1').query(2, 'SELECT 2');
    session.command(3, COM.stmtExecute, [7, 0, 0, 0, 8, 1, 0, 0, 0, 1, 0, 1, 3, 0, 0, 5, 0, 0, 0]);
    session.command(4, COM.stmtExecute, [7, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 0, 5, 0, 0, 0]).quit(9);
    const run = await replay(tape, adopting());
    const [connection] = run.transport.connections;
    assert.deepEqual(sent(connection).slice(4, 6), ['SELECT 1', 'SELECT 2']);
    const plain = [0xe8, 3, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 0, 5, 0, 0, 0];
    assert.deepEqual(
      connection.received
        .filter(({ com }) => com === COM.stmtExecute)
        .map(({ packet }) => [...packet.subarray(5)]),
      [plain, plain],
    );
    assert.deepEqual(run.book.story(), Array(5).fill('answered'));
  });

  test('the types of parameters are those that it sent, whatever stands in front of them', async () => {
    const tape = new Tape();
    const session = tape.session(0, { late: true, capabilities: CLIENT.queryAttributes });
    // One parameter, NULL: its bitmap is 1, as a flag would be.
    session.command(1, COM.stmtExecute, [7, 0, 0, 0, 8, 1, 0, 0, 0, 1, 1, 1, 3, 0, 0]);
    session.query(200, 'DIE');
    session.command(300, COM.stmtExecute, [7, 0, 0, 0, 8, 1, 0, 0, 0, 1, 0, 0, 5, 0, 0, 0]).quit(400);
    const run = await replay(tape, { ...adopting(), target: { users: USERS, reacts: dies() } });
    const [, again] = run.transport.connections;
    assert.deepEqual(
      again.received
        .filter(({ com }) => com === COM.stmtExecute)
        .map(({ packet }) => [...packet.subarray(9)]),
      [[0, 1, 0, 0, 0, 0, 1, 3, 0, 5, 0, 0, 0]],
    );
  });
});

/** A target that takes so long for each of our commands. */
function slow(afterMs: number): NonNullable<FakeTarget['reacts']> {
  return ({ com, sql }) =>
    com === COM.stmtPrepare || sql.startsWith('SET') ? { reply: { statementId: 1 }, afterMs } : undefined;
}
