/** What is replayed of a session that the capture has gaps in: nothing but what was recorded. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Coverage } from '../../src/flow/events.ts';
import { COM } from '../../src/mysql/command.ts';
import { CommandKinds } from '../../src/replay/choice/command-kinds.ts';
import { Selection } from '../../src/replay/choice/selection.ts';
import { sent } from './support/killed.ts';
import { id4, Tape, type TapeSession } from './support/tape.ts';
import { replay, sum } from './support/world.ts';

const LAST = 0xffffffff;
const LONG = 3;
const BLOB = 0xfc;

/** A COM_STMT_EXECUTE of statement `id` with one parameter: its type, where it sends one, and its value's octets. */
function execute(
  session: TapeSession,
  atMs: number,
  id: number,
  type: number | undefined,
  value: number[],
): void {
  const types = type === undefined ? [0] : [1, type, 0];
  session.command(atMs, COM.stmtExecute, [id4(id), 0, ...id4(1), 0, ...types, ...value]);
}

function prepare(session: TapeSession, atMs: number, text: string, id?: number): void {
  const answer =
    id === undefined ? { answered: 'never' as const } : { reply: { statementId: id, params: 1 } };
  session.command(atMs, COM.stmtPrepare, [text], answer);
}

/** What the target got of the only session. */
async function replayed(make: (session: TapeSession) => void) {
  const tape = new Tape();
  const session = tape.session();
  make(session);
  session.quit(100);
  const run = await replay(tape, {
    target: {
      users: { app: 'secret' },
      reacts: ({ com }, connection) =>
        com === COM.stmtPrepare
          ? {
              reply: {
                statementId: 1000 + connection.received.filter((one) => one.com === com).length,
                params: 1,
              },
            }
          : { reply: {} },
    },
  });
  return { got: sent(run.transport.connections[0]), story: run.book.story(), run };
}

describe('a statement whose answer is unknown', () => {
  test('is executed by no id, nor closed, nor reset, nor fetched from', async () => {
    const { got, story, run } = await replayed((session) => {
      prepare(session, 1, 'DROP TABLE c');
      session.command(2, COM.stmtSendLongData, [id4(1), 0, 0, 'blob']);
      execute(session, 3, 1, LONG, [1, 0, 0, 0]);
      session.command(4, COM.stmtFetch, [id4(1), id4(10)]);
      session.command(5, COM.stmtReset, [id4(1)]).closeStatement(6, 1);
    });
    assert.deepEqual(got, ['prepare DROP TABLE c', 'quit']);
    assert.deepEqual(story, ['answered unknown', ...Array(5).fill('skipped unknown-statement'), 'answered']);
    assert.deepEqual(run.summary.commands.skipped, { 'unknown-statement': 5 });
  });

  test('leaves those that are known', async () => {
    const { got } = await replayed((session) => {
      prepare(session, 1, 'INSERT', 1);
      prepare(session, 2, 'DROP');
      execute(session, 3, 1, LONG, [1, 0, 0, 0]);
      execute(session, 4, 2, LONG, [1, 0, 0, 0]);
    });
    assert.deepEqual(got, ['prepare INSERT', 'prepare DROP', 'stmtExecute 1001', 'quit']);
  });

  test('is waited for while it is about to be told', async () => {
    const tape = new Tape();
    const session = tape.session();
    session.command(1, COM.stmtPrepare, ['A'], { reply: { statementId: 7 }, replyMs: 30, answered: 'later' });
    session.commands[0].onTrial = true;
    session
      .command(10, COM.stmtSendLongData, [id4(7), 0, 0, 'blob'])
      .execute(11, 7)
      .quit(100);
    const run = await replay(tape, { engine: { live: { now: () => 0 } } as never, batch: 1 });
    assert.deepEqual(sent(run.transport.connections[0]), [
      'prepare A',
      'stmtSendLongData 1000',
      'stmtExecute 1000',
      'quit',
    ]);
  });
});

