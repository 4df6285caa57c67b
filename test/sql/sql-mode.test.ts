import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { DIALECT, IN_DOUBT, readingsOf } from '../../src/sql/dialect.ts';
import { sqlModeAfter, withSqlMode } from '../../src/sql/sql-mode.ts';
import { BEFORE, GLOBAL, SETS } from './support/sql-modes.ts';

const { ansiQuotes, noBackslashEscapes, ignoreSpace, plainComments } = DIALECT;
const before = withSqlMode(0, BEFORE);
const initial = withSqlMode(0, GLOBAL);

function after(sql: string, dialect = before, from?: number): number {
  const octets = Buffer.from(`x; ${sql}; SET sql_mode = 'DB2'`, 'latin1');
  return sqlModeAfter(octets, 2, 3 + Buffer.byteLength(sql, 'latin1') + 1, dialect, from);
}

describe('the dialect after a statement', () => {
  for (const { sql, after: expected, inDoubt } of SETS)
    test(sql, () => assert.equal(after(sql, before, initial), expected | (inDoubt ? IN_DOUBT : 0)));
});

test('a SET is read by the dialect that it is sent in', () => {
  assert.equal(after('SET @a = "\\", sql_mode = "ANSI"', 0), 0);
  assert.equal(after('SET @a = "\\", sql_mode = "ANSI"', ansiQuotes), ansiQuotes | ignoreSpace);
  assert.equal(after("SET @a = '\\', sql_mode = 'ANSI'", noBackslashEscapes), ansiQuotes | ignoreSpace);
});

test('what a literal tells ends a doubt', () => {
  assert.equal(after("SET sql_mode = ''", IN_DOUBT | ansiQuotes), 0);
});

test('what the server would begin with is in doubt where nobody says what that is', () => {
  assert.equal(after('SET sql_mode = DEFAULT', ansiQuotes), ansiQuotes | IN_DOUBT);
});

test('how comments are read stays as it is', () => {
  assert.equal(after("SET sql_mode = 'ANSI_QUOTES'", plainComments), plainComments | ansiQuotes);
});

test('what a server shows', () => {
  const shown = 'REAL_AS_FLOAT,PIPES_AS_CONCAT,ANSI_QUOTES,IGNORE_SPACE,ONLY_FULL_GROUP_BY,ANSI';
  assert.equal(withSqlMode(noBackslashEscapes | IN_DOUBT, shown), ansiQuotes | ignoreSpace);
  assert.equal(withSqlMode(ansiQuotes | plainComments, ''), plainComments);
});

test('readings: all that a dialect in doubt may be, the likeliest first', () => {
  const { ansiQuotesInDoubt, noBackslashEscapesInDoubt } = DIALECT;
  assert.deepEqual(readingsOf(ansiQuotes | ignoreSpace), [ansiQuotes | ignoreSpace]);
  assert.deepEqual(readingsOf(ansiQuotes | ansiQuotesInDoubt), [ansiQuotes, 0]);
  assert.deepEqual(readingsOf(noBackslashEscapesInDoubt), [0, noBackslashEscapes]);
  assert.deepEqual(
    readingsOf(IN_DOUBT | ansiQuotes).toSorted(),
    [0, ansiQuotes, noBackslashEscapes, ansiQuotes | noBackslashEscapes].toSorted(),
  );
});

test('whatever the octets are, there is a dialect after them', () => {
  const pieces = [
    'SET',
    ' ',
    'sql_mode',
    '=',
    "'ANSI'",
    '4',
    ',',
    '(',
    ')',
    '@@',
    '.',
    'GLOBAL',
    'DEFAULT',
    ';',
    '/*!',
    '*/',
    "'",
  ];
  const text = fc.array(fc.constantFrom(...pieces), { maxLength: 20 }).map((parts) => parts.join(''));
  fc.assert(
    fc.property(text, fc.nat(31), (sql, dialect) => {
      const octets = Buffer.from(sql);
      const next = sqlModeAfter(octets, 0, octets.length, dialect, initial);
      assert.ok(next >= 0 && next <= 31);
    }),
    { numRuns: 3000 },
  );
});
