import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CLIENT, has } from '../../src/mysql/capabilities.ts';
import {
  type HandshakeResponse,
  isEmptyAuth,
  parseAuthSwitch,
  parseClientHello,
  parseGreeting,
  writeHandshakeResponse,
  writeSslRequest,
} from '../../src/mysql/handshake.ts';
import { sessionTurns } from '../flow/support/capture.ts';
import { packets, payload } from './support/packets.ts';

const name = fc
  .string({ minLength: 1, maxLength: 40, unit: 'grapheme' })
  .filter((text) => !text.includes('\0'));

/** Responses as their own flags want them: a field is there exactly where its flag is set. */
const responses: fc.Arbitrary<HandshakeResponse> = fc
  .record({
    flags: fc.nat(0xffffffff),
    extended: fc.nat(0xffffffff),
    maxPacket: fc.nat(0xffffffff),
    charset: fc.nat(255),
    user: name,
    auth: fc.uint8Array({ maxLength: 250 }),
    schema: name,
    plugin: name,
    attributes: fc.uint8Array({ maxLength: 70_000 }),
    zstdLevel: fc.nat(255),
  })
  .map((raw) => {
    const capabilities = (raw.flags | CLIENT.protocol41) >>> 0;
    const counted =
      has(capabilities, CLIENT.secureConnection) || has(capabilities, CLIENT.pluginAuthLenencClientData);
    return {
      capabilities,
      extendedCapabilities: has(capabilities, CLIENT.mysql) ? 0 : raw.extended,
      maxPacket: raw.maxPacket,
      charset: raw.charset,
      user: raw.user,
      authResponse: counted ? raw.auth : raw.auth.filter((octet) => octet !== 0),
      ...(has(capabilities, CLIENT.connectWithDb) && { schema: raw.schema }),
      ...(has(capabilities, CLIENT.pluginAuth) && { authPlugin: raw.plugin }),
      ...(has(capabilities, CLIENT.connectAttrs) && { attributes: raw.attributes }),
      ...(has(capabilities, CLIENT.zstdCompression) && { zstdLevel: raw.zstdLevel }),
    };
  });

test('a HandshakeResponse41 parses to what was written', () => {
  fc.assert(
    fc.property(responses, (response) => {
      const packet = writeHandshakeResponse(response, 1);
      assert.equal(packet[3], 1);
      assert.deepEqual(parseClientHello(packet, 0, packet.length), { type: 'response', response });
    }),
  );
});

test('a HandshakeResponse41 cut short is malformed or has lost its last fields, and never throws', () => {
  fc.assert(
    fc.property(responses, fc.nat(), (response, point) => {
      const packet = writeHandshakeResponse(response, 1);
      const hello = parseClientHello(packet, 0, point % packet.length);
      assert.ok(['malformed', 'response320', 'response', 'tls'].includes(hello.type));
    }),
  );
});

for (const client of ['sysbench-text', 'mysql2', 'mariadb-cli']) {
  test(`the login of ${client}, as captured, parses and is written back octet for octet`, async () => {
    const turns = await sessionTurns(client);
    const greeting = parseGreeting(turns[0].octets, 0, turns[0].octets.length);
    assert.match(greeting?.serverVersion ?? '', /MariaDB/);
    assert.equal(greeting?.scramble.length, 20);
    assert.equal(greeting?.authPlugin, 'mysql_native_password');
    assert.notEqual(greeting?.extendedCapabilities, 0);
    const packet = turns[1].octets;
    const hello = parseClientHello(packet, 0, packet.length);
    assert.equal(hello.type, 'response');
    if (hello.type !== 'response') return;
    assert.equal(hello.response.user, 'app');
    assert.equal(hello.response.authResponse.length, 20);
    // mysql2 counts its charset in more than one octet of filler; all else is ours to write.
    assert.ok(Buffer.from(writeHandshakeResponse(hello.response, 1)).equals(packet));
  });
}

