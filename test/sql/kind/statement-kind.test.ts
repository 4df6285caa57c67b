import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise';
import { DIALECT } from '../../../src/sql/dialect.ts';
import { type StatementKind, StatementReader } from '../../../src/sql/kind/statement-kind.ts';
import { commandObstacle } from '../../e2e/support/capability.ts';
import { certificate } from '../../transport/certificate.ts';
import { startMariaDb } from '../../transport/mariadb.ts';
import {
  READS,
  READS_ELSEWHERE,
  SCHEMA,
  SESSIONS,
  SESSIONS_ELSEWHERE,
  WRITES,
} from './statement-kind-corpus.ts';

const reader = new StatementReader();

const kindOf = (sql: string, dialect = 0): StatementKind => {
  // Neither what comes before nor what comes behind is looked at.
  const octets = Buffer.from(`x'${sql}'; DELETE FROM t`);
  return reader.gravest(octets, 2, octets.length - "'; DELETE FROM t".length, dialect);
};

const CORPUS: readonly (readonly [StatementKind, readonly string[]])[] = [
  ['read', READS],
  ['read', READS_ELSEWHERE],
  ['session', SESSIONS],
  ['session', SESSIONS_ELSEWHERE],
  ['write', WRITES],
];
const RANK = { read: 0, session: 1, write: 2 };
const all = CORPUS.flatMap(([kind, statements]) => statements.map((sql) => ({ kind, sql })));

describe('statementKind', () => {
  for (const [kind, statements] of CORPUS) {
    test(`${statements.length} are ${kind}`, () => {
      const others = statements.filter((sql) => kindOf(sql) !== kind);
      assert.deepEqual(others, []);
    });
  }

  test('case does not matter, nor what white space there is', () => {
    for (const { kind, sql } of all) {
      if (/[#'"`]|--|\/\*/.test(sql)) continue;
      assert.equal(kindOf(sql.toLowerCase()), kind, sql);
      assert.equal(kindOf(sql.replaceAll(' ', '\r\n\t')), kind, sql);
      assert.equal(kindOf(sql.replaceAll(' ', '/* DELETE; */')), kind, sql);
    }
  });

  test('of several statements, the gravest', () => {
    const isWhole = ({ sql }: { sql: string }) => !/--|#/.test(sql);
    const statements = fc.array(fc.constantFrom(...all.filter(isWhole)), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(statements, (parts) => {
        const gravest = parts.reduce((a, b) => (RANK[a.kind] >= RANK[b.kind] ? a : b));
        assert.equal(kindOf(parts.map(({ sql }) => sql).join(' ; ')), gravest.kind);
      }),
    );
  });

  test('in an executable comment as outside of one', () => {
    for (const { kind, sql } of all) {
      if (/\/\*|--|#|;/.test(sql)) continue;
      for (const mark of ['/*!', '/*!50001 ', '/*!100500 ', '/*M!100500 ']) {
        assert.equal(kindOf(`${mark}${sql} */`), kind, `${mark}${sql}`);
      }
    }
  });

  test('a string ends at its backslash and quote only where sql_mode says so', () => {
    const sql = "SELECT '\\'; DELETE FROM t; -- '";
    assert.equal(kindOf(sql), 'read');
    assert.equal(kindOf(sql, DIALECT.noBackslashEscapes), 'write');
  });

  test('any octets have a kind, whatever is cut off', () => {
    const octets = fc.oneof(
      fc.uint8Array({ maxLength: 60 }),
      fc
        .tuple(fc.constantFrom(...all), fc.nat(80))
        .map(([{ sql }, length]) => new Uint8Array(Buffer.from(sql).subarray(0, length))),
    );
    fc.assert(
      fc.property(octets, fc.boolean(), (text, noBackslashEscapes) => {
        const dialect = noBackslashEscapes ? DIALECT.noBackslashEscapes : 0;
        assert.ok(reader.gravest(text, 0, text.length, dialect) in RANK);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('StatementReader', () => {
  const read = (sql: string) => {
    const octets = Buffer.from(sql);
    const reader = new StatementReader();
    const statements: [string, string | undefined][] = [];
    for (let at = 0; at < octets.length; ) {
      at = reader.read(octets, at, octets.length, 0, true);
      statements.push([reader.kind, reader.step]);
    }
    return statements;
  };

  test('each statement of a text, also behind a write', () => {
    assert.deepEqual(read("BEGIN; INSERT INTO t VALUES (';'); SELECT 1; COMMIT"), [
      ['session', 'begin'],
      ['write', undefined],
      ['read', undefined],
      ['session', 'commit'],
    ]);
  });

  test('what they do to the transaction', () => {
    const steps: Record<string, readonly string[]> = {
      begin: ['BEGIN', 'begin work', 'START TRANSACTION READ ONLY', "XA START 'a'", "XA BEGIN 'a'"],
      commit: ['COMMIT', 'commit and chain', '/*! COMMIT */', "XA COMMIT 'a' ONE PHASE"],
      rollback: ['ROLLBACK', 'rollback work and chain', "XA ROLLBACK 'a'", "XA PREPARE 'a'", "XA END 'a'"],
      undefined: [
        'ROLLBACK TO a',
        'ROLLBACK WORK TO SAVEPOINT a',
        'BEGIN NOT ATOMIC',
        'START SLAVE',
        'SELECT "COMMIT"',
        'SAVEPOINT a',
      ],
    };
    for (const [step, statements] of Object.entries(steps)) {
      for (const sql of statements) assert.equal(String(read(sql)[0][1]), step, sql);
    }
  });
});

const obstacle = commandObstacle('mariadbd') ?? commandObstacle('openssl');

describe('MariaDB', { skip: obstacle ?? false }, () => {
  test('takes what reads or changes the session in a read-only transaction, and its data stay', async (t) => {
    const server = await startMariaDb(certificate());
    t.after(() => server.stop());
    const watch = await connect(server.port);
    t.after(() => watch.destroy());
    for (const sql of SCHEMA) await watch.query(sql);
    const before = await everything(watch);
    const refused: string[] = [];
    for (const sql of [...READS, ...SESSIONS]) {
      const connection = await connect(server.port);
      await connection.query('USE shop');
      await connection.query('SET SESSION TRANSACTION READ ONLY');
      const errno = await connection.query(sql).then(
        () => 0,
        (error: { errno: number }) => error.errno,
      );
      // An empty query is one, too (1065); SIGNAL of a warning is none.
      if (errno !== 0 && errno !== 1065) refused.push(`${errno} ${sql}`);
      connection.destroy();
    }
    assert.deepEqual(refused, []);
    assert.deepEqual(await everything(watch), before);
  });
});

async function connect(port: number): Promise<Connection> {
  for (let tries = 0; ; tries++) {
    try {
      return await createConnection({ host: '127.0.0.1', port, user: 'root', multipleStatements: true });
    } catch (error) {
      if (tries === 300) throw error;
      await sleep(100);
    }
  }
}

/** What is in the tables and the sequence, and which locks and global variables there are. */
async function everything(connection: Connection): Promise<unknown> {
  const rows = [];
  for (const sql of [
    'SELECT * FROM shop.t',
    'SELECT * FROM shop.u',
    'SELECT * FROM shop.s',
    'SELECT table_schema, table_name FROM information_schema.tables ORDER BY 1, 2',
    "SELECT IS_FREE_LOCK('a')",
    "SHOW GLOBAL VARIABLES WHERE Variable_name NOT IN ('gtid_binlog_pos', 'timestamp')",
  ]) {
    const [found] = await connection.query<RowDataPacket[]>(sql);
    rows.push(found);
  }
  return rows;
}
