import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { FlowEvent } from '../../src/flow/events.ts';
import { COM, LocalFile } from '../../src/mysql/command.ts';
import { ConnectionIds } from '../../src/replay/session/connection-ids.ts';

import { effectsOf } from '../../src/sql/effects.ts';
import { killOf } from '../../src/sql/kill.ts';
import { CTL } from '../../src/wire/segment.ts';
import { decode } from '../flow/support/capture.ts';
import { Script, SERVER_PORT, scriptedSource } from '../flow/support/wire.ts';
import { greeting, hello } from '../mysql/support/conversation.ts';
import { command, err, ok, packets } from '../mysql/support/packets.ts';
import { sent, USERS } from './support/killed.ts';
import { Tape } from './support/tape.ts';
import { replay, START_MS } from './support/world.ts';

const INSERT = 'INSERT INTO t VALUES (NULL)';
const PINNED = { engine: { pinTime: { originSec: 1_700_000_000 } } };

/** MariaDB: the statement prepared last (manual, "COM_STMT_EXECUTE"). Its connectors send it behind COM_STMT_PREPARE. */
const LAST_PREPARED = 0xffffffff;

describe('--pin-time, and the recorded answer to an INSERT is missing from the capture', () => {
  // It is waited for until the next command, or the end, is read: in a mirror that is as long as the client is idle. `lost`, told
  // long before, says that it will not come.
  test('it is not waited for once the gap is told', async () => {
    const tape = new Tape();
    const session = tape.session().query(1, INSERT, { answered: 'never' }).lost(2, 'gap', 0);
    session.query(30_000).close(60_000, 'fin');
    // A capture that is being made.
    const run = await replay(tape, {
      ...PINNED,
      batch: 1,
      made: ([{ at }]) => (at > 20e9 ? new Promise((resolve) => setTimeout(resolve, 30_000)) : undefined),
    });
    const insert = run.transport.connections[0].received.find(({ sql }) => sql === INSERT);
    assert.ok(insert !== undefined);
    assert.ok(insert.at - START_MS < 2_000, `sent ${insert.at - START_MS} ms after the beginning`);
  });

  // Sound by now: a session that waits behind more commands than are read ahead would hang the run.
  test('a run with many commands behind it comes to its end', async () => {
    const tape = new Tape();
    const session = tape.session().query(1, INSERT, { answered: 'never' });
    for (let i = 0; i < 21_000; i++) session.query(2 + i / 100, 'SELECT 1');
    session.quit(1_000);
    await replay(tape, { ...PINNED, batch: 100, fineMs: 1_500 });
  });

  // An INSERT with its id in its text is told SET insert_id=5, and does not use it up; it stays for the next one that draws an id and
  // is not pinned itself: measured with MariaDB 10.11, where the row gets 5, or a duplicate key. insert_id=0 takes it back there.
  test('an id that was not used up is not left to what comes next', async () => {
    const tape = new Tape();
    const session = tape.session().query(1, 'INSERT INTO t VALUES (5)', { reply: { insertId: 5 } });
    session.query(2, 'CALL adds_to_another_table()').quit(10);
    const run = await replay(tape, PINNED);
    const [first, , second] = sent(run.transport.connections[0]);
    assert.match(first, /insert_id=5/);
    assert.match(second, /insert_id=(?:0|DEFAULT)/);
  });
});

// Outcomes are parked until the recorded answer is read. One that the capture does not hold is kept, with the slab of 64 KiB that its
// packet is in, until its session ends, and is missing from all figures till then: a pooled connection in a mirror ends never.
test('an outcome whose recorded answer was missed is told when a later answer is read', async () => {
  const tape = new Tape();
  const session = tape.session().query(1, 'SELECT 1', { answered: 'never' }).lost(2, 'gap', 0);
  session.query(10, 'SELECT 2', { answered: 'later' }).query(20_000).quit(30_000);
  let told: number[] = [];
  await replay(tape, {
    batch: 1,
    at: [[15_000, ({ book }) => (told = book.fates.map(({ ordinal }) => ordinal))]],
  });
  assert.deepEqual(told.toSorted(), [0, 1]);
});

// Read-ahead is bounded by the octets of commands, and a file of up to 256 MiB hangs on a command of 60 octets: at --speed max, or
// with a slow target, up to 20,000 files are read into memory.
test('files of LOAD DATA LOCAL INFILE count as what is read ahead', async () => {
  const FILE_OCTETS = 16 << 20;
  const tape = new Tape();
  const session = tape.session();
  for (let i = 0; i < 100; i++) {
    // As if: the octets themselves do not matter here.
    const file = Object.assign(new LocalFile(), { octets: FILE_OCTETS, whole: true });
    session.query(i + 1, 'LOAD', { reply: { kind: 'infile' }, file, answered: 'later', replyMs: 0.5 });
  }
  session.quit(200);
  let read = 0;
  let most = 0;
  await replay(tape, {
    batch: 2,
    speed: Number.POSITIVE_INFINITY,
    target: {
      users: USERS,
      reacts: ({ sql }) => (sql === 'LOAD' ? { reply: {}, afterMs: 1_000 } : undefined),
    },
    made: (events: FlowEvent[]) => {
      read += events.filter(({ type }) => type === 'reply').length * FILE_OCTETS;
    },
    at: [[900, () => (most = read)]],
  });
  assert.ok(most <= 512 << 20, `${most >> 20} MiB of files are in memory`);
});

