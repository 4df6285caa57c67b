/** Logins on a real server, by `Login` and `UserChange` over sockets: each of its plugins, and changes between them. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Background } from '../../scripts/lab/background.ts';
import { Lab } from '../../scripts/lab/lab.ts';
import { PORT } from '../../scripts/lab/server.ts';
import { CLIENT } from '../../src/mysql/capabilities.ts';
import type { ChangeUser } from '../../src/mysql/change-user.ts';
import type { HandshakeResponse } from '../../src/mysql/handshake.ts';
import { Session } from '../mysql/support/login-driver.ts';
import { certificate } from '../transport/certificate.ts';
import { brandsObstacle } from './support/capability.ts';
import { PAIR } from './support/path.ts';

/** It has neither users of several plugins nor nonces that are signed. */
const isMysql = PAIR.target === 'mysql';

interface Account {
  password: string;
  /** What ends the statement that creates it. */
  identified: string;
  plugin: string;
  /** Octets of its scramble. */
  nonce: number;
}

const by = (brand: string, password: string) => `IDENTIFIED ${brand} '${password}'`;
const native = (password: string): Account => ({
  password,
  identified: `IDENTIFIED VIA mysql_native_password USING PASSWORD('${password}')`,
  ...{ plugin: 'mysql_native_password', nonce: 20 },
});
const ed25519 = (password: string, identified: string): Account => ({
  ...{ password, identified, plugin: 'client_ed25519', nonce: 32 },
});
const sha2 = (plugin: string, password: string): Account => ({
  ...{ password, identified: by(`WITH ${plugin} BY`, password), plugin, nonce: 20 },
});

const EDWARDS = 'edwards-secret: pässwörd of more octets than a key has';
const EITHER = 'edwards half of it';

/** A user of each kind. `native` logs in by the brand's plainest plugin, `edwards` by another. */
const ACCOUNTS: Readonly<Record<string, Account>> = isMysql
  ? {
      native: sha2('caching_sha2_password', 'native-secret'),
      edwards: sha2('sha256_password', EDWARDS),
      bare: { ...sha2('caching_sha2_password', ''), identified: '' },
      '': sha2('caching_sha2_password', 'secret of nobody'),
    }
  : {
      native: native('native-secret'),
      edwards: ed25519(EDWARDS, `IDENTIFIED VIA ed25519 USING PASSWORD('${EDWARDS}')`),
      either: ed25519(
        EITHER,
        `IDENTIFIED VIA mysql_native_password USING PASSWORD('native half of it') OR ed25519 USING PASSWORD('${EITHER}')`,
      ),
      bare: { ...native(''), identified: '' },
      '': native('secret of nobody'),
    };
type User = keyof typeof ACCOUNTS;

const CREATE = [
  ...(isMysql ? [] : ["INSTALL SONAME 'auth_ed25519'"]),
  ...Object.entries(ACCOUNTS).flatMap(([user, { identified }]) => [
    `CREATE USER '${user}'@'%' ${identified}`,
    `GRANT SELECT ON sbtest.* TO '${user}'@'%'`,
  ]),
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

test('logins', { skip: brandsObstacle(PAIR.target) ?? false }, async (t) => {
  const lab = await Lab.up({ name: 'mytape-login', servers: ['target'], target: PAIR.target });
  t.after(() => lab.down());
  const server = lab.server('target');
  for (const statement of CREATE) await server.sql(statement);
  // A unix socket leads out of the namespace; the users are anybody's host's. What MySQL's plugins say over one they say otherwise over TCP.
  const path = join(lab.runFolder, 'proxy.sock');
  const proxy = [fileURLToPath(new URL('support/proxy.js', import.meta.url)), path, `127.0.0.1:${PORT}`, '0'];
  await Background.start(lab, 'target', [process.execPath, ...proxy], /listening/);
  const to = { path };
  const open = (user: User, more: { password?: string; wrong?: boolean; tls?: boolean } = {}) =>
    Session.open(to, { recorded, user, password: ACCOUNTS[user].password, serverKey: 'ask', ...more });

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
      const { plugin, nonce, password } = ACCOUNTS[user];
      assert.deepEqual([session.done.authPlugin, session.done.scramble.length], [plugin, nonce]);
      for (const wrong of [{ wrong: true }, { password: `${password}x` }]) {
        const refused = await open(user, wrong);
        assert.ok(!(refused instanceof Session));
        assert.equal(refused.errno, ACCESS_DENIED);
      }
    });
  }

  if (!isMysql) {
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
  }

  await t.test('COM_CHANGE_USER from each user to each', async () => {
    const users = Object.keys(ACCOUNTS) as User[];
    const session = await opened('native');
    for (const from of users) {
      for (const user of users) {
        for (const next of [from, user]) {
          const as = { user: next, password: ACCOUNTS[next].password };
          assert.equal(await session.changeUser(change, as), undefined, `to '${next}'`);
          await isOn(session, next);
        }
      }
    }
  });

  await t.test('COM_CHANGE_USER with a wrong password is refused, as it was', async () => {
    for (const user of ['native', 'edwards', 'bare'] as const) {
      const session = await opened('native');
      const refused = await session.changeUser(change, {
        user,
        password: ACCOUNTS[user].password,
        wrong: true,
      });
      assert.equal(refused?.errno, ACCESS_DENIED);
    }
  });

  await t.test('over TLS, logins and changes', async () => {
    const [key, cert] = [join(lab.runFolder, 'key.pem'), join(lab.runFolder, 'cert.pem')];
    writeFileSync(key, certificate().key);
    writeFileSync(cert, certificate().cert);
    // The others make themselves a certificate.
    if (PAIR.target === 'mariadb') {
      const plain = await open('native', { tls: true });
      assert.ok(!(plain instanceof Session));
      assert.match(plain.message, /does not offer TLS/);
    }
    await server.stop();
    await server.start([`--ssl-key=${key}`, `--ssl-cert=${cert}`]);
    for (const user of ['native', 'edwards', 'bare'] as const) {
      const session = await opened(user, { tls: true });
      await isOn(session, user);
      const [, cipher] = await session.row("SHOW SESSION STATUS LIKE 'Ssl_cipher'");
      assert.match(cipher, /AES|CHACHA/);
      const as = { user: 'edwards', password: ACCOUNTS.edwards.password };
      assert.equal(await session.changeUser(change, as), undefined);
      await isOn(session, 'edwards');
    }
  });
});
