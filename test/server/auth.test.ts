import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createSecureContext, TLSSocket } from 'node:tls';
import { createConnection } from 'mysql2';
import type { ServerKey } from '../../src/mysql/auth/plugin.ts';
import { CLIENT } from '../../src/mysql/capabilities.ts';
import { authPluginsFor } from '../../src/server/auth.ts';
import { tryLogin } from '../../src/server/client.ts';
import type { TargetTls } from '../../src/transport/target-tls.ts';
import { PacketSocket } from '../mysql/support/login-driver.ts';
import { OFFERED, publicKey, type ScriptedAccount, ScriptedMySql8 } from '../mysql/support/mysql8.ts';
import { err, ok, packets, payload } from '../mysql/support/packets.ts';
import { ROOT } from '../support/root.ts';
import { certificate } from '../transport/certificate.ts';

const PASSWORD = 'app-secret';

const SSL_REQUEST_OCTETS = 4 + 32;

/** Logs in by mysql2, as the interlock and the snapshots do; how it ended, and all that the server was sent. */
async function logIn(
  t: TestContext,
  answer: (packet: Uint8Array) => Uint8Array,
  greeting: Uint8Array,
  serverKey?: ServerKey,
): Promise<{ error: string | undefined; sent: Buffer }> {
  const sent: Uint8Array[] = [];
  const server = createServer(async (plain) => {
    const socket = new PacketSocket(plain);
    socket.write(greeting);
    for (let packet = await socket.next(); packet !== undefined; packet = await socket.next()) {
      sent.push(packet);
      // COM_QUIT has no answer.
      if (packet[3] !== 0) socket.write(answer(packet));
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const connection = createConnection({
    host: '127.0.0.1',
    port,
    user: 'app',
    password: PASSWORD,
    authPlugins: authPluginsFor({ user: 'app', password: PASSWORD, secure: false, serverKey }),
  });
  t.after(() => {
    connection.destroy();
    server.close();
  });
  const error = await new Promise<string | undefined>((resolve) => {
    connection.on('error', ({ message }) => resolve(message));
    connection.connect((failure) => resolve(failure?.message));
  });
  return { error, sent: Buffer.concat(sent) };
}

function scripted(
  plugin: ScriptedAccount['plugin'],
  cached = false,
  capabilities = OFFERED & ~CLIENT.ssl,
): ScriptedMySql8 {
  const account = { plugin, password: PASSWORD, cached };
  return new ScriptedMySql8({
    authPlugin: plugin,
    users: { app: account },
    capabilities,
  });
}

for (const plugin of ['caching_sha2_password', 'sha256_password'] as const) {
  test(`mysql2 gives no password to whoever asks for it by ${plugin}`, async (t) => {
    const asked = scripted(plugin);
    const { error } = await logIn(t, (packet) => asked.onPacket(packet), asked.greeting());
    assert.match(error ?? '', new RegExp(`${plugin} for app: .*--get-server-public-key`));
    assert.deepEqual(
      asked.seen.filter((what) => /key|encrypted|clear/.test(what)),
      [],
    );
  });

  test(`mysql2 logs in by ${plugin} where the key is known, or may be asked for`, async (t) => {
    for (const serverKey of ['ask', { pem: publicKey() }] as const) {
      const peer = scripted(plugin);
      const { error } = await logIn(t, (packet) => peer.onPacket(packet), peer.greeting(), serverKey);
      assert.equal(error, undefined);
      assert.equal(peer.seen.at(-1), 'encrypted');
      assert.equal(peer.seen.includes('key request'), serverKey === 'ask');
    }
  });
}

test('mysql2 logs in without a key where the server has the user in its cache', async (t) => {
  const peer = scripted('caching_sha2_password', true);
  const { error } = await logIn(t, (packet) => peer.onPacket(packet), peer.greeting());
  assert.equal(error, undefined);
});

test('mysql2 is switched to no plugin that tells the password, and to none that nobody knows', async (t) => {
  const greeting = scripted('caching_sha2_password').greeting();
  for (const plugin of ['mysql_clear_password', 'mysql_old_password', 'dialog', 'toString']) {
    const switched = (packet: Uint8Array) =>
      packet[3] === 1
        ? packets(2, payload(0xfe, plugin, 0, new Uint8Array(20).fill(7), 0))
        : packets(4, err(1045, 'no'));
    const { error, sent } = await logIn(t, switched, greeting);
    assert.ok(error?.includes(plugin), error);
    assert.equal(sent.includes(PASSWORD), false);
  }
});

/** A server on loopback that does `meet` with each connection; its port. */
async function listening(t: TestContext, meet: (plain: Socket) => void): Promise<number> {
  const server = createServer((plain) => meet(plain.on('error', () => {})));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  return (server.address() as { port: number }).port;
}

/** How a login by a ServerConnection ends: undefined, or why not. */
async function ends(
  port: number,
  { tls, serverKey }: { tls?: TargetTls; serverKey?: ServerKey } = {},
): Promise<string | undefined> {
  const address = { host: '127.0.0.1', port, tls, serverKey };
  return (await tryLogin(address, { user: 'app', password: PASSWORD }, 5_000))?.message;
}

test('mysql2 logs in by parsec, whose ext-salt comes without a mark', async (t) => {
  const nonce = new Uint8Array(32).fill(7);
  const extSalt = payload('P', 0, 'eighteen octets...');
  const steps = [packets(2, payload(0xfe, 'parsec', 0, nonce)), packets(4, extSalt), packets(6, ok())];
  const lengths: number[] = [];
  const port = await listening(t, async (plain) => {
    const socket = new PacketSocket(plain);
    socket.write(scripted('caching_sha2_password').greeting());
    for (const step of steps) {
      lengths.push(((await socket.next()) as Uint8Array).length);
      socket.write(step);
    }
    await socket.next();
    socket.destroy();
  });
  assert.equal(await ends(port), undefined);
  assert.deepEqual(lengths.slice(1), [4, 4 + 96]);
});

test('a server without RSA keys is said to have none', async (t) => {
  const port = await listening(t, async (plain) => {
    const socket = new PacketSocket(plain);
    socket.write(scripted('caching_sha2_password').greeting());
    await socket.next();
    socket.write(packets(2, payload(0xfe, 'sha256_password', 0, new Uint8Array(20).fill(7), 0)));
    await socket.next();
    socket.write(packets(4, err(1045, 'Access denied')));
  });
  assert.match(
    (await ends(port, { serverKey: 'ask' })) ?? '',
    /sha256_password for app: .*sent none.*--target-tls/,
  );
});

test('a certificate that is not accepted is the reason, with what to do', async (t) => {
  const { key, cert } = certificate();
  const secureContext = createSecureContext({ key, cert });
  const port = await listening(t, async (plain) => {
    plain.write(scripted('caching_sha2_password', true, OFFERED).greeting());
    // The hello of TLS may come in one piece with the SSLRequest.
    while (plain.read(SSL_REQUEST_OCTETS) === null) await once(plain, 'readable');
    const secured = new TLSSocket(plain, { isServer: true, secureContext }).on('error', () => {});
    const socket = new PacketSocket(secured);
    if ((await socket.next()) !== undefined) socket.write(packets(3, ok()));
  });
  assert.match(
    (await ends(port, { tls: { verify: 'ca' } })) ?? '',
    /^TLS: self.signed certificate.*--target-ca FILE/,
  );
  assert.equal(
    await ends(port, { tls: { verify: 'identity', ca: cert } }),
    undefined,
    'its address is in it',
  );
  const named = { verify: 'identity', ca: cert, servername: 'other.example' } as const;
  assert.match((await ends(port, { tls: named })) ?? '', /^TLS: .*other\.example.*--target-tls ca\)$/);
  const plain = await listening(t, (socket) => socket.write(scripted('caching_sha2_password').greeting()));
  assert.match((await ends(plain, { tls: { verify: 'none' } })) ?? '', /^it does not offer TLS/);
});

test('every use of mysql2 has these plugins', () => {
  for (const name of readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.ts')) continue;
    const text = readFileSync(join(ROOT, 'src', name), 'utf8');
    if (!text.includes("from 'mysql2'")) continue;
    const connections = text.match(/\bcreateConnection\(/g)?.length ?? 0;
    assert.equal(text.match(/\bauthPlugins: authPluginsFor\(/g)?.length ?? 0, connections, name);
  }
});
