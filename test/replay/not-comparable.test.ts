import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { COM } from '../../src/mysql/command.ts';
import type { Reply } from '../../src/mysql/reply.ts';
import type { FakeTarget } from '../transport/fake.ts';
import { USERS } from './support/killed.ts';
import { Tape } from './support/tape.ts';
import { replay } from './support/world.ts';

const ID = 'SELECT CONNECTION_ID()';
const ROW: Partial<Reply> = { kind: 'rows', rows: 1, columns: 1, hash: 1, hashUnordered: 1 };

/** Answers all by one row, but another than the recorded. */
const differs = (parts: Partial<Reply> = { hash: 2, hashUnordered: 2 }): FakeTarget => ({
  users: USERS,
  reacts: ({ com }) =>
    com === COM.query || com === COM.stmtExecute ? { reply: { ...ROW, ...parts } } : undefined,
});

describe('an answer that differs', () => {
  for (const answered of ['at once', 'later'] as const) {
    test(`cannot be compared where it names connections; known ${answered}`, async () => {
      const tape = new Tape();
      const row = { reply: ROW, answered };
      tape.session().query(1, ID, row).query(2, 'SELECT 1', row).query(3, 'SHOW PROCESSLIST', row).quit(9);
      const run = await replay(tape, { copies: 2, batch: 1, target: differs() });
      assert.deepEqual(run.book.story(), [
        'answered not-comparable',
        'answered data',
        'answered not-comparable',
        'answered',
      ]);
      const { data, 'not-comparable': not, none } = run.summary.divergence;
      assert.deepEqual({ data, not, none }, { data: 2, not: 4, none: 2 });
    });
  }

  test('in rows, too', async () => {
    const tape = new Tape();
    tape.session().query(1, 'SHOW PROCESSLIST', { reply: ROW }).query(2, 'SELECT 1', { reply: ROW }).quit(9);
    const run = await replay(tape, { target: differs({ rows: 3 }) });
    assert.deepEqual(run.book.story(), ['answered not-comparable', 'answered rows', 'answered']);
  });

  test('by an error is compared, whatever it asked for', async () => {
    const tape = new Tape();
    tape.session().query(1, ID, { reply: ROW }).quit(9);
    const run = await replay(tape, { target: differs({ kind: 'err', errno: 1064 }) });
    assert.deepEqual(run.book.story(), ['answered error', 'answered']);
  });

  test('of a prepared statement, by its text', async () => {
    const tape = new Tape();
    const session = tape
      .session()
      .command(1, COM.stmtPrepare, [ID], { reply: { statementId: 7 } })
      .prepare(2, 8);
    session.execute(3, 7, { reply: ROW }).execute(4, 8, { reply: ROW }).quit(9);
    const run = await replay(tape, { copies: 2, target: differs() });
    assert.deepEqual(run.book.story(), [
      'answered',
      'answered',
      'answered not-comparable',
      'answered data',
      'answered',
    ]);
  });

  test('not, is none, whatever it asked for', async () => {
    const tape = new Tape();
    tape.session().query(1, ID, { reply: ROW }).quit(9);
    const run = await replay(tape, { target: differs({}) });
    assert.deepEqual(run.book.story(), ['answered', 'answered']);
  });
});
