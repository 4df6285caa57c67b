import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { sqlAt } from '../../src/mysql/query-attributes.ts';
import { type Effect, effectsOf } from '../../src/sql/effects.ts';

const effects = (sql: string, multi = false) => effectsOf(Buffer.from(sql, 'latin1'), 0, multi, 0);

/** The only SET in `sql`. */
function set(sql: string, multi = false): Extract<Effect, { type: 'set' }> {
  const [only, ...others] = (effects(sql, multi) ?? []).filter((effect) => effect.type === 'set');
  assert.equal(others.length, 0);
  return only;
}

describe('most statements change nothing in their session', () => {
  for (const sql of [
    'SELECT c FROM sbtest1 WHERE id = 7',
    'INSERT INTO mail VALUES (1, "joe@example.org", "a := b")',
    'INSERT INTO t SELECT @x, @@version',
    'UPDATE t SET a = @x WHERE mail = "x@y"',
    'DELETE FROM t',
    'COMMIT',
    'BEGIN',
    'START TRANSACTION',
    'SHOW TABLES',
    'CREATE TABLE t (i int)',
    'DROP TABLE_CACHE',
    'SELECT get_lock FROM t',
    'FLUSH LOGS',
    'LOAD DATA INFILE "x" INTO TABLE t',
    '',
    '   ',
    '-- nothing',
    '/* open',
    'SET',
    'USE',
    'SELECT @',
  ])
    test(JSON.stringify(sql), () => assert.equal(effects(sql), undefined));
});

describe('SET', () => {
  const keys: [string, string[]][] = [
    ['SET @A = 1, @`b` := "x, y", @@c = (SELECT 1, 2)', ['@a', '@b', 'c']],
    ['SET SESSION a = 1, b = 2, @@session.c = 3, LOCAL d = 4', ['a', 'b', 'c', 'd']],
    ['SET NAMES utf8mb4 COLLATE utf8mb4_bin, @x = 1', ['names', '@x']],
    ["SET CHARACTER SET 'latin1'", ['names']],
    ['set character_set_results = NULL', ['character_set_results']],
    ['SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED', ['transaction isolation']],
    ['SET SESSION TRANSACTION READ ONLY', ['transaction read']],
    ['SET ROLE reader', ['role']],
    ['/*!40101 SET SQL_MODE = "" */', ['sql_mode']],
    ['SET insert_id = 5, timestamp = 6', ['timestamp']],
  ];
  for (const [sql, expected] of keys) test(sql, () => assert.deepEqual(set(sql).keys, expected));

  test('not for the session, or not for long', () => {
    for (const sql of [
      'SET GLOBAL a = 1',
      'SET @@global.a = 1, @@persist.b = 2',
      'SET PERSIST a = 1',
      'SET PASSWORD = "x"',
      'SET DEFAULT ROLE r',
      'SET TRANSACTION READ ONLY',
      'SET STATEMENT a = 1 FOR SELECT 1',
      'SET insert_id = 5',
    ])
      assert.equal(set(sql), undefined, sql);
    assert.equal(set('SET GLOBAL a = 1, @x = 2').global, true);
  });

  test('that it reads variables, or changes each time', () => {
    assert.equal(set('SET @a = 1').reads, false);
    assert.equal(set('SET @a = @b').reads, true);
    assert.equal(set("SET sql_mode = CONCAT(@@sql_mode, ',ANSI')").reads, true);
    assert.equal(set("SET sql_mode = '@x'").reads, false);
    assert.equal(set('SET @a = CONCAT(1, 2)').volatile, false);
    for (const call of ['NOW()', 'uuid()', 'LAST_INSERT_ID()', '(select 1)', 'Rand()'])
      assert.equal(set(`SET @a = ${call}`).volatile, true, call);
  });

  test('where it stands', () => {
    const sql = "SELECT ';' /* ; */; -- SET @b = 1;\n SET @a = 'x;y'  ; SELECT 2";
    const { from, to, alone } = set(sql, true);
    assert.equal(sql.slice(from, to), "SET @a = 'x;y'");
    assert.equal(alone, false);
    assert.equal(effects(sql), undefined, 'one statement a command: what is behind it is not carried out');
    assert.equal(set('SET @a = 1 ;').alone, true);
    assert.equal(set(`SET @a = '${'x'.repeat(70_000)}'`).complete, true);
    assert.equal(set(`SET @a = ${'1+'.repeat(5000)}1; SELECT 2`).complete, false);
  });
});

describe('USE', () => {
  const schemas: [string, string][] = [
    ['USE shop', 'shop'],
    ['\tuse Shop;', 'Shop'],
    ['USE `a``b c`', 'a`b c'],
    ['USE caf\xe9', 'caf\xe9'],
    ['# x\n/* y */ USE shop -- z', 'shop'],
  ];
  for (const [sql, schema] of schemas)
    test(sql, () => assert.deepEqual(effects(sql), [{ type: 'schema', schema }]));
});

test('the text of a COM_QUERY begins behind its attributes', () => {
  const plain = Uint8Array.of(9, 0, 0, 0, 3, ...Buffer.from('SELECT 1'));
  const attributed = Uint8Array.of(11, 0, 0, 0, 3, 0, 1, ...Buffer.from('SELECT 1'));
  assert.deepEqual([sqlAt(plain), sqlAt(attributed)], [5, 7]);
});

test('whatever the octets are, reading them ends, and a SET is where it is said to be', () => {
  const pieces = [
    'SET ',
    '@',
    ':=',
    "'",
    '"',
    '`',
    '\\',
    ';',
    '/*',
    '*/',
    '/*!',
    '--',
    '#',
    '\n',
    ',',
    '(',
    ')',
    'x',
    ' ',
    '\xff',
    'USE',
  ];
  const text = fc.array(fc.constantFrom(...pieces), { maxLength: 40 }).map((parts) => parts.join(''));
  fc.assert(
    fc.property(text, fc.boolean(), (sql, multi) => {
      let end = 0;
      for (const effect of effects(sql, multi) ?? []) {
        if (effect.type !== 'set') continue;
        assert.ok(effect.from >= end && effect.to > effect.from && effect.to <= sql.length);
        assert.match(sql.slice(effect.from), /^set/i);
        end = effect.to;
      }
    }),
    { numRuns: 2000 },
  );
});
