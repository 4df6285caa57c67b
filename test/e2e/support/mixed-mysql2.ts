/**
 * The mysql2 clients of the mixed hour, as a process of its own: `node --tls-keylog=FILE mixed-mysql2.js '{"host":…}'` on
 * host client. Each writes tables of its own and reads those, or schema `fixed`. Prints a MixedResult.
 */
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Connection, type ConnectionOptions, createConnection } from 'mysql2/promise';
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
const incomparable: string[] = [];
let sessions = 0;
let refusals = 0;

function connect(n: number, options: ConnectionOptions = {}): Promise<Connection> {
  sessions++;
  return createConnection({
    user: 'app',
    password: USERS.app,
    database: 'own',
    stream: speakFrom(job.host, job.from[n % job.from.length]),
    ...options,
  });
}

const PAUSE_MS = 60;

/** Rows of fixed.item that client n looks at first: of some, the marked one is among them. */
function firstOf(n: number): number {
  return 1 + ((n * 9) % 250);
}

async function createTable(db: Connection, n: number): Promise<string> {
  const table = `m${n}`;
  await db.query(
    `CREATE TABLE ${table} (id INT AUTO_INCREMENT PRIMARY KEY, amount DECIMAL(12,2), ratio DOUBLE, at DATETIME(3), note VARCHAR(200), data BLOB)`,
  );
  return table;
}

async function text(n: number): Promise<void> {
  const db = await connect(n, { multipleStatements: true });
  const table = await createTable(db, n);
  const from = firstOf(n);
  for (let i = 0; i < 5; i++) {
    await db.query(
      `INSERT INTO ${table} (amount, note) VALUES (${n}.${i}0, 'naïve “${i}”'), (${i}, NULL), (-1, '漢字')`,
    );
    const range = `SELECT id, name, price FROM fixed.item WHERE id BETWEEN ${from + i} AND ${from + i + 9}`;
    await db.query(readings.of(range, from + i, from + i + 9));
    await sleep(PAUSE_MS);
  }
  const several = `SELECT COUNT(*) FROM ${table}; UPDATE ${table} SET amount = amount * 2 WHERE id < 6; SELECT price FROM fixed.item WHERE id = ${70 + (n % 10)}; SELECT * FROM ${table} ORDER BY amount, id LIMIT 4`;
  await db.query(readings.of(several, 70 + (n % 10)));
  await fails(db.query('SELECT 1; SELECT nonsense FROM nowhere; SELECT 2'));
  await db.query('CALL fixed.three()');
  await db.query(readings.of(`CALL fixed.around(${75 + (n % 5)}) -- of ${n}`, 74 + (n % 5), 76 + (n % 5)));
  await db.query(`DELETE FROM ${table} WHERE id % 3 = 0`);
  await db.query(`SELECT SUM(amount), GROUP_CONCAT(note ORDER BY id) FROM ${table}`);
  await db.ping();
  await db.end();
}

async function prepared(n: number): Promise<void> {
  const db = await connect(n, { user: 'alice', password: MIXED_USERS.alice.password });
  const table = await createTable(db, n);
  const insert = `INSERT INTO ${table} (amount, ratio, at, note, data) VALUES (?, ?, ?, ?, ?)`;
  const select = `SELECT id, name, price, note FROM fixed.item WHERE id = ? AND ${n} = ${n}`;
  for (let i = 0; i < 6; i++) {
    const data = Buffer.alloc(i === 3 ? 30_000 : 20, n);
    await db.execute(insert, [
      i,
      i / 7,
      new Date(1_700_000_000_000 + i * 1001),
      i % 2 ? `row ${i}` : null,
      data,
    ]);
    const id = 72 + ((n + i) % 8);
    await db.execute(readings.of(select, id), [id]);
    await db.execute(`SELECT id, ratio, at, LENGTH(data) FROM ${table} WHERE amount <= ?`, [i]);
    await sleep(PAUSE_MS);
  }
  const call = `CALL fixed.around(? + 0 * ${n})`;
  await db.execute(readings.of(call, 76, 78), [MARKED]);
  await db.execute('SELECT * FROM fixed.kind WHERE id < ?', [n]);
  await fails(db.execute('SELECT nonsense FROM nowhere WHERE id = ?', [1]));
  db.unprepare(select);
  await db.execute(readings.of(select, 77), [77]);
  await db.reset();
  await db.query('SELECT @@session.sql_mode, DATABASE()');
  await db.end();
}

