import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Digester, eachStatement } from '../../../src/sql/digest/digest.ts';
import {
  BEFORE_HINTS,
  BEFORE_NULL,
  BEFORE_SIGN,
  FUNCTIONS,
  SYNONYMS,
  WORDS,
} from '../../../src/sql/digest/keywords.ts';
import { type DigestOptions, dialectOf, digestOf, digestText } from '../support/digests.ts';
import { AGREED, DIFFERENT } from './digest-corpus.ts';
import { MYSQL } from './digest-corpus-mysql.ts';

function textOf(statement: string, options?: DigestOptions): string {
  const octets = Buffer.from(statement);
  return digestText(octets, 0, octets.length, options);
}

function hashOf(statement: string, options?: DigestOptions): string {
  const octets = Buffer.from(statement);
  return digestOf(octets, 0, octets.length, options);
}

/** Every statement that a text is known for, and its text. */
const CORPUS: readonly (readonly [string, string, DigestOptions])[] = [
  ...AGREED.flatMap(({ options, statements }) =>
    statements.map(([statement, said]) => [statement, said, options] as const),
  ),
  ...DIFFERENT.flatMap(({ statements }) =>
    statements.map(([statement, ours]) => [statement, ours, {}] as const),
  ),
  ...MYSQL.map(([statement, ours]) => [statement, ours, {}] as const),
];

const words = (list: string) => list.trim().split(/\s+/);

