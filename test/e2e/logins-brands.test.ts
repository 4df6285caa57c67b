/** Logins on a real MySQL 9.7 and a real MariaDB 11.8: what only these have. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Lab } from '../../scripts/lab/lab.ts';
import type { ServerKey } from '../../src/mysql/auth/plugin.ts';
import { CLIENT } from '../../src/mysql/capabilities.ts';
import type { ChangeUser } from '../../src/mysql/change-user.ts';
import type { HandshakeResponse } from '../../src/mysql/handshake.ts';
import { loginErrorKind } from '../../src/mysql/login-errors.ts';
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
});
