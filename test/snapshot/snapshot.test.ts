import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Ask, askSessions } from '../../src/snapshot/queries.ts';
import { nameOfServer, parseServerUrl } from '../../src/snapshot/server.ts';

test('--snapshot-from: a server and its user', () => {
  const read = (text: string) => {
    const server = parseServerUrl(text);
    return [server.user, server.host, server.port, nameOfServer(server)];
  };
  assert.deepEqual(read('mysql://mon@10.0.0.1:3307'), ['mon', '10.0.0.1', 3307, 'mon@10.0.0.1:3307']);
  assert.deepEqual(read('mysql://mon@db.example/'), ['mon', 'db.example', 3306, 'mon@db.example:3306']);
  assert.deepEqual(read('mysql://a%40b@[fd00::1]:1'), ['a@b', 'fd00::1', 1, 'a@b@[fd00::1]:1']);
});

test('--snapshot-from: a password in the URL is refused, and not repeated', () => {
  assert.throws(
    () => parseServerUrl('mysql://mon:hunter2@10.0.0.1:3307'),
    (error: Error) => /--password-file/.test(error.message) && !/hunter2/.test(error.message),
  );
});

test('--snapshot-from: what is no such URL is refused with the right form', () => {
  const others = ['', '10.0.0.1:3307', 'http://mon@10.0.0.1', 'mysql://10.0.0.1:3307', 'mysql://mon@'];
  others.push(
    'mysql://mon@10.0.0.1/shop',
    'mysql://mon@10.0.0.1?ssl=1',
    'mysql://mon@10.0.0.1:99999',
    'mysql://%ff@10.0.0.1',
  );
  for (const text of others) assert.throws(() => parseServerUrl(text), /mysql:\/\/USER@HOST:PORT/, text);
});

type Table = readonly object[] | (Error & { sqlState?: string });

const PROCESSES = [
  { id: 8, user: 'app', host: '10.0.0.1:4000', db: 'shop' },
  { id: 9, user: 'web', host: 'FD00:0::1:4001', db: null },
];

/** Answers by the table that a statement names. */
function scripted(tables: Record<string, Table>): Ask {
  const all: Record<string, Table> = {
    PROCESSLIST: PROCESSES,
    'SHOW VARIABLES': [
      { Variable_name: 'hostname', Value: 'db1' },
      { Variable_name: 'port', Value: '3306' },
      { Variable_name: 'server_id', Value: '7' },
      { Variable_name: 'server_uuid', Value: 'aa-1' },
      { Variable_name: 'datadir', Value: '/data/' },
      { Variable_name: 'version', Value: '8.4.2' },
    ],
    'SHOW GLOBAL VARIABLES': [{ Variable_name: 'sql_mode', Value: 'ANSI_QUOTES' }],
    Uptime: [{ Variable_name: 'Uptime', Value: '60' }],
    Prepared_stmt_count: [{ Variable_name: 'Prepared_stmt_count', Value: '0' }],
    '@@performance_schema': [{ is: 1 }],
    'performance_schema.threads': [
      { thread: 108, id: 8 },
      { thread: 109, id: 9 },
      { thread: 1, id: 1 },
    ],
    prepared_statements_instances: [],
    variables_by_thread: [],
    user_variables_by_thread: [],
    ...tables,
  };
  return async (sql) => {
    // `variables_by_thread` ends `user_variables_by_thread`, too.
    const [, table] =
      Object.entries(all)
        .sort(([a], [b]) => b.length - a.length)
        .find(([name]) => sql.includes(name)) ?? [];
    assert.ok(table, sql);
    if (table instanceof Error) throw table;
    return table;
  };
}

function refusal(message: string): Error {
  return Object.assign(new Error(message), { sqlState: '42000' });
}

/** What a statement has that COM_STMT_PREPARE made. */
const BINARY = { name: null, owner: null };