// mysqladmin of MySQL 8 and all connectors of today send the statement, not COM_SHUTDOWN (WL#9014): the run would end its target.
for (const sql of ['SHUTDOWN', 'shutdown ', '/* bye */ SHUTDOWN', 'RESTART']) {
  test(`${sql} is not sent to the target`, async () => {
    const tape = new Tape();
    tape.session().query(1, sql).quit(9);
    const run = await replay(tape);
    assert.deepEqual(run.book.story(), ['skipped shutdown', 'answered']);
  });
}

describe('the statement prepared last (0xffffffff), as MariaDB connectors name it in their first execution', () => {
  const run = async (prepared: string, setup: Parameters<typeof replay>[1] = {}) => {
    const tape = new Tape();
    const session = tape.session().command(1, COM.stmtPrepare, [prepared], { reply: { statementId: 7 } });
    session.execute(2, LAST_PREPARED, { reply: { insertId: 41 } }).quit(9);
    tape.session(0).query(3).quit(20);
    return replay(tape, setup);
  };

  test('has its text, by which it is reported', async () => {
    const { book } = await run('SELECT 1');
    const execution = book.fates.find(({ session, ordinal }) => session === 0 && ordinal === 1);
    assert.equal(execution?.outcome?.text.com, COM.stmtPrepare);
  });

  test('is pinned by --pin-time as any other', async () => {
    const { transport } = await run(INSERT, PINNED);
    assert.ok(transport.connections.some((one) => sent(one).some((text) => /insert_id=41/.test(text))));
  });

  // The number of another server's connection: here it hits whoever has it on the target.
  test('is not a way around what is done about KILL', async () => {
    const { book } = await run('KILL 2');
    assert.equal(book.story()[1], 'skipped kill');
  });

  // Its COM_STMT_PREPARE was before the capture began, or is the command of the same segment that joining late drops. What the target
  // prepared last is the last of the snapshot: another statement, which is run with these parameters.
  test('is not taken for a statement of the snapshot, where the session was joined late', async () => {
    const tape = new Tape();
    tape.session(0, { late: true }).execute(1, LAST_PREPARED).quit(9);
    const statements = [{ id: 7, sql: 'DELETE FROM t WHERE a = ?' }];
    const adopt = () => ({ user: 'app', schema: 'shop', statements, settings: [] });
    const { book } = await replay(tape, { logins: { adopt } });
    assert.equal(book.story()[0], 'skipped unknown-statement');
  });

  // A MySQL knows no such id (error 1243): each statement's first execution would fail.
  test("goes out with the target's own id", async () => {
    const { transport } = await run('SELECT 1');
    const executed = transport.connections.flatMap(sent).filter((text) => text.startsWith('stmtExecute'));
    assert.deepEqual(executed, ['stmtExecute 1000']);
  });
});

// The server has closed (wait_timeout; a failed COM_CHANGE_USER), and a client that did not look sends its next command: it was never
// carried out, and the client repeats it on another connection, which is recorded, too. The replay carries out both. That the end is
// not told before the client closes costs a needless reconnection as well.
test('what a client sends behind the FIN of its server is no command', async () => {
  const script = new Script().handshake().server(greeting()).client(hello()).server(packets(2, ok()));
  script.client(command(COM.query, 'SELECT 1')).server(packets(1, ok()));
  // MySQL says why from 8.0.24 on.
  script.server(packets(0, err(4031))).serverSays(CTL.fin | CTL.ack);
  script.client(command(COM.query, 'INSERT INTO t VALUES (1)')).serverSays(CTL.rst);
  const { events } = await decode(scriptedSource(script.segments), [SERVER_PORT]);
  const texts = events.flatMap((event) =>
    event.type === 'command' ? [Buffer.from(event.command.packet.subarray(5)).toString()] : [],
  );
  assert.deepEqual(texts, ['SELECT 1']);
});

describe('KILL', () => {
  // PHP's mysqli::multi_query turns multiple statements on by COM_SET_OPTION, around the one query: the login does not tell.
  test('behind a semicolon, where COM_SET_OPTION has allowed that', async () => {
    const tape = new Tape();
    const session = tape.session().command(1, COM.setOption, [0, 0]).query(2, 'SELECT 1; KILL 2');
    session.quit(9);
    const run = await replay(tape, { engine: { connections: ConnectionIds.create(1, 1) } });
    assert.equal(run.book.story()[1], 'skipped kill');
  });

  // Of Amazon's RDS, where nobody may KILL: pt-kill --rds and people use these.
  for (const sql of ['CALL mysql.rds_kill(7)', 'call mysql.rds_kill_query(7)']) {
    test(`by way of ${sql}`, () => assert.notEqual(killOf(Buffer.from(sql), 0, false, 0), undefined));
  }
});

// A text is cut at each semicolon, also within the body of a routine: its SETs count as the session's own, and are sent when it
// connects again. (And a KILL in it makes the whole CREATE skipped.)
test('what stands in the body of a routine changes nothing in the session', () => {
  const sql = 'CREATE PROCEDURE p() BEGIN SELECT 1; SET NAMES latin1; END';
  assert.equal(effectsOf(Buffer.from(sql), 0, true, 0), undefined);
});