async function transactions(n: number): Promise<void> {
  const db = await connect(n, { user: 'bob', password: MIXED_USERS.bob.password });
  const table = await createTable(db, n);
  await db.query(`INSERT INTO ${table} (amount) VALUES (1), (2), (3), (4)`);
  for (let i = 0; i < 6; i++) {
    await db.beginTransaction();
    await db.query(`UPDATE ${table} SET amount = amount + ${i} WHERE id = ${1 + (i % 4)}`);
    await db.execute(`INSERT INTO ${table} (amount, note) VALUES (?, ?)`, [i, `of transaction ${i}`]);
    if (i === 2) {
      await db.query('SAVEPOINT here');
      await db.query(`DELETE FROM ${table}`);
      await db.query('ROLLBACK TO SAVEPOINT here');
    }
    await db.query(`SELECT * FROM ${table}`);
    await (i % 3 === 1 ? db.rollback() : db.commit());
    await sleep(PAUSE_MS);
  }
  await db.query('SET autocommit = 0');
  await db.query(`DELETE FROM ${table} WHERE id = 1`);
  // Without COM_QUIT, and what was not committed goes with it.
  if (n % 2) db.destroy();
  else await db.end();
}

async function compressed(n: number): Promise<void> {
  const db = await connect(n, { compress: true, multipleStatements: true });
  const table = await createTable(db, n);
  await db.query(readings.of(`SELECT * FROM fixed.item WHERE id > 0 -- compressed, ${n}`, 1, 300));
  await db.query(`INSERT INTO ${table} (note, data) VALUES ('large', REPEAT('d', 40000)), (?, ?)`, [
    'x'.repeat(150),
    Buffer.alloc(20_000, n),
  ]);
  await db.query(`SELECT data FROM ${table}`);
  const select = `SELECT name, price FROM fixed.item WHERE id < ? /* compressed, ${n} */`;
  await db.execute(readings.of(select, 1, 99), [100]);
  await db.execute(readings.of(select, 1, 2), [3]);
  await sleep(PAUSE_MS);
  await db.query('CALL fixed.three()');
  await fails(db.query('SELECT nonsense FROM nowhere'));
  await db.query('SELECT 1; SELECT 2');
  await db.end();
}

async function infile(n: number): Promise<void> {
  const db = await connect(n, { multipleStatements: true });
  const table = `m${n}`;
  await db.query(`CREATE TABLE ${table} (id INT PRIMARY KEY, text VARCHAR(100))`);
  const load = (...lengths: number[]) => {
    const file = (lines: string) =>
      Readable.from(
        Array.from({ length: Number(lines) }, (_, i) => Buffer.from(`${i}\tline ${i} of ${lines}, ${n}\n`)),
      );
    const sql = lengths.map((lines) => `LOAD DATA LOCAL INFILE '${lines}' REPLACE INTO TABLE ${table}`);
    return db.query({ sql: `${sql.join('; ')}; SELECT COUNT(*) FROM ${table}`, infileStreamFactory: file });
  };
  await load(3);
  await load(0);
  await load(400, 2, 0, 5);
  await db.query(`SELECT COUNT(*), MAX(text) FROM ${table}`);
  await fails(db.query(`LOAD DATA LOCAL INFILE 'refused.tsv' INTO TABLE ${table}`));
  await sleep(PAUSE_MS);
  await db.query(`SELECT * FROM ${table} WHERE id < 5`);
  await db.end();
}

async function changing(n: number): Promise<void> {
  const db = await connect(n);
  const who = 'SELECT CURRENT_USER(), DATABASE(), @mark';
  await db.query(`SET @mark = ${n}`);
  await db.query(who);
  await db.changeUser({ user: 'alice', password: MIXED_USERS.alice.password, database: 'fixed' });
  await db.query(who);
  await db.query(readings.of(`SELECT price FROM item WHERE id = 77 /* by alice, ${n} */`, 77));
  const select = 'SELECT name FROM item WHERE id = ?';
  await db.execute(select, [5]);
  await sleep(PAUSE_MS);
  await db.changeUser({ user: 'bob', password: MIXED_USERS.bob.password, database: 'own' });
  await db.query(who);
  // MySQL closes the connection then.
  if (job.withMysql) db.on('error', () => {});
  await fails(db.changeUser({ user: 'alice', password: 'wrong' }));
  if (job.withMysql) return db.destroy();
  await db.query(who);
  await db.end();
}

/** MariaDB's alone. */
const MARIADBS = /RETURNING|EXECUTE IMMEDIATE|SEQUENCE|NEXTVAL/;

