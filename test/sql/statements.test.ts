import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { DIALECT } from '../../src/sql/dialect.ts';
import { FIRST } from '../../src/sql/first-words.ts';
import { definesRoutine, firstWord, firstWords, Statements } from '../../src/sql/statements.ts';

/** Each statement, from its first token to the end of its last, and the word that it is read by. */
function read(text: string, dialect = 0): [word: string, from: number, inBlock: boolean][] {
  const octets = Buffer.from(`x ${text}`, 'latin1');
  const statements = new Statements();
  const all: [string, number, boolean][] = [];
  statements.begin(octets, 2, octets.length, dialect);
  while (statements.next()) all.push([statements.word(), statements.from - 2, statements.inBlock]);
  return all;
}

const words = (text: string, dialect?: number) => read(text, dialect).map(([word]) => word);
const flags = (text: string, dialect = 0) => firstWords(Buffer.from(text, 'latin1'), 0, text.length, dialect);

describe('one statement after another', () => {
  test('by their first words, empty ones left out', () => {
    assert.deepEqual(words(";; select 1; /* x */ ; (Select ';') ;\n-- y\n  DO 1"), [
      'SELECT',
      'SELECT',
      'DO',
    ]);
    assert.deepEqual(words(''), []);
    assert.deepEqual(words(' ; -- x'), []);
    assert.deepEqual(words("'x'; 1"), ['', '']);
  });

  test('begin at their brackets', () => {
    assert.deepEqual(read('SELECT 1;((SELECT 2))'), [
      ['SELECT', 0, false],
      ['SELECT', 9, false],
    ]);
    assert.deepEqual(words('(('), ['']);
  });

  test('of SET STATEMENT … FOR, what follows', () => {
    assert.deepEqual(read('SET STATEMENT a = (SELECT 1 FOR UPDATE), b = 2 FOR KILL 7'), [
      ['KILL', 51, false],
    ]);
    assert.deepEqual(words('SET STATEMENT a = 1; KILL 7'), ['SET', 'KILL']);
    assert.deepEqual(words('SET statement = 1'), ['SET']);
    assert.deepEqual(words('SET @a = 1; SET'), ['SET', 'SET']);
  });

  test('each in the dialect that those before it left', () => {
    assert.deepEqual(words("SET sql_mode = 'NO_BACKSLASH_ESCAPES'; SELECT '\\'; KILL 7 -- '"), [
      'SET',
      'SELECT',
      'KILL',
    ]);
    assert.deepEqual(words("SET sql_mode = ''; SELECT '\\'; KILL 7 -- '", DIALECT.noBackslashEscapes), [
      'SET',
      'SELECT',
    ]);
  });

  test('what a body sets changes nothing for what is behind it', () => {
    const sets = "SET sql_mode = 'NO_BACKSLASH_ESCAPES'; SELECT '\\'; KILL 7; END -- '";
    assert.deepEqual(words(`CREATE PROCEDURE p() BEGIN ${sets}`), ['CREATE', 'SELECT']);
    assert.deepEqual(words(`CREATE PROCEDURE p() BEGIN SELECT 1; ${sets}`), ['CREATE', 'SET', 'SELECT']);
    assert.deepEqual(words(`BEGIN NOT ATOMIC SELECT 1; ${sets}`), ['BEGIN', 'SET', 'SELECT']);
    assert.deepEqual(words(`BEGIN; ${sets}`), ['BEGIN', 'SET', 'SELECT', 'KILL', 'END']);
  });

  test('blocks that are executed, and no routines', () => {
    const inBlock = (text: string) => read(text).map(([, , is]) => is);
    assert.deepEqual(inBlock('SELECT 1; BEGIN NOT ATOMIC SELECT 2; END; SELECT 3'), [
      false,
      true,
      true,
      true,
    ]);
    assert.deepEqual(inBlock('IF 1 THEN SELECT 2; END IF'), [true, true]);
    assert.deepEqual(inBlock('BEGIN; COMMIT'), [false, false]);
    assert.deepEqual(
      inBlock('CREATE PROCEDURE p() BEGIN SELECT 1; IF 1 THEN SELECT 2; END IF; END'),
      Array(4).fill(false),
    );
  });

  test('go on from wherever their reader stopped', () => {
    const statements = new Statements();
    const octets = Buffer.from("SELECT 1, ';'; DO 2; DO 3");
    statements.begin(octets, 0, octets.length, 0);
    assert.equal(statements.next(), true);
    for (let i = 0; i < 4; i++) statements.scanner.next();
    assert.equal(octets[statements.scanner.from], 0x3b);
    assert.equal(statements.next(), true);
    assert.equal(statements.hasWord('DO'), true);
    assert.equal(statements.hasWord('SELECT'), false);
    statements.rewind();
    statements.scanner.next();
    assert.equal(statements.word(), 'DO');
    assert.equal(statements.next(), true);
    assert.equal(statements.next(), false);
  });
});

