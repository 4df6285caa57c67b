import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SnapshotSession } from '../../../src/archive/snapshots.ts';
import { Snapshots } from '../../../src/archive/snapshots.ts';
import type { SessionMeta } from '../../../src/flow/events.ts';
import { adopterOf, adoptionOf, parseAdopt } from '../../../src/replay/accounts/adoption.ts';
import { parseAddress } from '../../../src/wire/address.ts';

function settingsOf(parts: Partial<SnapshotSession>): readonly string[] {
  return adoptionOf({
    id: 1,
    user: 'app',
    host: '10.0.0.1',
    port: 4000,
    schema: undefined,
    statements: [],
    variables: [],
    userVariables: [],
    ...parts,
  }).settings;
}

test('adoption: --adopt is a user, or a user and a schema', () => {
  assert.deepEqual(parseAdopt('app'), { user: 'app', schema: undefined });
  assert.deepEqual(parseAdopt('app/shop'), { user: 'app', schema: 'shop' });
  assert.deepEqual(parseAdopt('app/a/b'), { user: 'app', schema: 'a/b' });
  for (const text of ['', '/', 'app/', '/shop']) {
    assert.throws(() => parseAdopt(text), { code: 'usage', message: /app\/shop/ });
  }
});

test('adoption: what the server said goes before the user for all', () => {
  const snapshots = new Snapshots();
  const line = JSON.stringify({
    v: 1,
    at: 100,
    whole: true,
    texts: ['SELECT ?'],
    sessions: [
      {
        id: 1,
        user: 'app',
        host: 'fd00::1',
        port: 4000,
        schema: 'shop',
        statements: [
          [7, 0],
          [8, null],
        ],
      },
      { id: 2, user: 'web', host: 'fd00::1', port: 4001, variables: [['sql_mode', 'ANSI']] },
    ],
  });
  snapshots.add(Buffer.from(line));
  const session = (clientPort: number, at = 100) =>
    ({ client: parseAddress('fd00::1'), clientPort, at }) as SessionMeta;
  const app = { user: 'app', schema: 'shop', statements: [{ id: 7, sql: 'SELECT ?' }], settings: [] };
  const web = {
    user: 'web',
    schema: undefined,
    statements: [],
    settings: ["SET SESSION `sql_mode` = 'ANSI'"],
  };
  const other = { user: 'other', schema: 'sbtest', statements: [], settings: [] };
  const both = adopterOf({ snapshots, adopt: { user: 'other', schema: 'sbtest' } });
  assert.deepEqual([session(4000), session(4001), session(4002)].map(both), [app, web, other]);
  const alone = adopterOf({ snapshots });
  assert.deepEqual([session(4000), session(4002)].map(alone), [app, undefined]);
  assert.deepEqual(adopterOf({ adopt: { user: 'other', schema: 'sbtest' } })(session(4000)), other);
  assert.equal(adopterOf({})(session(4000)), undefined);
});

test('adoption: session variables as the server takes them, before user variables', () => {
  const settings = settingsOf({
    userVariables: [['a', Buffer.from('1')]],
    variables: [
      ['autocommit', 'OFF'],
      ['character_set_results', ''],
      ['long_query_time', '1.500000'],
      ['lc_time_names', ''],
      ['sort_buffer_size', '262144'],
      ['auto_increment_offset', '-1'],
      ['transaction_isolation', 'READ-COMMITTED'],
      ['time_zone', '+02:00'],
      ['dragnet.filter', "it's"],
      ['optimizer_switch', 'a=on,b=off'],
      ['some_path', 'a\\b'],
    ],
  });
  assert.deepEqual(settings, [
    "SET SESSION `autocommit` = 'OFF'",
    'SET SESSION `character_set_results` = NULL',
    'SET SESSION `long_query_time` = 1.500000',
    "SET SESSION `lc_time_names` = ''",
    'SET SESSION `sort_buffer_size` = 262144',
    'SET SESSION `auto_increment_offset` = -1',
    "SET SESSION `transaction_isolation` = 'READ-COMMITTED'",
    "SET SESSION `time_zone` = '+02:00'",
    "SET SESSION `dragnet`.`filter` = _utf8mb4 x'69742773'",
    "SET SESSION `optimizer_switch` = 'a=on,b=off'",
    "SET SESSION `some_path` = _utf8mb4 x'615c62'",
    'SET @`a` = 1',
  ]);
});

test('adoption: variables that mean nothing on another server are left out', () => {
  const names = ['pseudo_thread_id', 'timestamp', 'INSERT_ID', 'last_insert_id', 'gtid_next', 'error_count'];
  names.push('warning_count', 'max_allowed_packet', 'rand_seed1', 'sql_log_bin', 'binlog_format', 'wsrep_on');
  names.push('resultset_metadata', 'character_set_database', 'collation_database', 'proxy_user', '', 'a`b');
  assert.deepEqual(settingsOf({ variables: names.map((name) => [name, '1']) }), []);
});

test('adoption: user variables, binary-safe, integers as numbers', () => {
  const values: [string, Uint8Array | null, string][] = [
    ['n', null, 'NULL'],
    ['i', Buffer.from('12'), '12'],
    ['z', Buffer.from('0'), '0'],
    ['m', Buffer.from('-9'), '-9'],
    ['zip', Buffer.from('0123'), "'0123'"],
    ['minus', Buffer.from('-0'), "'-0'"],
    ['long', Buffer.from('1234567890123456789'), "'1234567890123456789'"],
    ['decimal', Buffer.from('1.50'), "'1.50'"],
    ['text', Buffer.from('plain text'), "'plain text'"],
    ['empty', Buffer.from(''), "''"],
    ['quote', Buffer.from("it's"), "_utf8mb4 x'69742773'"],
    ['backslash', Buffer.from('a\\'), "_utf8mb4 x'615c'"],
    ['line', Buffer.from('a\n'), "_utf8mb4 x'610a'"],
    ['utf8', Buffer.from('é'), "_utf8mb4 x'c3a9'"],
    ['binary', Uint8Array.of(0xe9, 0x27), "x'e927'"],
    ['we`ird name', Buffer.from('1'), '1'],
  ];
  assert.deepEqual(
    settingsOf({ userVariables: values.map(([name, value]) => [name, value]) }),
    values.map(([name, , literal]) => `SET @\`${name.replace('`', '``')}\` = ${literal}`),
  );
  assert.deepEqual(settingsOf({ userVariables: [['é', Buffer.from('1')]] }), []);
});
