import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { COM } from '../../../src/mysql/command.ts';
import { queryPacket } from '../../../src/mysql/query-attributes.ts';
import { CLEANED_BY, cleanedBy } from '../../../src/replay/pool/traces.ts';
import { command } from '../../mysql/support/packets.ts';

const { reset, change, end } = CLEANED_BY;

function ofText(sql: string): number {
  const text = Buffer.from(sql);
  const ways = [
    cleanedBy(queryPacket(text, false)),
    cleanedBy(queryPacket(text, true)),
    cleanedBy(command(COM.stmtPrepare, sql)),
  ];
  assert.equal(new Set(ways).size, 1, sql);
  return ways[0];
}

describe('what cleans a connection of a command', () => {
  test('COM_RESET_CONNECTION: of all that leaves schema and role alone', () => {
    for (const sql of [
      'SELECT 1',
      'select @x := 5;',
      '  /* who */ -- what\n Insert INTO t VALUES (1)',
      '(SELECT 1) UNION (SELECT 2)',
      'CREATE TEMPORARY TABLE t (i INT)',
      'CREATE PROCEDURE p() SELECT 1',
      "SET NAMES utf8mb4, sql_mode = 'ANSI'",
      'SET autocommit=0',
      'SET max_statement_time = 1, profiling_history_size = 3',
      'START TRANSACTION',
      'begin',
      'LOCK TABLES t WRITE',
      "SELECT GET_LOCK('a', 1)",
      'HANDLER t OPEN',
      'SELECT 1;   ',
    ])
      assert.equal(ofText(sql), reset, sql);
  });

  test('COM_CHANGE_USER: of what may choose another schema or role, and of all that is not known', () => {
    for (const sql of [
      'USE other',
      '/*!50000 USE other */',
      'SET ROLE admin',
      'SET /*!50000 ROLE*/ admin',
      'set default role admin',
      'SET STATEMENT max_statement_time=1 FOR CALL p()',
      'CALL p()',
      "PREPARE x FROM 'USE other'",
      'EXECUTE x',
      "EXECUTE IMMEDIATE 'USE other'",
      'DROP DATABASE here',
      'SELECT 1; USE other',
      'BEGIN NOT ATOMIC CALL p(); END',
      'FLUSH TABLES WITH READ LOCK',
      'SELECTED',
      'SELECT_ 1; USE x',
      'UPDATESOMETHINGLONG',
      '',
    ])
      assert.equal(ofText(sql), change, sql);
    assert.equal(ofText(`SET @x = '${'x'.repeat(70_000)}'`), change);
    for (const com of [COM.initDb, COM.dropDb, COM.changeUser, COM.refresh, 0xee])
      assert.equal(cleanedBy(command(com, 'x')), change);
  });

  test('its end only: of what neither takes away', () => {
    for (const sql of ['SET profiling = 1', "XA START 'a'", "xa prepare 'a'"])
      assert.equal(ofText(sql), end, sql);
    assert.equal(cleanedBy(command(COM.setOption, 0, 0)), end);
  });

  test('commands that name no schema', () => {
    for (const com of [COM.ping, COM.statistics, COM.fieldList, COM.resetConnection])
      assert.equal(cleanedBy(command(com)), reset);
    for (const com of [COM.stmtExecute, COM.stmtFetch, COM.stmtClose, COM.stmtReset, COM.stmtSendLongData])
      assert.equal(cleanedBy(command(com, 1, 0, 0, 0, 0)), reset);
  });

  test('any octets have an answer, and USE behind anything is never missed', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.constantFrom(...Object.values(COM)), (octets, com) => {
        assert.ok([reset, change, end].includes(cleanedBy(command(com, octets)) as 0));
      }),
    );
    const before = fc.constantFrom(' ', '\n', '/* a */', '-- a\n', '#a\n', 'SELECT 1;', "SELECT ';' ;", '(');
    fc.assert(
      fc.property(fc.array(before, { maxLength: 6 }), (parts) => {
        assert.notEqual(ofText(`${parts.join('')}USE other`), reset);
      }),
    );
  });
});
