/** Servers and clients of other brands than the machine's own. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Lab } from '../../scripts/lab/lab.ts';
import { CLIENT_ADDRESSES } from '../../scripts/lab/network.ts';
import { programsOf } from '../../scripts/lab/servers/brands.ts';
import { brandsObstacle } from '../e2e/support/capability.ts';

const LOGIN = ['-P3307', '-uapp', '-papp-secret', '--batch', '--skip-column-names', 'sbtest'];

test('a lab of MySQL and MariaDB 11, and their clients at their defaults', {
  skip: brandsObstacle('mysql', 'mariadb11') ?? false,
}, async (t) => {
  const lab = await Lab.up({ name: 'mytape-tb', online: 'mysql', target: 'mariadb11' });
  t.after(() => lab.down());
  const [online, target] = [lab.server('online'), lab.server('target')];
  assert.match(String((await online.sql('SELECT VERSION() AS v'))[0].v), /^9\./);
  assert.match(String((await target.sql('SELECT VERSION() AS v'))[0].v), /^11\.8\..*MariaDB/);
  assert.deepEqual(await online.processlist(), []);
  assert.deepEqual(await target.processlist(), []);

  // Their messages are found where each brand has its own.
  for (const server of [online, target]) await server.sql("SET lc_messages = 'de_DE'");

  // As users of no rights, which is how clients of many addresses run; and under TLS, their default.
  for (const [brand, host, server] of [
    ['mysql', 'client', 'online'],
    ['mariadb11', 'online', 'target'],
    ['mysql', 'online', 'target'],
  ] as const) {
    const program = programsOf(brand).program(brand === 'mysql' ? 'mysql' : 'mariadb');
    const sql = "SELECT USER(), @@version; SHOW STATUS LIKE 'Ssl_cipher'";
    const from = host === 'client' ? { from: CLIENT_ADDRESSES[7] } : {};
    const said = await lab.run(
      host,
      program,
      ['--no-defaults', '-h', lab.addresses[server], ...LOGIN, '-e', sql],
      from,
    );
    assert.equal(said.code, 0, said.stderr);
    const as = host === 'client' ? CLIENT_ADDRESSES[7] : lab.addresses.online;
    assert.match(said.stdout, new RegExp(`^app@${as}\t${server === 'online' ? '9' : '11'}\\.`));
    assert.match(said.stdout, /Ssl_cipher\tTLS_AES/);
  }

  // As record finds a server among the processes of its host.
  assert.equal(readFileSync(`/proc/${online.pid}/comm`, 'utf8'), 'mysqld\n');
  assert.equal(readFileSync(`/proc/${target.pid}/comm`, 'utf8'), 'mariadbd\n');

  await Promise.all([online.stop(), target.kill9()]);
  await Promise.all([online.start(), target.start()]);
  assert.equal((await target.sql('SELECT 1 AS n'))[0].n, 1);
});
