/** The client of MariaDB's connector for Node, as a process of its own on host client: `node clients-connector.js HOST FROM TLS`. */
import { createConnection } from 'mariadb';
import { USERS } from '../../../scripts/lab/server.ts';
import { speakFrom } from '../../../scripts/lab/speak-from.ts';

const [host, from, tls] = process.argv.slice(2);
const db = await createConnection({
  user: 'app',
  password: USERS.app,
  database: 'sbtest',
  allowPublicKeyRetrieval: true,
  connectTimeout: 30_000,
  stream: speakFrom(host, from),
  ...(tls === 'tls' ? { ssl: { rejectUnauthorized: false } } : {}),
});
const table = `own_connector_${tls}`;
await db.query(`CREATE TABLE ${table} (id INT PRIMARY KEY, text VARCHAR(100))`);
await db.batch(`INSERT INTO ${table} VALUES (?, ?)`, [
  [1, 'one'],
  [2, null],
  [3, 'naïve “three”'],
]);
await Promise.all([
  db.query(`SELECT * FROM ${table} ORDER BY id`),
  db.query('SELECT nonsense FROM nowhere').catch(() => {}),
  db.ping(),
]);
for (const id of [3, 4]) await db.execute('SELECT k, c FROM sbtest1 WHERE id = ?', [id]);
await db.beginTransaction();
await db.query(`DELETE FROM ${table}`);
await db.rollback();
await db.reset();
await db.query(`SELECT COUNT(*) FROM ${table}`);
await db.end();
