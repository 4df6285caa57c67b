import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { COM } from '../../../src/mysql/command.ts';
import { CommandKinds } from '../../../src/replay/choice/command-kinds.ts';
import { Selection, type SelectionChoices, selects } from '../../../src/replay/choice/selection.ts';
import { digestOf } from '../../sql/support/digests.ts';
import { id4, Tape, type TapeSession } from '../support/tape.ts';

/** `cause copies` of what is not sent by all, '' of what is, for each command. */
function verdicts(choices: SelectionChoices, act: (session: TapeSession) => void): string[] {
  const tape = new Tape();
  const session = tape.session();
  act(session);
  const selection = new Selection(choices, new CommandKinds());
  const found: string[] = [];
  for (const event of tape.events()) {
    if (event.type === 'reply') selection.replied(session.meta, event.command);
    if (event.type !== 'command') continue;
    const verdict = selection.select(session.meta, event.command);
    found.push(verdict === undefined ? '' : `${verdict.cause} ${verdict.copies}`);
  }
  return found;
}

const texts =
  (...statements: string[]) =>
  (session: TapeSession) => {
    for (const [i, sql] of statements.entries()) session.query(2 * i, sql);
  };

const hash = (sql: string) => digestOf(Buffer.from(sql), 0, sql.length);

/** All that is done with one prepared statement. */
const prepared = (sql: string) => (session: TapeSession) => {
  session.command(1, COM.stmtPrepare, [sql], { reply: { statementId: 7 } }).execute(3, 7);
  session
    .command(5, COM.stmtSendLongData, [id4(7), 0, 0, 'x'])
    .command(6, COM.stmtFetch, [id4(7), 1, 0, 0, 0]);
  session.command(8, COM.stmtReset, [id4(7)]).command(10, COM.stmtBulkExecute, [id4(7), 0, 0]);
  session.closeStatement(12, 7);
};