describe('digest text', () => {
  for (const { sqlMode, options, statements } of AGREED) {
    test(`is what a server says${sqlMode === '' ? '' : `, sql_mode ${sqlMode}`}`, () => {
      for (const [statement, said] of statements) assert.equal(textOf(statement, options), said, statement);
    });
  }

  for (const { reason, statements } of DIFFERENT) {
    test(`is MySQL's where MariaDB differs: ${reason}`, () => {
      for (const [statement, ours, mariadb] of statements) {
        assert.equal(textOf(statement), ours, statement);
        assert.notEqual(ours, mariadb, statement);
      }
    });
  }

  test('is what MySQL 9.7 says', () => {
    for (const [statement, said] of MYSQL) assert.equal(textOf(statement), said, statement);
  });

  test("keeps a column's number where there is room for it, as MySQL 9.7 does", () => {
    // Octets of tokens: 2 each, a name 4 and its own, a column's number 6.
    const rests: string[] = [];
    for (let maxLength = 18; maxLength <= 36; maxLength += 2) {
      rests.push(
        textOf('SELECT a FROM t ORDER BY 1, 20 LIMIT 5', { maxLength }).slice(
          'SELECT `a` FROM `t` ORDER BY'.length,
        ),
      );
    }
    assert.deepEqual(rests, [
      '',
      ' ?',
      ' ,',
      ' 1',
      ' 1 ,',
      ' 1 , ?',
      ' 1 , LIMIT',
      ' 1 , 20',
      ' 1 , 20 LIMIT',
      ' 1 , 20 LIMIT ?',
    ]);
  });

  test('quotes the code of programs by dollars, which may lack its end', () => {
    assert.equal(textOf('CREATE LIBRARY l AS $$ a; b'), 'CREATE LIBRARY `l` AS (unknown)');
    assert.equal(textOf('CREATE LIBRARY l AS $a$ $$ $b$ $a$ c'), 'CREATE LIBRARY `l` AS (unknown) `c`');
    assert.equal(textOf('CREATE LIBRARY l AS $a b'), 'CREATE LIBRARY `l` AS `$a` `b`');
    assert.equal(textOf('SELECT a AS $a$b$a$, $$ FROM t'), 'SELECT `a` AS `$a$b$a$` , `$$` FROM `t`');
  });

  test('of a prepared statement has its markers as values', () => {
    assert.equal(
      textOf('SELECT ?, a FROM t WHERE b IN (?, ?)'),
      'SELECT ? , `a` FROM `t` WHERE `b` IN (...)',
    );
    assert.equal(textOf('INSERT INTO t VALUES (?,?),(?,?)'), 'INSERT INTO `t` VALUES (...) /* , ... */');
    assert.equal(textOf('SELECT 1 LIMIT ?,?'), 'SELECT ? LIMIT ?, ...');
  });

  test('of hints has their keywords, names and numbers', () => {
    const hints = (inside: string, options?: DigestOptions) => textOf(`SELECT /*+${inside}*/ 1`, options);
    assert.equal(hints(' bka(t1) No_Bnl(@q t2) '), 'SELECT /*+ BKA ( `t1` ) NO_BNL ( @`q` `t2` ) */ ?');
    assert.equal(
      hints('BKA(@bnl t@index) FOO(bar)'),
      'SELECT /*+ BKA ( @`bnl` `t`@`index` ) `FOO` ( `bar` ) */ ?',
    );
    assert.equal(hints('SET_VAR(a=1K) SET_VAR(b=1.5) SET_VAR(c=.5)').match(/= \?/g)?.length, 3);
    assert.equal(
      hints('SET_VAR(a=1k) BKA(1a 1M2)'),
      'SELECT /*+ SET_VAR ( `a` = `1k` ) BKA ( `1a` `1M2` ) */ ?',
    );
    assert.equal(
      hints(`SET_VAR(a='x') SET_VAR(b="y")`),
      'SELECT /*+ SET_VAR ( `a` = ? ) SET_VAR ( `b` = ? ) */ ?',
    );
    assert.equal(hints('BKA("x" `y z`)', { ansiQuotes: true }), 'SELECT /*+ BKA ( `x` `y z` ) */ ?');
    assert.equal(hints('BKA(d.t)'), 'SELECT /*+ BKA ( `d` `t` ) */ ?');
    assert.equal(hints(' '), 'SELECT ?');
    assert.equal(textOf('SELECT 1 /*+ BKA(t) */ FROM /*+ BKA(t) */ t'), 'SELECT ? FROM `t`');
    assert.equal(textOf('/*+ BKA(t) */ DELETE/*+ BKA(t) */ FROM t'), 'DELETE /*+ BKA ( `t` ) */ FROM `t`');
  });

  test('executes a comment whose version is none, of 5 or of 6 digits', () => {
    assert.equal(textOf('SELECT a /*!9999 */'), 'SELECT `a` ?');
    assert.equal(textOf('SELECT a /*!90700 */'), 'SELECT `a`');
    assert.equal(textOf('SELECT a /*!804001 */'), 'SELECT `a`');
    assert.equal(textOf('SELECT a /*!0804001 */'), 'SELECT `a` ?');
    assert.equal(textOf('SELECT a /*!90701 b */, /*!090701 b */ c'), 'SELECT `a` , `c`');
    assert.equal(textOf('SELECT a * /*! * */ * /'), 'SELECT `a` * * * /');
    assert.equal(textOf('SELECT /* a /* b */ c, /*!99999 d /* e */ f */ g'), 'SELECT `c` , `g`');
  });

  test('knows every keyword, in any case, but for after a period', () => {
    for (const word of words(WORDS)) {
      const name = SYNONYMS[word] ?? word;
      const text = word === 'NULL' ? 'x ? x' : `x ${name} x`;
      const unless = word === 'NULL' ? '`x` NULL `x`' : '';
      assert.ok([text.replace(/x/g, '`x`'), unless].includes(textOf(`x ${word.toLowerCase()} x`)), word);
      assert.equal(textOf(`x.${word}`), `\`x\` . \`${word}\``);
      assert.equal(textOf(`\`${word}\``), `\`${word}\``);
      assert.equal(textOf(`${word}.x`), `\`${word}\` . \`x\``);
    }
  });

  test('knows functions by the bracket after them', () => {
    for (const word of words(FUNCTIONS)) {
      assert.equal(textOf(`${word.toLowerCase()}(x)`), `${SYNONYMS[word] ?? word} ( \`x\` )`);
      assert.equal(textOf(`${word} (x)`, { ignoreSpace: true }), `${SYNONYMS[word] ?? word} ( \`x\` )`);
      assert.equal(textOf(`${word} (x)`), `\`${word}\` ( \`x\` )`);
      assert.equal(textOf(`x ${word}`), `\`x\` \`${word}\``);
    }
  });

  test('takes signs and NULL as the words before them say, all of which are keywords', () => {
    for (const word of words(`${BEFORE_SIGN} ${BEFORE_NULL} ${BEFORE_HINTS}`)) {
      assert.ok(!textOf(`${word} x`).startsWith('`'), word);
    }
    for (const word of words(BEFORE_SIGN)) {
      const isSign = word === '+' || word === '-';
      assert.equal(textOf(`( ${word} -1`), isSign ? '( ?' : `( ${word} ?`);
      assert.equal(textOf(`x ${word} NULL`), word === 'NOT' ? '`x` NOT NULL' : `\`x\` ${word} ?`);
    }
    for (const word of words(BEFORE_NULL)) {
      assert.equal(textOf(`( ${word} -1`), `( ${word} - ?`);
      assert.equal(textOf(`x ${word} NULL`), `\`x\` ${word} ?`);
    }
  });

  test('depends on nothing outside of from and to', () => {
    for (const after of ["'", '"', '`', '*/', '(', '.x', '=', '>', 'x', '5', ';']) {
      for (const [statement, text, options] of CORPUS) {
        const octets = Buffer.from(`x'${statement}${after}`);
        const to = octets.length - after.length;
        assert.equal(digestText(octets, 2, to, options), text, statement);
      }
    }
  });

  test('of broken statements goes as far as there is something', () => {
    assert.equal(textOf("SELECT 'abc"), 'SELECT ?');
    assert.equal(textOf('SELECT `abc'), 'SELECT `abc`');
    assert.equal(textOf('SELECT `'), 'SELECT');
    assert.equal(textOf("SELECT 'abc\\"), 'SELECT ?');
    assert.equal(textOf('SELECT 1 /* abc'), 'SELECT ?');
    assert.equal(textOf('SELECT /*!50000 1'), 'SELECT ?');
    assert.equal(textOf('SELECT /*+ NO_ICP('), 'SELECT /*+ NO_ICP (');
    assert.equal(textOf('SELECT 1.5e, @, @@'), 'SELECT ? `e` , @? , @@');
    assert.equal(textOf(''), '');
    assert.equal(textOf(' ; ;; -- x'), '');
    assert.equal(textOf(';SELECT 1'), 'SELECT ?');
  });
});

