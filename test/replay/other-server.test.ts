import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FixedMappings } from '../../src/replay/mappings.ts';
import { ConnectionIds } from '../../src/replay/session/connection-ids.ts';
import type { FakeConnection, FakeTarget } from '../transport/fake.ts';
import { USERS } from './support/killed.ts';
import { Tape } from './support/tape.ts';
import { type Run, replay, type Setup } from './support/world.ts';

const A = { server: '10.0.0.5' };
const B = { server: '10.0.0.6' };
const OTHER = { server: '10.0.0.5', serverPort: 3308 };

/** Servers A and B, each onto a target of its own. */
const TWO = new FixedMappings([
  { source: A.server, port: 3307, target: 0 },
  { source: B.server, port: 3307, target: 1 },
]);

function onto(tape: Tape, engine: Setup['engine'] = {}, setup: Setup = {}): Promise<Run> {
  return replay(tape, { ...setup, engine: { mappings: TWO, targets: 2, ...engine } });
}

/** The statements that each target got. */
function said({ transport }: Run, target: number): string[] {
  return connectionsOf(transport.connections, target).flatMap(({ received }) =>
    received.map(({ sql }) => sql).filter((sql) => sql !== ''),
  );
}

function connectionsOf(connections: readonly FakeConnection[], target: number): FakeConnection[] {
  return connections.filter(({ identity }) => identity.target === target);
}

describe('sessions of several servers', () => {
  test('each goes to the target of its own server, and those of others are skipped and counted', async () => {
    const tape = new Tape();
    tape.session(0, A).query(1, 'DO 1').quit(5);
    tape.session(1, B).query(2, 'DO 2').quit(6);
    tape.session(2, OTHER).query(3, 'DROP TABLE t').query(4, 'DROP TABLE u').quit(7);
    const run = await onto(tape, {}, { copies: 2 });
    assert.deepEqual(said(run, 0), ['DO 1', 'DO 1']);
    assert.deepEqual(said(run, 1), ['DO 2', 'DO 2']);
    assert.equal(run.transport.connections.length, 4);
    const { captured, sessions, commands, verdict } = run.summary;
    assert.deepEqual([captured.sessions, captured.commands], [3, 7]);
    assert.deepEqual([sessions.skipped, commands.skipped], [{ 'other-server': 2 }, { 'other-server': 6 }]);
    assert.equal(commands.answered, 8);
    assert.equal(verdict, 'valid');
  });

  test('whatever else would have a session skipped, another server comes first', async () => {
    const tape = new Tape();
    tape.session(0, A).query(1, 'DO 1').quit(5);
    tape.skipped(1, 'tls', 3, OTHER);
    tape.skipped(2, 'tls', 2, B);
    tape
      .session(3, { ...OTHER, user: 'nobody' })
      .query(4)
      .lost(5, 'gap', 4)
      .quit(6);
    tape
      .session(4, { ...OTHER, late: true })
      .query(5)
      .close(6, 'cut');
    const { summary } = await onto(tape);
    assert.deepEqual(summary.sessions.skipped, { 'other-server': 3, tls: 1 });
    assert.deepEqual(summary.commands.skipped, { 'other-server': 3 + 2 + 4 + 1, tls: 2 });
  });

  test('by shares, and from the middle of the recording: counted once', async () => {
    const tape = new Tape();
    for (let i = 0; i < 6; i++)
      tape
        .session(i, [A, B, OTHER][i % 3])
        .query(10 + i, `DO ${i}`)
        .query(110 + i, `DO 1${i}`)
        .quit(130);
    const shared = await onto(tape, {}, { shares: 3, copies: 2 });
    assert.deepEqual(shared.summary.sessions.skipped, { 'other-server': 4 });
    const windowed = await onto(tape, { window: { from: 100e6 } });
    assert.deepEqual(windowed.summary.sessions.skipped, { 'other-server': 2 });
    assert.deepEqual(said(windowed, 0).sort(), ['DO 10', 'DO 13']);
    assert.deepEqual(said(windowed, 1).sort(), ['DO 11', 'DO 14']);
  });

  test('a KILL means a connection of its own server, where two servers gave the same number', async () => {
    const tape = new Tape();
    tape
      .session(0, { ...A, connectionId: 7 })
      .query(1)
      .quit(500);
    tape
      .session(10, { ...B, connectionId: 7 })
      .query(11)
      .quit(500);
    tape
      .session(20, { ...A, connectionId: 8 })
      .query(100, 'KILL QUERY 7')
      .quit(500);
    tape
      .session(30, { ...B, connectionId: 9 })
      .query(100, 'KILL QUERY 7')
      .query(101, 'KILL QUERY 8')
      .quit(500);
    const connections = ConnectionIds.create(tape.sessions.length, 1);
    const run = await onto(tape, { connections });
    const [[a], [b]] = [0, 1].map((target) => connectionsOf(run.transport.connections, target));
    assert.deepEqual(said(run, 0).slice(1), [`KILL QUERY ${a.connectionId}`]);
    assert.deepEqual(said(run, 1).slice(1), [`KILL QUERY ${b.connectionId}`]);
    assert.deepEqual(run.summary.commands.skipped, { kill: 1 }, 'connection 8 is of the other server');
  });

  test('kept connections are of one target', async () => {
    const tape = new Tape();
    for (let i = 0; i < 6; i++)
      tape
        .session(20 * i, i % 2 === 0 ? A : B)
        .query(20 * i + 1, `DO ${i}`)
        .quit(20 * i + 10);
    const run = await onto(tape, { pool: 1 });
    assert.equal(run.transport.connections.length, 2);
    const own = (target: number) => said(run, target).filter((sql) => sql.startsWith('DO'));
    assert.deepEqual(own(0), ['DO 0', 'DO 2', 'DO 4']);
    assert.deepEqual(own(1), ['DO 1', 'DO 3', 'DO 5']);
  });

  test('--max-connections is for each target', async () => {
    const tape = new Tape();
    for (let i = 0; i < 6; i++)
      tape
        .session(i, i % 2 === 0 ? A : B)
        .query(i + 1)
        .quit(100 + i);
    const run = await onto(tape, { maxConnections: 1 });
    assert.equal(run.transport.mostOpen.get(0), 2, 'one each');
    assert.equal(run.summary.sessions.completed, 6);
  });

  test('a target without room, or that is not there, holds back nobody but its own sessions', async () => {
    const tape = new Tape();
    for (let i = 0; i < 40; i++)
      tape
        .session(i, i % 2 === 0 ? A : B)
        .query(i + 1)
        .quit(i + 20);
    const meets = (how: 1040 | 'refused'): FakeTarget => ({
      users: USERS,
      meets: ({ identity }) => (identity.target === 1 ? how : 'greets'),
    });
    const full = await onto(tape, {}, { target: meets(1040) });
    const openedAt = [...full.book.openedAt.values()];
    assert.equal(openedAt.length, 20);
    assert.ok(Math.max(...openedAt) - Math.min(...openedAt) < 60, 'sessions of the other target waited');
    assert.deepEqual(full.summary.sessions.lost_by, { 'too-many-connections': 20 });
    const gone = await onto(tape, {}, { target: meets('refused') });
    assert.equal(gone.summary.sessions.completed, 20);
    assert.deepEqual(gone.summary.sessions.lost_by, { connect: 20 });
    assert.equal(gone.book.troubles.length, 1);
    assert.equal(gone.book.troubles[0].target, 1);
    assert.equal(gone.book.troubles[0].wasReached, false, 'that the other one is there says nothing of it');
  });
});
