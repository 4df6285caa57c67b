/**
 * The clients of the mixed hour that are MariaDB's own connector, as a process of its own: it pipelines, executes in bulk,
 * keeps metadata. `node --tls-keylog=FILE mixed-connector.js '{"host":…}'` on host client; prints a MixedResult.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Connection, type ConnectionConfig, createConnection } from 'mariadb';
import { USERS } from '../../../scripts/lab/server.ts';
import { speakFrom } from '../../../scripts/lab/speak-from.ts';
import {
  fails,
  MARKED,
  MIXED_USERS,
  type MixedJob,
  type MixedResult,
  Readings,
  shuffled,
  spread,
} from './mixed-job.ts';

const job = JSON.parse(process.argv[2]) as MixedJob;
const readings = new Readings();
let sessions = 0;
let refusals = 0;

const PAUSE_MS = 60;

async function connect(n: number, options: ConnectionConfig = {}): Promise<Connection> {
  sessions++;
  return createConnection({
    user: 'app',
    password: USERS.app,
    database: 'own',
    allowPublicKeyRetrieval: true,
    // Its own is a second, which a busy machine may take.
    connectTimeout: 30_000,
    stream: speakFrom(job.host, job.from[n % job.from.length]),
    ...options,
  });
}

async function createTable(db: Connection, n: number): Promise<string> {
  const table = `c${n}`;
  await db.query(
    `CREATE TABLE ${table} (id INT AUTO_INCREMENT PRIMARY KEY, a INT, b VARCHAR(6000), c DOUBLE)`,
  );
  return table;
}

async function pipelined(n: number): Promise<void> {
  const db = await connect(n, { pipelining: true });
  const table = await createTable(db, n);
  for (let round = 0; round < 3; round++) {
    const from = 70 + round;
    await Promise.all([
      db.query(`INSERT INTO ${table} (a, b) VALUES (1, 'pipelined'), (${round}, NULL)`),
      ...[0, 3, 6].map((i) => {
        const text = `SELECT name, price FROM fixed.item WHERE id = ${from + i} /* pipelined ${n} */`;
        return db.query(readings.of(text, from + i));
      }),
      fails(db.query('SELECT nonsense FROM nowhere')),
      db.ping(),
      db.query(`SELECT * FROM ${table}`),
    ]);
    await sleep(PAUSE_MS);
  }
  await db.end();
}

async function bulk(n: number): Promise<void> {
  const db = await connect(n, { bulk: true });
  const table = await createTable(db, n);
  const rows = Array.from({ length: 60 }, (_, i) => [i, i % 5 ? `row ${i} of ${n}` : null, i / 3]);
  await db.batch(`INSERT INTO ${table} (a, b, c) VALUES (?, ?, ?)`, rows);
  await sleep(PAUSE_MS);
  await db.batch(
    `UPDATE ${table} SET b = ? WHERE a = ?`,
    Array.from({ length: 10 }, (_, i) => [`changed ${i}`, 3 * i]),
  );
  await fails(
    db.batch(`INSERT INTO ${table} (id, a) VALUES (?, ?)`, [
      [1, 1],
      [900, 2],
    ]),
  );
  await db.batch(`DELETE FROM ${table} WHERE id = ?`, [[10], [20], [30]]);
  await db.query(`SELECT COUNT(*), SUM(c), MAX(b) FROM ${table}`);
  await db.end();
}

async function compressed(n: number): Promise<void> {
  const db = await connect(n, { compress: true, pipelining: true });
  const table = await createTable(db, n);
  const text = `SELECT * FROM fixed.item WHERE id > ${(n % 2) * 100} -- by connector ${n}`;
  await Promise.all([
    db.query(readings.of(text, 1 + (n % 2) * 100, 300)),
    db.query(`INSERT INTO ${table} (b) VALUES (REPEAT('b', 5000)), ('${'c'.repeat(4000)}')`),
    db.query(`SELECT b FROM ${table}`),
  ]);
  await db.batch(`REPLACE INTO ${table} (id, b) VALUES (?, ?)`, [
    [1, 'a'],
    [2, 'b'.repeat(150)],
    [3, null],
  ]);
  await sleep(PAUSE_MS);
  const select = `SELECT price, note FROM fixed.item WHERE id > ? AND id < 80 /* connector ${n} */`;
  for (const id of [60, 70, 78]) await db.execute(readings.of(select, id + 1, 79), [id]);
  await fails(db.query('SELECT nonsense FROM nowhere'));
  await db.end();
}

/** Of a statement that runs again the server sends no column definitions. */
async function withMetadata(n: number): Promise<void> {
  const db = await connect(n, { user: 'edward', password: MIXED_USERS.edward.password });
  const table = await createTable(db, n);
  const insert = await db.prepare(`INSERT INTO ${table} (b, a) VALUES (LEFT(?, 6000), ?)`);
  const select = `SELECT id, name, price FROM fixed.item WHERE id BETWEEN ? AND ? + 2 /* ${n} */`;
  for (let i = 0; i < 6; i++) {
    const from = 66 + 3 * i;
    await db.execute(readings.of(select, from, from + 2), [from, from]);
    await insert.execute([`short ${i}`, i]);
    await sleep(PAUSE_MS / 2);
  }
  // A table that changes under its statement: the definitions come again.
  await db.execute(`SELECT * FROM ${table} WHERE a < ?`, [3]);
  await db.query(`ALTER TABLE ${table} ADD COLUMN more INT DEFAULT 5`);
  await db.execute(`SELECT * FROM ${table} WHERE a < ?`, [4]);
  const parts = [Buffer.from('long '), Buffer.from('data '.repeat(1000))];
  await insert.execute([Readable.from(parts), 100]);
  insert.close();
  await db.query(`SELECT a, b FROM ${table}`);
  await db.end();
}

async function streaming(n: number): Promise<void> {
  const db = await connect(n);
  const rowsOf = async (rows: Readable) => {
    let count = 0;
    for await (const _ of rows) count++;
    if (count === 0) throw new Error('no rows');
  };
  const text = `SELECT * FROM fixed.item ORDER BY id -- streamed ${n}`;
  await rowsOf(db.queryStream(readings.of(text, 1, 300)));
  const prepared = await db.prepare(`SELECT id, price FROM fixed.item WHERE id <= ? /* streamed ${n} */`);
  for (const id of [MARKED, MARKED - 1]) {
    readings.of(`SELECT id, price FROM fixed.item WHERE id <= ? /* streamed ${n} */`, 1, id);
    await rowsOf(prepared.executeStream([id]));
    await sleep(PAUSE_MS);
  }
  prepared.close();
  await db.end();
}

async function resetting(n: number): Promise<void> {
  const db = await connect(n, { multipleStatements: true });
  for (let i = 0; i < 3; i++) {
    await db.query(`SET @mark = ${i}, NAMES utf8mb4; SELECT @mark, DATABASE()`);
    await db.query('CREATE TEMPORARY TABLE mine (id INT PRIMARY KEY)');
    await db.execute('INSERT INTO mine VALUES (?)', [i]);
    await db.beginTransaction();
    await db.reset();
    await db.query('SELECT @mark');
    await fails(db.query('SELECT * FROM mine'));
    await sleep(PAUSE_MS);
  }
  // The connector refuses to do it with MySQL (its bug 83472); mysql2 does it with both.
  if (!db.info?.isMariaDB()) return db.end();
  await db.changeUser({ user: 'bob', password: MIXED_USERS.bob.password, database: 'fixed' });
  await db.query(readings.of(`CALL around(77) -- by bob, ${n}`, 76, 78));
  await db.changeUser({ user: 'edward', password: MIXED_USERS.edward.password, database: 'own' });
  await db.query('SELECT CURRENT_USER()');
  await db.end();
}

async function infile(n: number): Promise<void> {
  const db = await connect(n, { permitLocalInfile: true, pipelining: false });
  const table = await createTable(db, n);
  const file = join(job.folder, `bulk-${n}.tsv`);
  writeFileSync(file, Array.from({ length: 100 }, (_, i) => `${i + 1}\t${n}\tline ${i}\t0.5\n`).join(''));
  await db.query(`LOAD DATA LOCAL INFILE '${file}' INTO TABLE ${table}`);
  await db.query(`SELECT COUNT(*), SUM(id) FROM ${table}`);
  await db.end();
}

async function encrypted(n: number): Promise<void> {
  const db = await connect(n, { ssl: { rejectUnauthorized: false }, compress: n % 2 === 0 });
  const table = await createTable(db, n);
  await db.batch(`INSERT INTO ${table} (a, b) VALUES (?, ?)`, [
    [1, 'one'],
    [2, 'two'],
  ]);
  await db.query(readings.of(`SELECT * FROM fixed.item WHERE id = 77 /* secret ${n} */`, 77));
  await sleep(PAUSE_MS);
  await db.query(`SELECT * FROM ${table}`);
  await db.end();
}

async function refused(n: number): Promise<void> {
  const how: ConnectionConfig[] = [
    { user: 'edward', password: 'wrong' },
    { user: 'bob', password: 'wrong', compress: true },
  ];
  await fails(connect(n, how[refusals++ % how.length]));
}

await spread(
  job.spreadMs,
  shuffled<(n: number) => Promise<void>>([
    [14, pipelined],
    [8, bulk],
    [8, compressed],
    [10, withMetadata],
    [4, streaming],
    [8, resetting],
    [4, infile],
    [6, encrypted],
    [4, refused],
  ]),
);
const result: MixedResult = { sessions, refused: refusals, readings: readings.texts, incomparable: [] };
process.stdout.write(JSON.stringify(result) + '\n');
