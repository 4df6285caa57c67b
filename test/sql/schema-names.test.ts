import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { schemaNamesIn } from '../../src/sql/schema-names.ts';

/** What stands where schemas are named. */
function names(sql: string): string[] {
  const octets = Buffer.from(sql, 'latin1');
  const found = schemaNamesIn(octets, 0);
  return found.flatMap((from, i) => (i % 2 === 0 ? [octets.toString('latin1', from, found[i + 1])] : []));
}

/** In each of these `s` is a schema as often as it stands there, and nothing else is one. */
const SCHEMAS = [
  'USE s',
  'use `s`;',
  '/* x */ USE s -- s.t',
  'SELECT s.t.c, s.t.* FROM t',
  'SELECT * FROM s.t WHERE s.t.c = 1',
  'SELECT * FROM s.t1 a, s.t2 AS b, `s`.t3 ORDER BY a.x, b.y',
  'SELECT * FROM s . t JOIN s.u ON a.x = b.y, s.v',
  'SELECT * FROM (s.t JOIN s.u USING (x)) LEFT JOIN (s.v, s.w) ON a.x = b.y',
  'SELECT * FROM { OJ s.t LEFT OUTER JOIN s.u ON a.x = b.y }',
  'SELECT * FROM (SELECT a.x, b.y FROM s.t) d, s.u',
  'SELECT * FROM s.t FORCE INDEX FOR JOIN (i), s.u',
  'SELECT * FROM t STRAIGHT_JOIN s.u ON a.x = b.y',
  'SELECT x FROM t WHERE a.y IN (SELECT y FROM s.u) AND EXISTS (SELECT 1 FROM s.v)',
  'SELECT 1 UNION SELECT a.x FROM s.t',
  'WITH c AS (SELECT a.x FROM s.t) SELECT * FROM c, s.u',
  'SELECT s.f(1, a.x), MAX(a.y) FROM t',
  'SELECT EXTRACT(DAY FROM a.x), TRIM(BOTH a.z FROM a.y) FROM s.t',
  'SELECT a.x FROM s.t INTO OUTFILE "s.t"',
  'SELECT NEXTVAL(s.q), NEXT VALUE FOR s.q',
  'TABLE s.t ORDER BY a.x',
  'SET @x = (SELECT a.x FROM s.t)',
  'SET STATEMENT max_statement_time = 1 FOR SELECT * FROM s.t',
  'INSERT INTO s.t (a.x, b.y) VALUES (1, a.z), (2, 3)',
  'INSERT IGNORE s.t SET x = 1, a.y = 2',
  'INSERT INTO s.t SELECT a.x FROM s.u ON DUPLICATE KEY UPDATE a.x = 1, b.y = 2',
  'REPLACE LOW_PRIORITY s.t VALUES (INSERT("a", 1, 1, a.x), REPLACE(a.x, b.y, a.z))',
  'UPDATE s.t, s.u SET a.x = 1, b.y = TRUNCATE(a.z, 2) WHERE a.x = b.y',
  'UPDATE IGNORE s.t a SET a.x = 1',
  'DELETE FROM s.t WHERE a.x = 1',
  'DELETE a.*, s.t FROM s.t, s.u a',
  'DELETE FROM s.t USING s.t JOIN s.u ON a.x = b.y WHERE a.x = 1 RETURNING a.x, b.y',
  'LOAD DATA LOCAL INFILE "s.t" INTO TABLE s.t (x, y) SET x = a.y',
  'CALL s.p(1)',
  'CALL s.p',
  'DO s.f()',
  'HANDLER s.t OPEN',
  'TRUNCATE s.t',
  'TRUNCATE TABLE s.t',
  'LOCK TABLES s.t READ LOCAL, s.u AS x WRITE',
  'FLUSH TABLES s.t, s.u WITH READ LOCK',
  'ANALYZE NO_WRITE_TO_BINLOG TABLE s.t, s.u',
  'DESCRIBE s.t x',
  'desc s.t',
  'EXPLAIN s.t',
  'EXPLAIN FORMAT = JSON UPDATE s.t SET a.x = 1',
  'CREATE DATABASE IF NOT EXISTS s CHARACTER SET utf8mb4',
  'DROP SCHEMA IF EXISTS s',
  'ALTER DATABASE `s` CHARACTER SET utf8mb4',
  'CREATE TABLE IF NOT EXISTS s.t (x INT REFERENCES s.u (x) ON DELETE CASCADE ON UPDATE CASCADE)',
  'CREATE TABLE s.t LIKE s.u',
  'CREATE TEMPORARY TABLE s.t SELECT a.x FROM s.u JOIN s.v ON a.x = b.y WHERE a.z LIKE b.z',
  'ALTER TABLE s.t ADD FOREIGN KEY (x) REFERENCES s.u (x), RENAME TO s.v',
  'ALTER TABLE s.t EXCHANGE PARTITION p WITH TABLE s.u',
  'RENAME TABLE s.t TO s.u, s.v TO s.w',
  'DROP TABLE IF EXISTS s.t, s.u',
  'CREATE OR REPLACE VIEW s.v AS SELECT a.x, b.y FROM s.t a JOIN s.u b ON a.x = b.y',
  'DROP VIEW s.v, s.w',
  'CREATE UNIQUE INDEX i ON s.t (x)',
  'DROP INDEX i ON s.t',
  'CREATE TRIGGER s.r BEFORE UPDATE ON s.t FOR EACH ROW SET NEW.x = 1, NEW.y = 2',
  'CREATE DEFINER = `a`@`b` PROCEDURE s.p() BEGIN UPDATE s.t SET x = 1; DELETE FROM s.u; END',
  'CREATE EVENT s.e ON SCHEDULE EVERY 1 DAY DO DELETE FROM s.t',
  'GRANT SELECT, UPDATE (x), DELETE ON s.* TO a@b',
  'GRANT EXECUTE ON PROCEDURE s.p TO a',
  'REVOKE ALL ON s.t FROM a',
  'SHOW TABLES FROM s',
  'SHOW FULL TABLES IN `s` LIKE "s.%"',
  'SHOW TABLE STATUS FROM s WHERE name IN ("s")',
  'SHOW COLUMNS FROM s.t',
  'SHOW INDEX FROM t FROM s',
  'SHOW KEYS IN t IN s WHERE a.x = 1',
  'SHOW TRIGGERS FROM s',
  'SHOW CREATE TABLE s.t',
  'SHOW CREATE DATABASE s',
  'SHOW CREATE VIEW s.v',
  '/*!50000 SELECT * FROM s.t */',
  'SELECT "x"; UPDATE s.t SET a.x = 1; USE s',
  'SELECT * FROM "s"."t" JOIN "s".t',
  "SELECT '/*' FROM s.t /* s.u */ -- s.v\n JOIN s.w # s.x",
];

