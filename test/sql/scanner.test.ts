import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { DIALECT } from '../../src/sql/dialect.ts';
import { KIND, Scanner, SIGN } from '../../src/sql/scanner.ts';

const NAMES = new Map<number, string>(
  [...Object.entries(KIND), ...Object.entries(SIGN)].map(([name, kind]) => [kind, name]),
);

interface Told {
  kind: string;
  raw: string;
  from: number;
  to: number;
}

function scanned(text: string, dialect = 0): Told[] {
  // Neither what comes before nor what comes behind is looked at.
  const octets = Buffer.from(`a.${text}'; x`, 'latin1');
  const scanner = new Scanner();
  const tokens: Told[] = [];
  scanner.begin(octets, 2, 2 + Buffer.byteLength(text, 'latin1'), dialect);
  while (scanner.next() !== KIND.end) {
    const { kind, from, to } = scanner;
    tokens.push({
      kind: NAMES.get(kind) ?? 'sign',
      raw: octets.toString('latin1', from, to),
      from: from - 2,
      to: to - 2,
    });
  }
  return tokens;
}

/** `kind raw` of each token. */
const told = (text: string, dialect?: number) =>
  scanned(text, dialect).map(({ kind, raw }) => `${kind} ${raw}`);

const { ansiQuotes, noBackslashEscapes, plainComments, mysqlComments } = DIALECT;

describe('tokens', () => {
  const cases: [text: string, tokens: string[], dialect?: number][] = [
    ['SELECT a', ['word SELECT', 'word a']],
    ['a.b', ['name a', 'sign .', 'name b']],
    ['a .b', ['word a', 'sign .', 'name b']],
    ['a. b', ['word a', 'sign .', 'word b']],
    ['a.1b.2', ['name a', 'sign .', 'name 1b', 'sign .', 'name 2']],
    ['1a.b', ['name 1a', 'sign .', 'name b']],
    ['a.*', ['word a', 'sign .', 'sign *']],
    ['`a`.1', ['quotedName `a`', 'number .1']],
    ['`a`.b', ['quotedName `a`', 'sign .', 'name b']],
    [
      '1 12 1. 1.5 .5 1e5 1.5E-5 1e',
      [
        'integer 1',
        'integer 12',
        'number 1.',
        'number 1.5',
        'number .5',
        'number 1e5',
        'number 1.5E-5',
        'name 1e',
      ],
    ],
    ['1.FROM', ['number 1.', 'word FROM']],
    [
      "0x4F 0xg 0b01 0b2 X'4' b'1'",
      ['number 0x4F', 'name 0xg', 'number 0b01', 'name 0b2', "number X'4'", "number b'1'"],
    ],
    ["N'a' n'b' N \"a\"", ["string N'a'", "string n'b'", 'word N', 'string "a"']],
    [
      "a.b'c' a .n'c'",
      ['name a', 'sign .', 'name b', "string 'c'", 'word a', 'sign .', 'name n', "string 'c'"],
    ],
    ["_utf8'a'", ['word _utf8', "string 'a'"]],
    ["'a''b' 'a\\'b' 'c'", ["string 'a''b'", "string 'a\\'b'", "string 'c'"]],
    ["'a''b' 'a\\' b", ["string 'a''b'", "string 'a\\'", 'word b'], noBackslashEscapes],
    ['"a""b" "a\\"b"', ['string "a""b"', 'string "a\\"b"']],
    ['"a""b" "a\\"b', ['quotedName "a""b"', 'quotedName "a\\"', 'word b'], ansiQuotes],
    ['`a``b` `a\\` b', ['quotedName `a``b`', 'quotedName `a\\`', 'word b']],
    ["'open", ["string 'open"]],
    ["'open\\", ["string 'open\\"]],
    ['`open', ['quotedName `open']],
    [
      "@a @a.b @'a b' @`c` @ a@b",
      [
        'variable @a',
        'variable @a.b',
        "variable @'a b'",
        'variable @`c`',
        'variable @',
        'word a',
        'variable @b',
      ],
    ],
    ["@'a\\'b' @'a\\' b'", ["variable @'a\\'b'", "variable @'a\\' b'"]],
    ["@'a\\' b", ["variable @'a\\'", 'word b'], noBackslashEscapes],
    [
      '@@a @@global.a @@`a`',
      [
        'systemVariable @@a',
        'systemVariable @@global',
        'sign .',
        'name a',
        'systemVariable @@',
        'quotedName `a`',
      ],
    ],
    ['a-- b\nc--d --\x01e', ['word a', 'word c', 'sign -', 'sign -', 'word d']],
    ['a#b\nc', ['word a', 'word c']],
    ['a/* b /* c */d', ['word a', 'word d']],
    ['a /* open', ['word a']],
    [
      '= := <= >= <> != <=> << >> && || -> ->> \\N ? ;',
      [
        'sign =',
        'assign :=',
        'lessOrEqual <=',
        'greaterOrEqual >=',
        'notEqual <>',
        'notEqual !=',
        'equalOrNull <=>',
        'shiftLeft <<',
        'shiftRight >>',
        'and &&',
        'or ||',
        'arrow ->',
        'arrowText ->>',
        'null \\N',
        'sign ?',
        'sign ;',
      ],
    ],
    [
      '/*!50000 a */ b /*!a*/ /*M!100100 c */ */',
      ['word a', 'word b', 'word a', 'word c', 'sign *', 'sign /'],
    ],
    ['/*!50000 a */ b /*!a /* x */ y */ /*M!100100 c */ d', ['word b', 'word d'], plainComments],
    [
      '/*!90700 a */ /*!90800 b */ /*!100100 c */ /*!099999 d */ /*M!100100 e */ f',
      ['word a', 'word f'],
      mysqlComments,
    ],
    ['a\0b\xa0', ['word a', 'word b\xa0']],
  ];
  for (const [text, tokens, dialect] of cases)
    test(`${JSON.stringify(text)}${dialect === undefined ? '' : ` in dialect ${dialect}`}`, () =>
      assert.deepEqual(told(text, dialect), tokens));
});

