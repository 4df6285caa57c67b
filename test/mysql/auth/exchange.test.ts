import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AuthExchange, type AuthStep, passwordToSend } from '../../../src/mysql/auth/exchange.ts';
import type { ServerKey } from '../../../src/mysql/auth/plugin.ts';
import { nativePassword } from '../../../src/mysql/native-password.ts';
import { publicKey } from '../support/mysql8.ts';
import { packets, payload } from '../support/packets.ts';

const SCRAMBLE = Uint8Array.from({ length: 20 }, (_, i) => i + 1);
const PASSWORD = 'app-secret';

function exchange(
  plugin = 'mysql_native_password',
  secure = false,
  password = PASSWORD,
  serverKey?: ServerKey,
): AuthExchange {
  const begun = new AuthExchange('app', password, serverKey);
  begun.begin(plugin, SCRAMBLE, secure);
  return begun;
}

const switchTo = (plugin: string, scramble: Uint8Array, sequenceId = 2) =>
  packets(sequenceId, payload(0xfe, plugin, 0, scramble));

function sent(step: AuthStep): Uint8Array {
  assert.equal(step.type, 'send');
  return (step as { octets: Uint8Array }).octets;
}

function failure(step: AuthStep): string {
  assert.equal(step.type, 'failed');
  assert.equal((step as { errno: number }).errno, 0);
  return (step as { message: string }).message;
}

test('the first answer is by the greeting, or by mysql_native_password where the greeting names none of ours', () => {
  for (const plugin of ['mysql_native_password', 'auth_gssapi_client', '']) {
    const auth = new AuthExchange('app', PASSWORD);
    const octets = nativePassword(PASSWORD, SCRAMBLE);
    assert.deepEqual(auth.begin(plugin, SCRAMBLE, false), octets);
    assert.equal(auth.plugin, 'mysql_native_password');
    assert.deepEqual(auth.scramble, SCRAMBLE);
  }
});

test('the server may switch, forth and back: each answer is in sequence and by the scramble of its own switch', () => {
  const auth = exchange();
  const [first, second] = [new Uint8Array(32).fill(7), new Uint8Array(20).fill(8)];
  const signed = sent(auth.onPacket(switchTo('client_ed25519', first, 2)));
  assert.equal(signed.length, 4 + 64);
  assert.equal(signed[3], 3);
  assert.deepEqual([auth.plugin, auth.scramble], ['client_ed25519', first]);
  const native = sent(auth.onPacket(switchTo('mysql_native_password', Buffer.from([...second, 0]), 4)));
  assert.deepEqual(native, packets(5, nativePassword(PASSWORD, second)));
  assert.deepEqual([auth.plugin, auth.scramble], ['mysql_native_password', second]);
});

test('a nonce of client_ed25519 that ends in 0 is signed whole', () => {
  const nonce = new Uint8Array(32).fill(9);
  nonce[31] = 0;
  const auth = exchange();
  auth.onPacket(switchTo('client_ed25519', nonce));
  assert.deepEqual(auth.scramble, nonce);
});

test('a server that switches without end is left', () => {
  const auth = exchange();
  let steps = 0;
  while (auth.onPacket(switchTo('mysql_native_password', SCRAMBLE)).type === 'send') {
    assert.ok(++steps < 100);
  }
  assert.ok(steps > 8);
});

test('an empty password is answered as each plugin wants it', () => {
  const answers = {
    mysql_native_password: '',
    caching_sha2_password: '00',
    sha256_password: '00',
    mysql_clear_password: '00',
  };
  for (const [plugin, wanted] of Object.entries(answers)) {
    const step = exchange(undefined, true, '').onPacket(switchTo(plugin, SCRAMBLE));
    assert.equal(Buffer.from(sent(step).subarray(4)).toString('hex'), wanted, plugin);
  }
});

test('mysql_clear_password goes over TLS only', () => {
  const step = exchange(undefined, true).onPacket(switchTo('mysql_clear_password', new Uint8Array(0)));
  assert.deepEqual(sent(step), packets(3, payload(PASSWORD, 0)));
  const refused = exchange().onPacket(switchTo('mysql_clear_password', new Uint8Array(0)));
  assert.match(failure(refused), /wants mysql_clear_password for app: .*TLS/);
});

