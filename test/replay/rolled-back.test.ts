/** Where the recorded server rolled back a transaction by itself, a replay by the order of commits does so, too. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { COM } from '../../src/mysql/command.ts';
import { STATUS } from '../../src/mysql/packet.ts';
import type { FakeTarget } from '../transport/fake.ts';
import { sent, USERS } from './support/killed.ts';
import { id4, Tape } from './support/tape.ts';
import { replay } from './support/world.ts';

const IN_TRANSACTION = { reply: { status: STATUS.inTransaction } };
const DEADLOCK = { reply: { kind: 'err', errno: 1213 } } as const;

/** A server that meets no deadlock; BEGIN begins a transaction, COMMIT and ROLLBACK end it. */
function target(reacts: FakeTarget['reacts'] = () => undefined): FakeTarget {
  const open = new WeakSet<object>();
  return {
    users: USERS,
    reacts: (one, connection) => {
      if (one.sql === 'BEGIN') open.add(connection);
      else if (/^(COMMIT|ROLLBACK)/.test(one.sql)) open.delete(connection);
      const status = open.has(connection) ? STATUS.inTransaction : 0;
      return reacts(one, connection) ?? (one.com === COM.query ? { reply: { status } } : undefined);
    },
  };
}

/** The client begins again, as clients do. */
function victim(errno = 1213): Tape {
  const tape = new Tape();
  const session = tape.session(0).query(1, 'BEGIN', IN_TRANSACTION).query(2, 'UPDATE a', IN_TRANSACTION);
  session.query(3, 'UPDATE b', { reply: { kind: 'err', errno } });
  session.query(10, 'BEGIN', IN_TRANSACTION).query(11, 'UPDATE b', IN_TRANSACTION);
  session.query(12, 'COMMIT').quit(20);
  return tape;
}

const AGAIN = ['BEGIN', 'UPDATE b', 'COMMIT', 'quit'];

describe('a transaction that the recorded server rolled back', () => {
  for (const [errno, name] of [
    [1213, 'for a deadlock'],
    [3101, 'at the word of its group'],
  ] as const) {
    test(`${name} is rolled back in the place of its last command, and what comes after is sent`, async () => {
      const run = await replay(victim(errno), { order: 'commit', copies: 2, target: target() });
      for (const connection of run.transport.connections)
        assert.deepEqual(sent(connection), ['BEGIN', 'UPDATE a', 'ROLLBACK', ...AGAIN]);
      assert.deepEqual(run.summary.commands.skipped, { 'rolled-back': 2 });
      const { divergence, commands } = run.summary;
      assert.deepEqual([divergence.error, divergence.none, commands.lost], [0, 12, {}]);
    });
  }

  test('after any other error goes on', async () => {
    const run = await replay(victim(1205), { order: 'commit', target: target() });
    const [connection] = run.transport.connections;
    assert.deepEqual(sent(connection), ['BEGIN', 'UPDATE a', 'UPDATE b', ...AGAIN]);
  });

  test('is sent as it was where times are the order', async () => {
    const run = await replay(victim(), { target: target() });
    assert.equal(run.summary.divergence.error, 1);
    assert.deepEqual(run.summary.commands.skipped, {});
  });

  test('of one statement by itself is not sent at all', async () => {
    const tape = new Tape();
    tape.session(0).query(1, 'UPDATE a', DEADLOCK).query(2, 'SELECT 1').quit(3);
    const run = await replay(tape, { order: 'commit', target: target() });
    assert.deepEqual(sent(run.transport.connections[0]), ['SELECT 1', 'quit']);
    assert.deepEqual(run.book.story(), ['skipped rolled-back', 'answered', 'answered']);
  });

  test('is lost with its connection', async () => {
    const run = await replay(victim(), {
      order: 'commit',
      target: target(({ sql }) => (sql === 'ROLLBACK' ? 'reset' : undefined)),
    });
    assert.equal(run.book.story()[2], 'lost reset');
  });

  test('by an execution: its long data does not join that of the next', async () => {
    const tape = new Tape();
    const session = tape.session(0).prepare(1, 7).query(2, 'BEGIN', IN_TRANSACTION);
    session.command(3, COM.stmtSendLongData, [id4(7), 0, 0, 'long']);
    session.execute(4, 7, DEADLOCK).query(5, 'BEGIN', IN_TRANSACTION);
    session.command(6, COM.stmtSendLongData, [id4(7), 0, 0, 'long']);
    session.execute(7, 7, IN_TRANSACTION).query(8, 'COMMIT').quit(9);
    const run = await replay(tape, { order: 'commit', target: target() });
    const words = sent(run.transport.connections[0]).map((one) => one.replace(/ .*/, ''));
    const execution = ['BEGIN', 'stmtSendLongData'];
    assert.deepEqual(words, [
      ...['prepare', ...execution, 'stmtReset', 'ROLLBACK'],
      ...[...execution, 'stmtExecute', 'COMMIT', 'quit'],
    ]);
    assert.deepEqual(run.summary.commands.skipped, { 'rolled-back': 1 });
  });

  test('is not waited for by the one that it made room for', async () => {
    const tape = victim();
    // It waited for a, had it by the deadlock, and committed before the error came.
    const winner = tape.session(0).query(1, 'BEGIN', IN_TRANSACTION).query(1.5, 'UPDATE b', IN_TRANSACTION);
    winner.query(2.5, 'UPDATE a', { ...IN_TRANSACTION, replyMs: 1 }).query(3.6, 'COMMIT', { replyMs: 0.2 });
    winner.quit(30);
    const run = await replay(tape, { order: 'commit', speed: Number.POSITIVE_INFINITY, target: target() });
    assert.equal(run.summary.order.released, 0);
    assert.ok(run.elapsedMs < 500, `${run.elapsedMs}`);
  });
});