test('whatever the octets are, tokens cover none twice, and between them are blanks and comments only', () => {
  const pieces = [
    ...'\'"`\\@;:=.,()*/-#!MNx01e \n\t\0\xff$_a7',
    '/*',
    '*/',
    '/*!',
    '/*M!',
    '/*!50000',
    '--',
    "''",
    '@@',
    'SELECT',
    'a.b',
  ];
  const text = fc.array(fc.constantFrom(...pieces), { maxLength: 30 }).map((parts) => parts.join(''));
  fc.assert(
    fc.property(text, fc.nat({ max: 127 }), (sql, dialect) => {
      let end = 0;
      for (const { raw, from, to } of scanned(sql, dialect)) {
        assert.ok(from >= end && to > from && to <= sql.length);
        assert.equal(raw, sql.slice(from, to));
        const between = sql.slice(end, from);
        if (!/[-#*]/.test(between)) assert.match(between, /^[\0\s]*$/);
        end = to;
      }
    }),
    { numRuns: 5000 },
  );
});

test('at the end it stays there', () => {
  const scanner = new Scanner();
  scanner.begin(Buffer.from('x -- y'), 0, 6, 0);
  scanner.next();
  for (let i = 0; i < 3; i++) {
    assert.equal(scanner.next(), KIND.end);
    assert.deepEqual([scanner.from, scanner.to], [6, 6]);
  }
});

test('words are compared in whatever case', () => {
  const scanner = new Scanner();
  scanner.begin(Buffer.from('Set `Sql_Mode` sql_mode.x'), 0, 25, 0);
  scanner.next();
  assert.deepEqual(
    [scanner.isWord('SET'), scanner.isWord('SETS'), scanner.isName('SET')],
    [true, false, true],
  );
  scanner.next();
  assert.deepEqual([scanner.isWord('SQL_MODE'), scanner.isName('SQL_MODE')], [false, true]);
  scanner.next();
  assert.deepEqual([scanner.isWord('SQL_MODE'), scanner.isName('SQL_MODE')], [false, true]);
});

test('it goes on where it is told to, and keeps hold of nothing', () => {
  const scanner = new Scanner();
  scanner.begin(Buffer.from('a.b c'), 0, 5, 0);
  scanner.next();
  scanner.seek(2);
  assert.equal(scanner.next(), KIND.word);
  scanner.release();
  assert.equal(scanner.octets.length, 0);
});
