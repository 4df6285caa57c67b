import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CLIENT, has } from '../../src/mysql/capabilities.ts';
import {
  type ChangeUser,
  parseChangeUser,
  UserChange,
  writeChangeUser,
} from '../../src/mysql/change-user.ts';
import { nativePassword } from '../../src/mysql/native-password.ts';
import { command, packets, payload } from './support/packets.ts';

const ALL = CLIENT.secureConnection | CLIENT.pluginAuth | CLIENT.connectAttrs;
const SCRAMBLE = Uint8Array.from({ length: 20 }, (_, i) => i + 1);
const AUTH = new Uint8Array(20).fill(7);

const name = fc.string({ maxLength: 40, unit: 'grapheme' }).filter((text) => !text.includes('\0'));

/** Changes as the capabilities want them: a field is there exactly where its flag is set. */
const changes: fc.Arbitrary<{ change: ChangeUser; capabilities: number }> = fc
  .record({
    capabilities: fc.nat(0xffffffff),
    user: name,
    auth: fc.uint8Array({ maxLength: 250 }),
    schema: name,
    charset: fc.nat(0xffff),
    plugin: name,
    attributes: fc.uint8Array({ maxLength: 70_000 }),
  })
  .map(({ capabilities, user, auth, schema, charset, plugin, attributes }) => ({
    capabilities,
    change: {
      user,
      authResponse: has(capabilities, CLIENT.secureConnection) ? auth : auth.filter((octet) => octet !== 0),
      schema,
      charset,
      ...(has(capabilities, CLIENT.pluginAuth) && { authPlugin: plugin }),
      ...(has(capabilities, CLIENT.connectAttrs) && { attributes }),
    },
  }));

test('a COM_CHANGE_USER parses to what was written', () => {
  fc.assert(
    fc.property(changes, ({ change, capabilities }) => {
      const packet = writeChangeUser(change, capabilities);
      assert.equal(packet[3], 0);
      assert.deepEqual(parseChangeUser(packet, 0, packet.length, capabilities), change);
    }),
  );
});

test('one cut short has lost its last fields or is none, and never throws', () => {
  fc.assert(
    fc.property(changes, fc.nat(), ({ change, capabilities }, point) => {
      const packet = writeChangeUser(change, capabilities);
      const cut = parseChangeUser(packet, 0, point % packet.length, capabilities);
      assert.ok(cut === undefined || change.user.startsWith(cut.user.replaceAll('\ufffd', '')));
    }),
  );
});

test('the fields stand where the manual has them; what a client leaves out at the end is left out', () => {
  const whole = command(0x11, 'web', 0, 20, AUTH, 'shop', 0, 45, 1, 'mysql_native_password', 0, 3, 1, 2, 3);
  const parse = (packet: Uint8Array, capabilities = ALL) =>
    parseChangeUser(packet, 0, packet.length, capabilities);
  const fields: ChangeUser = { user: 'web', authResponse: AUTH, schema: 'shop' };
  assert.deepEqual(parse(whole), {
    ...fields,
    charset: 0x012d,
    authPlugin: 'mysql_native_password',
    attributes: Uint8Array.of(1, 2, 3),
  });
  assert.deepEqual(parse(command(0x11, 'web', 0, 20, AUTH, 'shop', 0)), fields);
  assert.deepEqual(parse(command(0x11, 'web', 0, 20, AUTH, 'shop', 0, 33, 0)), { ...fields, charset: 33 });
  assert.deepEqual(parse(command(0x11, 'web', 0, 'GDSCQYR_', 0, 0), 0), {
    user: 'web',
    authResponse: new Uint8Array(Buffer.from('GDSCQYR_')),
    schema: '',
  });
  assert.equal(parse(command(0x11, 'web', 0, 20, 1, 2)), undefined);
  assert.equal(parse(command(0x11, 'web', 0, 20, AUTH, 'shop', 0, 33)), undefined);
  assert.equal(parse(command(0x03, 'SELECT 1')), undefined);
});

const recorded: ChangeUser = { user: 'web', authResponse: AUTH, schema: 'shop', charset: 45 };

const options = {
  change: recorded,
  user: 'web2',
  password: 'web-secret',
  capabilities: ALL,
  scramble: SCRAMBLE,
  authPlugin: 'mysql_native_password',
  secure: false,
};

test('the command has the new user, the answer to the last scramble, and the rest as recorded', () => {
  const attributes = Uint8Array.of(1, 65, 1, 66);
  const { packet } = new UserChange({ ...options, change: { ...recorded, attributes } });
  assert.deepEqual(parseChangeUser(packet, 0, packet.length, ALL), {
    user: 'web2',
    authResponse: nativePassword('web-secret', SCRAMBLE),
    schema: 'shop',
    charset: 45,
    authPlugin: 'mysql_native_password',
    attributes,
  });
});

test('a target without the recorded capabilities is not sent their fields', () => {
  const { packet } = new UserChange({ ...options, capabilities: CLIENT.secureConnection });
  const authResponse = nativePassword('web-secret', SCRAMBLE);
  assert.deepEqual(packet, command(0x11, 'web2', 0, 20, authResponse, 'shop', 0, 45, 0));
  const { charset: _, ...old } = recorded;
  const oldest = new UserChange({ ...options, change: old, capabilities: CLIENT.secureConnection });
  assert.deepEqual(oldest.packet, command(0x11, 'web2', 0, 20, authResponse, 'shop', 0));
});

test('the target switches plugins within it, in sequence, and what it asked for last is told', () => {
  const change = new UserChange(options);
  assert.deepEqual([change.authPlugin, change.scramble], ['mysql_native_password', SCRAMBLE]);
  const nonce = new Uint8Array(32).fill(5);
  const signed = change.onPacket(packets(1, payload(0xfe, 'client_ed25519', 0, nonce)));
  assert.equal(signed.type, 'send');
  assert.equal((signed as { octets: Uint8Array }).octets[3], 2);
  const other = new Uint8Array(20).fill(6);
  assert.deepEqual(change.onPacket(packets(3, payload(0xfe, 'mysql_native_password', 0, other, 0))), {
    type: 'send',
    octets: packets(4, nativePassword('web-secret', other)),
  });
  assert.deepEqual([change.authPlugin, change.scramble], ['mysql_native_password', other]);
});

test('a plugin that cannot be answered here is not the first answer: the target says what it wants', () => {
  const change = new UserChange({ ...options, authPlugin: 'mysql_clear_password' });
  const parsed = parseChangeUser(change.packet, 0, change.packet.length, ALL);
  assert.deepEqual(parsed?.authResponse, nativePassword('web-secret', SCRAMBLE));
  assert.equal(parsed?.authPlugin, 'mysql_native_password');
  const refused = change.onPacket(packets(1, payload(0xfe, 'mysql_clear_password', 0)));
  assert.match((refused as { message: string }).message, /mysql_clear_password for web2: .*TLS/);
});

test('a change that production refused is refused again: another password, or none where none was given', () => {
  const responseOf = (change: ChangeUser) => {
    const { packet } = new UserChange({ ...options, change, wrong: true });
    return parseChangeUser(packet, 0, packet.length, ALL)?.authResponse;
  };
  const wrong = responseOf(recorded);
  assert.equal(wrong?.length, 20);
  assert.notDeepEqual(wrong, nativePassword('web-secret', SCRAMBLE));
  assert.equal(responseOf({ ...recorded, authResponse: new Uint8Array(0) })?.length, 0);
  assert.equal(responseOf({ ...recorded, authResponse: new Uint8Array(0), withPassword: true })?.length, 20);
});
