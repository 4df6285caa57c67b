import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { test } from 'node:test';
import { createConnection } from 'mysql2/promise';
import type { ServerKey } from '../../src/mysql/auth/plugin.ts';
import { CLIENT, EXTENDED, has, inBoth } from '../../src/mysql/capabilities.ts';
import { type HandshakeResponse, parseClientHello, parseGreeting } from '../../src/mysql/handshake.ts';
import { Login, type LoginStep } from '../../src/mysql/login.ts';
import { nativePassword } from '../../src/mysql/native-password.ts';
import { sessionTurns } from '../flow/support/capture.ts';
import { PacketSocket } from './support/login-driver.ts';
import {
  greeting as greetingBy,
  OFFERED as MYSQL8_OFFERED,
  OTHER_SCRAMBLE,
  publicKey,
  SCRAMBLE,
  ScriptedMySql8,
  type ScriptedMySql8Options,
} from './support/mysql8.ts';
import { err, ok, packets, payload } from './support/packets.ts';

const PASSWORD = 'app-secret';

const recorded: HandshakeResponse = {
  capabilities:
    CLIENT.mysql |
    CLIENT.foundRows |
    CLIENT.connectWithDb |
    CLIENT.protocol41 |
    CLIENT.ssl |
    CLIENT.compress |
    CLIENT.localFiles,
  extendedCapabilities: 0,
  maxPacket: 1 << 24,
  charset: 45,
  user: 'recorded',
  authResponse: new Uint8Array(32),
  schema: 'shop',
  authPlugin: 'caching_sha2_password',
};

/** All there is. */
const OFFERED = 0xffffffff;

const greeting = (capabilities: number, extendedCapabilities = 0) =>
  greetingBy('mysql_native_password', capabilities, extendedCapabilities);

function response(step: LoginStep): HandshakeResponse {
  assert.equal(step.type, 'send');
  const octets = (step as { octets: Uint8Array }).octets;
  assert.equal(octets[3], 1);
  const hello = parseClientHello(octets, 0, octets.length);
  assert.equal(hello.type, 'response');
  return (hello as { response: HandshakeResponse }).response;
}

function failure(step: LoginStep): string {
  assert.equal(step.type, 'failed');
  assert.equal((step as { errno: number }).errno, 0);
  return (step as { message: string }).message;
}

for (const client of ['sysbench-prepared', 'mysql2']) {
  test(`answers the greeting that ${client} got as ${client} did, octet for octet`, async () => {
    const turns = await sessionTurns(client);
    const hello = parseClientHello(turns[1].octets, 0, turns[1].octets.length);
    assert.equal(hello.type, 'response');
    if (hello.type !== 'response') return;
    const greeted = parseGreeting(turns[0].octets, 0, turns[0].octets.length);
    // As a Dialogue tells it: mysql2 sets CLIENT_QUERY_ATTRIBUTES though MariaDB does not offer it.
    const theirs = {
      ...hello.response,
      capabilities: inBoth(hello.response.capabilities, greeted?.capabilities ?? 0),
    };
    const login = new Login({ recorded: theirs, user: theirs.user, password: PASSWORD });
    const sent = response(login.onPacket(turns[0].octets));
    assert.deepEqual(sent.authResponse, theirs.authResponse);
    assert.equal(sent.schema, theirs.schema);
    assert.deepEqual(sent.attributes, theirs.attributes);
    assert.equal(sent.extendedCapabilities, theirs.extendedCapabilities);
    assert.equal(sent.capabilities, theirs.capabilities);
    const done = login.onPacket(turns[2].octets);
    assert.deepEqual(done, {
      type: 'done',
      capabilities: sent.capabilities,
      extendedCapabilities: sent.extendedCapabilities,
      connectionId: greeted?.connectionId,
      nonce: greeted?.scramble,
      authPlugin: 'mysql_native_password',
      scramble: greeted?.scramble,
      isMariaDb: true,
    });
  });
}

test('takes up what was recorded and is offered, never compression, nor TLS unasked', () => {
  const sent = response(new Login({ recorded, user: 'app', password: PASSWORD }).onPacket(greeting(OFFERED)));
  assert.ok(
    has(
      sent.capabilities,
      CLIENT.foundRows |
        CLIENT.connectWithDb |
        CLIENT.localFiles |
        CLIENT.pluginAuth |
        CLIENT.secureConnection,
    ),
  );
  assert.equal(
    sent.capabilities & (CLIENT.ssl | CLIENT.compress | CLIENT.zstdCompression | CLIENT.deprecateEof),
    0,
  );
  assert.equal(sent.user, 'app');
  assert.equal(sent.schema, 'shop');
  assert.equal(sent.charset, 45);
  assert.equal(sent.authPlugin, 'mysql_native_password');
  assert.deepEqual(sent.authResponse, nativePassword(PASSWORD, SCRAMBLE));
});

