import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { PIN, pinStatement, pinsOf } from '../../src/sql/pin-time.ts';

const pins = (sql: string) => pinsOf(Buffer.from(sql, 'latin1'), 0, 0);
const { clock, insertId, random } = PIN;
const ALL = clock | insertId | random;

describe('what a statement needs', () => {
  const cases: [string, number][] = [
    ['SELECT c FROM sbtest1 WHERE id = 7', 0],
    ['COMMIT', 0],
    ['SET NAMES utf8mb4', 0],
    ['SHOW TABLES', 0],
    ['EXPLAIN SELECT 1', 0],
    ['', 0],
    ['SELECT NOW()', clock],
    ['SELECT now (6)', clock],
    ['SELECT * FROM t WHERE d > CURDATE() - 1', clock],
    ['SELECT CURRENT_TIMESTAMP', clock],
    ['SELECT current_date, 1', clock],
    ['SELECT LOCALTIME', clock],
    ['SELECT UTC_TIMESTAMP', clock],
    ['SELECT SYSDATE()', clock],
    ['SELECT UNIX_TIMESTAMP()', clock],
    ['SELECT UNIX_TIMESTAMP(d)', 0],
    ['SELECT "NOW()", `now`, t.now, now FROM t -- NOW()', 0],
    ['SELECT t.current_date FROM t', 0],
    ['SELECT RAND()', random],
    ['SELECT RAND(5), brand(), rand FROM t', 0],
    ['SELECT NOW(), RAND()', clock | random],
    ['SET @now = NOW()', clock],
    ['(SELECT NOW())', clock],
    ['INSERT INTO t VALUES (1)', ALL],
    ['replace t values (1)', ALL],
    ['/* x */ INSERT INTO t VALUES (1)', ALL],
    ['/*!40001 INSERT INTO t VALUES (1) */', ALL],
    ['LOAD DATA INFILE "x" INTO TABLE t', ALL],
    ['EXECUTE x', ALL],
    ['UPDATE t SET x = 1', clock | random],
    ['DELETE FROM t', clock | random],
    ['CALL p()', clock | random],
    ['DO f()', clock | random],
    ['WITH c AS (SELECT 1) SELECT * FROM c', 0],
    ['WITH c AS (SELECT 1) UPDATE t, c SET x = 1', clock | random],
    ['SELECT * FROM t FOR UPDATE', 0],
    ['SELECT 1; INSERT INTO t VALUES (1)', ALL],
    ['INSERT INTO t VALUES (1); INSERT INTO u VALUES (1)', clock | random],
    ['SELECT 1;', 0],
  ];
  for (const [sql, expected] of cases) test(sql, () => assert.equal(pins(sql), expected));

  test('a text behind other octets', () => {
    const packet = Buffer.from('INSERT SELECT 1');
    assert.equal(pinsOf(packet, 7, 0), 0);
    assert.equal(pinsOf(packet, 0, 0), ALL);
  });
});

describe('the SET before it', () => {
  const origin = 1_700_000_000;

  test('the clock, to the microsecond', () => {
    assert.equal(pinStatement(clock, origin, 0, 5, 1), 'SET timestamp=1700000000.000000');
    assert.equal(pinStatement(clock, origin, 123_456_789, 5, 1), 'SET timestamp=1700000000.123456');
    assert.equal(pinStatement(clock, origin, 61_000_001_999, 5, 1), 'SET timestamp=1700000061.000001');
    assert.equal(pinStatement(clock, origin, 999_999_999, 5, 1), 'SET timestamp=1700000000.999999');
  });

  test('the insert id, where one is known', () => {
    assert.equal(pinStatement(insertId, origin, 0, 42, 1), 'SET insert_id=42');
    assert.equal(pinStatement(insertId, origin, 0, 0, 1), undefined);
    assert.equal(pinStatement(insertId, origin, 0, 2 ** 60, 1), undefined);
    assert.equal(pinStatement(0, origin, 0, 42, 1), undefined);
  });

  test('seeds: the same for the same number, others for others, all within bounds', () => {
    const seen = new Set<string | undefined>();
    for (let seed = 0; seed < 1000; seed++) {
      const set = pinStatement(random, origin, 0, 0, seed);
      assert.equal(set, pinStatement(random, origin, 0, 0, seed));
      seen.add(set);
    }
    assert.equal(seen.size, 1000);
    fc.assert(
      fc.property(fc.maxSafeNat(), (seed) => {
        const seeds = /^SET rand_seed1=(\d+),rand_seed2=(\d+)$/.exec(
          pinStatement(random, 0, 0, 0, seed) ?? '',
        );
        assert.ok(seeds !== null && Number(seeds[1]) < 0x3fff_ffff && Number(seeds[2]) < 0x3fff_ffff);
      }),
    );
  });

  test('all of them', () => {
    assert.match(
      pinStatement(ALL, origin, 0, 42, 1) ?? '',
      /^SET timestamp=1700000000\.000000,insert_id=42,rand_seed1=\d+,rand_seed2=\d+$/,
    );
  });
});

test('whatever the text is, it is an answer', () => {
  fc.assert(fc.property(fc.string(), (sql) => assert.ok(pins(sql) >= 0 && pins(`NOW(${sql}`) <= ALL)));
});
