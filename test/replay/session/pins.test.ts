import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { CLIENT, EXTENDED } from '../../../src/mysql/capabilities.ts';
import { COM } from '../../../src/mysql/command.ts';
import { CAPABILITIES, type FakeTarget } from '../../transport/fake.ts';
import { dies, sent, USERS } from '../support/killed.ts';
import { id4, Tape } from '../support/tape.ts';
import { replay, START_MS } from '../support/world.ts';

const INSERT = 'INSERT INTO t VALUES (NOW())';
const PINNED = { engine: { pinTime: { originSec: 1_700_000_000 } } };

/** The SETs of ours among what a target was sent, with the seeds left out. */
const pinsAmong = (texts: string[]) =>
  texts.filter((text) => text.startsWith('SET timestamp')).map((text) => text.replace(/,rand_seed.*/, ''));

describe('a SET before the statement', () => {
  test('tells the recorded moment, insert id and seeds; what reads nothing of the kind has none', async () => {
    const tape = new Tape();
    const session = tape.session().query(1, 'SELECT 1').query(2, 'SELECT NOW()').query(3, 'COMMIT');
    session
      .query(2_500, INSERT, { reply: { insertId: 41 } })
      .query(2_501, 'UPDATE t SET a = 1')
      .quit(2_600);
    const run = await replay(tape, PINNED);
    const texts = sent(run.transport.connections[0]);
    assert.match(texts[4], /^SET timestamp=1700000002\.500000,insert_id=41,rand_seed1=\d+,rand_seed2=\d+$/);
    assert.match(texts[6], /^SET timestamp=1700000002\.501000,insert_id=0,rand_seed1=\d+,rand_seed2=\d+$/);
    texts[4] = texts[6] = '';
    assert.deepEqual(texts, [
      'SELECT 1',
      'SET timestamp=1700000000.002000',
      'SELECT NOW()',
      'COMMIT',
      '',
      INSERT,
      '',
      'UPDATE t SET a = 1',
      'quit',
    ]);
  });

  test('is the same in each copy and run, and another in each session', async () => {
    const tape = new Tape();
    for (let i = 0; i < 3; i++) tape.session(i).query(10, 'SELECT RAND()').quit(20);
    const texts = async () => {
      const { transport } = await replay(tape, { ...PINNED, copies: 2 });
      return transport.connections.map((connection) => sent(connection)[0]);
    };
    const found = await texts();
    assert.deepEqual(await texts(), found);
    assert.equal(new Set(found).size, 3);
    assert.equal(found[0], found[1]);
  });

  test('is not waited for, nor its answer taken for that of the statement', async () => {
    const tape = new Tape();
    tape
      .session()
      .query(1, INSERT, { reply: { affected: 3 } })
      .query(20, 'SELECT 1')
      .quit(30);
    const reacts: FakeTarget['reacts'] = ({ sql }) => {
      if (sql.startsWith('SET')) return { reply: { kind: 'err', errno: 1193 }, afterMs: 5 };
      return { reply: { affected: sql === INSERT ? 3 : 0 }, afterMs: 2 };
    };
    const run = await replay(tape, { ...PINNED, target: { users: USERS, reacts } });
    assert.deepEqual(run.book.story(), Array(3).fill('answered'));
    const [set, insert] = run.transport.connections[0].received;
    assert.deepEqual([set.at, insert.at], [START_MS + 1, START_MS + 1]);
    assert.equal(run.summary.commands.sent, 3);
    assert.deepEqual(run.summary.sessions.state_lost, { 'pinned-time': 1 });
    assert.deepEqual(run.summary.divergence, { ...run.summary.divergence, none: 3, error: 0 });
  });

  test('goes before each execution of a statement that needs it', async () => {
    const tape = new Tape();
    const prepare = { reply: { statementId: 7 } };
    const session = tape.session().command(1, COM.stmtPrepare, [INSERT], prepare).prepare(2, 8);
    session
      .execute(3, 7, { reply: { insertId: 5 } })
      .execute(4, 8)
      .execute(5, 7)
      .quit(9);
    const run = await replay(tape, PINNED);
    assert.deepEqual(pinsAmong(sent(run.transport.connections[0])), [
      'SET timestamp=1700000000.003000,insert_id=5',
      // What was not used up of the one before is taken back.
      'SET timestamp=1700000000.005000,insert_id=0',
    ]);
    assert.deepEqual(
      sent(run.transport.connections[0]).map((one) => one.replace(/ .*/, '')),
      ['prepare', 'prepare', 'SET', 'stmtExecute', 'stmtExecute', 'SET', 'stmtExecute', 'quit'],
    );
  });

  for (const takesBulk of [true, false])
    test(`tells ${takesBulk ? 'no id to a bulk execution' : 'the id to what stands for a bulk execution'}`, async () => {
      const tape = new Tape();
      const session = tape.session();
      const { meta } = session;
      meta.extendedCapabilities = EXTENDED.stmtBulkOperations;
      meta.capabilities &= ~CLIENT.mysql;
      const { capabilities, extendedCapabilities } = meta;
      meta.login = { ...meta.login!, capabilities, extendedCapabilities };
      // Rows of 5 and 6, an INT.
      const rows = [0x80, 0, 3, 0, 0, 5, 0, 0, 0, 0, 6, 0, 0, 0];
      session
        .command(1, COM.stmtPrepare, ['INSERT INTO t VALUES (?)'], { reply: { statementId: 7 } })
        .query(2, INSERT, { reply: { insertId: 5 } })
        .command(3, COM.stmtBulkExecute, [id4(7), ...rows], { reply: { insertId: 6, affected: 2 } })
        .quit(9);
      const target = { users: USERS, ...(takesBulk ? {} : { extendedCapabilities: 0 }) };
      const run = await replay(tape, { ...PINNED, target });
      assert.deepEqual(pinsAmong(sent(run.transport.connections[0])), [
        'SET timestamp=1700000000.002000,insert_id=5',
        `SET timestamp=1700000000.003000,insert_id=${takesBulk ? 0 : 6}`,
      ]);
    });

  test('does not go before what a session told the time itself', async () => {
    const tape = new Tape();
    const session = tape.session().query(1, INSERT).query(2, 'SET timestamp = 1000').query(3, INSERT);
    session.query(4, 'SELECT NOW()').query(200, 'DIE').query(300, INSERT).quit(400);
    const run = await replay(tape, { ...PINNED, target: { users: USERS, reacts: dies() } });
    const [first, second] = run.transport.connections.map(sent);
    assert.deepEqual(first.slice(1), [INSERT, 'SET timestamp = 1000', INSERT, 'SELECT NOW()', 'DIE']);
    assert.deepEqual(second, ['SET timestamp = 1000', INSERT, 'quit']);
  });

  for (const has of [true, false]) {
    test(`is understood by a target that ${has ? 'has' : 'lacks'} the query attributes of the recording`, async () => {
      const tape = new Tape();
      tape.session(0, { capabilities: CLIENT.queryAttributes }).query(1, `\0\x01${INSERT}`).quit(9);
      const capabilities = has ? CAPABILITIES : (CAPABILITIES & ~CLIENT.queryAttributes) >>> 0;
      const run = await replay(tape, { ...PINNED, target: { users: USERS, capabilities } });
      const texts = sent(run.transport.connections[0]);
      assert.deepEqual(pinsAmong(texts), ['SET timestamp=1700000000.001000']);
      assert.deepEqual(texts.slice(1), [INSERT, 'quit']);
    });
  }
});

