import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CLIENT, has } from '../../src/mysql/capabilities.ts';
import {
  type HandshakeResponse,
  parseAuthSwitch,
  parseClientHello,
  parseGreeting,
  writeHandshakeResponse,
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
      assert.ok(['malformed', 'old', 'response', 'tls'].includes(hello.type));
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

test('an SSLRequest and a HandshakeResponse320 are known for what they are', () => {
  const tls = packets(1, payload(0x00, 0x0a, 0x00, 0x00, new Uint8Array(28)));
  assert.equal(parseClientHello(tls, 0, tls.length).type, 'tls');
  const old = packets(1, payload(0x85, 0x24, 0, 0, 0, 'old', 0, 'GDSCQYR_'));
  assert.equal(parseClientHello(old, 0, old.length).type, 'old');
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
  const old = packets(2, payload(0xfe));
  assert.equal(parseAuthSwitch(old, 0, old.length).plugin, 'mysql_old_password');
});