describe('the bound', () => {
  test('cuts where a server cuts, without a sign of it', () => {
    // What MariaDB has of these: test/e2e/digest.test.ts.
    assert.equal(textOf(`SELECT ${'a,'.repeat(1000)}a`), `SELECT ${'`a` , '.repeat(146)}`.slice(0, 882));
    assert.equal(textOf(`SELECT 1 ${'+ 1 '.repeat(1000)}`), `SELECT ${'? + '.repeat(255)}?`);
    const names = Array.from({ length: 300 }, (_, i) => `a${i}`);
    const text = textOf(`SELECT ${names.join(',')}`);
    assert.equal(text.length, 913);
    assert.ok(text.endsWith('`a111` , `a112` ,'));
  });

  test('is of 2 octets a token, 4 more a name', () => {
    const at = (maxLength: number) => textOf('SELECT abc', { maxLength });
    assert.deepEqual([0, 1, 2, 8, 9].map(at), ['', '', 'SELECT', 'SELECT', 'SELECT `abc`']);
  });

  test('counts a quote that stands twice once', () => {
    assert.equal(textOf('SELECT `a``b`', { maxLength: 8 }), 'SELECT');
    assert.equal(textOf('SELECT `a``b`', { maxLength: 9 }), 'SELECT `a`b`');
  });

  test('does not count what is folded', () => {
    const rows = `INSERT INTO t VALUES ${'(1,2,3),'.repeat(10_000)}(4,5,6) ON DUPLICATE KEY UPDATE a = 1`;
    const folded = 'INSERT INTO `t` VALUES (...) /* , ... */ ON DUPLICATE KEY UPDATE `a` = ?';
    assert.equal(textOf(rows), folded);
    assert.equal(textOf(`SELECT ${'1,'.repeat(100_000)}1`, { maxLength: 8 }), 'SELECT ?, ...');
  });

  test('may be large', () => {
    const long = `SELECT ${Array.from({ length: 20_000 }, (_, i) => `name_${i}`).join(', ')} FROM t`;
    const text = textOf(long, { maxLength: 1 << 20 });
    assert.equal(text, long.replace(/\w+_\d+|\bt$/g, '`$&`').replace(/,/g, ' ,'));
  });

  test('of 16 MiB looks at no more than it needs', () => {
    const octets = Buffer.alloc(16 << 20, ',a');
    octets.write('SELECT ');
    let furthest = 0;
    const watched = new Proxy(octets, {
      get(target, key) {
        const index = Number(key);
        if (index > furthest) furthest = index;
        return target[index];
      },
    });
    assert.equal(digestText(watched, 0, octets.length), textOf(`SELECT ${'a,'.repeat(1000)}a`));
    assert.ok(furthest < 2000, `${furthest}`);
  });

  test('16 MiB of one kind of octet, or in one literal, are read in one pass', () => {
    for (const begins of [
      "'",
      '"',
      '`',
      '/*',
      '/*!',
      '/*+',
      '-- ',
      '#',
      '@',
      'x',
      '5',
      '0x',
      '.',
      '(',
      '``',
      "\\'",
    ]) {
      for (const filler of [begins[0], 'a', ' ', '-', '/*', '(1),']) {
        const octets = Buffer.alloc(1 << 20, filler);
        octets.write(`SELECT ${begins}`);
        textOf(octets.toString());
      }
    }
    const literal = Buffer.alloc(16 << 20, 'x');
    literal.write("SELECT '");
    literal.write("', a", literal.length - 4);
    assert.equal(digestText(literal, 0, literal.length), 'SELECT ? , `a`');
  });
});

