/** Logins on a real MySQL 9.7 and a real MariaDB 11.8: what only these have. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Lab } from '../../scripts/lab/lab.ts';
import { CLI } from '../../scripts/lab/tape.ts';
import type { ServerKey } from '../../src/mysql/auth/plugin.ts';
import { CLIENT } from '../../src/mysql/capabilities.ts';
import type { ChangeUser } from '../../src/mysql/change-user.ts';
import type { HandshakeResponse } from '../../src/mysql/handshake.ts';
import { loginErrorKind } from '../../src/mysql/login-errors.ts';
import type { Step } from '../../src/report/step.ts';
import { Session } from '../mysql/support/login-driver.ts';
import { brandsObstacle } from './support/capability.ts';

const recorded: HandshakeResponse = {
  capabilities:
    CLIENT.mysql |
    CLIENT.protocol41 |
    CLIENT.transactions |
    CLIENT.secureConnection |
    CLIENT.pluginAuth |
    CLIENT.connectAttrs,
  extendedCapabilities: 0,
  maxPacket: 1 << 24,
  charset: 45,
  user: 'recorded',
  authResponse: new Uint8Array(20),
  attributes: new Uint8Array(0),
};

const change: ChangeUser = { user: 'recorded', authResponse: new Uint8Array(20), schema: '', charset: 45 };

test('logins on MySQL and MariaDB 11', { skip: brandsObstacle('mysql', 'mariadb11') ?? false }, async (t) => {
  const lab = await Lab.up({ name: 'mytape-brand', online: 'mysql', target: 'mariadb11' });
  t.after(() => lab.down());
  const [mysql, mariadb] = [lab.server('online'), lab.server('target')];

  /** Through the server's Unix socket, which leads out of its namespace; the server takes that for a secure way. */
  const open = (
    server: typeof mysql,
    user: string,
    password: string,
    more: { wrong?: boolean; tls?: boolean; serverKey?: ServerKey } = {},
  ) => Session.open({ path: server.socketPath }, { recorded, user, password, ...more });
  async function opened(...args: Parameters<typeof open>): Promise<Session> {
    const session = await open(...args);
    if (!(session instanceof Session)) throw new assert.AssertionError({ message: session.message });
    t.after(() => session.close());
    return session;
  }
  const errnoOf = async (...args: Parameters<typeof open>) => {
    const refused = await open(...args);
    assert.ok(!(refused instanceof Session), 'let in');
    return refused.errno;
  };

  await t.test('parsec: logins, wrong passwords, and changes from and to it', async () => {
    for (const sql of [
      "INSTALL SONAME 'auth_parsec'",
      "CREATE USER signs IDENTIFIED VIA parsec USING PASSWORD('signs-secret')",
      "CREATE USER bare IDENTIFIED VIA parsec USING PASSWORD('')",
      "CREATE USER native IDENTIFIED BY 'native-secret'",
    ])
      await mariadb.sql(sql);
    const passwords = { signs: 'signs-secret', bare: '', native: 'native-secret' };
    const session = await opened(mariadb, 'signs', 'signs-secret');
    assert.equal(session.done.authPlugin, 'parsec');
    for (const from of ['signs', 'bare', 'native'] as const) {
      for (const to of ['signs', 'bare', 'native'] as const) {
        for (const user of [from, to]) {
          assert.equal(
            await session.changeUser(change, { user, password: passwords[user] }),
            undefined,
            user,
          );
          assert.deepEqual(await session.row('SELECT CURRENT_USER()'), [`${user}@%`]);
        }
      }
    }
    for (const user of ['signs', 'bare']) assert.equal(await errnoOf(mariadb, user, 'x'), 1045);
    const refused = await session.changeUser(change, { user: 'signs', password: 'x', wrong: true });
    assert.equal(refused?.errno, 1045);
  });

  await t.test('every refusal that can be had of them has its kind', async () => {
    for (const sql of [
      "CREATE USER blocked IDENTIFIED BY 'pw' FAILED_LOGIN_ATTEMPTS 1 PASSWORD_LOCK_TIME 1",
      "CREATE USER locked IDENTIFIED BY 'pw' ACCOUNT LOCK",
      "CREATE USER hourly IDENTIFIED BY 'pw' WITH MAX_CONNECTIONS_PER_HOUR 1",
      "CREATE USER plain IDENTIFIED BY 'pw'",
    ])
      await mysql.sql(sql);
    const tls = { tls: true };
    const kinds: (string | undefined)[] = [];
    const note = async (...args: Parameters<typeof open>) =>
      kinds.push(loginErrorKind(await errnoOf(...args)));
    await note(mysql, 'blocked', 'wrong', tls);
    // Blocked now, also for the right password.
    assert.equal(await errnoOf(mysql, 'blocked', 'pw', tls), 3955);
    const session = await opened(mysql, 'plain', 'pw', tls);
    const refused = await session.changeUser(change, { user: 'blocked', password: 'pw' });
    kinds.push(loginErrorKind(refused?.errno ?? 0));
    await note(mysql, 'locked', 'pw', tls);
    await opened(mysql, 'hourly', 'pw', tls);
    await note(mysql, 'hourly', 'pw', tls);
    await mysql.sql('SET GLOBAL offline_mode = ON');
    await note(mysql, 'plain', 'pw', tls);
    await mysql.sql('SET GLOBAL offline_mode = OFF');
    for (const sql of [
      "CREATE USER locked IDENTIFIED BY 'pw' ACCOUNT LOCK",
      'CREATE USER shell IDENTIFIED VIA unix_socket',
    ])
      await mariadb.sql(sql);
    await note(mariadb, 'locked', 'pw');
    await note(mariadb, 'shell', 'pw');
    assert.deepEqual(kinds, [
      'password',
      'password',
      'locked',
      'limits',
      'unavailable',
      'locked',
      'password',
    ]);
  });

  const usersFile = (name: string, users: Record<string, string>): string[] => {
    const file = join(lab.runFolder, name);
    const lines = Object.entries(users).map(([user, password]) => `${user}: ${password}\n`);
    writeFileSync(file, lines.join(''), { mode: 0o600 });
    return ['--users', file];
  };
  const doctor = async (address: string, ...args: string[]) => {
    const way = ['-x', `3307-${address}:3307`, '--transport', 'socket', '--json', ...args];
    const { stdout } = await lab.run('assistant', process.execPath, [CLI, 'doctor', ...way]);
    const steps: Step[] = JSON.parse(stdout).steps;
    return steps.filter(({ name }) => name === 'login');
  };

  await t.test('doctor: why a user cannot log in, by the accounts that another one may read', async () => {
    for (const sql of [
      "CREATE USER elsewhere@'10.1.%' IDENTIFIED BY 'pw'",
      "CREATE USER secure IDENTIFIED BY 'pw' REQUIRE SSL",
      "CREATE USER mistyped IDENTIFIED BY 'pw'",
      "CREATE USER dba IDENTIFIED BY 'pw'",
      'GRANT SELECT ON mysql.* TO dba',
    ])
      await mariadb.sql(sql);
    const { target, assistant } = lab.addresses;
    const users = { elsewhere: 'pw', secure: 'pw', mistyped: 'wrong', nobody: 'pw', dba: 'pw' };
    const [elsewhere, secure, mistyped, nobody, dba] = await doctor(target, ...usersFile('users', users));
    assert.equal(dba.status, 'ok');
    assert.match(
      elsewhere.says,
      new RegExp(`come from ${assistant}, and no account admits that host, only .*'elsewhere'@'10\\.1\\.%'`),
    );
    const rename = elsewhere.remedies[0].lines[0];
    assert.match(rename, /RENAME USER 'elsewhere'@'10\.1\.%' TO 'elsewhere'@'%'/);
    assert.match(secure.says, /'secure'@'%' requires TLS/);
    assert.match(mistyped.remedies[0].lines.join(), /SELECT user, host, plugin, ssl_type FROM mysql\.user/);
    assert.match(nobody.says, /there is no such account/);
    // What it says to type mends it.
    const [, sql = ''] = /^mysql -e "(.*)"$/.exec(rename) ?? [];
    await mariadb.sql(sql);
    const alone = { elsewhere: 'pw', secure: 'pw' };
    const [isIn, still] = await doctor(target, ...usersFile('alone', alone));
    assert.deepEqual([isIn.status, still.status], ['ok', 'failed']);
    const tls = await doctor(target, ...usersFile('tls', { secure: 'pw' }), '--target-tls', 'none');
    assert.deepEqual(
      tls.map(({ status }) => status),
      ['ok'],
    );
  });

  await t.test('doctor: a server that wants TLS of all', async () => {
    await mariadb.sql('SET GLOBAL require_secure_transport = ON');
    const [step] = await doctor(lab.addresses.target, ...usersFile('one', { dba: 'pw' }));
    assert.match(step.says, /insecure transport/);
    assert.match(step.remedies[0].why, /--target-tls/);
    await mariadb.sql('SET GLOBAL require_secure_transport = OFF');
  });
});
