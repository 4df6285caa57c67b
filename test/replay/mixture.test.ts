import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CLIENT, EXTENDED } from '../../src/mysql/capabilities.ts';
import { writeChangeUser } from '../../src/mysql/change-user.ts';
import { COM } from '../../src/mysql/command.ts';
import { ConnectionIds } from '../../src/replay/session/connection-ids.ts';
import type { FakeTarget } from '../transport/fake.ts';
import { cutAll, dies } from './support/killed.ts';
import { type Answered, id4, localFile, Tape, type TapeSession } from './support/tape.ts';
import { replay } from './support/world.ts';

const PASSWORDS = { app: 'secret', other: 'hidden' };
const LOAD = 'LOAD DATA LOCAL INFILE "x" INTO TABLE t';
const INSERT = 'INSERT INTO t VALUES (NOW())';
const INT = [3, 0];

/** What a session does at one moment. */
type Act = (session: TapeSession, atMs: number, answered: Answered) => void;

const ACTS: Record<string, Act> = {
  query: (session, at, answered) => session.query(at, 'SELECT 1', { answered }),
  set: (session, at) => session.query(at, 'SET @a = 1'),
  insert: (session, at, answered) => session.query(at, INSERT, { answered, reply: { insertId: 4 } }),
  load: (session, at, answered) => {
    const file = localFile([Buffer.from('1,a\n')]);
    session.query(at, LOAD, { answered, file, reply: { kind: 'infile' } });
  },
  loadLost: (session, at, answered) => session.query(at, LOAD, { answered, reply: { kind: 'infile' } }),
  loadAlone: (session, at, answered) => session.query(at, LOAD, { answered }),
  change: (session, at, answered) => session.command(at, COM.changeUser, to('other'), { answered }),
  changeRefused: (session, at, answered) =>
    session.command(at, COM.changeUser, to('other'), { answered, reply: { kind: 'err', errno: 1045 } }),
  changeUnknown: (session, at, answered) => session.command(at, COM.changeUser, to('stranger'), { answered }),
  prepare: (session, at, answered) => session.prepare(at, 7, { answered }),
  execute: (session, at, answered) =>
    session.command(at, COM.stmtExecute, [id4(7), 0, 1, 0, 0, 0, 0, 1, ...INT, id4(1)], { answered }),
  executeAgain: (session, at) => session.command(at, COM.stmtExecute, [id4(7), 0, 1, 0, 0, 0, 0, 0, id4(2)]),
  bulk: (session, at) =>
    session.command(at, COM.stmtBulkExecute, [id4(7), 0x80, 0, ...INT, 0, id4(1), 0, id4(2)]),
  bulkAgain: (session, at) => session.command(at, COM.stmtBulkExecute, [id4(7), 0, 0, 0, id4(3)]),
  longData: (session, at) => session.command(at, COM.stmtSendLongData, [id4(7), 0, 0, 'x']),
  close: (session, at) => session.closeStatement(at, 7),
  reset: (session, at) => session.command(at, COM.resetConnection),
  kill: (session, at) => session.query(at, 'KILL 1'),
  killQuery: (session, at) => session.command(at, COM.processKill, [id4(2)]),
  die: (session, at, answered) => session.query(at, 'DIE', { answered }),
};

function to(user: string): Uint8Array[] {
  const change = { user, authResponse: new Uint8Array(20).fill(7), schema: 'shop', charset: 33 };
  const capabilities = CLIENT.secureConnection | CLIENT.pluginAuth;
  return [writeChangeUser({ ...change, authPlugin: 'mysql_native_password' }, capabilities).subarray(5)];
}

const act = fc.record({
  name: fc.constantFrom(...Object.keys(ACTS)),
  answered: fc.constantFrom<Answered>('at once', 'later', 'never'),
  afterMs: fc.constantFrom(0, 1, 40, 300, 5_000),
});
const run = fc.record({
  sessions: fc.array(fc.record({ acts: fc.array(act, { maxLength: 8 }), kind: fc.nat(4) }), {
    minLength: 1,
    maxLength: 3,
  }),
  batch: fc.constantFrom(1, 1000),
  shares: fc.integer({ min: 1, max: 2 }),
  speed: fc.constantFrom(1, Number.POSITIVE_INFINITY),
  isPinned: fc.boolean(),
  asks: fc.boolean(),
  takesBulk: fc.boolean(),
  cutsAt: fc.array(fc.nat(8_000), { maxLength: 2 }),
  stopsAt: fc.option(fc.nat(8_000), { nil: undefined, freq: 6 }),
});

/** Kind 0 is refused, 1 joined late, others plain. */
function recorded(
  tape: Tape,
  kind: number,
  acts: readonly { name: string; answered: Answered; afterMs: number }[],
) {
  if (kind === 0) {
    tape.session(0, { refused: 1045 }).close(1, 'fin');
    return;
  }
  const session = tape.session(0, { late: kind === 1 });
  const { meta } = session;
  meta.capabilities &= ~CLIENT.mysql;
  meta.extendedCapabilities = EXTENDED.stmtBulkOperations;
  const { capabilities, extendedCapabilities } = meta;
  if (meta.login !== undefined) meta.login = { ...meta.login, capabilities, extendedCapabilities };
  let atMs = 1;
  for (const { name, answered, afterMs } of acts) {
    atMs += afterMs;
    ACTS[name](session, atMs, answered);
  }
  session.quit(atMs + 10);
}

test('whatever happens, each command and session has one fate, nothing is left open and the run ends', async () => {
  await fc.assert(
    fc.asyncProperty(run, async (given) => {
      const { sessions, batch, shares, speed, isPinned, asks, takesBulk, cutsAt, stopsAt } = given;
      const tape = new Tape();
      for (const { kind, acts } of sessions) recorded(tape, kind, acts);
      const target: FakeTarget = {
        users: PASSWORDS,
        extendedCapabilities: takesBulk ? EXTENDED.stmtBulkOperations : 0,
        asksAgain: () => asks,
        reacts: dies(({ sql }) =>
          sql === LOAD ? { reply: { kind: 'infile' }, asksFile: 1, afterMs: 3 } : undefined,
        ),
      };
      const statements = [{ id: 7, sql: 'SELECT ?' }];
      const adoption = { user: 'app', schema: undefined, settings: ['SET @b = 2'], statements };
      const { transport, elapsedMs } = await replay(tape, {
        copies: 2,
        batch,
        // One that is stopped alone has read less than the others.
        shares: stopsAt === undefined ? shares : 1,
        speed,
        target,
        passwords: PASSWORDS,
        logins: { adopt: () => adoption },
        engine: {
          connections: ConnectionIds.create(tape.sessions.length, 2),
          pinTime: isPinned ? { originSec: 1_700_000_000 } : undefined,
        },
        at: [
          ...cutsAt.map((ms): [number, typeof cutAll] => [ms, cutAll]),
          ...(stopsAt === undefined
            ? []
            : [[stopsAt, ({ engine }) => engine.stop()] as [number, typeof cutAll]]),
        ],
      });
      assert.ok(
        transport.connections.every(({ over }) => over),
        'a connection was left open',
      );
      assert.ok(elapsedMs < 100_000, `it took ${elapsedMs} ms`);
    }),
    { numRuns: 300 },
  );
});