describe('which commands are sent', () => {
  const three = texts('SELECT 1', 'SET @a = 1', 'DELETE FROM t');

  test('none but writes are chosen by what they may change', () => {
    assert.deepEqual(verdicts({ readOnly: true }, three), ['', '', 'read-only all']);
    assert.deepEqual(verdicts({ writes: 'none' }, three), ['', '', 'writes all']);
    assert.deepEqual(verdicts({ writes: 'first' }, three), ['', '', 'writes not-first']);
    assert.deepEqual(verdicts({ writes: 'all' }, three), ['', '', '']);
    assert.deepEqual(verdicts({}, three), ['', '', '']);
    assert.deepEqual(verdicts({ readOnly: true, writes: 'first' }, three), ['', '', 'read-only all']);
  });

  test('by a regular expression on their texts', () => {
    const act = texts('SELECT * FROM Orders\nWHERE id = 1', 'SELECT 1', 'SELECT * FROM orders WHERE id = 2');
    assert.deepEqual(verdicts({ includeSql: ['from orders.where'] }, act), ['', 'filtered all', '']);
    assert.deepEqual(verdicts({ excludeSql: ['from orders.where'] }, act), [
      'filtered all',
      '',
      'filtered all',
    ]);
    assert.deepEqual(verdicts({ includeSql: ['1$', '2$'], excludeSql: ['^select 1'] }, act), [
      '',
      'filtered all',
      '',
    ]);
  });

  test('by a pattern beyond ASCII', () => {
    const act = texts('SELECT "café"', 'SELECT "cafe"');
    assert.deepEqual(verdicts({ includeSql: ['caf[é]'] }, act), ['', 'filtered all']);
  });

  test('by digest, or its beginning', () => {
    const act = texts('SELECT c FROM t WHERE id = 1', 'SELECT c FROM t WHERE id = 77', 'SELECT d FROM t');
    const one = hash('SELECT c FROM t WHERE id = 5');
    assert.deepEqual(verdicts({ includeDigest: [one] }, act), ['', '', 'filtered all']);
    assert.deepEqual(verdicts({ excludeDigest: [one.slice(0, 8).toUpperCase()] }, act), [
      'filtered all',
      'filtered all',
      '',
    ]);
    assert.deepEqual(verdicts({ includeDigest: [hash('SELECT 1')] }, act), Array(3).fill('filtered all'));
  });

  test('one of several statements in a text is enough', () => {
    const act = texts('SELECT 1; SELECT d FROM t');
    assert.deepEqual(verdicts({ includeDigest: [hash('SELECT d FROM t')] }, act), ['']);
    assert.deepEqual(verdicts({ excludeDigest: [hash('SELECT d FROM t')] }, act), ['filtered all']);
    const both = { includeDigest: [hash('SELECT 1')], excludeDigest: [hash('SELECT d FROM t')] };
    assert.deepEqual(verdicts(both, act), ['filtered all']);
  });

  test('each list must let a statement in', () => {
    const act = texts('SELECT 1', 'SELECT 2', 'SELECT c FROM t');
    const choices = { includeSql: ['2'], includeDigest: [hash('SELECT 1')] };
    assert.deepEqual(verdicts(choices, act), ['filtered all', '', 'filtered all']);
  });

  test('what changes the session is in all lists that include, and may be in one that excludes', () => {
    const act = texts('SET @a = 1', 'USE shop', 'BEGIN', 'DELETE FROM t');
    assert.deepEqual(verdicts({ includeSql: ['x'] }, act), ['', '', '', 'filtered all']);
    assert.deepEqual(verdicts({ includeDigest: ['00000000'] }, act), ['', '', '', 'filtered all']);
    assert.deepEqual(verdicts({ excludeSql: ['^set'] }, act), ['filtered all', '', '', '']);
    assert.deepEqual(verdicts({ excludeDigest: [hash('BEGIN')] }, act), ['', '', 'filtered all', '']);
  });

  test('a command without text is in all lists, but a write all the same', () => {
    const act = (session: TapeSession) => {
      session.command(1, COM.initDb, ['shop']).command(3, COM.ping).command(5, COM.dropDb, ['shop']).quit(7);
    };
    assert.deepEqual(verdicts({ includeSql: ['x'], readOnly: true }, act), ['', '', 'read-only all', '']);
  });

  test('what is filtered is told as such before anything else', () => {
    const act = texts('DELETE FROM t');
    assert.deepEqual(verdicts({ excludeSql: ['t'], writes: 'first' }, act), ['filtered all']);
  });

  test('a prepared statement as a whole', () => {
    assert.deepEqual(verdicts({ readOnly: true }, prepared('DELETE FROM t')), Array(7).fill('read-only all'));
    assert.deepEqual(
      verdicts({ writes: 'first' }, prepared('DELETE FROM t')),
      Array(7).fill('writes not-first'),
    );
    assert.deepEqual(verdicts({ readOnly: true }, prepared('SELECT ?')), Array(7).fill(''));
    assert.deepEqual(
      verdicts({ excludeSql: ['select'] }, prepared('SELECT ?')),
      Array(7).fill('filtered all'),
    );
    assert.deepEqual(verdicts({ includeSql: ['select'] }, prepared('SELECT ?')), Array(7).fill(''));
    assert.deepEqual(
      verdicts({ excludeDigest: [hash('SELECT 1')] }, prepared('SELECT ?')),
      Array(7).fill('filtered all'),
    );
  });

  test('a statement whose text nobody knows is in no list, and a write', () => {
    const act = (session: TapeSession) => void session.execute(1, 7);
    assert.deepEqual(verdicts({ includeSql: ['.'] }, act), ['filtered all']);
    assert.deepEqual(verdicts({ includeDigest: ['00000000'] }, act), ['filtered all']);
    assert.deepEqual(verdicts({ excludeSql: ['.'] }, act), ['']);
    assert.deepEqual(verdicts({ readOnly: true }, act), ['read-only all']);
  });

  test('an id given again is judged anew', () => {
    const act = (session: TapeSession) => {
      prepared('SELECT a')(session);
      session.command(20, COM.stmtPrepare, ['SELECT b'], { reply: { statementId: 7 } }).execute(22, 7);
    };
    assert.deepEqual(verdicts({ excludeSql: ['a'] }, act).slice(-2), ['', '']);
  });
});

test('what is no regular expression, and no digest, is named', () => {
  const usage = (message: RegExp) => ({ code: 'usage', message });
  const made = (choices: SelectionChoices) => () => new Selection(choices, new CommandKinds());
  assert.throws(made({ includeSql: ['ok', '(x'] }), usage(/^--include-sql \(x is no regular expression/));
  assert.throws(made({ excludeSql: ['(x'] }), usage(/^--exclude-sql \(x/));
  assert.throws(made({ includeDigest: ['1234567'] }), usage(/^--include-digest 1234567 is no digest: give/));
  assert.throws(made({ excludeDigest: ['x'.repeat(32)] }), usage(/^--exclude-digest xxx/));
});

test('whether anything is chosen', () => {
  for (const choices of [{}, { writes: 'all' }, { readOnly: false, includeSql: undefined }] as const)
    assert.equal(selects(choices), false);
  for (const choices of [{ readOnly: true }, { writes: 'first' }, { excludeDigest: ['00000000'] }] as const)
    assert.equal(selects(choices), true);
});
