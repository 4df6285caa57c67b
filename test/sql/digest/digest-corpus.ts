/**
 * Statements, and what performance_schema says their digest text is (events_statements_history, DIGEST_TEXT; without the blank that
 * MariaDB ends it with). Said by MariaDB 10.11, which test/e2e/digest.test.ts asks again.
 */
import type { DigestOptions } from '../support/digests.ts';

export interface Said {
  sqlMode: string;
  options: DigestOptions;
  /** Statement, digest text. */
  statements: readonly (readonly [string, string])[];
}

/** Where the servers agree, as far as MySQL's manual and its tests tell. */
export const AGREED: readonly Said[] = [
  {
    sqlMode: '',
    options: {},
    statements: [
      ['SELECT 1', 'SELECT ?'],
      ['select 1', 'SELECT ?'],
      ['SeLeCt   1', 'SELECT ?'],
      [
        'SELECT c FROM sbtest1 WHERE k BETWEEN 1 AND 100 ORDER BY c',
        'SELECT `c` FROM `sbtest1` WHERE `k` BETWEEN ? AND ? ORDER BY `c`',
      ],
      [
        'SELECT SUM(k) FROM sbtest1 WHERE k BETWEEN 1 AND 100',
        'SELECT SUM ( `k` ) FROM `sbtest1` WHERE `k` BETWEEN ? AND ?',
      ],
      [
        'SELECT DISTINCT c FROM sbtest1 WHERE k BETWEEN 5 AND 10 ORDER BY c',
        'SELECT DISTINCTROW `c` FROM `sbtest1` WHERE `k` BETWEEN ? AND ? ORDER BY `c`',
      ],
      ['UPDATE sbtest1 SET k=k+1 WHERE k=5', 'UPDATE `sbtest1` SET `k` = `k` + ? WHERE `k` = ?'],
      ["UPDATE sbtest1 SET c='x' WHERE k=5", 'UPDATE `sbtest1` SET `c` = ? WHERE `k` = ?'],
      ['DELETE FROM sbtest1 WHERE k=5', 'DELETE FROM `sbtest1` WHERE `k` = ?'],
      [
        "INSERT INTO sbtest1 (k, c, pad) VALUES (1, 'a', 'b')",
        'INSERT INTO `sbtest1` ( `k` , `c` , `pad` ) VALUES (...)',
      ],
      ['BEGIN', 'BEGIN'],
      ['START TRANSACTION', 'START TRANSACTION'],
      ['START TRANSACTION READ ONLY', 'START TRANSACTION READ ONLY'],
      ['START TRANSACTION WITH CONSISTENT SNAPSHOT', 'START TRANSACTION WITH CONSISTENT SNAPSHOT'],
      ['COMMIT', 'COMMIT'],
      ['COMMIT AND CHAIN', 'COMMIT AND CHAIN'],
      ['ROLLBACK', 'ROLLBACK'],
      ['SAVEPOINT s1', 'SAVEPOINT `s1`'],
      ['ROLLBACK TO SAVEPOINT s1', 'ROLLBACK TO SAVEPOINT `s1`'],
      ['RELEASE SAVEPOINT s1', 'RELEASE SAVEPOINT `s1`'],
      ['SET autocommit=1', 'SET `autocommit` = ?'],
      ['SET TRANSACTION ISOLATION LEVEL READ COMMITTED', 'SET TRANSACTION ISOLATION LEVEL READ COMMITTED'],
      [
        'SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ',
        'SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ',
      ],
      [
        "SELECT * FROM t WHERE a = 1 AND b = 'two' OR c <> 3.5",
        'SELECT * FROM `t` WHERE `a` = ? AND `b` = ? OR `c` != ?',
      ],
      [
        'SELECT t1.a, t2.b FROM t1 JOIN t2 ON t1.a = t2.a WHERE t1.b > 5',
        'SELECT `t1` . `a` , `t2` . `b` FROM `t1` JOIN `t2` ON `t1` . `a` = `t2` . `a` WHERE `t1` . `b` > ?',
      ],
      [
        'SELECT * FROM t1 LEFT JOIN t2 USING (a) RIGHT OUTER JOIN t3 ON t2.b = t3.b',
        'SELECT * FROM `t1` LEFT JOIN `t2` USING ( `a` ) RIGHT OUTER JOIN `t3` ON `t2` . `b` = `t3` . `b`',
      ],
      [
        'SELECT * FROM t1 NATURAL JOIN t2 CROSS JOIN t3 STRAIGHT_JOIN t4',
        'SELECT * FROM `t1` NATURAL JOIN `t2` CROSS JOIN `t3` STRAIGHT_JOIN `t4`',
      ],
      [
        'SELECT * FROM t1 INNER JOIN (t2, t3) ON t1.a = t2.a AND t2.b = t3.b',
        'SELECT * FROM `t1` INNER JOIN ( `t2` , `t3` ) ON `t1` . `a` = `t2` . `a` AND `t2` . `b` = `t3` . `b`',
      ],
      ['SELECT * FROM t1, t2 WHERE t1.a = t2.a', 'SELECT * FROM `t1` , `t2` WHERE `t1` . `a` = `t2` . `a`'],
      [
        'SELECT * FROM t1 AS x, t2 y WHERE x.a = y.a',
        'SELECT * FROM `t1` AS `x` , `t2` `y` WHERE `x` . `a` = `y` . `a`',
      ],
      [
        'SELECT a FROM t WHERE a IN (SELECT b FROM u WHERE c = 5)',
        'SELECT `a` FROM `t` WHERE `a` IN ( SELECT `b` FROM `u` WHERE `c` = ? )',
      ],
      [
        'SELECT a FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.a = t.a)',
        'SELECT `a` FROM `t` WHERE EXISTS ( SELECT ? FROM `u` WHERE `u` . `a` = `t` . `a` )',
      ],
      [
        'SELECT a FROM t WHERE a > ALL (SELECT b FROM u)',
        'SELECT `a` FROM `t` WHERE `a` > ALL ( SELECT `b` FROM `u` )',
      ],
      [
        'SELECT a FROM t WHERE a = ANY (SELECT b FROM u)',
        'SELECT `a` FROM `t` WHERE `a` = SOME ( SELECT `b` FROM `u` )',
      ],
      [
        'SELECT a FROM t WHERE a < SOME (SELECT b FROM u)',
        'SELECT `a` FROM `t` WHERE `a` < SOME ( SELECT `b` FROM `u` )',
      ],
      ['SELECT (SELECT MAX(a) FROM t) AS m, 5', 'SELECT ( SELECT MAX ( `a` ) FROM `t` ) AS `m` , ?'],
      [
        'SELECT * FROM (SELECT a FROM t WHERE b = 1) AS d WHERE d.a = 2',
        'SELECT * FROM ( SELECT `a` FROM `t` WHERE `b` = ? ) AS `d` WHERE `d` . `a` = ?',
      ],
      [
        'WITH c AS (SELECT a FROM t WHERE b = 1) SELECT * FROM c',
        'WITH `c` AS ( SELECT `a` FROM `t` WHERE `b` = ? ) SELECT * FROM `c`',
      ],
      [
        'WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 10) SELECT * FROM n',
        'WITH RECURSIVE `n` AS ( SELECT ? AS `i` UNION ALL SELECT `i` + ? FROM `n` WHERE `i` < ? ) SELECT * FROM `n`',
      ],
      [
        'WITH x AS (SELECT 1), y AS (SELECT 2) SELECT * FROM x, y',
        'WITH `x` AS ( SELECT ? ) , `y` AS ( SELECT ? ) SELECT * FROM `x` , `y`',
      ],
      ['SELECT a FROM t UNION SELECT b FROM u', 'SELECT `a` FROM `t` UNION SELECT `b` FROM `u`'],
      [
        '(SELECT a FROM t LIMIT 1) UNION (SELECT b FROM u LIMIT 2)',
        '( SELECT `a` FROM `t` LIMIT ? ) UNION ( SELECT `b` FROM `u` LIMIT ? )',
      ],
      ['SELECT a FROM t INTERSECT SELECT b FROM u', 'SELECT `a` FROM `t` INTERSECT SELECT `b` FROM `u`'],
      ['SELECT a FROM t EXCEPT SELECT b FROM u', 'SELECT `a` FROM `t` EXCEPT SELECT `b` FROM `u`'],
      [
        'SELECT a, COUNT(*) FROM t GROUP BY a HAVING COUNT(*) > 5',
        'SELECT `a` , COUNT ( * ) FROM `t` GROUP BY `a` HAVING COUNT ( * ) > ?',
      ],
      [
        'SELECT a, SUM(b) FROM t GROUP BY a WITH ROLLUP',
        'SELECT `a` , SUM ( `b` ) FROM `t` GROUP BY `a` WITH ROLLUP',
      ],
      ['SELECT a FROM t ORDER BY a ASC, b DESC', 'SELECT `a` FROM `t` ORDER BY `a` ASC , `b` DESC'],
      ['SELECT a FROM t LIMIT 5', 'SELECT `a` FROM `t` LIMIT ?'],
      ['SELECT a FROM t LIMIT 5, 10', 'SELECT `a` FROM `t` LIMIT ?, ...'],
      ['SELECT a FROM t LIMIT 10 OFFSET 5', 'SELECT `a` FROM `t` LIMIT ? OFFSET ?'],
      ['SELECT a FROM t FOR UPDATE', 'SELECT `a` FROM `t` FOR UPDATE'],
      ['SELECT a FROM t LOCK IN SHARE MODE', 'SELECT `a` FROM `t` LOCK IN SHARE MODE'],
      ['SELECT a FROM t FOR UPDATE NOWAIT', 'SELECT `a` FROM `t` FOR UPDATE NOWAIT'],
      ['SELECT a FROM t FOR UPDATE SKIP LOCKED', 'SELECT `a` FROM `t` FOR UPDATE SKIP LOCKED'],
      ['SELECT SQL_CALC_FOUND_ROWS a FROM t LIMIT 1', 'SELECT SQL_CALC_FOUND_ROWS `a` FROM `t` LIMIT ?'],
      ['SELECT SQL_NO_CACHE a FROM t', 'SELECT SQL_NO_CACHE `a` FROM `t`'],
      ['SELECT HIGH_PRIORITY a FROM t', 'SELECT HIGH_PRIORITY `a` FROM `t`'],
      ['SELECT SQL_BIG_RESULT a FROM t GROUP BY a', 'SELECT SQL_BIG_RESULT `a` FROM `t` GROUP BY `a`'],
      ['SELECT FOUND_ROWS()', 'SELECT `FOUND_ROWS` ( )'],
      ['SELECT LAST_INSERT_ID()', 'SELECT `LAST_INSERT_ID` ( )'],
      ['SELECT a FROM t USE INDEX (i) WHERE a = 1', 'SELECT `a` FROM `t` USE INDEX ( `i` ) WHERE `a` = ?'],
      [
        'SELECT a FROM t FORCE INDEX FOR ORDER BY (i)',
        'SELECT `a` FROM `t` FORCE INDEX FOR ORDER BY ( `i` )',
      ],
      ['SELECT a FROM t IGNORE INDEX (i, j)', 'SELECT `a` FROM `t` IGNORE INDEX ( `i` , `j` )'],
      ['SELECT a FROM t PARTITION (p0, p1)', 'SELECT `a` FROM `t` PARTITION ( `p0` , `p1` )'],
      ['SELECT a INTO @x FROM t LIMIT 1', 'SELECT `a` INTO @? FROM `t` LIMIT ?'],
      ['SELECT a, b INTO @x, @y FROM t', 'SELECT `a` , `b` INTO @? , @? FROM `t`'],
      [
        "SELECT a INTO OUTFILE '/no/such' FIELDS TERMINATED BY ',' LINES TERMINATED BY '\\n' FROM t",
        'SELECT `a` INTO OUTFILE ? FIELDS TERMINATED BY ? LINES TERMINATED BY ? FROM `t`',
      ],
      [
        'SELECT ROW_NUMBER() OVER (PARTITION BY a ORDER BY b) FROM t',
        'SELECT ROW_NUMBER ( ) OVER ( PARTITION BY `a` ORDER BY `b` ) FROM `t`',
      ],
      [
        'SELECT SUM(a) OVER (ORDER BY b ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) FROM t',
        'SELECT SUM ( `a` ) OVER ( ORDER BY `b` ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW ) FROM `t`',
      ],
      [
        'SELECT SUM(a) OVER (ORDER BY b RANGE BETWEEN 1 PRECEDING AND 2 FOLLOWING) FROM t',
        'SELECT SUM ( `a` ) OVER ( ORDER BY `b` RANGE BETWEEN ? PRECEDING AND ? FOLLOWING ) FROM `t`',
      ],
      [
        'SELECT COUNT(a) OVER w FROM t WINDOW w AS (PARTITION BY c)',
        'SELECT COUNT ( `a` ) OVER `w` FROM `t` WINDOW `w` AS ( PARTITION BY `c` )',
      ],
      ['SELECT AVG(a) OVER () FROM t', 'SELECT AVG ( `a` ) OVER ( ) FROM `t`'],
      ["SELECT JSON_EXTRACT(a, '$.b') FROM t", 'SELECT `JSON_EXTRACT` ( `a` , ? ) FROM `t`'],
      [
        "SELECT JSON_OBJECT('k', 1, 'l', NULL), JSON_ARRAY(1, 2, 3)",
        'SELECT `JSON_OBJECT` (...) , `JSON_ARRAY` (...)',
      ],
      [
        "SELECT JSON_UNQUOTE(JSON_EXTRACT(a, '$.b')) FROM t WHERE JSON_CONTAINS(a, '1', '$.c')",
        'SELECT `JSON_UNQUOTE` ( `JSON_EXTRACT` ( `a` , ? ) ) FROM `t` WHERE `JSON_CONTAINS` ( `a` , ?, ... )',
      ],
      [
        "SELECT * FROM JSON_TABLE('[1]', '$[*]' COLUMNS (a INT PATH '$.a' NULL ON EMPTY)) jt",
        'SELECT * FROM JSON_TABLE ( ?, ... FIELDS ( `a` INTEGER PATH ? NULL ON EMPTY ) ) `jt`',
      ],
      [
        "SELECT * FROM JSON_TABLE('[1]', '$[*]' COLUMNS (a INT PATH '$.a' DEFAULT '0' ON EMPTY NULL ON ERROR, n FOR ORDINALITY)) jt",
        'SELECT * FROM JSON_TABLE ( ?, ... FIELDS ( `a` INTEGER PATH ? DEFAULT ? ON EMPTY NULL ON ERROR , `n` FOR ORDINALITY ) ) `jt`',
      ],
      [
        "SELECT CASE WHEN a = 1 THEN 'x' WHEN a = 2 THEN 'y' ELSE NULL END FROM t",
        'SELECT CASE WHEN `a` = ? THEN ? WHEN `a` = ? THEN ? ELSE ? END FROM `t`',
      ],
      [
        "SELECT IF(a > 1, 'x', 'y'), IFNULL(a, 0), NULLIF(a, 0), COALESCE(a, b, 0) FROM t",
        'SELECT IF ( `a` > ?, ... ) , `IFNULL` ( `a` , ? ) , `NULLIF` ( `a` , ? ) , COALESCE ( `a` , `b` , ? ) FROM `t`',
      ],
      [
        "SELECT CAST(a AS CHAR(10)), CAST(a AS SIGNED), CAST('5' AS DECIMAL(10,2)), CONVERT(a, DATETIME), CONVERT(a USING utf8mb4) FROM t",
        'SELECT CAST ( `a` AS CHARACTER (?) ) , CAST ( `a` AS SIGNED ) , CAST ( ? AS DECIMAL (...) ) , CONVERT ( `a` , DATETIME ) , CONVERT ( `a` USING `utf8mb4` ) FROM `t`',
      ],
      [
        "SELECT CONCAT(a, ' ', b), UPPER(a), LENGTH(a), SUBSTRING(a, 1, 3), REPLACE(a, 'x', 'y'), TRIM(a), TRIM(LEADING 'x' FROM a) FROM t",
        'SELECT `CONCAT` ( `a` , ? , `b` ) , `UPPER` ( `a` ) , `LENGTH` ( `a` ) , SUBSTRING ( `a` , ?, ... ) , REPLACE ( `a` , ?, ... ) , TRIM ( `a` ) , TRIM ( LEADING ? FROM `a` ) FROM `t`',
      ],
      [
        'SELECT SUBSTR(a, 1), MID(a, 1, 2), SUBSTRING(a FROM 2 FOR 3) FROM t',
        'SELECT SUBSTRING ( `a` , ? ) , SUBSTRING ( `a` , ?, ... ) , SUBSTRING ( `a` FROM ? FOR ? ) FROM `t`',
      ],
      [
        'SELECT NOW(), CURDATE(), CURTIME(), SYSDATE(), UTC_TIMESTAMP(), CURRENT_TIMESTAMP, CURRENT_TIMESTAMP(6), CURRENT_DATE, CURRENT_TIME, LOCALTIME, LOCALTIMESTAMP',
        'SELECT NOW ( ) , CURDATE ( ) , CURTIME ( ) , SYSDATE ( ) , UTC_TIMESTAMP ( ) , NOW , NOW (?) , CURDATE , CURTIME , NOW , NOW',
      ],
      [
        'SELECT DATE_ADD(a, INTERVAL 1 DAY), DATE_SUB(a, INTERVAL 2 MONTH), a + INTERVAL 3 HOUR, a - INTERVAL -4 MINUTE FROM t',
        'SELECT DATE_ADD ( `a` , INTERVAL ? SQL_TSI_DAY ) , DATE_SUB ( `a` , INTERVAL ? SQL_TSI_MONTH ) , `a` + INTERVAL ? SQL_TSI_HOUR , `a` - INTERVAL ? SQL_TSI_MINUTE FROM `t`',
      ],
      [
        'SELECT ADDDATE(a, 1), SUBDATE(a, INTERVAL 1 SECOND), TIMESTAMPADD(WEEK, 1, a), TIMESTAMPDIFF(QUARTER, a, b) FROM t',
        'SELECT ADDDATE ( `a` , ? ) , SUBDATE ( `a` , INTERVAL ? SQL_TSI_SECOND ) , TIMESTAMPADD ( WEEK , ? , `a` ) , TIMESTAMPDIFF ( SQL_TSI_QUARTER , `a` , `b` ) FROM `t`',
      ],
      [
        'SELECT EXTRACT(YEAR FROM a), EXTRACT(DAY_HOUR FROM a) FROM t',
        'SELECT EXTRACT ( YEAR FROM `a` ) , EXTRACT ( DAY_HOUR FROM `a` ) FROM `t`',
      ],
      [
        'SELECT DATE(a), TIME(a), YEAR(a), MONTH(a), DAY(a), HOUR(a), MINUTE(a), SECOND(a), WEEK(a), QUARTER(a) FROM t',
        'SELECT DATE ( `a` ) , TIME ( `a` ) , YEAR ( `a` ) , SQL_TSI_MONTH ( `a` ) , SQL_TSI_DAY ( `a` ) , SQL_TSI_HOUR ( `a` ) , SQL_TSI_MINUTE ( `a` ) , SQL_TSI_SECOND ( `a` ) , WEEK ( `a` ) , SQL_TSI_QUARTER ( `a` ) FROM `t`',
      ],
      [
        "SELECT DATE_FORMAT(a, '%Y-%m-%d'), STR_TO_DATE('2020', '%Y'), UNIX_TIMESTAMP(a), FROM_UNIXTIME(5) FROM t",
        'SELECT `DATE_FORMAT` ( `a` , ? ) , `STR_TO_DATE` (...) , `UNIX_TIMESTAMP` ( `a` ) , `FROM_UNIXTIME` (?) FROM `t`',
      ],
      [
        'SELECT MIN(a), MAX(a), AVG(a), SUM(a), COUNT(DISTINCT a), STD(a), STDDEV(a), STDDEV_POP(a), STDDEV_SAMP(a), VARIANCE(a), VAR_POP(a), VAR_SAMP(a), BIT_AND(a), BIT_OR(a), BIT_XOR(a) FROM t',
        'SELECT MIN ( `a` ) , MAX ( `a` ) , AVG ( `a` ) , SUM ( `a` ) , COUNT ( DISTINCTROW `a` ) , STDDEV_POP ( `a` ) , STDDEV_POP ( `a` ) , STDDEV_POP ( `a` ) , STDDEV_SAMP ( `a` ) , VAR_POP ( `a` ) , VAR_POP ( `a` ) , VAR_SAMP ( `a` ) , BIT_AND ( `a` ) , BIT_OR ( `a` ) , BIT_XOR ( `a` ) FROM `t`',
      ],
      [
        "SELECT GROUP_CONCAT(a), GROUP_CONCAT(DISTINCT a ORDER BY b DESC SEPARATOR ', ') FROM t",
        'SELECT GROUP_CONCAT ( `a` ) , GROUP_CONCAT ( DISTINCTROW `a` ORDER BY `b` DESC SEPARATOR ? ) FROM `t`',
      ],
      [
        "SELECT POSITION('a' IN b), LOCATE('a', b), INSTR(b, 'a') FROM t",
        'SELECT POSITION ( ? IN `b` ) , `LOCATE` ( ? , `b` ) , `INSTR` ( `b` , ? ) FROM `t`',
      ],
      [
        'SELECT USER(), CURRENT_USER, CURRENT_USER(), SESSION_USER(), SYSTEM_USER(), DATABASE(), SCHEMA(), VERSION(), CONNECTION_ID()',
        'SELECT SYSTEM_USER ( ) , CURRENT_USER , CURRENT_USER ( ) , SYSTEM_USER ( ) , SYSTEM_USER ( ) , SCHEMA ( ) , SCHEMA ( ) , `VERSION` ( ) , `CONNECTION_ID` ( )',
      ],
      [
        "SELECT MD5('x'), SHA2('x', 256), UUID(), RAND(), RAND(5), ROUND(a, 2), TRUNCATE(a, 2), FLOOR(a), MOD(a, 5), a MOD 5, a % 5, a DIV 5 FROM t",
        'SELECT `MD5` (?) , `SHA2` (...) , `UUID` ( ) , `RAND` ( ) , `RAND` (?) , `ROUND` ( `a` , ? ) , TRUNCATE ( `a` , ? ) , `FLOOR` ( `a` ) , MOD ( `a` , ? ) , `a` MOD ? , `a` % ? , `a` DIV ? FROM `t`',
      ],
      [
        "SELECT GREATEST(1, 2, 3), LEAST(a, 1), FIELD(a, 'x', 'y'), ELT(1, 'a', 'b'), INTERVAL(5, 1, 10) FROM t",
        'SELECT `GREATEST` (...) , `LEAST` ( `a` , ? ) , `FIELD` ( `a` , ?, ... ) , `ELT` (...) , INTERVAL (...) FROM `t`',
      ],
      [
        "SELECT MATCH (a, b) AGAINST ('x' IN BOOLEAN MODE) FROM t",
        'SELECT MATCH ( `a` , `b` ) AGAINST ( ? IN BOOLEAN MODE ) FROM `t`',
      ],
      [
        "SELECT MATCH (a) AGAINST ('+x -y' WITH QUERY EXPANSION) FROM t",
        'SELECT MATCH ( `a` ) AGAINST ( ? WITH QUERY EXPANSION ) FROM `t`',
      ],
      [
        "SELECT CHAR(65, 66), CHAR(65 USING utf8mb4), ASCII('a'), HEX('a'), LEFT(a, 1), RIGHT(a, 1), REPEAT('a', 3), REVERSE(a), FORMAT(a, 2), INSERT(a, 1, 2, 'x') FROM t",
        'SELECT CHARACTER (...) , CHARACTER ( ? USING `utf8mb4` ) , ASCII (?) , `HEX` (?) , LEFT ( `a` , ? ) , RIGHT ( `a` , ? ) , REPEAT (...) , REVERSE ( `a` ) , FORMAT ( `a` , ? ) , INSERT ( `a` , ?, ... ) FROM `t`',
      ],
      [
        "SELECT a REGEXP '^x', a RLIKE 'y$', a NOT REGEXP 'z', a LIKE 'x%', a NOT LIKE '%y', a LIKE 'x|%' ESCAPE '|', a SOUNDS LIKE 'b' FROM t",
        'SELECT `a` RLIKE ? , `a` RLIKE ? , `a` NOT RLIKE ? , `a` LIKE ? , `a` NOT LIKE ? , `a` LIKE ? ESCAPE ? , `a` SOUNDS LIKE ? FROM `t`',
      ],
      [
        'SELECT a IS NULL, a IS NOT NULL, a IS TRUE, a IS NOT FALSE, a IS UNKNOWN, ISNULL(a) FROM t',
        'SELECT `a` IS NULL , `a` IS NOT NULL , `a` IS TRUE , `a` IS NOT FALSE , `a` IS UNKNOWN , `ISNULL` ( `a` ) FROM `t`',
      ],
      [
        'SELECT a = b, a <=> b, a <> b, a != b, a < b, a <= b, a > b, a >= b FROM t',
        'SELECT `a` = `b` , `a` <=> `b` , `a` != `b` , `a` != `b` , `a` < `b` , `a` <= `b` , `a` > `b` , `a` >= `b` FROM `t`',
      ],
      [
        'SELECT a + b, a - b, a * b, a / b, a % b, a ^ b, a & b, a | b, a << b, a >> b, ~a, -a, +a, !a FROM t',
        'SELECT `a` + `b` , `a` - `b` , `a` * `b` , `a` / `b` , `a` % `b` , `a` ^ `b` , `a` & `b` , `a` | `b` , `a` << `b` , `a` >> `b` , ~ `a` , - `a` , + `a` , ! `a` FROM `t`',
      ],
      [
        'SELECT a AND b, a OR b, a XOR b, NOT a, a && b, a || b FROM t',
        'SELECT `a` AND `b` , `a` OR `b` , `a` XOR `b` , NOT `a` , `a` && `b` , `a` || `b` FROM `t`',
      ],
      [
        'SELECT a BETWEEN 1 AND 2, a NOT BETWEEN 1 AND 2 FROM t',
        'SELECT `a` BETWEEN ? AND ? , `a` NOT BETWEEN ? AND ? FROM `t`',
      ],
      [
        'SELECT (a, b) = (1, 2), ROW(a, b) = ROW(1, 2), (a, b) IN ((1, 2), (3, 4)) FROM t',
        'SELECT ( `a` , `b` ) = (...) , ROW ( `a` , `b` ) = ROW (...) , ( `a` , `b` ) IN ( (...) /* , ... */ ) FROM `t`',
      ],
      ['SELECT @a := 5, @b := @a + 1', 'SELECT @? := ? , @? := @? + ?'],
      [
        "SELECT BINARY a = 'x', a COLLATE utf8mb4_bin = 'y' FROM t",
        'SELECT BINARY `a` = ? , `a` COLLATE `utf8mb4_bin` = ? FROM `t`',
      ],
      ['SELECT -1, +1, - 1, -1.5, -.5, -1e5, -0x10', 'SELECT ?, ...'],
      ['SELECT - -1, + +1, - + 1', 'SELECT ?, ...'],
      [
        'SELECT a-1, a - 1, a -1, a- 1, a--1, a - -1, a+1, a+-1 FROM t',
        'SELECT `a` - ? , `a` - ? , `a` - ? , `a` - ? , `a` - ? , `a` - ? , `a` + ? , `a` + ? FROM `t`',
      ],
      [
        'SELECT 5-1, 5 - 1, 5--1, 5 - -1, (5)-1, 5*-1',
        'SELECT ? - ?, ... - ?, ... - ?, ... - ? , (?) - ?, ... * ?',
      ],
      [
        'SELECT a * -1, a / -1, a % -1, a DIV -1, a MOD -1, a & -1, a | -1, a ^ -1, a << -1, a >> -1 FROM t',
        'SELECT `a` * ? , `a` / ? , `a` % ? , `a` DIV ? , `a` MOD ? , `a` & ? , `a` | ? , `a` ^ ? , `a` << ? , `a` >> ? FROM `t`',
      ],
      [
        'SELECT a AND -1, a OR -1, a XOR -1, NOT -1, a && -1, a || -1, ~-1, !-1 FROM t',
        'SELECT `a` AND ? , `a` OR ? , `a` XOR ? , NOT ? , `a` && ? , `a` || ? , ~ - ? , ! - ? FROM `t`',
      ],
      [
        'SELECT a LIKE -1, a REGEXP -1, a BETWEEN -1 AND -2, a IN (-1, -2), f(-1), f(a, -1), (-1), INTERVAL -1 DAY + a FROM t',
        'SELECT `a` LIKE ? , `a` RLIKE ? , `a` BETWEEN ? AND ? , `a` IN (...) , `f` (?) , `f` ( `a` , ? ) , (?) , INTERVAL ? SQL_TSI_DAY + `a` FROM `t`',
      ],
      ['SELECT ALL -1', 'SELECT ALL - ?'],
      ['SELECT DISTINCT -1', 'SELECT DISTINCTROW - ?'],
      ['SELECT a FROM t WHERE -1 = a AND -1 < b', 'SELECT `a` FROM `t` WHERE - ? = `a` AND ? < `b`'],
      ['SELECT a FROM t ORDER BY -1', 'SELECT `a` FROM `t` ORDER BY - ?'],
      ['SELECT a FROM t GROUP BY -1 HAVING -1', 'SELECT `a` FROM `t` GROUP BY - ? HAVING - ?'],
      [
        "SELECT -(1), -(a), -f(1), -@a, -NULL, -'1', -TRUE",
        'SELECT - (?) , - ( `a` ) , - `f` (?) , - @? , - ? , - ? , - TRUE',
      ],
      ['SELECT - a.b FROM t', 'SELECT - `a` . `b` FROM `t`'],
      ['SELECT NULL', 'SELECT ?'],
      ['SELECT NULL, NULL', 'SELECT ?, ...'],
      ["SELECT NULL, 1, 'x', NULL", 'SELECT ?, ...'],
      ['SELECT a, NULL, b FROM t', 'SELECT `a` , ? , `b` FROM `t`'],
      [
        'SELECT NULL AS a, NULL b, NULL IS NULL, (NULL), ((NULL))',
        'SELECT ? AS `a` , ? `b` , ? IS NULL , (?) , ( (?) )',
      ],
      [
        'SELECT a = NULL, a <=> NULL, a + NULL, NULL + a, a AND NULL, NULL OR a, NOT NULL, !NULL, ~NULL, - NULL FROM t',
        'SELECT `a` = ? , `a` <=> ? , `a` + ?, ... + `a` , `a` AND ?, ... OR `a` , NOT ? , ! ? , ~ ? , - ? FROM `t`',
      ],
      [
        'SELECT f(NULL), f(a, NULL), f(NULL, a), f(NULL, 1), f(1, NULL) FROM t',
        'SELECT `f` (?) , `f` ( `a` , ? ) , `f` ( ? , `a` ) , `f` (...) , `f` (...) FROM `t`',
      ],
      [
        'SELECT a FROM t WHERE a = NULL OR a LIKE NULL OR a BETWEEN NULL AND NULL OR a REGEXP NULL',
        'SELECT `a` FROM `t` WHERE `a` = ? OR `a` LIKE ? OR `a` BETWEEN ? AND ? OR `a` RLIKE ?',
      ],
      [
        'SELECT a FROM t WHERE NOT NULL AND (NOT NULL) OR a AND NOT NULL',
        'SELECT `a` FROM `t` WHERE NOT ? AND ( NOT ? ) OR `a` AND NOT ?',
      ],
      [
        'SELECT BINARY NULL, CAST(NULL AS CHAR), CONVERT(NULL, CHAR), NULL COLLATE utf8mb4_bin',
        'SELECT BINARY ? , CAST ( ? AS CHARACTER ) , CONVERT ( ? , CHARACTER ) , ? COLLATE `utf8mb4_bin`',
      ],
      [
        'SELECT DISTINCT NULL FROM t GROUP BY NULL HAVING NULL ORDER BY NULL',
        'SELECT DISTINCTROW ? FROM `t` GROUP BY ? HAVING ? ORDER BY ?',
      ],
      ['SELECT CASE NULL WHEN NULL THEN NULL ELSE NULL END', 'SELECT CASE ? WHEN ? THEN ? ELSE ? END'],
      [
        'SELECT (SELECT NULL), EXISTS (SELECT NULL), (NULL, 1) = (1, NULL)',
        'SELECT ( SELECT ? ) , EXISTS ( SELECT ? ) , (...) = (...)',
      ],
      [
        'SELECT TRUE, FALSE, true, false, TRUE AND FALSE',
        'SELECT TRUE , FALSE , TRUE , FALSE , TRUE AND FALSE',
      ],
      ['SELECT \\N, a = \\N FROM t', 'SELECT ? , `a` = ? FROM `t`'],
      ['SELECT \'a\', "a", \'it\'\'s\', "say ""x""", \'a\\\'b\', "a\\"b", \'a\\\\\'', 'SELECT ?, ...'],
      ["SELECT 'a' 'b', 'a' \"b\" 'c', 'a' AS \"b\"", 'SELECT ? ?, ... ? ?, ... AS ?'],
      ["SELECT '', \"\", ' ', '''', '\\\\'", 'SELECT ?, ...'],
      ["SELECT 'a;b', 'a -- b', 'a /* b */', 'a # b', '`a`', '?'", 'SELECT ?, ...'],
      [
        "SELECT N'a', n'a', _utf8mb4'a', _utf8mb4 'a', _UTF8'a', _latin1'a', _binary'a', _ascii 'a', _nosuch 'a'",
        'SELECT ?, ... , (_charset) ? , (_charset) ? , (_charset) ? , (_charset) ? , (_charset) ? , (_charset) ? , `_nosuch` ?',
      ],
      [
        "SELECT _utf8mb4 0x41, _utf8mb4 b'1', _latin1 'a' COLLATE latin1_bin",
        'SELECT (_charset) ? , (_charset) ? , (_charset) ? COLLATE `latin1_bin`',
      ],
      ["SELECT b'01', B'01', 0b01, 0x1F, 0xab, 0b'1'", 'SELECT ?, ... , `0b` ?'],
      [
        'SELECT 0, 1, 00, 12345678901234567890, 99999999999999999999999999, 1.0, 1., .5, 0.5, 1e5, 1E5, 1e+5, 1e-5, 1.5e5, .5e5, 1.e5',
        'SELECT ?, ...',
      ],
      [
        'SELECT 0x, 0xg, 0b, 0b2, 0X1, 0B1, 1a, 1e, 1ea, 12_3, 1$ FROM t',
        'SELECT `0x` , `0xg` , `0b` , `0b2` , `0X1` , `0B1` , `1a` , `1e` , `1ea` , `12_3` , `1$` FROM `t`',
      ],
      ['SELECT 1e5a, 1.a FROM t', 'SELECT ? `a` , ? `a` FROM `t`'],
      [
        "SELECT DATE '2020-01-01', TIME '10:00:00', TIMESTAMP '2020-01-01 10:00:00', DATE'2020-01-01'",
        'SELECT DATE ? , TIME ? , TIMESTAMP ? , DATE ?',
      ],
      [
        "SELECT {d '2020-01-01'}, {t '10:00:00'}, {ts '2020-01-01 10:00:00'}, {fn NOW()}",
        'SELECT { `d` ? } , { `t` ? } , { `ts` ? } , { `fn` NOW ( ) }',
      ],
      [
        'SELECT `a`.`b`, `a`.b, a.`b`, a.b, a . b, `a` . `b`, a. b, a .b FROM a',
        'SELECT `a` . `b` , `a` . `b` , `a` . `b` , `a` . `b` , `a` . `b` , `a` . `b` , `a` . `b` , `a` . `b` FROM `a`',
      ],
      [
        'SELECT d.t.a, `d`.`t`.`a`, d.t.* FROM d.t',
        'SELECT `d` . `t` . `a` , `d` . `t` . `a` , `d` . `t` . * FROM `d` . `t`',
      ],
      [
        'SELECT t.select, t.from, t.key, t.1, t.1a, t.1e5, t.null FROM t',
        'SELECT `t` . `select` , `t` . `from` , `t` . `key` , `t` . `1` , `t` . `1a` , `t` . `1e5` , `t` . `null` FROM `t`',
      ],
      ['SELECT a.*, b.* FROM a, b', 'SELECT `a` . * , `b` . * FROM `a` , `b`'],
      [
        'SELECT a AS \'x\', b AS "y", c AS `z`, d AS w FROM t',
        'SELECT `a` AS ? , `b` AS ? , `c` AS `z` , `d` AS `w` FROM `t`',
      ],
      [
        'SELECT a AS status, name, date, type, value, text FROM t',
        'SELECT `a` AS STATUS , NAME , DATE , TYPE , VALUE , TEXT FROM `t`',
      ],
      [
        'SELECT user, host, data, names, level, language, comment, password FROM t',
        'SELECT SYSTEM_USER , HOST , DATA , NAMES , LEVEL , LANGUAGE , COMMENT , PASSWORD FROM `t`',
      ],
      [
        'SELECT time, year, day, month, hour, timestamp, position, count, sum, max, min, now FROM t',
        'SELECT TIME , YEAR , SQL_TSI_DAY , SQL_TSI_MONTH , SQL_TSI_HOUR , TIMESTAMP , `position` , `count` , `sum` , `max` , `min` , `now` FROM `t`',
      ],
      [
        'SELECT a$b, $a, _a, __, a_1, ä, `ü`, 名前 FROM t',
        'SELECT `a$b` , `$a` , `_a` , `__` , `a_1` , `ä` , `ü` , `名前` FROM `t`',
      ],
      ["SELECT 'ä', \"名前\", _utf8mb4'ü' AS ä", 'SELECT ?, ... , (_charset) ? AS `ä`'],
      ['SELECT COUNT (a), SUM (a) FROM t', 'SELECT `COUNT` ( `a` ) , `SUM` ( `a` ) FROM `t`'],
      [
        'SELECT now (), left (a, 1), f (1), f(1) FROM t',
        'SELECT `now` ( ) , LEFT ( `a` , ? ) , `f` (?) , `f` (?) FROM `t`',
      ],
      [
        'SELECT count(*), Count( * ), COUNT(1), COUNT(a) FROM t',
        'SELECT COUNT ( * ) , COUNT ( * ) , COUNT (?) , COUNT ( `a` ) FROM `t`',
      ],
      [
        'SELECT f(), f(1), f(1,2), f(a), f(a,1), f(1,a), f(a,1,2), f(1,2,a), f((1)), f((1),(2)), f((1,2)), f((1,2),(3,4))',
        'SELECT `f` ( ) , `f` (?) , `f` (...) , `f` ( `a` ) , `f` ( `a` , ? ) , `f` ( ? , `a` ) , `f` ( `a` , ?, ... ) , `f` ( ?, ... , `a` ) , `f` ( (?) ) , `f` ( (?) /* , ... */ ) , `f` ( (...) ) , `f` ( (...) /* , ... */ )',
      ],
      [
        'SELECT (1), (1), ((1)), (1, 2), (1, 2), (a, 1)',
        'SELECT (?) /* , ... */ , ( (?) ) , (...) /* , ... */ , ( `a` , ? )',
      ],
      ['SELECT 1, a, 2, 3, b, 4, 5, 6 FROM t', 'SELECT ? , `a` , ?, ... , `b` , ?, ... FROM `t`'],
      ['SELECT 1 + 2, 3, 4 + 5, 6', 'SELECT ? + ?, ... + ?, ...'],
      ['SELECT a FROM t WHERE a IN (1, 2, 3)', 'SELECT `a` FROM `t` WHERE `a` IN (...)'],
      ["SELECT a FROM t WHERE a NOT IN ('a', 'b', NULL)", 'SELECT `a` FROM `t` WHERE `a` NOT IN (...)'],
      ['SELECT a FROM t WHERE a IN (1, b, 2)', 'SELECT `a` FROM `t` WHERE `a` IN ( ? , `b` , ? )'],
      [
        'SELECT a FROM t WHERE (a, b) IN ((1, 2), (3, 4))',
        'SELECT `a` FROM `t` WHERE ( `a` , `b` ) IN ( (...) /* , ... */ )',
      ],
      [
        'SELECT a FROM t WHERE a IN (1, 2) AND b IN (3, 4)',
        'SELECT `a` FROM `t` WHERE `a` IN (...) AND `b` IN (...)',
      ],
      ['SELECT a FROM t WHERE a IN (-1, +2)', 'SELECT `a` FROM `t` WHERE `a` IN (...)'],
      ['SELECT a FROM t WHERE a IN (TRUE, FALSE)', 'SELECT `a` FROM `t` WHERE `a` IN ( TRUE , FALSE )'],
      ['SELECT a FROM t WHERE a IN (NOW(), 1)', 'SELECT `a` FROM `t` WHERE `a` IN ( NOW ( ) , ? )'],
      [
        'SELECT @a, @A, @a_b, @a.b, @a$b, @1, @`a`, @`a b`, @\'a\', @"a", @ä, @select',
        'SELECT @? , @? , @? , @? , @? , @? , @`a` , @`a b` , @? , @? , @? , @?',
      ],
      [
        'SELECT @@version, @@global.max_connections, @@session.sql_mode, @@local.autocommit, @@GLOBAL.port, @@`version`, @@global.`port`',
        'SELECT @@`version` , @@GLOBAL . `max_connections` , @@SESSION . `sql_mode` , @@LOCAL . `autocommit` , @@GLOBAL . `port` , @@`version` , @@GLOBAL . `port`',
      ],
      [
        'SELECT @@sql_mode, @@global . port, @a+@b, @a=@b, @a:=@b',
        'SELECT @@`sql_mode` , @@GLOBAL . PORT , @? + @? , @? = @? , @? := @?',
      ],
      ['SELECT @a:=1,@b:=2', 'SELECT @? := ? , @? := ?'],
      [
        'SELECT a/*x*/b, a /* x */ b, a/**/, 1 /* a * b ** / */ FROM t',
        'SELECT `a` `b` , `a` `b` , `a` , ? FROM `t`',
      ],
      ['SELECT 1 # comment', 'SELECT ?'],
      ['SELECT 1 -- comment', 'SELECT ?'],
      ['SELECT 1 --', 'SELECT ?'],
      ['SELECT 1 --1', 'SELECT ? - ?'],
      ['SELECT 1 --a FROM t', 'SELECT ? - - `a` FROM `t`'],
      ['SELECT /* a */ /* b */ 1', 'SELECT ?'],
      ['/* first */ SELECT 1', 'SELECT ?'],
      ['SELECT /*! 1 */', 'SELECT ?'],
      ['SELECT /*!40000 1 */', 'SELECT ?'],
      ['SELECT /*!50100 1, */ 2', 'SELECT ?, ...'],
      ['SELECT 1 /*!50100 + /* inner */ 2 */', 'SELECT ? + ?'],
      ['SELECT 1 /*!990000 + 2 */', 'SELECT ?'],
      ['SELECT 1 /*!99999 + /* inner */ 2 */ + 3', 'SELECT ? + ?'],
      [
        'CREATE /*!40100 TEMPORARY */ TABLE IF NOT EXISTS x (a INT)',
        'CREATE TEMPORARY TABLE IF NOT EXISTS `x` ( `a` INTEGER )',
      ],
      ['SELECT/*a*/1/*b*/,/*c*/2', 'SELECT ?, ...'],
      ['SELECT 1;', 'SELECT ?'],
      ['SELECT 1;;', 'SELECT ?'],
      ['INSERT INTO t VALUES (1)', 'INSERT INTO `t` VALUES (?)'],
      ['INSERT INTO t VALUES (1),(2)', 'INSERT INTO `t` VALUES (?) /* , ... */'],
      ['INSERT INTO t VALUES (1),(2),(3)', 'INSERT INTO `t` VALUES (?) /* , ... */'],
      ['INSERT INTO t VALUES (1, 2)', 'INSERT INTO `t` VALUES (...)'],
      ['INSERT INTO t VALUES (1, 2), (3, 4)', 'INSERT INTO `t` VALUES (...) /* , ... */'],
      ['INSERT INTO t VALUES (1, 2), (3, 4), (5, 6)', 'INSERT INTO `t` VALUES (...) /* , ... */'],
      ["INSERT INTO t VALUES (1, 'a', NULL), (-2, 'b', 3.5)", 'INSERT INTO `t` VALUES (...) /* , ... */'],
      ['INSERT INTO t VALUES (NULL), (1), (NULL)', 'INSERT INTO `t` VALUES (?) /* , ... */'],
      [
        'INSERT INTO t VALUES (1, NOW()), (2, NOW())',
        'INSERT INTO `t` VALUES ( ? , NOW ( ) ) , ( ? , NOW ( ) )',
      ],
      [
        'INSERT INTO t VALUES (DEFAULT, 1), (2, DEFAULT)',
        'INSERT INTO `t` VALUES ( DEFAULT , ? ) , ( ? , DEFAULT )',
      ],
      [
        'INSERT INTO t VALUES (1, 2), (a, 3), (4, 5), (6, 7)',
        'INSERT INTO `t` VALUES (...) , ( `a` , ? ) , (...) /* , ... */',
      ],
      ['INSERT INTO t VALUES (1), (2, 3), (4)', 'INSERT INTO `t` VALUES (?) , (...) , (?)'],
      ['INSERT INTO t VALUES ()', 'INSERT INTO `t` VALUES ( )'],
      ['INSERT INTO t VALUES (), ()', 'INSERT INTO `t` VALUES ( ) , ( )'],
      ['INSERT INTO t () VALUES ()', 'INSERT INTO `t` ( ) VALUES ( )'],
      ['INSERT INTO t (a, b) VALUES ((1), (2))', 'INSERT INTO `t` ( `a` , `b` ) VALUES ( (?) /* , ... */ )'],
      ['INSERT INTO t (a) VALUE (1)', 'INSERT INTO `t` ( `a` ) VALUE (?)'],
      ["INSERT INTO t SET a = 1, b = 'x', c = NULL", 'INSERT INTO `t` SET `a` = ? , `b` = ? , `c` = ?'],
      ['INSERT INTO t SELECT * FROM u', 'INSERT INTO `t` SELECT * FROM `u`'],
      [
        'INSERT INTO t (a, b) SELECT a, 5 FROM u WHERE c = 6',
        'INSERT INTO `t` ( `a` , `b` ) SELECT `a` , ? FROM `u` WHERE `c` = ?',
      ],
      ['INSERT IGNORE INTO t VALUES (1)', 'INSERT IGNORE INTO `t` VALUES (?)'],
      ['INSERT LOW_PRIORITY INTO t VALUES (1)', 'INSERT LOW_PRIORITY INTO `t` VALUES (?)'],
      ['INSERT DELAYED INTO t VALUES (1)', 'INSERT DELAYED INTO `t` VALUES (?)'],
      [
        'INSERT INTO t (a) VALUES (1) ON DUPLICATE KEY UPDATE a = a + 1, b = VALUES(b)',
        'INSERT INTO `t` ( `a` ) VALUES (?) ON DUPLICATE KEY UPDATE `a` = `a` + ? , `b` = VALUES ( `b` )',
      ],
      ['INSERT INTO d.t (a) VALUES (1)', 'INSERT INTO `d` . `t` ( `a` ) VALUES (?)'],
      ['REPLACE INTO t VALUES (1, 2), (3, 4)', 'REPLACE INTO `t` VALUES (...) /* , ... */'],
      ['REPLACE INTO t SET a = 1', 'REPLACE INTO `t` SET `a` = ?'],
      ['UPDATE t SET a = NULL WHERE a IS NOT NULL', 'UPDATE `t` SET `a` = ? WHERE `a` IS NOT NULL'],
      ['UPDATE t SET a = DEFAULT', 'UPDATE `t` SET `a` = DEFAULT'],
      [
        'UPDATE LOW_PRIORITY IGNORE t SET a = 1 ORDER BY b LIMIT 5',
        'UPDATE LOW_PRIORITY IGNORE `t` SET `a` = ? ORDER BY `b` LIMIT ?',
      ],
      [
        'UPDATE t1, t2 SET t1.a = t2.b WHERE t1.c = t2.c',
        'UPDATE `t1` , `t2` SET `t1` . `a` = `t2` . `b` WHERE `t1` . `c` = `t2` . `c`',
      ],
      [
        'UPDATE t1 JOIN t2 ON t1.a = t2.a SET t1.b = 5',
        'UPDATE `t1` JOIN `t2` ON `t1` . `a` = `t2` . `a` SET `t1` . `b` = ?',
      ],
      ['DELETE FROM t WHERE a = 1 ORDER BY b LIMIT 10', 'DELETE FROM `t` WHERE `a` = ? ORDER BY `b` LIMIT ?'],
      [
        'DELETE t1, t2 FROM t1 JOIN t2 ON t1.a = t2.a WHERE t1.b = 5',
        'DELETE `t1` , `t2` FROM `t1` JOIN `t2` ON `t1` . `a` = `t2` . `a` WHERE `t1` . `b` = ?',
      ],
      [
        'DELETE FROM t1 USING t1, t2 WHERE t1.a = t2.a',
        'DELETE FROM `t1` USING `t1` , `t2` WHERE `t1` . `a` = `t2` . `a`',
      ],
      ['DELETE QUICK FROM t', 'DELETE QUICK FROM `t`'],
      ['TRUNCATE t', 'TRUNCATE `t`'],
      ['TRUNCATE TABLE d.t', 'TRUNCATE TABLE `d` . `t`'],
      ["LOAD DATA INFILE '/no/such' INTO TABLE t", 'LOAD DATA INFILE ? INTO TABLE `t`'],
      [
        "LOAD DATA INFILE '/no/such' REPLACE INTO TABLE t CHARACTER SET utf8 FIELDS TERMINATED BY ',' ENCLOSED BY '\"' LINES TERMINATED BY '\\n' IGNORE 1 LINES (a, @b) SET c = @b + 1",
        'LOAD DATA INFILE ? REPLACE INTO TABLE `t` CHARACTER SET `utf8` FIELDS TERMINATED BY ? ENCLOSED BY ? LINES TERMINATED BY ? IGNORE ? LINES ( `a` , @? ) SET `c` = @? + ?',
      ],
      ['CALL p()', 'CALL `p` ( )'],
      ["CALL p(1, 'x', @a)", 'CALL `p` ( ?, ... , @? )'],
      ['CALL d.p(1)', 'CALL `d` . `p` (?)'],
      ['DO SLEEP(0)', 'DO `SLEEP` (?)'],
      ['DO 1, 2', 'DO ?, ...'],
      ['HANDLER t OPEN', 'HANDLER `t` OPEN'],
      ['HANDLER t READ FIRST LIMIT 5', 'HANDLER `t` READ FIRST LIMIT ?'],
      ["PREPARE s FROM 'SELECT ?'", 'PREPARE `s` FROM ?'],
      ['PREPARE s FROM @a', 'PREPARE `s` FROM @?'],
      ['EXECUTE s', 'EXECUTE `s`'],
      ['EXECUTE s USING @a, @b', 'EXECUTE `s` USING @? , @?'],
      ['DEALLOCATE PREPARE s', 'DEALLOCATE PREPARE `s`'],
      [
        "CREATE TABLE IF NOT EXISTS c1 (a INT NOT NULL AUTO_INCREMENT PRIMARY KEY, b VARCHAR(255) NOT NULL DEFAULT '', c CHAR(5) NULL, d DECIMAL(10,2) DEFAULT NULL, KEY k (b, c)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4",
        'CREATE TABLE IF NOT EXISTS `c1` ( `a` INTEGER NOT NULL AUTO_INCREMENT PRIMARY KEY , `b` VARCHARACTER (?) NOT NULL DEFAULT ? , `c` CHARACTER (?) NULL , `d` DECIMAL (...) DEFAULT ? , KEY `k` ( `b` , `c` ) ) ENGINE = `InnoDB` DEFAULT CHARSET = `utf8mb4`',
      ],
      [
        'CREATE TABLE IF NOT EXISTS c2 (a TINYINT, b SMALLINT, c MEDIUMINT, d INT, e BIGINT, f INTEGER, g FLOAT, h DOUBLE, i REAL, j NUMERIC(5), k DEC(5), l BIT(3), m BOOL, n BOOLEAN)',
        'CREATE TABLE IF NOT EXISTS `c2` ( `a` TINYINT , `b` SMALLINT , `c` MIDDLEINT , `d` INTEGER , `e` INT8 , `f` INTEGER , `g` FLOAT4 , `h` FLOAT8 , `i` REAL , `j` NUMERIC (?) , `k` DECIMAL (?) , `l` BIT (?) , `m` BOOL , `n` BOOLEAN )',
      ],
      [
        'CREATE TABLE IF NOT EXISTS c3 (a INT1, b INT2, c INT3, d INT4, e INT8, f FLOAT4, g FLOAT8, h MIDDLEINT)',
        'CREATE TABLE IF NOT EXISTS `c3` ( `a` TINYINT , `b` SMALLINT , `c` MIDDLEINT , `d` INTEGER , `e` INT8 , `f` FLOAT4 , `g` FLOAT8 , `h` MIDDLEINT )',
      ],
      [
        'CREATE TABLE IF NOT EXISTS c4 (a DATE, b TIME(3), c DATETIME(6), d TIMESTAMP NULL DEFAULT NULL, e YEAR, f TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP)',
        'CREATE TABLE IF NOT EXISTS `c4` ( `a` DATE , `b` TIME (?) , `c` DATETIME (?) , `d` TIMESTAMP NULL DEFAULT ? , `e` YEAR , `f` TIMESTAMP NOT NULL DEFAULT NOW ON UPDATE NOW )',
      ],
      [
        "CREATE TABLE IF NOT EXISTS c5 (a TEXT, b TINYTEXT, c MEDIUMTEXT, d LONGTEXT, e BLOB, f TINYBLOB, g MEDIUMBLOB, h LONGBLOB, i BINARY(5), j VARBINARY(5), k ENUM('a','b') NULL, l SET('x','y') DEFAULT 'x')",
        'CREATE TABLE IF NOT EXISTS `c5` ( `a` TEXT , `b` TINYTEXT , `c` MEDIUMTEXT , `d` LONGTEXT , `e` BLOB , `f` TINYBLOB , `g` MEDIUMBLOB , `h` LONGBLOB , `i` BINARY (?) , `j` VARBINARY (?) , `k` ENUM (...) NULL , `l` SET (...) DEFAULT ? )',
      ],
      [
        'CREATE TABLE IF NOT EXISTS c6 (a CHARACTER(5), b CHARACTER VARYING(5), c NATIONAL CHAR(5), d NCHAR(5), e NVARCHAR(5), f CHAR VARYING(5), g LONG VARCHAR, h VARCHARACTER(5))',
        'CREATE TABLE IF NOT EXISTS `c6` ( `a` CHARACTER (?) , `b` CHARACTER VARYING (?) , `c` NATIONAL CHARACTER (?) , `d` NCHAR (?) , `e` NVARCHAR (?) , `f` CHARACTER VARYING (?) , `g` LONG VARCHARACTER , `h` VARCHARACTER (?) )',
      ],
      [
        "CREATE TABLE IF NOT EXISTS c7 (a INT UNSIGNED NULL, b INT ZEROFILL NULL, c VARCHAR(5) COLLATE utf8mb4_bin NULL, d INT COMMENT 'x' NULL, e INT NULL COMMENT 'y', f INT DEFAULT 5 NULL, g INT DEFAULT -5 NOT NULL, h INT UNIQUE NULL, i BINARY NULL, j CHAR BINARY NULL)",
        'CREATE TABLE IF NOT EXISTS `c7` ( `a` INTEGER UNSIGNED NULL , `b` INTEGER ZEROFILL NULL , `c` VARCHARACTER (?) COLLATE `utf8mb4_bin` NULL , `d` INTEGER COMMENT ? NULL , `e` INTEGER NULL COMMENT ? , `f` INTEGER DEFAULT ? NULL , `g` INTEGER DEFAULT ? NOT NULL , `h` INTEGER UNIQUE NULL , `i` BINARY NULL , `j` CHARACTER BINARY NULL )',
      ],
      [
        'CREATE TABLE IF NOT EXISTS c9 (a INT, FOREIGN KEY (a) REFERENCES p (a) ON DELETE SET NULL ON UPDATE CASCADE)',
        'CREATE TABLE IF NOT EXISTS `c9` ( `a` INTEGER , FOREIGN KEY ( `a` ) REFERENCES `p` ( `a` ) ON DELETE SET NULL ON UPDATE CASCADE )',
      ],
      [
        'CREATE TABLE IF NOT EXISTS c11 (a INT) PARTITION BY RANGE (a) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN MAXVALUE)',
        'CREATE TABLE IF NOT EXISTS `c11` ( `a` INTEGER ) PARTITION BY RANGE ( `a` ) ( PARTITION `p0` VALUES LESS THAN (?) , PARTITION `p1` VALUES LESS THAN MAXVALUE )',
      ],
      [
        'CREATE TABLE IF NOT EXISTS c12 (a INT) PARTITION BY HASH (a) PARTITIONS 4',
        'CREATE TABLE IF NOT EXISTS `c12` ( `a` INTEGER ) PARTITION BY HASH ( `a` ) PARTITIONS ?',
      ],
      ['CREATE TABLE c13 LIKE t', 'CREATE TABLE `c13` LIKE `t`'],
      ['CREATE TABLE c14 AS SELECT 1 AS a', 'CREATE TABLE `c14` AS SELECT ? AS `a`'],
      ['CREATE TEMPORARY TABLE c15 (a INT)', 'CREATE TEMPORARY TABLE `c15` ( `a` INTEGER )'],
      [
        'ALTER TABLE t ADD COLUMN a INT NULL AFTER b, DROP COLUMN c, MODIFY d VARCHAR(10) NOT NULL, CHANGE e f INT DEFAULT NULL',
        'ALTER TABLE `t` ADD COLUMN `a` INTEGER NULL AFTER `b` , DROP COLUMN `c` , MODIFY `d` VARCHARACTER (?) NOT NULL , CHANGE `e` `f` INTEGER DEFAULT ?',
      ],
      [
        'ALTER TABLE t ADD INDEX i (a), ADD UNIQUE KEY u (b(10)), DROP PRIMARY KEY, DROP FOREIGN KEY f',
        'ALTER TABLE `t` ADD INDEX `i` ( `a` ) , ADD UNIQUE KEY `u` ( `b` (?) ) , DROP PRIMARY KEY , DROP FOREIGN KEY `f`',
      ],
      [
        "ALTER TABLE t ENGINE=InnoDB, ROW_FORMAT=DYNAMIC, COMMENT='x', AUTO_INCREMENT=100",
        'ALTER TABLE `t` ENGINE = `InnoDB` , ROW_FORMAT = DYNAMIC , COMMENT = ? , AUTO_INCREMENT = ?',
      ],
      [
        'ALTER TABLE t ALTER a SET DEFAULT 5, ALTER b SET DEFAULT NULL, ALTER c DROP DEFAULT',
        'ALTER TABLE `t` ALTER `a` SET DEFAULT ? , ALTER `b` SET DEFAULT ? , ALTER `c` DROP DEFAULT',
      ],
      [
        'ALTER TABLE t RENAME TO u, ALGORITHM=INPLACE, LOCK=NONE',
        'ALTER TABLE `t` RENAME TO `u` , ALGORITHM = `INPLACE` , LOCK = NONE',
      ],
      [
        'ALTER TABLE t CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin',
        'ALTER TABLE `t` CONVERT TO CHARACTER SET `utf8mb4` COLLATE `utf8mb4_bin`',
      ],
      ['DROP TABLE t', 'DROP TABLE `t`'],
      ['DROP TABLE IF EXISTS nosuch1, nosuch2', 'DROP TABLE IF EXISTS `nosuch1` , `nosuch2`'],
      ['RENAME TABLE t TO u', 'RENAME TABLE `t` TO `u`'],
      ['CREATE INDEX i ON t (a, b DESC)', 'CREATE INDEX `i` ON `t` ( `a` , `b` DESC )'],
      [
        'CREATE UNIQUE INDEX i ON t (a(5)) USING BTREE',
        'CREATE UNIQUE INDEX `i` ON `t` ( `a` (?) ) USING BTREE',
      ],
      ['DROP INDEX i ON t', 'DROP INDEX `i` ON `t`'],
      ['CREATE DATABASE IF NOT EXISTS digests', 'CREATE SCHEMA IF NOT EXISTS `digests`'],
      [
        'CREATE SCHEMA IF NOT EXISTS digests CHARACTER SET utf8mb4',
        'CREATE SCHEMA IF NOT EXISTS `digests` CHARACTER SET `utf8mb4`',
      ],
      ['DROP DATABASE IF EXISTS nosuch', 'DROP SCHEMA IF EXISTS `nosuch`'],
      ['CREATE OR REPLACE VIEW v AS SELECT 1 AS a', 'CREATE OR REPLACE VIEW `v` AS SELECT ? AS `a`'],
      [
        'CREATE ALGORITHM=MERGE DEFINER=`a`@`b` SQL SECURITY INVOKER VIEW v2 AS SELECT a FROM t WHERE b = 5 WITH CHECK OPTION',
        'CREATE ALGORITHM = MERGE DEFINER = `a` @`b` SQL SECURITY INVOKER VIEW `v2` AS SELECT `a` FROM `t` WHERE `b` = ? WITH CHECK OPTION',
      ],
      ['DROP VIEW IF EXISTS v', 'DROP VIEW IF EXISTS `v`'],
      ['CREATE OR REPLACE PROCEDURE p1() SELECT 1', 'CREATE OR REPLACE PROCEDURE `p1` ( ) SELECT ?'],
      [
        'CREATE OR REPLACE PROCEDURE p2() BEGIN SELECT 1; SELECT 2; END',
        'CREATE OR REPLACE PROCEDURE `p2` ( ) BEGIN SELECT ? ; SELECT ? ; END',
      ],
      [
        'CREATE OR REPLACE PROCEDURE p4() BEGIN DECLARE done INT DEFAULT FALSE; DECLARE c CURSOR FOR SELECT 1; DECLARE CONTINUE HANDLER FOR NOT FOUND SET done = TRUE; OPEN c; l: LOOP FETCH c INTO done; IF done THEN LEAVE l; END IF; END LOOP; CLOSE c; REPEAT SET done = 1; UNTIL NULL END REPEAT; CASE NULL WHEN NULL THEN SELECT 1; END CASE; END',
        'CREATE OR REPLACE PROCEDURE `p4` ( ) BEGIN DECLARE `done` INTEGER DEFAULT FALSE ; DECLARE `c` CURSOR FOR SELECT ? ; DECLARE CONTINUE HANDLER FOR NOT FOUND SET `done` = TRUE ; OPEN `c` ; `l` : LOOP FETCH `c` INTO `done` ; IF `done` THEN LEAVE `l` ; END IF ; END LOOP ; CLOSE `c` ; REPEAT SET `done` = ? ; UNTIL ? END REPEAT ; CASE ? WHEN ? THEN SELECT ? ; END CASE ; END',
      ],
      [
        "CREATE EVENT e ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01' DO DELETE FROM t WHERE a < 5",
        'CREATE EVENT `e` ON SCHEDULE EVERY ? SQL_TSI_DAY STARTS ? DO DELETE FROM `t` WHERE `a` < ?',
      ],
      ['DROP PROCEDURE IF EXISTS p1', 'DROP PROCEDURE IF EXISTS `p1`'],
      ['DROP TRIGGER IF EXISTS g', 'DROP TRIGGER IF EXISTS `g`'],
      ['DROP EVENT IF EXISTS e', 'DROP EVENT IF EXISTS `e`'],
      ['SET @a = 1', 'SET @? = ?'],
      ['SET @a = @b + 1', 'SET @? = @? + ?'],
      ['SET SESSION wait_timeout = 100', 'SET SESSION `wait_timeout` = ?'],
      ['SET GLOBAL wait_timeout = 28800', 'SET GLOBAL `wait_timeout` = ?'],
      ['SET @@wait_timeout = 100', 'SET @@`wait_timeout` = ?'],
      [
        'SET @@session.wait_timeout = 100, @@lock_wait_timeout = 5',
        'SET @@SESSION . `wait_timeout` = ? , @@`lock_wait_timeout` = ?',
      ],
      ['SET LOCAL wait_timeout = DEFAULT', 'SET LOCAL `wait_timeout` = DEFAULT'],
      ['SET wait_timeout = 100, lock_wait_timeout = 50', 'SET `wait_timeout` = ? , `lock_wait_timeout` = ?'],
      ['SET NAMES utf8mb4', 'SET NAMES `utf8mb4`'],
      ["SET NAMES 'utf8mb4'", 'SET NAMES ?'],
      ['SET NAMES utf8mb4 COLLATE utf8mb4_unicode_ci', 'SET NAMES `utf8mb4` COLLATE `utf8mb4_unicode_ci`'],
      ['SET NAMES DEFAULT', 'SET NAMES DEFAULT'],
      ['SET CHARACTER SET utf8mb4', 'SET CHARACTER SET `utf8mb4`'],
      ['SET character_set_results = NULL', 'SET `character_set_results` = ?'],
      [
        "SET sql_mode = 'STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_AUTO_CREATE_USER,NO_ENGINE_SUBSTITUTION'",
        'SET `sql_mode` = ?',
      ],
      ["SET PASSWORD FOR 'nosuch'@'%' = PASSWORD('x')", 'SET PASSWORD FOR ? @? = PASSWORD (?)'],
      ['SHOW TABLES', 'SHOW TABLES'],
      ["SHOW FULL TABLES FROM d LIKE 'x%'", 'SHOW FULL TABLES FROM `d` LIKE ?'],
      ['SHOW COLUMNS FROM t', 'SHOW FIELDS FROM `t`'],
      ['SHOW FULL COLUMNS FROM t FROM d', 'SHOW FULL FIELDS FROM `t` FROM `d`'],
      ['SHOW FIELDS FROM t', 'SHOW FIELDS FROM `t`'],
      ['SHOW INDEX FROM t', 'SHOW INDEX FROM `t`'],
      ['SHOW DATABASES', 'SHOW SCHEMAS'],
      ["SHOW SCHEMAS LIKE 'x'", 'SHOW SCHEMAS LIKE ?'],
      ['SHOW CREATE TABLE t', 'SHOW CREATE TABLE `t`'],
      ['SHOW VARIABLES', 'SHOW VARIABLES'],
      ["SHOW VARIABLES LIKE 'x%'", 'SHOW VARIABLES LIKE ?'],
      ["SHOW GLOBAL STATUS LIKE 'x'", 'SHOW GLOBAL STATUS LIKE ?'],
      ["SHOW SESSION STATUS WHERE Variable_name = 'x'", 'SHOW SESSION STATUS WHERE `Variable_name` = ?'],
      ['SHOW WARNINGS', 'SHOW WARNINGS'],
      ['SHOW COUNT(*) ERRORS', 'SHOW COUNT ( * ) ERRORS'],
      ['SHOW PROCESSLIST', 'SHOW PROCESSLIST'],
      ['SHOW FULL PROCESSLIST', 'SHOW FULL PROCESSLIST'],
      ['SHOW GRANTS', 'SHOW GRANTS'],
      ["SHOW GRANTS FOR 'nosuch'@'%'", 'SHOW GRANTS FOR ? @?'],
      ['SHOW ENGINE INNODB STATUS', 'SHOW ENGINE `INNODB` STATUS'],
      ['SHOW ENGINES', 'SHOW ENGINES'],
      ['SHOW PLUGINS', 'SHOW PLUGINS'],
      ["SHOW TRIGGERS LIKE 'x'", 'SHOW TRIGGERS LIKE ?'],
      ["SHOW PROCEDURE STATUS LIKE 'x'", 'SHOW PROCEDURE STATUS LIKE ?'],
      ["SHOW COLLATION WHERE Charset = 'utf8mb4'", 'SHOW COLLATION WHERE CHARSET = ?'],
      ['SHOW MASTER STATUS', 'SHOW MASTER STATUS'],
      ["SHOW TABLE STATUS LIKE 'x'", 'SHOW TABLE STATUS LIKE ?'],
      ['DESC t', 'DESC `t`'],
      ['DESCRIBE t', 'EXPLAIN `t`'],
      ['DESCRIBE t a', 'EXPLAIN `t` `a`'],
      ['EXPLAIN t', 'EXPLAIN `t`'],
      ['EXPLAIN SELECT * FROM t WHERE a = 1', 'EXPLAIN SELECT * FROM `t` WHERE `a` = ?'],
      ['EXPLAIN EXTENDED SELECT 1', 'EXPLAIN EXTENDED SELECT ?'],
      ['EXPLAIN FORMAT=JSON SELECT 1', 'EXPLAIN FORMAT = JSON SELECT ?'],
      ['ANALYZE TABLE t', 'ANALYZE TABLE `t`'],
      ['CHECK TABLE t QUICK', 'CHECK TABLE `t` QUICK'],
      ['OPTIMIZE TABLE t', 'OPTIMIZE TABLE `t`'],
      ['CHECKSUM TABLE t', 'CHECKSUM TABLE `t`'],
      ['REPAIR TABLE t', 'REPAIR TABLE `t`'],
      ['FLUSH TABLES t', 'FLUSH TABLES `t`'],
      ['FLUSH STATUS', 'FLUSH STATUS'],
      ['KILL 999999', 'KILL ?'],
      ['KILL QUERY 999999', 'KILL QUERY ?'],
      ['LOCK TABLES t READ, u WRITE', 'LOCK TABLES `t` READ , `u` WRITE'],
      ['UNLOCK TABLES', 'UNLOCK TABLES'],
      ["GRANT SELECT, INSERT ON d.* TO 'nosuch'@'%'", 'GRANT SELECT , INSERT ON `d` . * TO ? @?'],
      ['GRANT SELECT ON nosuch.t TO nosuch@localhost', 'GRANT SELECT ON `nosuch` . `t` TO `nosuch` @?'],
      [
        "REVOKE ALL PRIVILEGES, GRANT OPTION FROM 'nosuch'@'%'",
        'REVOKE ALL PRIVILEGES , GRANT OPTION FROM ? @?',
      ],
      ["CREATE USER 'x'@'localhost' IDENTIFIED BY 'secret'", 'CREATE SYSTEM_USER ? @? IDENTIFIED BY ?'],
      ["ALTER USER 'nosuch'@'localhost' IDENTIFIED BY 'secret'", 'ALTER SYSTEM_USER ? @? IDENTIFIED BY ?'],
      [
        "DROP USER IF EXISTS nosuch@localhost, nosuch@'%'",
        'DROP SYSTEM_USER IF EXISTS `nosuch` @? , `nosuch` @?',
      ],
      ['CREATE ROLE IF NOT EXISTS r1', 'CREATE ROLE IF NOT EXISTS `r1`'],
      [
        "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'x', MYSQL_ERRNO = 5",
        'SIGNAL SQLSTATE ? SET MESSAGE_TEXT = ? , MYSQL_ERRNO = ?',
      ],
      ['GET DIAGNOSTICS @a = NUMBER', 'GET DIAGNOSTICS @? = NUMBER'],
      ["HELP 'x'", 'HELP ?'],
      ['XA RECOVER', 'XA RECOVER'],
      ['CACHE INDEX t IN c', 'CACHE INDEX `t` IN `c`'],
      ["INSTALL PLUGIN nosuch SONAME 'nosuch.so'", 'INSTALL PLUGIN `nosuch` SONAME ?'],
      ['USE sbtest', 'USE `sbtest`'],
      [
        'SELECT a,b,c,d FROM t WHERE a=1 AND b="x" AND c IN("a","b") AND d LIKE\'%z%\'ORDER BY a LIMIT 3',
        'SELECT `a` , `b` , `c` , `d` FROM `t` WHERE `a` = ? AND `b` = ? AND `c` IN (...) AND `d` LIKE ? ORDER BY `a` LIMIT ?',
      ],
      ['SELECT(a)FROM(t)WHERE(a=1)', 'SELECT ( `a` ) FROM ( `t` ) WHERE ( `a` = ? )'],
      ["SELECT'a'FROM`t`WHERE`a`='b'", 'SELECT ? FROM `t` WHERE `a` = ?'],
      ["SELECT@a,@@version,-1,+1,'x'", 'SELECT @? , @@`version` , ?, ...'],
      [
        "SELECT a FROM t WHERE b='x'AND c=1.5AND d=0x1F",
        'SELECT `a` FROM `t` WHERE `b` = ? AND `c` = ? AND `d` = ?',
      ],
      [
        "SELECT a FROM t WHERE a LIKE CONCAT('%', 'x', '%') AND DATE(b) = '2020-01-01' AND c > NOW() - INTERVAL 7 DAY",
        'SELECT `a` FROM `t` WHERE `a` LIKE `CONCAT` (...) AND DATE ( `b` ) = ? AND `c` > NOW ( ) - INTERVAL ? SQL_TSI_DAY',
      ],
      [
        'SELECT t.*, (SELECT COUNT(*) FROM u WHERE u.t = t.k) AS n FROM t WHERE k IN (SELECT k FROM v GROUP BY k HAVING COUNT(*) > 3) ORDER BY n DESC LIMIT 20 OFFSET 40',
        'SELECT `t` . * , ( SELECT COUNT ( * ) FROM `u` WHERE `u` . `t` = `t` . `k` ) AS `n` FROM `t` WHERE `k` IN ( SELECT `k` FROM `v` GROUP BY `k` HAVING COUNT ( * ) > ? ) ORDER BY `n` DESC LIMIT ? OFFSET ?',
      ],
      [
        "SELECT `wp_posts`.`post_title` FROM `wp_posts` WHERE 1=1 AND `wp_posts`.`post_type` IN ('post', 'page') AND ((`wp_posts`.`post_status` = 'publish')) ORDER BY `wp_posts`.`post_date` DESC LIMIT 0, 10",
        'SELECT `wp_posts` . `post_title` FROM `wp_posts` WHERE ? = ? AND `wp_posts` . `post_type` IN (...) AND ( ( `wp_posts` . `post_status` = ? ) ) ORDER BY `wp_posts` . `post_date` DESC LIMIT ?, ...',
      ],
      [
        "SELECT option_name, option_value FROM wp_options WHERE autoload = 'yes'",
        'SELECT `option_name` , `option_value` FROM `wp_options` WHERE `autoload` = ?',
      ],
      [
        "INSERT INTO `log` (`when`, `what`) VALUES ('2020-01-01 00:00:00', 'it''s \"x\"; -- \\' done')",
        'INSERT INTO `log` ( `when` , `what` ) VALUES (...)',
      ],
      [
        'CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET NEW.a = NEW.b + 1',
        'CREATE TRIGGER `g` BEFORE INSERT ON `t` FOR EACH ROW SET `NEW` . `a` = `NEW` . `b` + ?',
      ],
      ['SELECT a FROM t PROCEDURE ANALYSE()', 'SELECT `a` FROM `t` PROCEDURE `ANALYSE` ( )'],
      [
        'SELECT LEAD(a) OVER w, NTILE(4) OVER w, NTH_VALUE(a, 2) OVER w, LAST_VALUE(a) OVER w FROM t WINDOW w AS (ORDER BY a)',
        'SELECT LEAD ( `a` ) OVER `w` , NTILE (?) OVER `w` , NTH_VALUE ( `a` , ? ) OVER `w` , LAST_VALUE ( `a` ) OVER `w` FROM `t` WINDOW `w` AS ( ORDER BY `a` )',
      ],
      ['VALUES (1, 2), (3, 4)', 'VALUES (...) /* , ... */'],
      ['INSERT INTO t VALUES (1) RETURNING a', 'INSERT INTO `t` VALUES (?) RETURNING `a`'],
      [
        'SELECT a FROM t OFFSET 5 ROWS FETCH FIRST 3 ROWS ONLY',
        'SELECT `a` FROM `t` OFFSET ? ROWS FETCH FIRST ? ROWS ONLY',
      ],
      [
        'ALTER TABLE t PARTITION BY RANGE (a) (PARTITION p0 VALUES LESS THAN (-5))',
        'ALTER TABLE `t` PARTITION BY RANGE ( `a` ) ( PARTITION `p0` VALUES LESS THAN (?) )',
      ],
      [
        'SELECT 1,\n\t2\r\n FROM\tt\n-- x\nWHERE a = 1 /* y\n */ AND b = 2 # z\n',
        'SELECT ?, ... FROM `t` WHERE `a` = ? AND `b` = ?',
      ],
    ],
  },
  {
    sqlMode: 'ANSI_QUOTES',
    options: { ansiQuotes: true },
    statements: [
      ['SELECT "a" FROM "t" WHERE "b" = \'x\'', 'SELECT `a` FROM `t` WHERE `b` = ?'],
      ['SELECT "d"."t"."a" FROM "d"."t"', 'SELECT `d` . `t` . `a` FROM `d` . `t`'],
      ["SELECT 'it''s', \"\" FROM t", 'SELECT ? , FROM `t`'],
      ['INSERT INTO "t" ("a") VALUES (\'x\'), (\'y\')', 'INSERT INTO `t` ( `a` ) VALUES (?) /* , ... */'],
      [
        'SELECT a FROM t WHERE a = "b" OR a IN ("c", \'d\')',
        'SELECT `a` FROM `t` WHERE `a` = `b` OR `a` IN ( `c` , ? )',
      ],
      ['SELECT 1 AS "one", 2 AS \'two\'', 'SELECT ? AS `one` , ? AS ?'],
    ],
  },
  {
    sqlMode: 'NO_BACKSLASH_ESCAPES',
    options: { noBackslashEscapes: true },
    statements: [
      ["SELECT 'a\\', 'b'", 'SELECT ?, ...'],
      ['SELECT \'C:\\dir\\\', "x\\"', 'SELECT ?, ...'],
      [
        "SELECT a FROM t WHERE a LIKE 'x\\%' AND b = '\\'",
        'SELECT `a` FROM `t` WHERE `a` LIKE ? AND `b` = ?',
      ],
      ["SELECT 'it''s \\', 1", 'SELECT ?, ...'],
      ['SELECT \'\\\\\', "\\"', 'SELECT ?, ...'],
    ],
  },
  {
    sqlMode: 'IGNORE_SPACE',
    options: { ignoreSpace: true },
    statements: [
      [
        'SELECT COUNT (*), SUM (a), MAX\t(a) FROM t',
        'SELECT COUNT ( * ) , SUM ( `a` ) , MAX ( `a` ) FROM `t`',
      ],
      [
        'SELECT NOW (), SUBSTR (a, 1), MID (a, 1), CURDATE () FROM t',
        'SELECT NOW ( ) , SUBSTRING ( `a` , ? ) , SUBSTRING ( `a` , ? ) , CURDATE ( ) FROM `t`',
      ],
      [
        'SELECT count, sum, f (1), LEFT (a, 1) FROM t',
        'SELECT `count` , `sum` , `f` (?) , LEFT ( `a` , ? ) FROM `t`',
      ],
      [
        "SELECT COUNT(*), GROUP_CONCAT (a SEPARATOR ',') FROM t",
        'SELECT COUNT ( * ) , GROUP_CONCAT ( `a` SEPARATOR ? ) FROM `t`',
      ],
    ],
  },
];