describe('an insert id', () => {
  /** The capture's answers come to light this long after their commands, ms. */
  const late = (ms: number) => ({
    batch: 1,
    made: ([event]: { type: string }[]) =>
      event.type === 'reply' ? new Promise<void>((resolve) => setTimeout(resolve, ms)) : undefined,
  });

  test('is waited for until the recorded answer is known', async () => {
    const tape = new Tape();
    tape
      .session()
      .query(1, INSERT, { reply: { insertId: 8 }, answered: 'later' })
      .query(500)
      .quit(600);
    const run = await replay(tape, { ...PINNED, ...late(100), copies: 2 });
    for (const connection of run.transport.connections) {
      assert.deepEqual(pinsAmong(sent(connection)), ['SET timestamp=1700000000.001000,insert_id=8']);
      assert.equal(connection.received[1].at - START_MS, 100);
    }
    assert.deepEqual(run.book.story(), Array(3).fill('answered'));
  });

  test('is not waited for by what inserts nothing', async () => {
    const tape = new Tape();
    tape.session().query(1, 'UPDATE t SET a = 1', { answered: 'later' }).query(500).quit(600);
    const run = await replay(tape, { ...PINNED, ...late(100) });
    assert.equal(run.transport.connections[0].received[1].at - START_MS, 1);
  });

  test('that never comes is done without when the next command shows it', async () => {
    const tape = new Tape();
    tape.session().query(1, INSERT, { answered: 'never' }).query(100, 'SELECT 1').query(9_000).quit(9_100);
    const run = await replay(tape, { ...PINNED, batch: 1, fineMs: 10_000 });
    const at = run.transport.connections[0].received.map((one) => one.at - START_MS);
    assert.deepEqual(at, [1, 1, 100, 9_000, 9_100]);
    assert.deepEqual(run.book.story(), ['answered unknown', 'answered', 'answered', 'answered']);
  });

  test('that never comes is done without at the end of the recording', async () => {
    const tape = new Tape();
    tape.session().query(1, INSERT, { answered: 'never' }).close(50, 'cut');
    const run = await replay(tape, PINNED);
    assert.deepEqual(pinsAmong(sent(run.transport.connections[0])), ['SET timestamp=1700000000.001000']);
    assert.deepEqual(run.book.story(), ['answered unknown']);
  });
});

