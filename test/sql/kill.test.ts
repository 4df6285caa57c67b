import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { DIALECT } from '../../src/sql/dialect.ts';
import { killOf } from '../../src/sql/kill.ts';

const kill = (sql: string, multi = false, dialect = 0) =>
  killOf(Buffer.from(sql, 'latin1'), 0, multi, dialect);

describe('a connection, or its query', () => {
  const cases: [string, 'connection' | 'query', number][] = [
    ['KILL 17', 'connection', 17],
    ['kill 17;', 'connection', 17],
    ['KILL CONNECTION 17', 'connection', 17],
    ['KILL QUERY 17', 'query', 17],
    ['Kill Hard Connection 17', 'connection', 17],
    ['KILL SOFT QUERY 4294967295', 'query', 4_294_967_295],
    ['/* 1 */ KILL /* 2 */ QUERY -- 3\n17 # 4', 'query', 17],
    ['/*!50000 KILL 17 */', 'connection', 17],
    ['KILL /*!50000 QUERY */ 17', 'query', 17],
    ['  \tKILL\n17', 'connection', 17],
    ['/*!99999 KILL 17 */', 'connection', 17],
    ['SET STATEMENT max_statement_time = (1) FOR KILL 17', 'connection', 17],
  ];
  for (const [sql, what, id] of cases) {
    test(JSON.stringify(sql), () => {
      const from = sql.indexOf(String(id));
      assert.deepEqual(kill(sql), { what, id, from, to: from + String(id).length });
    });
  }
});

describe('other', () => {
  for (const sql of [
    'KILL',
    'KILL USER joe',
    'KILL HARD CONNECTION USER joe@localhost',
    'KILL QUERY ID 17',
    'KILL CONNECTION_ID()',
    'KILL @id',
    'KILL ?',
    'KILL 1 + 1',
    'KILL (17)',
    'KILL "17"',
    'KILL 17x',
    'KILL 12345678901',
    'KILL 17 18',
    'PREPARE x FROM "KILL 17"',
    "EXECUTE IMMEDIATE ' kill query 17'",
    "EXECUTE IMMEDIATE '/* x */ KILL 17'",
    "EXECUTE IMMEDIATE 'SELECT 1; KILL 17'",
    'CALL mysql.rds_kill(17)',
    'call `mysql` . `rds_kill_query`(17)',
    'BEGIN NOT ATOMIC KILL 17; END',
    'IF (SELECT 1) THEN KILL 17; END IF',
    // MySQL may take the first 5 digits for the version, and MariaDB takes 6.
    'KILL /*!50000117*/',
  ])
    test(sql, () => assert.deepEqual(kill(sql), { what: 'other' }));
});

describe('none', () => {
  for (const sql of [
    'SELECT 17',
    'SELECT "KILL 17"',
    'KILLER 17',
    'KI 17',
    '-- KILL 17',
    'PREPARE x FROM "SELECT 1"',
    'PREPARE x FROM @kill',
    'EXECUTE x',
    'EXPLAIN SELECT 1',
    'SELECT 1; KILL 17',
    'BEGIN',
    'BEGIN WORK',
    'CALL p("rds_kill(17)")',
    'SELECT kill.x FROM kill',
    'SET STATEMENT max_statement_time = 1 FOR SELECT 17',
    'CREATE PROCEDURE p() BEGIN IF x THEN KILL y; END IF; END',
    '/*!50000 SELECT */ 1',
    '',
  ])
    test(sql, () => assert.equal(kill(sql), undefined));
});

test('of several statements', () => {
  assert.deepEqual(kill('SELECT 1; KILL 17; SELECT 2', true), {
    what: 'connection',
    id: 17,
    from: 15,
    to: 17,
  });
  assert.deepEqual(kill('KILL 17; SELECT 1', true), { what: 'connection', id: 17, from: 5, to: 7 });
  assert.deepEqual(kill('KILL 17; KILL 18', true), { what: 'other' });
  assert.equal(kill('SELECT ";KILL 17"', true), undefined);
});

test('in a routine that is defined there are none that a server would see', () => {
  const routine = 'CREATE PROCEDURE p() BEGIN IF x THEN KILL y; END IF; END';
  assert.equal(kill(routine, true), undefined);
  assert.deepEqual(kill('BEGIN NOT ATOMIC SELECT 1; IF x THEN KILL 17; END IF; END', true), {
    what: 'other',
  });
});

test('where it is in doubt how a text is read, none is missed', () => {
  const { ansiQuotesInDoubt, noBackslashEscapesInDoubt } = DIALECT;
  const seen = { what: 'connection', id: 17, from: 17, to: 19 };
  const backslash = "SELECT '\\'; KILL 17 -- '";
  assert.equal(kill(backslash, true), undefined);
  assert.deepEqual(kill(backslash, true, noBackslashEscapesInDoubt), seen);
  const quotes = 'SELECT "\\"; KILL 17 -- "';
  assert.equal(kill(quotes, true), undefined);
  assert.deepEqual(kill(quotes, true, ansiQuotesInDoubt), seen);
  const either = "KILL 17; SELECT '\\'; KILL 18 -- '";
  assert.deepEqual(kill(either, true, noBackslashEscapesInDoubt), { what: 'other' });
});

test('whatever the text is, it is an answer, and the number that it names is there', () => {
  const pieces = [
    'KILL',
    ' ',
    '17',
    'QUERY',
    'USER',
    ';',
    '/*',
    '*/',
    '/*!',
    '--',
    '\n',
    "'",
    'PREPARE',
    '(',
    '\xff',
  ];
  const text = fc.array(fc.constantFrom(...pieces), { maxLength: 12 }).map((parts) => parts.join(''));
  fc.assert(
    fc.property(text, fc.boolean(), (sql, multi) => {
      const found = kill(sql, multi);
      if (found !== undefined && found.what !== 'other')
        assert.equal(sql.slice(found.from, found.to), String(found.id));
    }),
    { numRuns: 2000 },
  );
});