test('an empty password sends an empty answer', () => {
  const sent = response(new Login({ recorded, user: 'app', password: '' }).onPacket(greeting(OFFERED)));
  assert.equal(sent.authResponse.length, 0);
});

test('a target that would read commands otherwise is refused by the name of what it lacks', () => {
  for (const [name, flag] of [
    ['CLIENT_FOUND_ROWS', CLIENT.foundRows],
    ['CLIENT_IGNORE_SPACE', CLIENT.ignoreSpace],
    ['CLIENT_MULTI_STATEMENTS', CLIENT.multiStatements],
  ] as const) {
    const theirs = { ...recorded, capabilities: (recorded.capabilities | flag) >>> 0 };
    const login = new Login({ recorded: theirs, user: 'app', password: '' });
    assert.match(failure(login.onPacket(greeting(OFFERED & ~flag))), new RegExp(`recorded with ${name}`));
  }
});

test('what can be translated is taken up where it is offered, and left where it is not', () => {
  const flags =
    CLIENT.queryAttributes | CLIENT.deprecateEof | CLIENT.sessionTrack | CLIENT.optionalResultsetMetadata;
  const extended = EXTENDED.stmtBulkOperations | EXTENDED.cacheMetadata;
  const theirs = {
    ...recorded,
    capabilities: ((recorded.capabilities | flags) & ~CLIENT.mysql) >>> 0,
    extendedCapabilities: extended,
  };
  const answerTo = (packet: Uint8Array) =>
    response(new Login({ recorded: theirs, user: 'app', password: '' }).onPacket(packet));
  const offered = (OFFERED & ~CLIENT.mysql) >>> 0;
  const all = answerTo(greeting(offered, extended));
  assert.ok(has(all.capabilities, flags));
  assert.equal(all.extendedCapabilities, extended);
  const none = answerTo(greeting((offered & ~flags) >>> 0));
  assert.equal(none.capabilities & flags, 0);
  assert.equal(none.extendedCapabilities, 0);
});

test('a client from before 4.1 logs in again, by the protocol of today', () => {
  const old = packets(1, payload(0x8d, 0x24, 0, 0, 1, 'old', 0, 'GDSCQYR_', 0, 'shop', 0));
  const hello = parseClientHello(old, 0, old.length);
  assert.equal(hello.type, 'response320');
  if (hello.type !== 'response320') return;
  const login = new Login({ recorded: hello.response, user: 'old', password: PASSWORD });
  const sent = response(login.onPacket(greeting(OFFERED)));
  assert.deepEqual([sent.user, sent.schema, sent.charset], ['old', 'shop', 0]);
  assert.deepEqual(sent.authResponse, nativePassword(PASSWORD, SCRAMBLE));
});

test('an AuthSwitchRequest is answered with the new scramble, in sequence, and told when the login is done', () => {
  const login = new Login({ recorded, user: 'app', password: PASSWORD });
  const sent = response(login.onPacket(greeting(OFFERED)));
  const step = login.onPacket(packets(2, payload(0xfe, 'mysql_native_password', 0, OTHER_SCRAMBLE, 0)));
  assert.deepEqual(step, { type: 'send', octets: packets(3, nativePassword(PASSWORD, OTHER_SCRAMBLE)) });
  assert.deepEqual(login.onPacket(packets(4, ok())), {
    type: 'done',
    capabilities: sent.capabilities,
    extendedCapabilities: 0,
    connectionId: 9 + 256,
    nonce: SCRAMBLE,
    authPlugin: 'mysql_native_password',
    scramble: OTHER_SCRAMBLE,
    isMariaDb: false,
  });
});

test('a login that production refused is refused again: another password, or none where none was given', () => {
  const wrong = (theirs: HandshakeResponse, password: string) =>
    response(new Login({ recorded: theirs, user: 'app', password, wrong: true }).onPacket(greeting(OFFERED)))
      .authResponse;
  const sent = wrong(recorded, PASSWORD);
  assert.equal(sent.length, 20);
  assert.notDeepEqual(sent, nativePassword(PASSWORD, SCRAMBLE));
  assert.notDeepEqual(sent, nativePassword('', SCRAMBLE));
  const none = { ...recorded, authPlugin: 'mysql_native_password', authResponse: new Uint8Array(0) };
  assert.equal(wrong(none, PASSWORD).length, 0);
  // Behind a switch of plugins the first answer tells nothing: what the Dialogue saw counts.
  assert.equal(wrong({ ...none, withPassword: true }, '').length, 20);
  assert.equal(wrong({ ...recorded, withPassword: false }, PASSWORD).length, 0);
});