test('the text that PREPARE and EXECUTE IMMEDIATE take', () => {
  const prepared = (text: string) => {
    const octets = Buffer.from(text);
    const statements = new Statements();
    statements.begin(octets, 0, octets.length, 0);
    statements.next();
    const found = statements.preparedText();
    return found && Buffer.from(found).toString();
  };
  assert.equal(prepared("PREPARE a FROM 'it''s'"), "it's");
  assert.equal(prepared("EXECUTE IMMEDIATE 'a'"), 'a');
  assert.equal(prepared("EXECUTE a USING 'b'"), undefined);
  assert.equal(prepared('PREPARE a FROM @b'), undefined);
  assert.equal(prepared("PREPARE a FROM @b; SELECT 'c'"), undefined);
});

test('CREATE and ALTER of routines', () => {
  const defines = (text: string) => definesRoutine(Buffer.from(text), 0, text.length, 0);
  for (const text of [
    'CREATE DEFINER = a@b PROCEDURE p',
    'alter event e',
    'CREATE OR REPLACE TRIGGER t BEFORE',
  ])
    assert.equal(defines(text), true, text);
  for (const text of [
    'CREATE TABLE t (a INT) AS SELECT procedure',
    'CREATE VIEW v AS SELECT 1 FROM event',
    'CREATE TABLE `procedure` LIKE t; CREATE EVENT',
    'ALTER',
  ])
    assert.equal(defines(text), false, text);
});

describe('first words', () => {
  test('of all statements', () => {
    assert.equal(flags('SELECT 1'), FIRST.selects | FIRST.keepsSchema);
    assert.equal(flags('SELECT 1; kill 7') & FIRST.kills, FIRST.kills);
    assert.equal(flags("SELECT '; kill 7'") & FIRST.kills, 0);
    assert.equal(flags('selected'), 0);
    assert.equal(flags('`KILL` 7'), 0);
    assert.equal(flags('kill.x'), 0);
  });

  test('as every server may read them', () => {
    assert.equal(flags("SELECT 1 /*!99999 ' */; KILL 7 -- '") & FIRST.kills, FIRST.kills);
    assert.equal(flags('/*!99999 KILL 7 */') & FIRST.kills, FIRST.kills);
    const text = "SELECT '\\'; KILL 7 -- '";
    assert.equal(flags(text) & FIRST.kills, 0);
    assert.equal(flags(text, DIALECT.noBackslashEscapesInDoubt) & FIRST.kills, FIRST.kills);
  });

  test('the first of them, and whether an executable comment comes before it', () => {
    const first = (text: string) => firstWord(Buffer.from(text), 0, text.length);
    assert.equal(first('/* x */ ((USE s; KILL 7'), FIRST.effects | FIRST.namesSchema);
    assert.equal(first('/*!50000 USE s */'), FIRST.effects | FIRST.namesSchema | FIRST.unsure);
    assert.equal(first('USE /*!50000 s */'), FIRST.effects | FIRST.namesSchema);
    assert.equal(first(''), 0);
  });
});

test('whatever the octets are, reading them ends', () => {
  const pieces = [
    'SELECT',
    'SET',
    'STATEMENT',
    'FOR',
    'BEGIN',
    'NOT',
    'KILL',
    ' ',
    ';',
    '(',
    ')',
    "'",
    '"',
    '\\',
    '/*!',
    '/*',
    '*/',
    '--',
    '\n',
    'x',
  ];
  const text = fc.array(fc.constantFrom(...pieces), { maxLength: 30 }).map((parts) => parts.join(''));
  fc.assert(
    fc.property(text, fc.nat(31), (sql, dialect) => {
      let end = -1;
      for (const [, from] of read(sql, dialect)) {
        assert.ok(from > end && from < sql.length);
        end = from;
      }
      flags(sql, dialect);
    }),
    { numRuns: 3000 },
  );
});
