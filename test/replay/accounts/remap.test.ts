import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { parseRemap, SchemaRemap } from '../../../src/replay/accounts/remap.ts';

describe('options', () => {
  test('each is a pair of names', () => {
    assert.deepEqual(
      [...parseRemap('--remap-user', ['app=test', 'odd=a=b', 'test=app'])],
      [
        ['app', 'test'],
        ['odd', 'a=b'],
        ['test', 'app'],
      ],
    );
    assert.equal(parseRemap('--remap-user', []).size, 0);
  });

  for (const texts of [['shop'], ['=shop'], ['shop='], ['='], ['']]) {
    test(`${texts[0]} is refused, with the right form`, () =>
      assert.throws(() => parseRemap('--remap-schema', texts), {
        code: 'usage',
        message: /^--remap-schema .* not of the form recorded=target/,
      }));
  }

  test('a name given twice is refused', () =>
    assert.throws(() => parseRemap('--remap-user', ['a=b', 'c=d', 'a=e']), {
      code: 'usage',
      message: /--remap-user is given twice for a /,
    }));
});

const remap = new SchemaRemap(
  new Map([
    ['shop', 'shop_test'],
    ['a b', 'c`d'],
    ['x`y', 'plain'],
    ['left', 'right'],
    ['right', 'left'],
    ['café', 'thé'],
  ]),
);
const text = (sql: string) => Buffer.from(remap.text(Buffer.from(sql), 0)).toString();

describe('statements', () => {
  const cases: [string, string][] = [
    ['USE shop', 'USE `shop_test`'],
    ['SELECT shop.t.x FROM shop.t, `shop`.u', 'SELECT `shop_test`.t.x FROM `shop_test`.t, `shop_test`.u'],
    ['SELECT * FROM "shop".t', 'SELECT * FROM "shop_test".t'],
    ['USE `a b`', 'USE `c``d`'],
    ['SELECT * FROM "a b".t', 'SELECT * FROM "c`d".t'],
    ['CALL `x``y`.p()', 'CALL `plain`.p()'],
    ['RENAME TABLE left.t TO right.t', 'RENAME TABLE `right`.t TO `left`.t'],
    ['SELECT * FROM café.t WHERE x = "café.t"', 'SELECT * FROM `thé`.t WHERE x = "café.t"'],
    ['/*!50000 USE shop*/', '/*!50000 USE `shop_test`*/'],
  ];
  for (const [before, after] of cases) test(before, () => assert.equal(text(before), after));

  const same = [
    'SELECT 1',
    'SELECT "shop.t" FROM t /* FROM shop.t */ -- shop.t',
    'SELECT shop.x FROM t AS shop',
    'SELECT * FROM shop_test.t, shopping.t, my_shop.t, Shop.t',
    'USE shop2',
  ];
  for (const sql of same) {
    test(`${sql}: not copied`, () => {
      const octets = Buffer.from(sql);
      assert.equal(remap.text(octets, 0), octets);
    });
  }

  test('far behind the beginning', () => {
    const rows = Array.from({ length: 50_000 }, (_, i) => `(${i}, 'shop.t')`).join(',');
    const sql = (name: string) => `INSERT INTO ${name}.t VALUES ${rows} UNION SELECT 1 FROM ${name}.u`;
    assert.equal(text(sql('shop')), sql('`shop_test`'));
  });

  test('what is replaced is not replaced again', () => {
    const once = new SchemaRemap(new Map([['a', 'b']]));
    const pieces = [
      'a.t',
      'a',
      'b.t',
      '`a`.t',
      'FROM',
      'JOIN',
      'USE',
      ',',
      '(',
      ')',
      "'",
      '/*',
      '*/',
      ';',
      'SELECT',
    ];
    const any = fc.array(fc.constantFrom(...pieces), { maxLength: 20 }).map((parts) => parts.join(' '));
    fc.assert(
      fc.property(any, (sql) => {
        const first = once.text(Buffer.from(sql), 0);
        assert.equal(once.text(first, 0), first);
      }),
      { numRuns: 1000 },
    );
  });
});

test('a name alone, as text or as octets', () => {
  assert.equal(remap.name('shop'), 'shop_test');
  assert.equal(remap.name('café'), 'thé');
  const octets = (name: string) => Buffer.from(name).toString('latin1');
  assert.equal(remap.name(octets('café')), octets('thé'));
  assert.equal(remap.name('Shop'), 'Shop');
});