test('what we do not do is refused by its name and the user, with a way out', () => {
  const cases: [RegExp, Uint8Array][] = [
    [/mysql_old_password for app: .*give the user another plugin/, packets(2, payload(0xfe))],
    [/mysql_old_password for app/, switchTo('mysql_old_password', SCRAMBLE)],
    [/auth_gssapi_client for app: .*give the user another plugin/, switchTo('auth_gssapi_client', SCRAMBLE)],
    [/mysql_native_password for app: .*0x01/, packets(2, payload(1, 4))],
    [/second factor of app/, packets(2, payload(2, 'authentication_fido_client', 0, 1))],
    [/of app .*0x07/, packets(2, payload(7))],
    [/of app .*no payload/, packets(2, new Uint8Array(0))],
  ];
  for (const [pattern, packet] of cases) assert.match(failure(exchange().onPacket(packet)), pattern);
});

test('a public key that is none is refused, never thrown', () => {
  for (const plugin of ['caching_sha2_password', 'sha256_password']) {
    const auth = exchange(plugin, false, PASSWORD, 'ask');
    assert.match(failure(auth.onPacket(packets(2, payload(1, 'no key at all')))), /public key/);
    assert.match(failure(auth.onPacket(packets(2, payload(1)))), /public key/);
  }
});

test('a key that was not asked for gets no password, nor does a switch to a weaker plugin', () => {
  const pem = publicKey();
  for (const plugin of ['caching_sha2_password', 'sha256_password']) {
    for (const [secure, serverKey] of [
      [false, undefined],
      [false, { pem }],
      [true, undefined],
      [true, 'ask'],
    ] as const) {
      const pushed = exchange(plugin, secure, PASSWORD, serverKey);
      assert.match(
        failure(pushed.onPacket(packets(2, payload(1, pem)))),
        /not asked for|more than that plugin gives/,
      );
    }
    const switched = exchange('mysql_native_password').onPacket(switchTo(plugin, SCRAMBLE));
    if (plugin === 'sha256_password') assert.match(failure(switched), /--server-public-key FILE/);
    else assert.equal(sent(switched).length, 4 + 32);
  }
  const full = packets(2, payload(1, 4));
  assert.match(failure(exchange('caching_sha2_password').onPacket(full)), /--get-server-public-key/);
});

test('a wrong password is not the right one, and none stays none', () => {
  assert.equal(passwordToSend('pw', false, true), 'pw');
  assert.equal(passwordToSend('', false, true), '');
  assert.equal(passwordToSend('pw', true, false), '');
  const wrong = passwordToSend('pw', true, true);
  assert.ok(wrong.length > 20 && wrong !== 'pw');
});

test('parsec: nothing first, then both nonces and the signature, whether the ext-salt is marked or not', () => {
  const nonce = new Uint8Array(32).fill(7);
  const extSalt = payload('P', 0, 'eighteen octets...');
  for (const salt of [extSalt, payload(1, extSalt)]) {
    const auth = exchange();
    assert.deepEqual(sent(auth.onPacket(switchTo('parsec', nonce))), packets(3, new Uint8Array(0)));
    const signed = sent(auth.onPacket(packets(4, salt)));
    assert.deepEqual([signed.length, signed[3]], [4 + 96, 5]);
  }
  // By another plugin the same octets are no packet at all.
  assert.match(
    failure(exchange('caching_sha2_password').onPacket(packets(2, extSalt))),
    /not understood \(packet 0x50\)/,
  );
});

test('a server that refuses where it was asked for its key has none: that is said, with the ways out', () => {
  for (const plugin of ['caching_sha2_password', 'sha256_password']) {
    const auth = exchange(undefined, false, PASSWORD, 'ask');
    auth.onPacket(switchTo(plugin, SCRAMBLE));
    assert.equal(auth.refusedBy(1045) === undefined, plugin === 'caching_sha2_password');
    if (plugin === 'caching_sha2_password') auth.onPacket(packets(4, payload(1, 4)));
    const step = auth.refusedBy(1045);
    assert.match(
      failure(step as AuthStep),
      new RegExp(`${plugin} for app: .*RSA key.*sent none.*--target-tls`),
    );
    assert.equal(auth.refusedBy(3955), undefined);
    auth.onPacket(packets(6, payload(1, publicKey())));
    assert.equal(auth.refusedBy(1045), undefined, 'the key came: it is the password');
  }
});
