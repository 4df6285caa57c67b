import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { SchemaRemap } from '../../../src/replay/accounts/remap.ts';
import { SchemaPerCopy } from '../../../src/replay/accounts/schema-per-copy.ts';
import { renameSchemas } from '../../../src/sql/schema-text.ts';

const schemas = new SchemaPerCopy('{schema}_{copy}');
const text = (sql: string, copy = 1) => Buffer.from(schemas.of(copy).text(Buffer.from(sql), 0)).toString();

describe('the name of a schema', () => {
  test('counts copies from 1', () => {
    assert.deepEqual(
      [0, 1, 49].map((copy) => schemas.of(copy).name('shop')),
      ['shop_1', 'shop_2', 'shop_50'],
    );
  });

  test('as the pattern says', () => {
    const name = (pattern: string) => new SchemaPerCopy(pattern).of(2).name('a$&b');
    assert.equal(name('{schema}_{copy}'), 'a$&b_3');
    assert.equal(name('copy{copy}-{schema}-{copy}'), 'copy3-a$&b-3');
    assert.equal(name('test_{copy}'), 'test_3');
  });

  test("stays where it is the server's own, or none", () => {
    for (const name of [
      'mysql',
      'information_schema',
      'INFORMATION_SCHEMA',
      'performance_schema',
      'sys',
      '',
    ]) {
      assert.equal(schemas.of(0).name(name), name);
    }
  });

  test('may itself have braces', () => {
    assert.equal(schemas.of(0).name('{copy}'), '{copy}_1');
    assert.equal(schemas.of(0).name('{schema}'), '{schema}_1');
  });
});

describe('a statement', () => {
  const cases: [string, string][] = [
    ['SELECT * FROM shop.t', 'SELECT * FROM `shop_2`.t'],
    ['SELECT `shop`.t.a FROM `shop`.t, other.u', 'SELECT `shop_2`.t.a FROM `shop_2`.t, `other_2`.u'],
    ['SELECT t.a FROM t', 'SELECT t.a FROM t'],
    ["SELECT 'shop.t', 1.5 FROM t", "SELECT 'shop.t', 1.5 FROM t"],
    ['SELECT * FROM information_schema.tables', 'SELECT * FROM information_schema.tables'],
    ['SELECT * FROM mysql.user, shop.t', 'SELECT * FROM mysql.user, `shop_2`.t'],
    ['USE shop', 'USE `shop_2`'],
    ['/* x */ use shop', '/* x */ use `shop_2`'],
    ['/*! USE shop */', '/*! USE `shop_2` */'],
    ['SHOW TABLES FROM shop', 'SHOW TABLES FROM `shop_2`'],
    ['CREATE DATABASE shop', 'CREATE DATABASE `shop_2`'],
    ['drop schema if exists shop', 'drop schema if exists `shop_2`'],
    ['ALTER DATABASE shop CHARACTER SET utf8', 'ALTER DATABASE `shop_2` CHARACTER SET utf8'],
    ['SELECT 1; USE shop', 'SELECT 1; USE `shop_2`'],
    ['USE `a``b`', 'USE `a``b_2`'],
    ['USE café', 'USE `café_2`'],
    ["PREPARE p FROM 'UPDATE shop.t SET a = ''x''; '", "PREPARE p FROM 'UPDATE `shop_2`.t SET a = ''x''; '"],
    ["PREPARE p FROM 'SHOW TABLES FROM shop'", "PREPARE p FROM 'SHOW TABLES FROM `shop_2`'"],
    ["execute immediate 'DELETE FROM `shop`.t'", "execute immediate 'DELETE FROM `shop_2`.t'"],
    ['EXECUTE IMMEDIATE "SELECT \\"\\" FROM shop.t"', 'EXECUTE IMMEDIATE "SELECT \\"\\" FROM `shop_2`.t"'],
    ["PREPARE p FROM 'SELECT ''FROM shop.t'' FROM t'", "PREPARE p FROM 'SELECT ''FROM shop.t'' FROM t'"],
    ["EXECUTE p USING 'FROM shop.t'", "EXECUTE p USING 'FROM shop.t'"],
  ];
  for (const [before, after] of cases) test(before, () => assert.equal(text(before), after));

  test('that names no schema is the same object', () => {
    for (const sql of ['SELECT 1', 'UPDATE t SET a = 1.5', 'COMMIT', 'SHOW TABLES', 'SELECT t.a FROM t;']) {
      const octets = Buffer.from(sql);
      assert.equal(schemas.of(0).text(octets, 0), octets);
    }
  });

  test('whatever schemas it names, each copy has its own', () => {
    const name = fc.stringMatching(/^[a-z]\w{0,8}$/).filter((one) => !/^(lateral|json_table)$/.test(one));
    fc.assert(
      fc.property(fc.uniqueArray(name, { minLength: 1 }), fc.nat(99), (names, copy) => {
        const own = new Set(['mysql', 'sys', 'information_schema', 'performance_schema']);
        const sql = (rename: (name: string) => string) =>
          `SELECT 1 FROM ${names.map((one) => `\`${rename(one)}\`.t`).join(', ')}`;
        assert.equal(
          text(
            sql((one) => one),
            copy,
          ),
          sql((one) => (own.has(one) ? one : `${one}_${copy + 1}`)),
        );
      }),
    );
  });
});

test('a remapped name is named anew', () => {
  const remap = new SchemaRemap(new Map([['shop', 'test']]));
  const octets = schemas.of(0).text(remap.text(Buffer.from('SELECT * FROM shop.t'), 0), 0);
  assert.equal(Buffer.from(octets).toString(), 'SELECT * FROM `test_1`.t');
});

test('a copy has the same names whenever it is asked for', () => {
  assert.equal(schemas.of(3), schemas.of(3));
  assert.notEqual(schemas.of(3), schemas.of(4));
});

test('renameSchemas asks for each name without its quotes, and puts in quotes what it is told', () => {
  const asked: string[] = [];
  const octets = Buffer.from('SELECT * FROM "a""b".t, `c``d`.t, e.t');
  const renamed = renameSchemas(octets, 0, (name) => {
    asked.push(name);
    return name === 'e' ? undefined : `${name}\`"`;
  });
  assert.deepEqual(asked, ['a"b', 'c`d', 'e']);
  assert.equal(Buffer.from(renamed).toString(), 'SELECT * FROM "a""b`""".t, `c``d``"`.t, e.t');
  assert.equal(
    renameSchemas(octets, 0, () => undefined),
    octets,
  );
});

describe('a pattern that will not do', () => {
  const cases: [string, RegExp][] = [
    [
      '{schema}_x',
      /gives all copies the same schema: it must have \{copy\} in it, as in \{schema\}_\{copy\}$/,
    ],
    ['{schema}_{copy}_{n}', /has \{n\}, and may have \{schema\} and \{copy\} only/],
    ['{}_{copy}', /has \{\},/],
    ['é_{copy}', /printable ASCII/],
    ['a {copy}', /printable ASCII/],
  ];
  for (const [pattern, message] of cases)
    test(pattern, () => assert.throws(() => new SchemaPerCopy(pattern), { code: 'usage', message }));
});
