/** Digest texts against those of a real server's performance_schema. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise';
import { Lab } from '../../scripts/lab/lab.ts';
import { USERS } from '../../scripts/lab/server.ts';
import { AGREED, DIFFERENT } from '../sql/digest/digest-corpus.ts';
import { MYSQL, NOT_MYSQL, NOT_OURS } from '../sql/digest/digest-corpus-mysql.ts';
import { digestText } from '../sql/support/digests.ts';
import { brandsObstacle, labObstacle } from './support/capability.ts';

/** Digests of statements that have ended, the last ones of each thread. */
const SETTINGS = [
  '--performance-schema=ON',
  '--performance-schema-consumer-events-statements-current=ON',
  '--performance-schema-consumer-events-statements-history=ON',
];

/** What STATEMENT_DIGEST_TEXT() says, prepared, of a text that it can't parse. */
const ER_UNDISCLOSED_PARSE_ERROR_IN_DIGEST_FN = 3677;

describe('digest texts of MariaDB', { skip: labObstacle() ?? false }, () => {
  let lab: Lab;
  let connection: Connection;
  let thread: number;

  before(async () => {
    lab = await Lab.up({ name: 'mytape-e2e-digest', servers: ['target'] });
    const server = lab.server('target');
    await server.stop();
    await server.start(SETTINGS);
    await server.sql(`GRANT SELECT ON performance_schema.* TO app@'%'`);
    connection = await createConnection({
      socketPath: server.socketPath,
      user: 'app',
      password: USERS.app,
      database: 'sbtest',
      flags: ['-IGNORE_SPACE', 'MULTI_STATEMENTS'],
    });
    const [rows] = await connection.query<RowDataPacket[]>(
      'SELECT THREAD_ID FROM performance_schema.threads WHERE PROCESSLIST_ID = CONNECTION_ID()',
    );
    thread = rows[0].THREAD_ID;
  });

  after(async () => {
    connection?.destroy();
    await lab?.down();
  });

  /** The digest texts of the last statements, the last one first. Asked on the same connection, so they have ended. */
  async function lastDigests(count: number): Promise<(string | null)[]> {
    const [rows] = await connection.query<RowDataPacket[]>(
      `SELECT DIGEST_TEXT FROM performance_schema.events_statements_history
       WHERE THREAD_ID = ${thread} ORDER BY EVENT_ID DESC LIMIT ${count}`,
    );
    return rows.map((row) => row.DIGEST_TEXT);
  }

  /** What the server says of a statement, which may fail, for tables that are not there, once it is parsed. */
  async function askServer(statement: string, sqlMode: string): Promise<string | undefined> {
    await connection.query('SET NAMES utf8mb4');
    await connection.query(`SET sql_mode = '${sqlMode}'`);
    await connection.query(statement).catch(() => {});
    const [digest] = await lastDigests(1);
    return digest?.replace(/ $/, '');
  }

  test('are those of the corpus', async () => {
    for (const { sqlMode, statements } of AGREED) {
      for (const [statement, said] of statements) {
        assert.equal(await askServer(statement, sqlMode), said, statement);
      }
    }
  });

  test('differ from ours where the corpus says so, and as it says', async () => {
    for (const { statements } of DIFFERENT) {
      for (const [statement, , mariadb] of statements) {
        assert.equal(await askServer(statement, ''), mariadb, statement);
      }
    }
  });

  test('are cut where ours are', async () => {
    const names = Array.from({ length: 300 }, (_, i) => `a${i}`);
    const long = [
      `SELECT ${'a,'.repeat(1000)}a FROM t`,
      `SELECT ${names.join(',')} FROM t`,
      `SELECT ${'a,'.repeat(144)}abcdef,1,2 FROM t`,
      `SELECT ${'a,'.repeat(144)}abcdefghi,1,2 FROM t`,
      `SELECT ${'a,'.repeat(145)}1,2,3 FROM t`,
      `SELECT ${'f(1),'.repeat(200)}a FROM t`,
      `SELECT ${'1+'.repeat(260)}1 FROM t`,
      `SELECT a FROM t WHERE ${'a IS NULL OR '.repeat(150)}NULL`,
      `INSERT INTO t VALUES ${'(1,2),'.repeat(1000)}(3,4) ON DUPLICATE KEY UPDATE a = 5`,
    ];
    for (const statement of long) {
      const octets = Buffer.from(statement);
      assert.equal(
        await askServer(statement, ''),
        digestText(octets, 0, octets.length),
        statement.slice(-60),
      );
    }
  });

  test('keep the ; between two statements, which ours do not', async () => {
    await connection.query('SELECT 1; SELECT a FROM (SELECT 1 AS a) AS t');
    const digests = await lastDigests(2);
    assert.equal(digests[1], 'SELECT ? ; ');
  });
});

test('digest texts of MySQL 9.7 are ours', { skip: brandsObstacle('mysql') ?? false }, async (t) => {
  const lab = await Lab.up({ name: 'mytape-e2e-digest9', servers: ['target'], target: 'mysql' });
  t.after(() => lab.down());
  const connection = await createConnection({
    socketPath: lab.server('target').socketPath,
    user: 'app',
    password: USERS.app,
    database: 'sbtest',
    flags: ['-IGNORE_SPACE'],
  });
  t.after(() => connection.destroy());
  /** undefined: the server can't parse it. */
  const askServer = async (statement: string): Promise<string | undefined> => {
    try {
      const asked = 'SELECT STATEMENT_DIGEST_TEXT(?) AS digest';
      return (await connection.execute<RowDataPacket[]>(asked, [statement]))[0][0].digest;
    } catch (error) {
      if ((error as { errno?: number }).errno !== ER_UNDISCLOSED_PARSE_ERROR_IN_DIGEST_FN) throw error;
      return undefined;
    }
  };
  const corpus = [
    ...AGREED,
    { sqlMode: '', options: {}, statements: [...DIFFERENT.flatMap((each) => each.statements), ...MYSQL] },
  ];
  for (const { sqlMode, options, statements } of corpus) {
    await connection.query(`SET sql_mode = '${sqlMode}'`);
    for (const [statement] of statements) {
      if (NOT_OURS.has(statement)) continue;
      const octets = Buffer.from(statement);
      const ours = digestText(octets, 0, octets.length, options);
      assert.equal(await askServer(statement), NOT_MYSQL.has(statement) ? undefined : ours, statement);
    }
  }
});