test('scripted MySQL 8 peer: sessions with statements and variables of theirs', async () => {
  const ask = scripted({
    prepared_statements_instances: [
      { thread: 109, statement: 5, ...BINARY, text: 'SELECT ?' },
      { thread: 108, statement: 2, ...BINARY, text: 'x'.repeat(1024) },
      { thread: 108, statement: 1, ...BINARY, text: 'SELECT 1' },
      { thread: 108, statement: 3, ...BINARY, text: 'SELECT "\ufffd"' },
      { thread: 777, statement: 1, ...BINARY, text: 'of a session that ended' },
      { thread: 1, statement: 1, ...BINARY, text: 'our own' },
      { thread: 108, statement: 4, name: 's', owner: null, text: 'PREPARE s FROM made it' },
      { thread: 108, statement: 5, name: null, owner: 'PROCEDURE', text: 'a procedure made it' },
    ],
    variables_by_thread: [
      { thread: 108, name: 'sql_mode', value: 'ANSI' },
      { thread: 108, name: 'autocommit', value: 'OFF' },
    ],
    user_variables_by_thread: [
      { thread: 109, name: 'b', octets: 1, value: Buffer.from('2') },
      { thread: 109, name: 'large', octets: 4097, value: Buffer.alloc(4096) },
      { thread: 109, name: 'a', octets: null, value: null },
    ],
  });
  const beforeMs = Date.now();
  const { server, ...answered } = await askSessions(ask, 'monitor');
  const { startedMs = 0, ...named } = server ?? {};
  assert.ok(startedMs >= beforeMs - 60_000 && startedMs <= Date.now() - 60_000, 'an uptime of 60 s');
  assert.deepEqual(JSON.parse(JSON.stringify(named)), {
    hostname: 'db1',
    port: 3306,
    serverId: 7,
    uuid: 'aa-1',
    datadir: '/data',
    version: '8.4.2',
    sqlMode: 'ANSI_QUOTES',
  });
  assert.deepEqual(answered, {
    sessions: [
      {
        id: 8,
        user: 'app',
        host: '10.0.0.1',
        port: 4000,
        schema: 'shop',
        statements: [
          { id: 1, sql: 'SELECT 1' },
          { id: 2, sql: undefined },
          { id: 3, sql: undefined },
        ],
        variables: [
          ['autocommit', 'OFF'],
          ['sql_mode', 'ANSI'],
        ],
        userVariables: [],
      },
      {
        id: 9,
        user: 'web',
        host: 'fd00::1',
        port: 4001,
        schema: undefined,
        statements: [{ id: 5, sql: 'SELECT ?' }],
        variables: [],
        userVariables: [
          ['a', null],
          ['b', Buffer.from('2')],
        ],
      },
    ],
    lacks: [],
  });
});

test('scripted MySQL 8 peer: what it refuses is lacking, and the rest is there', async () => {
  const ask = scripted({
    prepared_statements_instances: refusal('SELECT command denied'),
    variables_by_thread: [{ thread: 108, name: 'sql_mode', value: 'ANSI' }],
  });
  const { sessions, lacks } = await askSessions(ask, 'monitor');
  assert.deepEqual(lacks, ['prepared_statements_instances: SELECT command denied']);
  assert.deepEqual(sessions[0].variables, [['sql_mode', 'ANSI']]);
});

test('scripted MySQL 8 peer: one that is gone in the middle gives no snapshot', async () => {
  await assert.rejects(askSessions(scripted({ variables_by_thread: new Error('gone') }), 'monitor'), /gone/);
  await assert.rejects(askSessions(scripted({ PROCESSLIST: refusal('denied') }), 'monitor'), /denied/);
});

test('scripted MySQL 8 peer: a user that sees only itself is told so', async () => {
  const lacksOf = async (user: string, grants: string[]) => {
    const ask = scripted({
      PROCESSLIST: PROCESSES.map((row) => ({ ...row, user: 'app' })),
      'SHOW GRANTS': grants.map((grant) => ({ 'Grants for app@%': grant })),
    });
    return (await askSessions(ask, user)).lacks;
  };
  const lack = ['sessions: without the privilege PROCESS a user sees only those of its own'];
  assert.deepEqual(
    await lacksOf('app', [
      'GRANT USAGE ON *.* TO `app`@`%`',
      'GRANT ALL PRIVILEGES ON `PROCESS`.* TO `app`@`%`',
    ]),
    lack,
  );
  assert.deepEqual(await lacksOf('app', ['GRANT SELECT, PROCESS ON *.* TO `app`@`%`']), []);
  assert.deepEqual(await lacksOf('app', ['GRANT ALL PRIVILEGES ON *.* TO `app`@`%` WITH GRANT OPTION']), []);
  assert.deepEqual(await lacksOf('monitor', []), []);
});

test('scripted MySQL 8 peer: more than a snapshot holds is cut, and told', async () => {
  const many = Array.from({ length: 10_001 }, (_, id) => ({
    id,
    user: 'app',
    host: `10.0.0.1:${id}`,
    db: null,
  }));
  const { sessions, lacks } = await askSessions(scripted({ PROCESSLIST: many }), 'monitor');
  assert.equal(sessions.length, 10_000);
  assert.deepEqual(lacks, ['sessions: there are more than 10000']);
});

test('scripted MySQL 8 peer: a server that counts prepared statements and lists none lacks them', async () => {
  const Prepared_stmt_count = [{ Variable_name: 'Prepared_stmt_count', Value: '3' }];
  const { lacks } = await askSessions(scripted({ Prepared_stmt_count }), 'monitor');
  assert.equal(lacks.length, 1);
  assert.match(lacks[0], /^prepared_statements_instances: .* lists none/);
  const listed = [{ thread: 108, statement: 4, name: 's', owner: null, text: 'SELECT 1' }];
  const ask = scripted({ Prepared_stmt_count, prepared_statements_instances: listed });
  assert.deepEqual((await askSessions(ask, 'monitor')).lacks, []);
});

test('scripted MySQL 8 peer: without performance_schema there are sessions at least', async () => {
  for (const [answer, lack] of [
    [[{ is: 0 }], /OFF/],
    [refusal("Unknown system variable 'performance_schema'"), /Unknown/],
  ] as const) {
    const { sessions, lacks } = await askSessions(scripted({ '@@performance_schema': answer }), 'monitor');
    assert.equal(sessions.length, 2);
    assert.equal(lacks.length, 1);
    assert.match(lacks[0], lack);
  }
});
