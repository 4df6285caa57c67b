import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { notComparable } from '../../src/sql/comparable.ts';

const of = (sql: string) => notComparable(Buffer.from(sql, 'latin1'), 0, 0);

describe('answers that name connections', () => {
  for (const sql of [
    'SELECT CONNECTION_ID()',
    'select x, connection_id ( ) from t',
    'SELECT @@pseudo_thread_id',
    'SELECT @@session.pseudo_thread_id',
    'SELECT @@LOCAL.pseudo_thread_id',
    'SHOW PROCESSLIST',
    'SHOW FULL PROCESSLIST',
    'SELECT * FROM information_schema.processlist WHERE user = "x"',
    'SELECT * FROM INFORMATION_SCHEMA.`PROCESSLIST`',
    'SELECT * FROM processlist',
    'SELECT trx_mysql_thread_id FROM information_schema.innodb_trx',
    'SHOW ENGINE INNODB STATUS',
    'SELECT * FROM performance_schema.threads',
    'SELECT * FROM performance_schema.events_statements_current',
    'SELECT * FROM sys.session',
    'SELECT IS_USED_LOCK("x")',
    'SELECT 1; SELECT CONNECTION_ID()',
  ])
    test(sql, () => assert.equal(of(sql), 'connection-id'));
});

describe('answers that do not', () => {
  for (const sql of [
    'SELECT 1',
    'SELECT "CONNECTION_ID()", connection_id FROM t',
    'SELECT * FROM shop.threads JOIN shop.session',
    'SELECT * FROM threads',
    'SELECT * FROM performance_schema.global_status, shop.threads, sys.sys_config, shop.session',
    'SELECT * FROM performance_schema.global_status',
    'SELECT * FROM sys.sys_config',
    'SELECT @pseudo_thread_id, @@global.pseudo_thread_idle',
    'SELECT 1 -- PROCESSLIST',
    'SHOW VARIABLES LIKE "innodb%"',
    '',
  ])
    test(sql, () => assert.equal(of(sql), undefined));
});

test('a text behind other octets', () => {
  const packet = Buffer.from('CONNECTION_ID() SELECT 1');
  assert.equal(notComparable(packet, 15, 0), undefined);
  assert.equal(notComparable(packet, 0, 0), 'connection-id');
});