export interface Difference {
  reason: string;
  /** Statement, our text: MySQL's, MariaDB's text. */
  statements: readonly (readonly [string, string, string])[];
}

/** Where the servers differ. */
export const DIFFERENT: readonly Difference[] = [
  {
    reason: 'MySQL 9 keeps the numbers of columns in ORDER BY and GROUP BY',
    statements: [
      [
        'SELECT a FROM t UNION ALL SELECT b FROM u ORDER BY 1 LIMIT 5',
        'SELECT `a` FROM `t` UNION ALL SELECT `b` FROM `u` ORDER BY 1 LIMIT ?',
        'SELECT `a` FROM `t` UNION ALL SELECT `b` FROM `u` ORDER BY ? LIMIT ?',
      ],
      [
        'SELECT a FROM t GROUP BY 1 ORDER BY 2 DESC',
        'SELECT `a` FROM `t` GROUP BY 1 ORDER BY 2 DESC',
        'SELECT `a` FROM `t` GROUP BY ? ORDER BY ? DESC',
      ],
    ],
  },
  {
    reason: "MySQL 9 takes a sign for a number's own after an operator that compares, THEN and ELSE, too",
    statements: [
      [
        'SELECT CASE a WHEN 1 THEN -1 ELSE -2 END FROM t',
        'SELECT CASE `a` WHEN ? THEN ? ELSE ? END FROM `t`',
        'SELECT CASE `a` WHEN ? THEN - ? ELSE - ? END FROM `t`',
      ],
      [
        'SELECT a = -1, a < -1, a > -1, a <= -1, a >= -1, a <> -1, a <=> -1 FROM t',
        'SELECT `a` = ? , `a` < ? , `a` > ? , `a` <= ? , `a` >= ? , `a` != ? , `a` <=> ? FROM `t`',
        'SELECT `a` = - ? , `a` < - ? , `a` > - ? , `a` <= - ? , `a` >= - ? , `a` != - ? , `a` <=> - ? FROM `t`',
      ],
      [
        'SELECT CASE WHEN -1 THEN -1 ELSE -1 END, CASE -1 WHEN -1 THEN 1 END, IF(-1, -1, -1) FROM t',
        'SELECT CASE WHEN ? THEN ? ELSE ? END , CASE ? WHEN ? THEN ? END , IF (...) FROM `t`',
        'SELECT CASE WHEN ? THEN - ? ELSE - ? END , CASE ? WHEN ? THEN ? END , IF (...) FROM `t`',
      ],
      [
        'UPDATE t SET a = 1, b = -1, c = c - 1 WHERE d = 5',
        'UPDATE `t` SET `a` = ? , `b` = ? , `c` = `c` - ? WHERE `d` = ?',
        'UPDATE `t` SET `a` = ? , `b` = - ? , `c` = `c` - ? WHERE `d` = ?',
      ],
      [
        'CREATE TABLE IF NOT EXISTS c8 (a INT, b INT AS (a + 1) VIRTUAL, c INT GENERATED ALWAYS AS (a * -1) STORED, CHECK (a > 5), CONSTRAINT x CHECK (b <> -5))',
        'CREATE TABLE IF NOT EXISTS `c8` ( `a` INTEGER , `b` INTEGER AS ( `a` + ? ) VIRTUAL , `c` INTEGER GENERATED ALWAYS AS ( `a` * ? ) STORED , CHECK ( `a` > ? ) , CONSTRAINT `x` CHECK ( `b` != ? ) )',
        'CREATE TABLE IF NOT EXISTS `c8` ( `a` INTEGER , `b` INTEGER AS ( `a` + ? ) VIRTUAL , `c` INTEGER GENERATED ALWAYS AS ( `a` * ? ) STORED , CHECK ( `a` > ? ) , CONSTRAINT `x` CHECK ( `b` != - ? ) )',
      ],
      [
        'CREATE OR REPLACE PROCEDURE p3(IN a INT, OUT b VARCHAR(10), INOUT c INT) BEGIN DECLARE x INT DEFAULT -5; DECLARE y INT DEFAULT NULL; IF a > 1 THEN SET x = -1; ELSEIF a < 2 THEN SET x = NULL; ELSE SET x = 2; END IF; WHILE x < 5 DO SET x = x + 1; END WHILE; END',
        'CREATE OR REPLACE PROCEDURE `p3` ( IN `a` INTEGER , OUT `b` VARCHARACTER (?) , INOUT `c` INTEGER ) BEGIN DECLARE `x` INTEGER DEFAULT ? ; DECLARE `y` INTEGER DEFAULT ? ; IF `a` > ? THEN SET `x` = ? ; ELSEIF `a` < ? THEN SET `x` = ? ; ELSE SET `x` = ? ; END IF ; WHILE `x` < ? DO SET `x` = `x` + ? ; END WHILE ; END',
        'CREATE OR REPLACE PROCEDURE `p3` ( IN `a` INTEGER , OUT `b` VARCHARACTER (?) , INOUT `c` INTEGER ) BEGIN DECLARE `x` INTEGER DEFAULT ? ; DECLARE `y` INTEGER DEFAULT ? ; IF `a` > ? THEN SET `x` = - ? ; ELSEIF `a` < ? THEN SET `x` = ? ; ELSE SET `x` = ? ; END IF ; WHILE `x` < ? DO SET `x` = `x` + ? ; END WHILE ; END',
      ],
      [
        "SET @a = 1, @b := 'x', @c = NULL, @d = -1, @e = (SELECT 1)",
        'SET @? = ? , @? := ? , @? = ? , @? = ? , @? = ( SELECT ? )',
        'SET @? = ? , @? := ? , @? = ? , @? = - ? , @? = ( SELECT ? )',
      ],
    ],
  },
  {
    reason: 'MariaDB has keywords that MySQL has not: id is one',
    statements: [
      [
        'SELECT c FROM sbtest1 WHERE id=5',
        'SELECT `c` FROM `sbtest1` WHERE `id` = ?',
        'SELECT `c` FROM `sbtest1` WHERE ID = ?',
      ],
      [
        'SELECT id, t.id, `id`, ids FROM t',
        'SELECT `id` , `t` . `id` , `id` , `ids` FROM `t`',
        'SELECT ID , `t` . `id` , `id` , `ids` FROM `t`',
      ],
      [
        'SELECT version, sequence, statement, stage, period, cycle, body FROM t',
        'SELECT `version` , `sequence` , `statement` , `stage` , `period` , `cycle` , `body` FROM `t`',
        'SELECT `version` , SEQUENCE , STATEMENT , STAGE , PERIOD , CYCLE , BODY FROM `t`',
      ],
      [
        'SELECT NEXTVAL(s), LASTVAL(s)',
        'SELECT `NEXTVAL` ( `s` ) , `LASTVAL` ( `s` )',
        'SELECT NEXTVAL ( `s` ) , LASTVAL ( `s` )',
      ],
      [
        'CREATE SEQUENCE s START WITH 1',
        'CREATE `SEQUENCE` `s` START WITH ?',
        'CREATE SEQUENCE `s` START WITH ?',
      ],
      [
        "SELECT * FROM t FOR SYSTEM_TIME AS OF '2020-01-01'",
        'SELECT * FROM `t` FOR `SYSTEM_TIME` AS OF ?',
        'SELECT * FROM `t` FOR SYSTEM_TIME AS OF ?',
      ],
      [
        'SET STATEMENT max_statement_time=1 FOR SELECT 1',
        'SET `STATEMENT` `max_statement_time` = ? FOR SELECT ?',
        'SET STATEMENT MAX_STATEMENT_TIME = ? FOR SELECT ?',
      ],
      [
        'SELECT a FROM t LIMIT 5 ROWS EXAMINED 10',
        'SELECT `a` FROM `t` LIMIT ? ROWS `EXAMINED` ?',
        'SELECT `a` FROM `t` LIMIT ? ROWS EXAMINED ?',
      ],
    ],
  },
  {
    reason: 'MySQL has keywords that MariaDB has not',
    statements: [
      [
        'SELECT rank, groups, member, persist, active, array, url FROM t',
        'SELECT RANK , GROUPS , MEMBER , PERSIST , ACTIVE , ARRAY , URL FROM `t`',
        'SELECT `rank` , `groups` , `member` , `persist` , `active` , `array` , `url` FROM `t`',
      ],
      ['SELECT LOG(5), log FROM t', 'SELECT LOG (?) , LOG FROM `t`', 'SELECT `LOG` (?) , `log` FROM `t`'],
      [
        'CREATE TABLE IF NOT EXISTS c16 (a GEOMETRY, b POINT)',
        'CREATE TABLE IF NOT EXISTS `c16` ( `a` GEOMETRY , `b` POINT )',
        'CREATE TABLE IF NOT EXISTS `c16` ( `a` `GEOMETRY` , `b` `POINT` )',
      ],
      [
        'SELECT POINT(1, 2), LINESTRING(a) FROM t',
        'SELECT POINT (...) , LINESTRING ( `a` ) FROM `t`',
        'SELECT `POINT` (...) , `LINESTRING` ( `a` ) FROM `t`',
      ],
      [
        "SELECT JSON_VALUE(a, '$.b') FROM t",
        'SELECT JSON_VALUE ( `a` , ? ) FROM `t`',
        'SELECT `JSON_VALUE` ( `a` , ? ) FROM `t`',
      ],
    ],
  },
  {
    reason: 'MySQL folds IN with one value as IN with more',
    statements: [
      [
        'SELECT a FROM t WHERE a IN (1)',
        'SELECT `a` FROM `t` WHERE `a` IN (...)',
        'SELECT `a` FROM `t` WHERE `a` IN (?)',
      ],
      [
        "SELECT a FROM t WHERE a NOT IN ('x')",
        'SELECT `a` FROM `t` WHERE `a` NOT IN (...)',
        'SELECT `a` FROM `t` WHERE `a` NOT IN (?)',
      ],
      [
        'SELECT a FROM t WHERE a IN (NULL)',
        'SELECT `a` FROM `t` WHERE `a` IN (...)',
        'SELECT `a` FROM `t` WHERE `a` IN (?)',
      ],
      [
        'SELECT a FROM t WHERE a IN (-1)',
        'SELECT `a` FROM `t` WHERE `a` IN (...)',
        'SELECT `a` FROM `t` WHERE `a` IN (?)',
      ],
    ],
  },
  {
    reason: "MariaDB has no name for the token of x'…'",
    statements: [
      ["SELECT x'41', X'42', x''", 'SELECT ?, ...', 'SELECT (unknown) , (unknown) , (unknown)'],
      [
        "SELECT _latin1 x'41', a FROM t WHERE b = x'1F'",
        'SELECT (_charset) ? , `a` FROM `t` WHERE `b` = ?',
        'SELECT (_charset) (unknown) , `a` FROM `t` WHERE `b` = (unknown)',
      ],
    ],
  },
  {
    reason: 'optimizer hints are tokens to MySQL and a comment to MariaDB 10.11',
    statements: [
      [
        'SELECT /*+ NO_ICP(t) */ a FROM t',
        'SELECT /*+ NO_ICP ( `t` ) */ `a` FROM `t`',
        'SELECT `a` FROM `t`',
      ],
      ['SELECT /*+ MAX_EXECUTION_TIME(1000) */ 1', 'SELECT /*+ MAX_EXECUTION_TIME (?) */ ?', 'SELECT ?'],
      [
        'INSERT /*+ SET_VAR(foreign_key_checks=OFF) */ INTO t VALUES (1)',
        'INSERT /*+ SET_VAR ( `foreign_key_checks` = `OFF` ) */ INTO `t` VALUES (?)',
        'INSERT INTO `t` VALUES (?)',
      ],
      [
        'SELECT /*+ QB_NAME(q) INDEX(t@q i, j) */ a FROM t',
        'SELECT /*+ QB_NAME ( `q` ) INDEX ( `t`@`q` `i` , `j` ) */ `a` FROM `t`',
        'SELECT `a` FROM `t`',
      ],
      [
        'SELECT /*+ SET_VAR(sort_buffer_size = 16M) JOIN_ORDER(@q t, `u v`) */ a FROM t',
        'SELECT /*+ SET_VAR ( `sort_buffer_size` = ? ) JOIN_ORDER ( @`q` `t` , `u v` ) */ `a` FROM `t`',
        'SELECT `a` FROM `t`',
      ],
    ],
  },
  {
    reason:
      'executable comments go by the version of the server: MySQL 9.7 executes up to 90700 and more, MariaDB 10.11 up to 50699, and from 100000 to 101199',
    statements: [
      ['SELECT 1 /*!50700 + 2 */', 'SELECT ? + ?', 'SELECT ?'],
      ['SELECT 1 /*!90700 + 2 */', 'SELECT ? + ?', 'SELECT ?'],
      ['SELECT 1 /*!090700 + 2 */', 'SELECT ? + ?', 'SELECT ?'],
      ['SELECT 1 /*!100000 + 2 */', 'SELECT ?', 'SELECT ? + ?'],
    ],
  },
  {
    reason: 'executable comments of MariaDB alone',
    statements: [
      ['SELECT 1 /*M! + 2 */', 'SELECT ?', 'SELECT ? + ?'],
      ['SELECT 1 /*M!100000 + 2 */', 'SELECT ?', 'SELECT ? + ?'],
    ],
  },
  {
    reason: "a quote in a quoted name, which stands there twice, stays twice in MariaDB's text",
    statements: [
      ['SELECT `a``b` FROM t', 'SELECT `a`b` FROM `t`', 'SELECT `a``b` FROM `t`'],
      ['SELECT `a``` FROM `t`', 'SELECT `a`` FROM `t`', 'SELECT `a``` FROM `t`'],
    ],
  },
  {
    reason: 'the servers write "..." for a name of more than 64 octets, which makes one of many',
    statements: [
      [
        'SELECT 1 AS nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn FROM t',
        'SELECT ? AS `nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn` FROM `t`',
        'SELECT ? AS ...FROM `t`',
      ],
      [
        'SELECT 1 AS `äääääääääääääääääääääääääääääääää` FROM t',
        'SELECT ? AS `äääääääääääääääääääääääääääääääää` FROM `t`',
        'SELECT ? AS ...FROM `t`',
      ],
    ],
  },
];