test('with TLS the SSLRequest goes first, and the response behind it, one further in sequence', () => {
  const login = new Login({ recorded, user: 'app', password: PASSWORD, tls: true });
  const step = login.onPacket(greeting(OFFERED));
  assert.equal(step.type, 'tls');
  const request = (step as { octets: Uint8Array }).octets;
  assert.equal(request[3], 1);
  assert.deepEqual(parseClientHello(request, 0, request.length), { type: 'tls' });
  const second = login.secured();
  assert.equal(second.type, 'send');
  const { octets } = second as { octets: Uint8Array };
  assert.equal(octets[3], 2);
  // The same first fields, twice.
  assert.deepEqual(octets.subarray(4, 36), request.subarray(4, 36));
  const hello = parseClientHello(octets, 0, octets.length);
  assert.ok(hello.type === 'response' && has(hello.response.capabilities, CLIENT.ssl));
  assert.ok(hello.type === 'response' && hello.response.user === 'app');
  assert.equal(login.onPacket(packets(3, ok())).type, 'done');
});

test('TLS that is not to be had is a failure of the login', () => {
  const login = new Login({ recorded, user: 'app', password: PASSWORD, tls: true });
  assert.match(failure(login.onPacket(greeting(OFFERED & ~CLIENT.ssl))), /does not offer TLS/);
  const early = new Login({ recorded, user: 'app', password: PASSWORD, tls: true });
  early.onPacket(greeting(OFFERED));
  assert.match(failure(early.onPacket(packets(2, ok()))), /before TLS/);
});

test('failures carry the reason: another plugin, an error as greeting, access denied, not MySQL', () => {
  const after = (packet: Uint8Array) => {
    const login = new Login({ recorded, user: 'app', password: PASSWORD });
    login.onPacket(greeting(OFFERED));
    return login.onPacket(packet);
  };
  const gssapi = after(packets(2, payload(0xfe, 'auth_gssapi_client', 0, new Uint8Array(21))));
  assert.match(failure(gssapi), /auth_gssapi_client for app/);
  assert.deepEqual(after(packets(2, err(1045, 'Access denied'))), {
    type: 'failed',
    errno: 1045,
    message: 'Access denied',
  });
  const first = (packet: Uint8Array) => new Login({ recorded, user: 'app', password: '' }).onPacket(packet);
  const full = first(packets(0, payload(0xff, 0x10, 0x04, 'Too many connections')));
  assert.deepEqual(full, { type: 'failed', errno: 1040, message: 'Too many connections' });
  assert.equal(first(packets(0, payload(9, 'old', 0))).type, 'failed');
});

/** Logs in on a scripted MySQL 8; the last step, and what the server saw of the client. */
function logInOn(
  server: Partial<ScriptedMySql8Options> & Pick<ScriptedMySql8Options, 'users'>,
  login: { password: string; tls?: boolean; serverKey?: ServerKey; wrong?: boolean },
): { last: LoginStep; seen: string[] } {
  const peer = new ScriptedMySql8(server);
  const client = new Login({ recorded, user: 'app', ...login });
  const toClient = [peer.greeting()];
  let last: LoginStep = { type: 'wait' };
  const take = (step: LoginStep) => {
    last = step;
    if (step.type !== 'send' && step.type !== 'tls') return;
    const answers = peer.onPacket(step.octets);
    for (let at = 0; at < answers.length; ) {
      const length = 4 + answers[at] + answers[at + 1] * 256;
      toClient.push(answers.subarray(at, at + length));
      at += length;
    }
    if (step.type === 'tls') take(client.secured());
  };
  for (let packet = toClient.shift(); packet !== undefined; packet = toClient.shift()) {
    take(client.onPacket(packet));
  }
  return { last, seen: peer.seen };
}

const SHA2 = 'caching_sha2_password';
const SHA256 = 'sha256_password';
const HELLO_SHA2 = `HandshakeResponse41 ${SHA2}`;
const HELLO_SHA256 = `HandshakeResponse41 ${SHA256}`;
const HELLO_NATIVE = 'HandshakeResponse41 mysql_native_password';

/** Longer than the scramble, so that it is XORed more than once over. */
const LONG = 'a password of more octets than the scramble has: pässwörd';