describe('digest', () => {
  test('is a hash of the text', () => {
    for (const [statement, text, options] of CORPUS) {
      assert.match(hashOf(statement, options), /^[0-9a-f]{32}$/);
      assert.equal(hashOf(statement, options), hashOf(`${statement} /* same */`, options), statement);
      assert.equal(text, textOf(statement, options));
    }
    assert.equal(hashOf('SELECT 1'), hashOf(" select  'x'"));
    // It is kept in recordings' results: it must not change.
    assert.equal(hashOf('SELECT c FROM sbtest1 WHERE id=5'), '4ae1cfb867a004836dc5ca93c903815a');
    assert.equal(hashOf(''), '0'.repeat(32));
  });

  test('differs where the text differs', () => {
    const texts = new Set(CORPUS.map(([, text]) => text));
    const hashes = new Set(CORPUS.map(([statement, , options]) => hashOf(statement, options)));
    assert.equal(hashes.size, texts.size);
  });

  test('of one statement after another is of the last', () => {
    const digester = new Digester();
    for (const [statement, text, options] of CORPUS) {
      if (Object.keys(options).length > 0) continue;
      const octets = Buffer.from(statement);
      digester.read(octets, 0, octets.length, 0);
      assert.equal(digester.text(), text);
      assert.equal(digester.hash(), hashOf(statement));
    }
  });

  test('depends neither on white space, comments nor the case of keywords', () => {
    const tokens = [
      'SELECT',
      'a',
      ',',
      '1',
      ',',
      'f(',
      'b',
      ')',
      'FROM',
      't',
      'WHERE',
      'c',
      '<=>',
      "'x'",
      'AND',
      'd',
      'IN',
      '(',
      '1',
      ')',
    ];
    const blank = fc.constantFrom(' ', '\t', '\n', ' /* c */ ', ' -- c\n', ' # c\n', '/**/', ' /*!50000 */ ');
    fc.assert(
      fc.property(fc.array(blank, { minLength: 20, maxLength: 20 }), fc.boolean(), (blanks, lower) => {
        const between = tokens.map(
          (token, i) => (lower && /^[A-Z]+$/.test(token) ? token.toLowerCase() : token) + blanks[i],
        );
        assert.equal(hashOf(between.join('')), hashOf(tokens.join(' ')));
      }),
    );
  });

  test('depends on no literal, nor on how many there are in a list', () => {
    const text = fc.string().map((value) => `'${value.replace(/['\\]/g, '\\$&')}'`);
    const number = fc.oneof(fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true })).map(String);
    const literal = fc.oneof(text, number, fc.constantFrom('NULL', "x'1F'", '0x1F', "b'01'", "N'x'", '?'));
    fc.assert(
      fc.property(
        literal,
        fc.array(literal, { minLength: 2 }),
        fc.array(literal, { minLength: 2 }),
        (one, list, row) => {
          const statement = `SELECT a, (${one}) FROM t WHERE b IN (${list}) AND (c, d) IN ((${row}), (${list}))`;
          assert.equal(
            hashOf(statement),
            hashOf('SELECT a, (1) FROM t WHERE b IN (1, 2) AND (c, d) IN ((1, 2), (3, 4))'),
          );
        },
      ),
    );
  });

  test('takes any octets', () => {
    const pieces = fc.constantFrom(...CORPUS.flatMap(([statement]) => statement.split(/(?<=\W)|(?=\W)/)));
    const octets = fc.oneof(
      fc.uint8Array({ maxLength: 3000 }),
      fc.array(pieces, { maxLength: 400 }).map((some) => new Uint8Array(Buffer.from(some.join('')))),
    );
    fc.assert(
      fc.property(octets, fc.nat({ max: 7 }), fc.nat({ max: 300 }), (some, mode, maxLength) => {
        const options = {
          maxLength,
          ansiQuotes: !!(mode & 1),
          noBackslashEscapes: !!(mode & 2),
          ignoreSpace: !!(mode & 4),
        };
        const text = digestText(some, 0, some.length, options);
        assert.ok(Buffer.byteLength(text) <= maxLength * 20);
        let end = 0;
        eachStatement(new Digester(maxLength), some, 0, some.length, dialectOf(options), (from, to) => {
          assert.ok(from >= end && to > from && to <= some.length);
          end = to;
        });
      }),
      { numRuns: 500 },
    );
  });
});