describe('behind commands that are missing', () => {
  test('an id that nobody knows is not sent, though no answer was missed', async () => {
    const { got, story } = await replayed((session) => {
      session.query(1, 'A').lost(2, 'gap', 1);
      execute(session, 3, 1, LONG, [1, 0, 0, 0]);
    });
    assert.deepEqual(got, ['A', 'quit']);
    assert.equal(story[1], 'skipped unknown-statement');
  });

  test('the statement prepared last is none that was known before', async () => {
    const { got } = await replayed((session) => {
      prepare(session, 1, 'INSERT', 1);
      execute(session, 2, LAST, LONG, [1, 0, 0, 0]);
      session.lost(3, 'gap', 1);
      execute(session, 4, LAST, LONG, [1, 0, 0, 0]);
      execute(session, 5, 1, LONG, [1, 0, 0, 0]);
      prepare(session, 6, 'UPDATE');
      execute(session, 7, LAST, LONG, [1, 0, 0, 0]);
    });
    assert.deepEqual(got, [
      'prepare INSERT',
      'stmtExecute 1001',
      'stmtExecute 1001',
      'prepare UPDATE',
      'stmtExecute 1002',
      'quit',
    ]);
  });

  test('an id given anew voids those that were known', async () => {
    const { got } = await replayed((session) => {
      prepare(session, 1, 'A', 1);
      prepare(session, 2, 'B', 2);
      session.lost(3, 'gap', 2);
      prepare(session, 4, 'C', 1);
      execute(session, 5, 2, LONG, [1, 0, 0, 0]);
      execute(session, 6, 1, LONG, [1, 0, 0, 0]);
    });
    assert.deepEqual(got.slice(3), ['stmtExecute 1003', 'quit']);
  });

  test('types that were sent before go on, where the values are just theirs', async () => {
    const { got, story } = await replayed((session) => {
      prepare(session, 1, 'A', 1);
      execute(session, 2, 1, LONG, [1, 0, 0, 0]);
      session.lost(3, 'gap', 1);
      execute(session, 4, 1, undefined, [2, 0, 0, 0]);
      execute(session, 5, 1, undefined, [3, 65, 66, 67, 68]);
      execute(session, 6, 1, BLOB, [2, 65, 66]);
      execute(session, 7, 1, undefined, [3, 65, 66, 67]);
    });
    assert.equal(got.length, 6);
    assert.deepEqual(story.slice(2), [
      'answered',
      'skipped unknown-types',
      'answered',
      'answered',
      'answered',
    ]);
  });

  test('types that were sent in what is missing are not known until the values tell them', async () => {
    const { story } = await replayed((session) => {
      prepare(session, 1, 'A', 1);
      session.lost(3, 'gap', 1);
      // Zero of a LONG, or of a FLOAT.
      execute(session, 4, 1, undefined, [0, 0, 0, 0]);
      execute(session, 5, 1, undefined, [2, 0, 0, 0]);
      execute(session, 6, 1, undefined, [0, 0, 0, 0]);
    });
    assert.deepEqual(story.slice(1, 4), ['skipped unknown-types', 'answered', 'answered']);
  });

  test('an execution goes with all of its long data, or not at all', async () => {
    const data = (session: TapeSession, atMs: number) =>
      session.command(atMs, COM.stmtSendLongData, [id4(1), 0, 0, 'blob']);
    const cases: [string[], (session: TapeSession) => void][] = [
      // The first part is missing, the second one, both.
      [['skipped long-data'], (session) => data(session.lost(2, 'gap', 1), 3)],
      [['answered'], (session) => data(session, 2).lost(3, 'gap', 1)],
      [[], (session) => session.lost(3, 'gap', 1)],
    ];
    for (const [before, make] of cases) {
      const { got, story } = await replayed((session) => {
        prepare(session, 1, 'A', 1);
        make(session);
        execute(session, 4, 1, BLOB, []);
        data(session, 5);
        execute(session, 6, 1, undefined, []);
      });
      assert.deepEqual(story.slice(1), [...before, 'skipped long-data', 'answered', 'answered', 'answered']);
      assert.deepEqual(got.slice(-3), ['stmtSendLongData 1001', 'stmtExecute 1001', 'quit']);
    }
  });

  test('what a known statement was is not taken for what another is', () => {
    const kinds = new CommandKinds();
    const selection = new Selection({ readOnly: true }, kinds);
    const tape = new Tape();
    const session = tape.session();
    prepare(session, 1, 'SELECT ?', 1);
    session.execute(2, LAST).execute(3, LAST).query(4, "PREPARE s FROM 'SELECT 1'").query(5, 'EXECUTE s');
    const [select, before, behind, prepareText, executeText] = session.commands;
    const verdict = (command: typeof select) => selection.select(session.meta, command)?.cause;
    assert.deepEqual([select, before].map(verdict), [undefined, undefined]);
    selection.lost(session.meta);
    assert.equal(verdict(behind), 'read-only');
    assert.deepEqual([prepareText, executeText].map(verdict), [undefined, undefined]);
    selection.lost(session.meta);
    assert.equal(verdict({ ...executeText }), 'read-only');
  });
});

test('how much the capture holds of sessions is counted, whatever becomes of them', async () => {
  const tape = new Tape();
  const cover = (session: TapeSession, coverage: Coverage) => Object.assign(session.meta, { coverage });
  cover(tape.session(0).query(1).quit(9), 'whole');
  cover(tape.session(0).query(1).quit(9), 'gaps');
  cover(tape.session(0, { user: 'stranger' }).query(1).quit(9), 'gaps');
  tape.skipped(3, 'joined-late', 2);
  cover(tape.sessions[3], 'joined-late');
  const { summary } = await replay(tape, { copies: 2, shares: 2 });
  assert.deepEqual(summary.captured.coverage, { whole: 1, 'joined-late': 1, gaps: 2 });
  assert.equal(summary.captured.sessions, 4);
  const window = { from: 5e6, to: 7e6 };
  const part = await replay(tape, { engine: { window } });
  assert.equal(sum(part.summary.captured.coverage), part.summary.captured.sessions);
});
