/** Logins on a real MariaDB, by `Login` and `UserChange` over sockets: each of its plugins, and changes between them. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Lab } from '../../scripts/lab/lab.ts';
import { CLIENT } from '../../src/mysql/capabilities.ts';
import type { ChangeUser } from '../../src/mysql/change-user.ts';
import type { HandshakeResponse } from '../../src/mysql/handshake.ts';
import { Session } from '../mysql/support/login-driver.ts';
import { certificate } from '../transport/certificate.ts';
import { needsLab } from './support/capability.ts';

/** A user of each kind, and its password there. */
const ACCOUNTS = {
  native: 'native-secret',
  edwards: 'edwards-secret: pässwörd of more octets than a key has',
  either: 'edwards half of it',
  bare: '',
  '': 'secret of nobody',
} as const;
type User = keyof typeof ACCOUNTS;

const CREATE = [
  "INSTALL SONAME 'auth_ed25519'",
  `CREATE USER native IDENTIFIED VIA mysql_native_password USING PASSWORD('${ACCOUNTS.native}')`,
  `CREATE USER edwards IDENTIFIED VIA ed25519 USING PASSWORD('${ACCOUNTS.edwards}')`,
  `CREATE USER either IDENTIFIED VIA mysql_native_password USING PASSWORD('native half of it') OR ed25519 USING PASSWORD('${ACCOUNTS.either}')`,
  'CREATE USER bare',
  `CREATE USER ''@'%' IDENTIFIED VIA mysql_native_password USING PASSWORD('${ACCOUNTS['']}')`,
  ...['native', 'edwards', 'either', 'bare', "''@'%'"].map((user) => `GRANT SELECT ON sbtest.* TO ${user}`),
];

const recorded: HandshakeResponse = {
  capabilities:
    CLIENT.mysql |
    CLIENT.connectWithDb |
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
  schema: 'sbtest',
  attributes: new Uint8Array(Buffer.from('\x05_name\x03lab')),
};

const change: ChangeUser = {
  user: 'recorded',
  authResponse: new Uint8Array(20),
  schema: 'sbtest',
  charset: 45,
};

const ACCESS_DENIED = 1045;

test('logins on MariaDB', async (t) => {
  if (!needsLab(t)) return;
  const lab = await Lab.up({ name: 'mytape-login', servers: ['target'] });
  t.after(() => lab.down());
  const server = lab.server('target');
  for (const statement of CREATE) await server.sql(statement);
  // A unix socket leads out of the namespace; the users are anybody's host's.
  const to = { path: server.socketPath };
  const open = (user: User, more: { password?: string; wrong?: boolean; tls?: boolean } = {}) =>
    Session.open(to, { recorded, user, password: ACCOUNTS[user], ...more });

  async function opened(...args: Parameters<typeof open>): Promise<Session> {
    const session = await open(...args);
    if (!(session instanceof Session)) throw new assert.AssertionError({ message: session.message });
    t.after(() => session.close());
    return session;
  }

  async function isOn(session: Session, user: User): Promise<void> {
    const [current, schema, id] = await session.row('SELECT CURRENT_USER(), DATABASE(), CONNECTION_ID()');
    assert.deepEqual([current, schema, id], [`${user}@%`, 'sbtest', String(session.done.connectionId)]);
  }

  for (const user of Object.keys(ACCOUNTS) as User[]) {
    await t.test(`user '${user}' logs in, and not with a wrong password`, async () => {
      const session = await opened(user);
      await isOn(session, user);
      const ed25519 = user === 'edwards' || user === 'either';
      assert.equal(session.done.authPlugin, ed25519 ? 'client_ed25519' : 'mysql_native_password');
      assert.equal(session.done.scramble.length, ed25519 ? 32 : 20);
      for (const wrong of [{ wrong: true }, { password: `${ACCOUNTS[user]}x` }]) {
        const refused = await open(user, wrong);
        assert.ok(!(refused instanceof Session));
        assert.equal(refused.errno, ACCESS_DENIED);
      }
    });
  }

  await t.test(
    'the second of two plugins answers where the first is refused, the first where it is not',
    async () => {
      const session = await opened('either', { password: 'native half of it' });
      assert.equal(session.done.authPlugin, 'mysql_native_password');
    },
  );

  await t.test('nonces that end in any octet are signed whole', async () => {
    // One in 256 ends in 0, which could be taken for a closing NUL.
    for (let i = 0; i < 1500; i++) (await opened('edwards')).close();
  });

  await t.test('COM_CHANGE_USER from each user to each', async () => {
    const users = Object.keys(ACCOUNTS) as User[];
    const session = await opened('native');
    for (const from of users) {
      for (const user of users) {
        for (const next of [from, user]) {
          const as = { user: next, password: ACCOUNTS[next] };
          assert.equal(await session.changeUser(change, as), undefined, `to '${next}'`);
          await isOn(session, next);
        }
      }
    }
  });

  await t.test('COM_CHANGE_USER with a wrong password is refused, as it was', async () => {
    for (const user of ['native', 'edwards', 'bare'] as const) {
      const session = await opened('native');
      const refused = await session.changeUser(change, { user, password: ACCOUNTS[user], wrong: true });
      assert.equal(refused?.errno, ACCESS_DENIED);
    }
  });

  await t.test('over TLS, logins and changes', async () => {
    const [key, cert] = [join(lab.runFolder, 'key.pem'), join(lab.runFolder, 'cert.pem')];
    writeFileSync(key, certificate().key);
    writeFileSync(cert, certificate().cert);
    const plain = await open('native', { tls: true });
    assert.ok(!(plain instanceof Session));
    assert.match(plain.message, /does not offer TLS/);
    await server.stop();
    await server.start([`--ssl-key=${key}`, `--ssl-cert=${cert}`]);
    for (const user of ['native', 'edwards', 'bare'] as const) {
      const session = await opened(user, { tls: true });
      await isOn(session, user);
      const [, cipher] = await session.row(
        "SELECT VARIABLE_NAME, VARIABLE_VALUE FROM information_schema.SESSION_STATUS WHERE VARIABLE_NAME = 'Ssl_cipher'",
      );
      assert.match(cipher, /AES|CHACHA/);
      const as = { user: 'edwards', password: ACCOUNTS.edwards };
      assert.equal(await session.changeUser(change, as), undefined);
      await isOn(session, 'edwards');
    }
  });
});
