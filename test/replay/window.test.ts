import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { COM } from '../../src/mysql/command.ts';
import { STATUS } from '../../src/mysql/packet.ts';
import { Tape } from './support/tape.ts';
import { type Run, replay, START_MS } from './support/world.ts';

const MS = 1e6;

/** What the target was sent on the nth connection: text, or the command's number, and when, ms since the start. */
function heard({ transport }: Run, connection: number): [string | number, number][] {
  return transport.connections[connection].received.map(({ com, sql, at }) => [sql || com, at - START_MS]);
}

describe('from a moment of the recording to another', () => {
  test('what was over before is skipped, what begins later is as ever', async () => {
    const tape = new Tape();
    tape.session(0).query(10).quit(50);
    tape.session(100).query(150, 'SELECT 2').quit(170);
    const run = await replay(tape, { engine: { window: { from: 90 * MS } } });
    assert.deepEqual(run.book.skippedSessions, [{ session: 0, cause: 'out-of-window' }]);
    assert.deepEqual(heard(run, 0), [
      ['SELECT 2', 60],
      [COM.quit, 80],
    ]);
    assert.equal(run.transport.connections[0].openedAt - START_MS, 10);
    assert.deepEqual(run.summary.commands.skipped, { 'out-of-window': 2 });
    assert.deepEqual(run.summary.sessions.skipped, { 'out-of-window': 1 });
  });

  test('a session that was open is set up as it was: schema, settings, statements', async () => {
    const tape = new Tape();
    tape
      .session(0)
      .query(10, 'SET NAMES latin1')
      .query(11, 'SET @a = 7')
      .query(12, 'SET @a = 8')
      .command(13, COM.initDb, ['shop'])
      .prepare(14, 31)
      .prepare(15, 32)
      .closeStatement(16, 32)
      .query(20, 'INSERT INTO t VALUES (1)')
      .execute(120, 31)
      .quit(130);
    const run = await replay(tape, {
      copies: 2,
      engine: { window: { from: 100 * MS } },
      target: {
        users: { app: 'secret' },
        reacts: ({ com }) => (com === COM.stmtPrepare ? { reply: { statementId: 5 } } : { reply: {} }),
      },
    });
    for (const connection of [0, 1]) {
      const texts = heard(run, connection).map(([what]) => what);
      assert.deepEqual(
        texts.filter((what) => what !== COM.initDb),
        ['SET NAMES latin1', 'SET @a = 8', 'SELECT ?', COM.stmtExecute, COM.quit],
      );
      assert.deepEqual(heard(run, connection).at(-2), [COM.stmtExecute, 20]);
    }
    assert.deepEqual(
      run.book.openAtFrom.map(({ lost }) => lost),
      [[], []],
    );
    assert.equal(run.summary.sessions.completed, 2);
    assert.deepEqual(run.summary.commands.skipped, { 'out-of-window': 16 });
    assert.equal(run.summary.commands.answered, 4);
  });

  test('what cannot be set up is said: a transaction, a temporary table', async () => {
    const tape = new Tape();
    tape
      .session(0)
      .query(10, 'CREATE TEMPORARY TABLE x (a INT)')
      .query(20, 'BEGIN', { reply: { status: STATUS.inTransaction } })
      .query(120, 'COMMIT')
      .quit(130);
    const run = await replay(tape, { engine: { window: { from: 100 * MS } } });
    assert.deepEqual(run.book.openAtFrom[0].lost, ['temporary-table', 'transaction']);
    assert.equal(run.summary.verdict, 'invalid');
  });

  test('an idle session that was open is a connection of the target, too', async () => {
    const tape = new Tape();
    tape.session(0).query(10).close(400, 'fin');
    tape.session(150).query(160).close(170, 'fin');
    const run = await replay(tape, { engine: { window: { from: 100 * MS } } });
    assert.equal(run.transport.connections.length, 2);
    assert.equal(run.summary.sessions.completed, 2);
  });

  test('the recording ends where it is told to', async () => {
    const tape = new Tape();
    tape.session(0).query(10, 'SELECT 1').query(200, 'SELECT 2').quit(210);
    tape.session(150).query(160).quit(170);
    const run = await replay(tape, { engine: { window: { to: 100 * MS } } });
    assert.deepEqual(heard(run, 0), [['SELECT 1', 10]]);
    assert.equal(run.transport.connections.length, 1);
    assert.equal(run.summary.captured.commands, 1);
    assert.equal(run.summary.sessions.completed, 1);
    assert.equal(run.elapsedMs >= 100 && run.elapsedMs < 110, true);
  });

  test('a session that became another user is not begun in the middle', async () => {
    const tape = new Tape();
    tape.session(0).query(10).command(20, COM.changeUser, ['other\0\0\0']).query(120).quit(130);
    tape.session(110).query(140).quit(150);
    const run = await replay(tape, { engine: { window: { from: 100 * MS } } });
    assert.deepEqual(run.book.skippedSessions, [{ session: 0, cause: 'out-of-window' }]);
    assert.equal(run.summary.sessions.completed, 1);
  });
});
