import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CLIENT, EXTENDED, has, inBoth } from '../../src/mysql/capabilities.ts';
import { type HandshakeResponse, parseClientHello, parseGreeting } from '../../src/mysql/handshake.ts';
import { Login, type LoginStep } from '../../src/mysql/login.ts';
import { nativePassword } from '../../src/mysql/native-password.ts';
import { sessionTurns } from '../flow/support/capture.ts';
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

const scramble = Uint8Array.from({ length: 20 }, (_, i) => i + 1);

/** A HandshakeV10 with these capabilities. */
function greeting(capabilities: number, extendedCapabilities = 0): Uint8Array {
  const upper = (value: number) => Uint8Array.of(value >>> 16, value >>> 24);
  const lower = (value: number) => Uint8Array.of(value, value >>> 8);
  return packets(
    0,
    payload(
      10,
      '8.0.36',
      0,
      9,
      0,
      0,
      0,
      scramble.subarray(0, 8),
      0,
      lower(capabilities),
      45,
      2,
      0,
      upper(capabilities),
      21,
      new Uint8Array(6),
      lower(extendedCapabilities),
      upper(extendedCapabilities),
      scramble.subarray(8),
      0,
      'mysql_native_password',
      0,
    ),
  );
}

const OFFERED = 0xffffffff & ~CLIENT.queryAttributes;

function response(step: LoginStep): HandshakeResponse {
  assert.equal(step.type, 'send');
  const octets = (step as { octets: Uint8Array }).octets;
  assert.equal(octets[3], 1);
  const hello = parseClientHello(octets, 0, octets.length);
  assert.equal(hello.type, 'response');
  return (hello as { response: HandshakeResponse }).response;
}

for (const client of ['sysbench-prepared', 'mysql2']) {
  test(`answers the greeting that ${client} got as ${client} did, octet for octet but for LOCAL_FILES`, async () => {
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
    assert.equal(
      sent.capabilities | CLIENT.localFiles | theirs.capabilities,
      theirs.capabilities | CLIENT.localFiles,
    );
    const done = login.onPacket(turns[2].octets);
    assert.deepEqual(done, {
      type: 'done',
      capabilities: sent.capabilities,
      extendedCapabilities: sent.extendedCapabilities,
    });
  });
}

test('takes up what was recorded and is offered, never TLS, compression or files', () => {
  const sent = response(new Login({ recorded, user: 'app', password: PASSWORD }).onPacket(greeting(OFFERED)));
  assert.ok(
    has(
      sent.capabilities,
      CLIENT.foundRows | CLIENT.connectWithDb | CLIENT.pluginAuth | CLIENT.secureConnection,
    ),
  );
  assert.equal(
    sent.capabilities & (CLIENT.ssl | CLIENT.compress | CLIENT.localFiles | CLIENT.deprecateEof),
    0,
  );
  assert.equal(sent.user, 'app');
  assert.equal(sent.schema, 'shop');
  assert.equal(sent.charset, 45);
  assert.equal(sent.authPlugin, 'mysql_native_password');
  assert.deepEqual(sent.authResponse, nativePassword(PASSWORD, scramble));
});

test('an empty password sends an empty answer', () => {
  const sent = response(new Login({ recorded, user: 'app', password: '' }).onPacket(greeting(OFFERED)));
  assert.equal(sent.authResponse.length, 0);
});

test('a target that would read commands otherwise is refused by the name of what it lacks', () => {
  const attributes = { ...recorded, capabilities: (recorded.capabilities | CLIENT.queryAttributes) >>> 0 };
  const step = new Login({ recorded: attributes, user: 'app', password: '' }).onPacket(greeting(OFFERED));
  assert.equal(step.type, 'failed');
  assert.match((step as { message: string }).message, /CLIENT_QUERY_ATTRIBUTES/);
  const bulk = {
    ...recorded,
    capabilities: recorded.capabilities & ~CLIENT.mysql,
    extendedCapabilities: EXTENDED.stmtBulkOperations,
  };
  const refused = new Login({ recorded: bulk, user: 'app', password: '' }).onPacket(greeting(OFFERED));
  assert.match((refused as { message: string }).message, /STMT_BULK_OPERATIONS/);
});

test('an AuthSwitchRequest to mysql_native_password is answered with the new scramble, in sequence', () => {
  const login = new Login({ recorded, user: 'app', password: PASSWORD });
  login.onPacket(greeting(OFFERED));
  const other = new Uint8Array(20).fill(7);
  const step = login.onPacket(packets(2, payload(0xfe, 'mysql_native_password', 0, other, 0)));
  assert.deepEqual(step, { type: 'send', octets: packets(3, nativePassword(PASSWORD, other)) });
  assert.equal(login.onPacket(packets(4, ok())).type, 'done');
});

test('failures carry the reason: another plugin, an error as greeting, access denied, not MySQL', () => {
  const after = (packet: Uint8Array) => {
    const login = new Login({ recorded, user: 'app', password: PASSWORD });
    login.onPacket(greeting(OFFERED));
    return login.onPacket(packet);
  };
  const sha2 = after(packets(2, payload(0xfe, 'caching_sha2_password', 0, new Uint8Array(21))));
  assert.match((sha2 as { message: string }).message, /caching_sha2_password/);
  assert.deepEqual(after(packets(2, err(1045, 'Access denied'))), {
    type: 'failed',
    errno: 1045,
    message: 'Access denied',
  });
  assert.equal(after(packets(2, payload(1, 4))).type, 'failed');
  const first = (packet: Uint8Array) => new Login({ recorded, user: 'app', password: '' }).onPacket(packet);
  const full = first(packets(0, payload(0xff, 0x10, 0x04, 'Too many connections')));
  assert.deepEqual(full, { type: 'failed', errno: 1040, message: 'Too many connections' });
  assert.equal(first(packets(0, payload(9, 'old', 0))).type, 'failed');
});