describe('several statements in one text', () => {
  function statementsOf(text: string): [string, string][] {
    const octets = Buffer.from(text);
    const digester = new Digester();
    const all: [string, string][] = [];
    eachStatement(digester, octets, 0, octets.length, 0, (from, to) => {
      all.push([octets.toString('utf8', from, to), digester.text()]);
    });
    return all;
  }

  test('are digested one by one; digestText takes the first', () => {
    assert.deepEqual(statementsOf("SELECT 1; SELECT ';', a;UPDATE t SET a = 1"), [
      ['SELECT 1;', 'SELECT ?'],
      [" SELECT ';', a;", 'SELECT ? , `a`'],
      ['UPDATE t SET a = 1', 'UPDATE `t` SET `a` = ?'],
    ]);
    assert.equal(textOf('SELECT a; SELECT b'), 'SELECT `a`');
  });

  test('empty ones are none', () => {
    assert.deepEqual(statementsOf(';; SELECT 1;; /* x */ ; -- y'), [[';; SELECT 1;', 'SELECT ?']]);
    assert.deepEqual(statementsOf(''), []);
  });

  test('are found beyond the bound', () => {
    const long = `SELECT ${'a, '.repeat(5000)}'x;y', a;`;
    assert.deepEqual(
      statementsOf(`${long}SELECT 2`).map(([statement, text]) => [statement.length, text.length]),
      [
        [long.length, 882],
        [8, 8],
      ],
    );
  });

  test("a stored program's body is one", () => {
    const program = 'CREATE DEFINER=`a`@`b` PROCEDURE p() BEGIN SELECT 1; SELECT 2; END';
    assert.deepEqual(statementsOf(program), [
      [program, 'CREATE DEFINER = `a` @`b` PROCEDURE `p` ( ) BEGIN SELECT ? ; SELECT ? ; END'],
    ]);
    assert.equal(statementsOf('CREATE PROCEDURE p() SELECT 1; SELECT 2').length, 2);
    assert.equal(statementsOf('BEGIN; SELECT 1; COMMIT').length, 3);
    assert.equal(statementsOf('CREATE TABLE t (begin INT); SELECT 1').length, 2);
  });
});
