import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  type Kill,
  killOf,
  processKillId,
  withKillId,
  withProcessKillId,
} from '../../../src/replay/session/kill.ts';
import { command } from '../../mysql/support/packets.ts';

const kill = (sql: string, multi = false) => killOf(Buffer.from(sql, 'latin1'), 0, multi);

describe('a connection, or its query', () => {
  const cases: [string, 'connection' | 'query', number][] = [
    ['KILL 17', 'connection', 17],
    ['kill 17;', 'connection', 17],
    ['KILL CONNECTION 17', 'connection', 17],
    ['KILL QUERY 17', 'query', 17],
    ['Kill Hard Connection 17', 'connection', 17],
    ['KILL SOFT QUERY 4294967295', 'query', 4_294_967_295],
    ['/* 1 */ KILL /* 2 */ QUERY -- 3\n17 # 4', 'query', 17],
    ['/*!50000 KILL 17 */', 'connection', 17],
    ['KILL /*!50000 QUERY */ 17', 'query', 17],
    ['  \tKILL\n17', 'connection', 17],
  ];
  for (const [sql, what, id] of cases) {
    test(JSON.stringify(sql), () => {
      const from = sql.indexOf(String(id));
      assert.deepEqual(kill(sql), { what, id, from, to: from + String(id).length });
    });
  }
});

describe('other', () => {
  for (const sql of [
    'KILL',
    'KILL USER joe',
    'KILL HARD CONNECTION USER joe@localhost',
    'KILL QUERY ID 17',
    'KILL CONNECTION_ID()',
    'KILL @id',
    'KILL ?',
    'KILL 1 + 1',
    'KILL (17)',
    'KILL "17"',
    'KILL 17x',
    'KILL 12345678901',
    'KILL 17 18',
    'PREPARE x FROM "KILL 17"',
    "EXECUTE IMMEDIATE ' kill query 17'",
  ])
    test(sql, () => assert.deepEqual(kill(sql), { what: 'other' }));
});

describe('none', () => {
  for (const sql of [
    'SELECT 17',
    'SELECT "KILL 17"',
    'KILLER 17',
    'KI 17',
    '-- KILL 17',
    'PREPARE x FROM "SELECT 1"',
    'PREPARE x FROM @kill',
    'EXECUTE x',
    'EXPLAIN SELECT 1',
    'SELECT 1; KILL 17',
    '/*!50000 SELECT */ 1',
    '',
  ])
    test(sql, () => assert.equal(kill(sql), undefined));
});

test('of several statements', () => {
  assert.deepEqual(kill('SELECT 1; KILL 17; SELECT 2', true), {
    what: 'connection',
    id: 17,
    from: 15,
    to: 17,
  });
  assert.deepEqual(kill('KILL 17; SELECT 1', true), { what: 'connection', id: 17, from: 5, to: 7 });
  assert.deepEqual(kill('KILL 17; KILL 18', true), { what: 'other' });
  assert.equal(kill('SELECT ";KILL 17"', true), undefined);
});

describe('another number in its place', () => {
  const withId = (packet: Uint8Array, from: number, id: number) =>
    withKillId(packet, killOf(packet, from, false) as Extract<Kill, { id: number }>, id);

  test('longer or shorter', () => {
    assert.deepEqual(
      withId(command(3, 'KILL QUERY 17; -- x'), 5, 123_456),
      command(3, 'KILL QUERY 123456; -- x'),
    );
    assert.deepEqual(withId(command(3, 'KILL 1234567'), 5, 8), command(3, 'KILL 8'));
  });

  test('behind query attributes', () => {
    const packet = command(3, 1, 1, 0, 1, 0xfe, 0, 1, 'a', 1, '1', 'KILL 17');
    assert.deepEqual(withId(packet, 15, 1), command(3, 1, 1, 0, 1, 0xfe, 0, 1, 'a', 1, '1', 'KILL 1'));
  });

  test('of a COM_PROCESS_KILL', () => {
    const packet = command(0x0c, 1, 0, 0, 0x80);
    assert.equal(processKillId(packet), 0x8000_0001);
    const other = withProcessKillId(packet, 0xfedc_ba98);
    assert.deepEqual(other, command(0x0c, 0x98, 0xba, 0xdc, 0xfe));
    assert.equal(processKillId(packet), 0x8000_0001, 'the packet is as it was');
    assert.equal(processKillId(command(0x0c, 1, 0, 0)), undefined);
  });
});

test('whatever the text is, it is an answer, and the number that it names is there', () => {
  const pieces = [
    'KILL',
    ' ',
    '17',
    'QUERY',
    'USER',
    ';',
    '/*',
    '*/',
    '/*!',
    '--',
    '\n',
    "'",
    'PREPARE',
    '(',
    '\xff',
  ];
  const text = fc.array(fc.constantFrom(...pieces), { maxLength: 12 }).map((parts) => parts.join(''));
  fc.assert(
    fc.property(text, fc.boolean(), (sql, multi) => {
      const found = kill(sql, multi);
      if (found !== undefined && found.what !== 'other')
        assert.equal(sql.slice(found.from, found.to), String(found.id));
    }),
    { numRuns: 2000 },
  );
});