/** What SQL has for what the protocol has as well, and what holds on to a connection. */
async function inSql(n: number): Promise<void> {
  const db = await connect(n);
  const table = await createTable(db, n);
  // A reading is noted when it is said.
  const reading = (text: string) => (job.withMysql && MARIADBS.test(text) ? text : readings.of(text, MARKED));
  const statements = [
    `INSERT INTO ${table} (amount) VALUES (1), (2), (3) RETURNING id, amount`,
    'SELECT LAST_INSERT_ID()',
    "PREPARE s FROM 'SELECT id, price FROM fixed.item WHERE id = ?'",
    'SET @id = 77',
    reading(`EXECUTE s USING @id /* ${n} */`),
    'DEALLOCATE PREPARE s',
    reading(`EXECUTE IMMEDIATE 'SELECT price FROM fixed.item WHERE id = 77 /* ${n} */'`),
    'HANDLER fixed.item OPEN AS h',
    'HANDLER h READ `PRIMARY` = (5)',
    'HANDLER h CLOSE',
    `XA START 'x${n}'`,
    `INSERT INTO ${table} (amount) VALUES (9)`,
    `XA END 'x${n}'`,
    `XA PREPARE 'x${n}'`,
    `XA COMMIT 'x${n}'`,
    `SELECT GET_LOCK('own.${n}', 1)`,
    `LOCK TABLES ${table} WRITE`,
    `UPDATE ${table} SET amount = amount + 1`,
    'UNLOCK TABLES',
    `SELECT RELEASE_LOCK('own.${n}')`,
    `CREATE SEQUENCE s${n}`,
    `SELECT NEXTVAL(s${n}), NEXTVAL(s${n})`,
    'CREATE TEMPORARY TABLE mine AS SELECT id, price FROM fixed.item WHERE id = 77',
    reading(`SELECT price + ${n} FROM mine`),
    'SET NAMES latin1',
    "SELECT 'café', @@character_set_results",
    "SELECT CAST('abc' AS SIGNED)",
    'SHOW WARNINGS',
    `EXPLAIN SELECT * FROM ${table} WHERE id = 2`,
    `SHOW CREATE TABLE ${table}`,
    'SET TRANSACTION ISOLATION LEVEL SERIALIZABLE',
    'START TRANSACTION READ ONLY',
    `SELECT * FROM ${table}`,
    'COMMIT',
  ];
  for (const statement of statements) {
    if (!job.withMysql || !MARIADBS.test(statement)) await db.query(statement);
  }
  await db.end();
}

function encrypted(version: 'TLSv1.2' | 'TLSv1.3') {
  return async function encrypted(n: number): Promise<void> {
    const ssl = { minVersion: version, maxVersion: version, rejectUnauthorized: false } as const;
    const db = await connect(n, { ssl });
    const table = await createTable(db, n);
    await db.query(readings.of(`SELECT * FROM fixed.item WHERE id < 200 /* ${version}, ${n} */`, 1, 199));
    await db.execute(`INSERT INTO ${table} (note, data) VALUES (?, ?)`, [
      'under TLS',
      Buffer.alloc(20_000, n),
    ]);
    await sleep(PAUSE_MS);
    await db.execute(`SELECT data FROM ${table} WHERE id = ?`, [1]);
    await fails(db.query('SELECT nonsense FROM nowhere'));
    await db.end();
  };
}

const CONNECTION_ID = 'SELECT CONNECTION_ID()';

/**
 * One session sleeps, another ends its query and then the session. Between the commands of two sessions nothing but the
 * killer's own sleep keeps the order where the replay keeps no times.
 */
async function killing(n: number): Promise<void> {
  const [victim, other, killer] = [await connect(n), await connect(n), await connect(n)];
  for (const db of [victim, other]) db.on('error', () => {});
  // MySQL takes a SLEEP that is killed for an answer, unless it stands in a condition.
  const sleeping = `SELECT id AS killed_${n} FROM fixed.item WHERE SLEEP(20)`;
  const asleep = [victim, other].map((db) => fails(db.query(sleeping)));
  await killer.query(CONNECTION_ID);
  incomparable.push(CONNECTION_ID);
  await killer.query('DO SLEEP(0.7)');
  await killer.query(`KILL QUERY ${victim.threadId}`);
  await killer.query(`KILL ${other.threadId}`);
  await Promise.all(asleep);
  await victim.query("SELECT 'it goes on'");
  await killer.end();
  await victim.end();
}

async function refused(n: number): Promise<void> {
  const how: ConnectionOptions[] = [
    { password: 'no such password' },
    { user: 'nobody' },
    // Alice may read everywhere: there is none (1049). To app the server does not even tell that (1044).
    { user: 'alice', password: MIXED_USERS.alice.password, database: 'no_such_schema' },
    { database: 'no_such_schema' },
  ];
  await fails(connect(n, how[refusals++ % how.length]));
}

await spread(
  job.spreadMs,
  shuffled<(n: number) => Promise<void>>([
    [24, text],
    [24, prepared],
    [16, transactions],
    [8, compressed],
    [6, infile],
    [8, changing],
    [6, inSql],
    [5, encrypted('TLSv1.2')],
    [5, encrypted('TLSv1.3')],
    [2, killing],
    [8, refused],
  ]),
);
const result: MixedResult = { sessions, refused: refusals, readings: readings.texts, incomparable };
process.stdout.write(JSON.stringify(result) + '\n');
