/**
 * Inserts by MariaDB's own connector, as a process of its own: `node bulk-inserts.js HOST` on host client. Bulk executions, each followed by a
 * statement whose answer shows the id that it drew.
 */
import { createConnection } from 'mariadb';
import { PORT, USERS } from '../../../scripts/lab/server.ts';

const db = await createConnection({
  host: process.argv[2],
  port: PORT,
  user: 'app',
  password: USERS.app,
  database: 'sbtest',
  bulk: true,
});
await db.query('CREATE TABLE drawn (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(20))');
for (const rows of [5, 3, 20]) {
  await db.query("INSERT INTO drawn (v) VALUES ('one')");
  await db.batch(
    'INSERT INTO drawn (v) VALUES (?)',
    Array.from({ length: rows }, (_, i) => [`row ${i}`]),
  );
  await db.query("INSERT INTO drawn (v) VALUES ('shown') RETURNING id");
}
await db.query('SELECT id, v FROM drawn');
await db.end();