test('an SSLRequest is known for what it is, and has the first fields of the response behind it', () => {
  fc.assert(
    fc.property(responses, (response) => {
      const packet = writeSslRequest(response, 1);
      assert.deepEqual(packet.subarray(4), writeHandshakeResponse(response, 2).subarray(4, 36));
      if (!has(response.capabilities, CLIENT.ssl)) return;
      assert.deepEqual(parseClientHello(packet, 0, packet.length), { type: 'tls' });
    }),
  );
});

test('a HandshakeResponse320 gives user, authentication response and schema, ended by NUL or by the packet', () => {
  const auth = Buffer.from('GDSCQYR_');
  const cases: [Uint8Array, Partial<HandshakeResponse>][] = [
    [payload(0x85, 0x24, 1, 2, 3, 'old', 0, auth), {}],
    [payload(0x85, 0x24, 1, 2, 3, 'old', 0, auth, 0), {}],
    [payload(0x8d, 0x24, 1, 2, 3, 'old', 0, auth, 0, 'shop', 0), { schema: 'shop' }],
    [payload(0x8d, 0x24, 1, 2, 3, 'old', 0, auth, 0, 'shop'), { schema: 'shop' }],
    [payload(0x8d, 0x24, 1, 2, 3, 'old', 0, auth, 0), {}],
    [
      payload(0x8d, 0x24, 1, 2, 3, 'old', 0, 0, 'shop', 0),
      { schema: 'shop', authResponse: new Uint8Array(0) },
    ],
    [payload(0x85, 0x24, 1, 2, 3, 0), { user: '', authResponse: new Uint8Array(0) }],
  ];
  for (const [octets, differs] of cases) {
    const packet = packets(1, octets);
    assert.deepEqual(parseClientHello(packet, 0, packet.length), {
      type: 'response320',
      response: {
        capabilities: 0x2485 | (octets[0] & 8),
        extendedCapabilities: 0,
        maxPacket: 0x030201,
        charset: 0,
        user: 'old',
        authResponse: new Uint8Array(auth),
        ...differs,
      },
    });
  }
  const cut = packets(1, payload(0x85, 0x24, 1, 2));
  assert.deepEqual(parseClientHello(cut, 0, cut.length), { type: 'malformed' });
});

test('an answer without password is told from one with, plugin by plugin', () => {
  const nul = Uint8Array.of(0);
  for (const plugin of ['mysql_native_password', 'caching_sha2_password', 'sha256_password']) {
    assert.equal(isEmptyAuth(plugin, new Uint8Array(0)), true, plugin);
    assert.equal(isEmptyAuth(plugin, nul), plugin !== 'mysql_native_password', plugin);
    assert.equal(isEmptyAuth(plugin, new Uint8Array(20)), false, plugin);
    // A request for the server's key.
    assert.equal(isEmptyAuth(plugin, Uint8Array.of(1)), false, plugin);
  }
  assert.equal(isEmptyAuth('mysql_clear_password', nul), true);
  assert.equal(isEmptyAuth('client_ed25519', new Uint8Array(64)), false);
});

test('greetings that are none: an error, another protocol, a cut', async () => {
  const [{ octets }] = await sessionTurns('mysql2');
  const others = [
    packets(0, payload(0xff, 0x10, 0x04, 'Too many connections')),
    Buffer.from('SSH-2.0-OpenSSH_9.2\r\n'),
  ];
  for (const other of others) assert.equal(parseGreeting(other, 0, other.length), undefined);
  for (let to = 0; to < 30; to++) assert.equal(parseGreeting(octets, 0, to), undefined);
});

test('an AuthSwitchRequest gives its plugin and scramble; the oldest form names none', () => {
  const scramble = new Uint8Array(20).fill(9);
  const packet = packets(2, payload(0xfe, 'mysql_native_password', 0, scramble, 0));
  assert.deepEqual(parseAuthSwitch(packet, 0, packet.length), { plugin: 'mysql_native_password', scramble });
  const long = new Uint8Array(32);
  const ed25519 = packets(2, payload(0xfe, 'client_ed25519', 0, long));
  assert.deepEqual(parseAuthSwitch(ed25519, 0, ed25519.length).scramble, long);
  const old = packets(2, payload(0xfe));
  assert.equal(parseAuthSwitch(old, 0, old.length).plugin, 'mysql_old_password');
});