describe('a connection that ends', () => {
  for (const answered of ['SET', 'nothing']) {
    test(`when ${answered} was answered: the next one is not short of an answer`, async () => {
      const tape = new Tape();
      tape
        .session()
        .query(1, INSERT)
        .query(300, 'SELECT 2')
        .query(301, INSERT)
        .query(302, 'SELECT 3')
        .quit(400);
      const reacts: FakeTarget['reacts'] = ({ sql }, { id }) => {
        if (id > 0) return undefined;
        if (answered === 'SET') return sql === INSERT ? 'reset' : undefined;
        return sql === INSERT ? 'reset' : 'silent';
      };
      const run = await replay(tape, { ...PINNED, target: { users: USERS, reacts } });
      assert.deepEqual(run.book.story(), ['lost reset', ...Array(4).fill('answered')]);
      const [, again] = run.transport.connections;
      assert.deepEqual(
        sent(again).map((one) => one.replace(/timestamp.*/, '…')),
        ['SELECT 2', 'SET …', INSERT, 'SELECT 3', 'quit'],
      );
      assert.deepEqual(run.book.reconnections, [{ session: 0, copy: 0, lost: [], commands: 0 }]);
    });
  }
});

test('all is counted as without, in whatever order commands come and connections end', async () => {
  const step = fc.constantFrom(INSERT, 'SELECT NOW()', 'SELECT 1', 'BEGIN', 'DIE', 'execute');
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 8 }), async (steps) => {
      const made = () => {
        const tape = new Tape();
        const session = tape.session().command(1, COM.stmtPrepare, [INSERT], { reply: { statementId: 7 } });
        for (const [i, sql] of steps.entries()) {
          const atMs = 150 * (i + 1);
          if (sql === 'execute') session.execute(atMs, 7, { reply: { insertId: i } });
          else session.query(atMs, sql, { reply: { insertId: i } });
        }
        session.quit(150 * (steps.length + 1));
        return tape;
      };
      const target = { users: USERS, reacts: dies() };
      const pinned = await replay(made(), { ...PINNED, copies: 2, target });
      const plain = await replay(made(), { copies: 2, target });
      assert.deepEqual(pinned.summary, plain.summary);
      assert.deepEqual(pinned.book.story(), plain.book.story());
    }),
    { numRuns: 30 },
  );
});