/** In none of these is a schema named. */
const NONE = [
  'SELECT a.x, s.y FROM t AS a, u s WHERE s.x = a.x GROUP BY a.x, s.y HAVING s.x > 1',
  'SELECT STRAIGHT_JOIN s.x FROM t s',
  'SELECT s.x FROM t s FOR UPDATE OF s',
  'UPDATE t s SET s.x = 1, s.y = 2',
  'DELETE s.* FROM t AS s WHERE s.x = 1',
  'DELETE s FROM t s',
  'INSERT INTO t VALUES (1) ON DUPLICATE KEY UPDATE s.x = VALUES(s.x), s.y = 1',
  'SELECT * FROM t, JSON_TABLE(s.doc, "$" COLUMNS (x INT PATH "$")) j',
  'SELECT * FROM t JOIN u USING (s, x) WHERE MATCH (s.x, s.y) AGAINST ("s.t")',
  'SELECT * FROM t WHERE x = "s.t" AND y = \'FROM s.t\'',
  'SELECT `s.t` FROM `s.t`',
  'SELECT @s.t, @@s.t, s FROM s',
  'SELECT 1 -- FROM s.t',
  'CREATE VIEW v AS SELECT 1 FROM t s JOIN u ON s.x = u.y',
  'CREATE INDEX s ON t (s)',
  'SELECT DATABASE(), SCHEMA()',
  'SHOW COLUMNS FROM s',
  'SHOW DATABASES LIKE "s"',
  'SELECT * FROM t ORDER BY s.x DESC, s.y LIMIT 1, 2',
  'GRANT SELECT ON t TO s@s',
  'ALTER TABLE t ADD s INT',
  'KILL 5',
  '',
  ';;',
];

describe('names of schemas', () => {
  for (const sql of SCHEMAS) {
    test(sql, () => {
      const found = names(sql);
      assert.ok(found.length > 0);
      for (const name of found) assert.match(name, /^(s|`s`|"s")$/);
      // What stands in strings and comments is left out of the count.
      const bare = sql.replace(/'[^']*'|"s\.[^"]*"|\("s"\)|\/\*[^!].*?\*\/|--.*|#.*/g, '');
      assert.equal(found.length, bare.match(/(?<![\w.@])["`]?\bs\b/g)?.length);
    });
  }
});

describe('no schema is named', () => {
  for (const sql of NONE) test(sql, () => assert.deepEqual(names(sql), []));
});

test('whatever the text is, names are within it, in their order', () => {
  const pieces = [
    ...'();,.*`"\'{} \n',
    ...' s s.t FROM JOIN UPDATE SELECT ON KEY SHOW GRANT USE DATABASE IF EXISTS INTO TABLES LIKE /* */'.split(
      ' ',
    ),
  ];
  const text = fc.array(fc.constantFrom(...pieces), { maxLength: 40 }).map((parts) => parts.join(' '));
  fc.assert(
    fc.property(fc.oneof(text, fc.string()), (sql) => {
      const octets = Buffer.from(sql);
      let end = 0;
      const found = schemaNamesIn(octets, 0);
      assert.equal(found.length % 2, 0);
      for (const at of found) {
        assert.ok(at >= end && at <= octets.length);
        end = at;
      }
    }),
    { numRuns: 2000 },
  );
});

test('brackets deeper than any server takes end the search', () => {
  assert.deepEqual(names(`SELECT * FROM s.t WHERE ${'('.repeat(100_000)} SELECT 1 FROM s.u`), ['s']);
});