const conversations: {
  what: string;
  plugin: typeof SHA2 | typeof SHA256;
  cached?: boolean;
  greets?: string;
  tls?: boolean;
  seen: string[];
}[] = [
  { what: 'fast', plugin: SHA2, cached: true, seen: [HELLO_SHA2, 'scramble'] },
  { what: 'full', plugin: SHA2, seen: [HELLO_SHA2, 'scramble', 'key request', 'encrypted'] },
  { what: 'fast', plugin: SHA2, cached: true, tls: true, seen: ['SSLRequest', HELLO_SHA2, 'scramble'] },
  { what: 'full', plugin: SHA2, tls: true, seen: ['SSLRequest', HELLO_SHA2, 'scramble', 'clear'] },
  {
    what: 'full, by a switch',
    plugin: SHA2,
    greets: 'mysql_native_password',
    seen: [HELLO_NATIVE, 'scramble', 'key request', 'encrypted'],
  },
  { what: 'plain', plugin: SHA256, greets: SHA256, seen: [HELLO_SHA256, 'key request', 'encrypted'] },
  { what: 'by a switch', plugin: SHA256, seen: [HELLO_SHA2, 'key request', 'encrypted'] },
  { what: 'plain', plugin: SHA256, greets: SHA256, tls: true, seen: ['SSLRequest', HELLO_SHA256, 'clear'] },
  { what: 'by a switch', plugin: SHA256, tls: true, seen: ['SSLRequest', HELLO_SHA2, 'clear'] },
];

for (const { what, plugin, cached = false, greets = SHA2, tls = false, seen } of conversations) {
  test(`scripted MySQL 8 peer: ${plugin}, ${what}, ${tls ? 'over TLS' : 'without TLS'}`, () => {
    const server = (password: string) => ({
      authPlugin: greets,
      users: { app: { plugin, password, cached } },
    });
    const byKey = seen.includes('encrypted');
    for (const password of [PASSWORD, LONG]) {
      const asked = logInOn(server(password), { password, tls, serverKey: 'ask' });
      assert.equal(asked.last.type, 'done');
      assert.deepEqual(asked.seen, seen);
      const known = logInOn(server(password), { password, tls, serverKey: { pem: publicKey() } });
      assert.equal(known.last.type, 'done');
      assert.deepEqual(
        known.seen.map((what) => what.replace(/ .*/, '')),
        seen.filter((what) => what !== 'key request').map((what) => what.replace(/ .*/, '')),
      );
      const neither = logInOn(server(password), { password, tls });
      if (!byKey) assert.deepEqual([neither.last.type, neither.seen], ['done', seen]);
      else {
        assert.match(failure(neither.last), new RegExp(`${plugin} for app: .*--get-server-public-key`));
        assert.deepEqual(
          neither.seen.filter((what) => /key|encrypted|clear/.test(what)),
          [],
        );
      }
    }
    const wrong = logInOn(server(PASSWORD), { password: LONG, tls, serverKey: 'ask' });
    assert.deepEqual(wrong.last, { type: 'failed', errno: 1045, message: 'Access denied' });
    const empty = logInOn(server(''), { password: '', tls });
    assert.equal(empty.last.type, 'done');
    assert.equal(empty.seen.at(-1), 'empty');
    assert.equal(logInOn(server(PASSWORD), { password: '', tls }).last.type, 'failed');
    // Nobody's password may go to anyone: production had refused this user, and so is the target to do.
    const refused = logInOn(server(PASSWORD), { password: PASSWORD, tls, wrong: true });
    assert.deepEqual(refused.last, { type: 'failed', errno: 1045, message: 'Access denied' });
  });
}

test('scripted MySQL 8 peer: a password too long for the key is refused with the way out', () => {
  const password = 'x'.repeat(250);
  const { last } = logInOn({ users: { app: { plugin: SHA2, password } } }, { password, serverKey: 'ask' });
  assert.match(failure(last), /caching_sha2_password for app: .*log in over TLS/);
});

for (const [plugin, cached] of [
  [SHA2, true],
  [SHA2, false],
  [SHA256, false],
] as const) {
  test(`scripted MySQL 8 peer: takes mysql2 in as a real one would, by ${plugin}${cached ? ', cached' : ''}`, async (t) => {
    const peer = new ScriptedMySql8({
      users: { app: { plugin, password: LONG, cached } },
      capabilities: MYSQL8_OFFERED & ~CLIENT.ssl,
    });
    const server = createServer((socket) => {
      const packets = new PacketSocket(socket);
      t.after(() => packets.destroy());
      packets.write(peer.greeting());
      void serve(packets, peer);
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    t.after(() => server.close());
    const { port } = server.address() as AddressInfo;
    const connection = await createConnection({ host: '127.0.0.1', port, user: 'app', password: LONG });
    connection.destroy();
    assert.equal(peer.seen.at(-1), cached ? 'scramble' : 'encrypted');
  });
}

async function serve(socket: PacketSocket, peer: ScriptedMySql8): Promise<void> {
  for (let packet = await socket.next(); packet !== undefined; packet = await socket.next()) {
    socket.write(peer.onPacket(packet));
  }
}
