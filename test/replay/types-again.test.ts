import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CLIENT } from '../../src/mysql/capabilities.ts';
import { COM } from '../../src/mysql/command.ts';
import { CAPABILITIES, type FakeConnection } from '../transport/fake.ts';
import { cutAll, USERS } from './support/killed.ts';
import { id4, Tape, type TapeSession } from './support/tape.ts';
import { replay } from './support/world.ts';

const INT = [3, 0];
const SHORT = [2, 0];

/** COM_STMT_EXECUTE of statement `id` with one parameter, an int<4>; `types`: of it, undefined where they are not sent. */
function execute(session: TapeSession, atMs: number, id: number, value: number, types?: number[]): void {
  const bound = types === undefined ? [0] : [1, ...types];
  session.command(atMs, COM.stmtExecute, [id4(id), 0, 1, 0, 0, 0, 0, ...bound, id4(value)]);
}

/** Flag, types and value of each execution that a connection was sent, behind its NULL bitmap. */
function executions({ received }: FakeConnection): number[][] {
  return received.filter(({ com }) => com === COM.stmtExecute).map(({ packet }) => [...packet.subarray(15)]);
}

/** Loses every connection in the quiet from `atMs` on. */
const lostAt = (...atMs: number[]) => ({ at: atMs.map((ms): [number, typeof cutAll] => [ms, cutAll]) });

const SENT = [1, ...INT];

describe('the types of parameters', () => {
  test('go with the first execution on a new connection, and not with the next', async () => {
    const tape = new Tape();
    const session = tape.session().prepare(1, 7);
    execute(session, 2, 7, 1, INT);
    execute(session, 3, 7, 2);
    for (const [i, atMs] of [300, 301, 700, 701].entries()) execute(session, atMs, 7, 3 + i);
    session.quit(800);
    const run = await replay(tape, { copies: 2, ...lostAt(100, 500) });
    assert.deepEqual(run.transport.connections.map(executions), [
      [
        [...SENT, 1, 0, 0, 0],
        [0, 2, 0, 0, 0],
      ],
      [
        [...SENT, 1, 0, 0, 0],
        [0, 2, 0, 0, 0],
      ],
      [
        [...SENT, 3, 0, 0, 0],
        [0, 4, 0, 0, 0],
      ],
      [
        [...SENT, 3, 0, 0, 0],
        [0, 4, 0, 0, 0],
      ],
      [
        [...SENT, 5, 0, 0, 0],
        [0, 6, 0, 0, 0],
      ],
      [
        [...SENT, 5, 0, 0, 0],
        [0, 6, 0, 0, 0],
      ],
    ]);
    assert.equal(run.summary.commands.answered, 16);
  });

  test('are those that were sent last, of each statement its own', async () => {
    const tape = new Tape();
    const session = tape.session().prepare(1, 7).prepare(2, 8);
    execute(session, 3, 7, 1, INT);
    execute(session, 4, 8, 2, INT);
    execute(session, 5, 7, 3, SHORT);
    execute(session, 300, 8, 4);
    execute(session, 301, 7, 5);
    session.quit(400);
    const run = await replay(tape, lostAt(100));
    assert.deepEqual(executions(run.transport.connections[1]), [
      [1, ...INT, 4, 0, 0, 0],
      [1, ...SHORT, 5, 0, 0, 0],
    ]);
  });

  test('that an execution sends itself stay as they are', async () => {
    const tape = new Tape();
    const session = tape.session().prepare(1, 7);
    execute(session, 2, 7, 1, INT);
    execute(session, 300, 7, 2, SHORT);
    execute(session, 301, 7, 3);
    session.quit(400);
    const run = await replay(tape, lostAt(100));
    assert.deepEqual(executions(run.transport.connections[1]), [
      [1, ...SHORT, 2, 0, 0, 0],
      [0, 3, 0, 0, 0],
    ]);
  });

  test('that nobody knows are not made up', async () => {
    const tape = new Tape();
    const session = tape.session().prepare(1, 7);
    execute(session, 300, 7, 2);
    session.quit(400);
    const run = await replay(tape, lostAt(100));
    assert.deepEqual(executions(run.transport.connections[1]), [[0, 2, 0, 0, 0]]);
  });

  test('outlive COM_STMT_RESET, and go with a statement that is prepared anew', async () => {
    const tape = new Tape();
    const session = tape.session().prepare(1, 7);
    execute(session, 2, 7, 1, INT);
    session.command(3, COM.stmtReset, [id4(7)]);
    execute(session, 300, 7, 2);
    session.closeStatement(301, 7).prepare(302, 7);
    execute(session, 303, 7, 3);
    session.quit(400);
    const run = await replay(tape, lostAt(100));
    assert.deepEqual(executions(run.transport.connections[1]), [
      [1, ...INT, 2, 0, 0, 0],
      [0, 3, 0, 0, 0],
    ]);
  });

  for (const has of [true, false]) {
    test(`go with names to a target ${has ? 'with query attributes' : 'without them, where they have none'}`, async () => {
      const tape = new Tape();
      const session = tape.session(0, { capabilities: CLIENT.queryAttributes }).prepare(1, 7);
      session.command(2, COM.stmtExecute, [id4(7), 8, 1, 0, 0, 0, 1, 0, 1, ...INT, 0, id4(1)]);
      session.command(300, COM.stmtExecute, [id4(7), 8, 1, 0, 0, 0, 1, 0, 0, id4(2)]).quit(400);
      const capabilities = has ? CAPABILITIES : (CAPABILITIES & ~CLIENT.queryAttributes) >>> 0;
      const run = await replay(tape, { target: { users: USERS, capabilities }, ...lostAt(100) });
      const [, again] = run.transport.connections;
      const [{ packet }] = again.received.filter(({ com }) => com === COM.stmtExecute);
      assert.deepEqual(
        [...packet.subarray(9)],
        has ? [8, 1, 0, 0, 0, 1, 0, 1, ...INT, 0, 2, 0, 0, 0] : [0, 1, 0, 0, 0, 0, 1, ...INT, 2, 0, 0, 0],
      );
      // The length in front counts them.
      assert.equal(packet[0], packet.length - 4);
    });
  }
});
