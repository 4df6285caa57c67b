import assert from 'node:assert/strict';
import { createPublicKey, verify } from 'node:crypto';
import { test } from 'node:test';
import { parsec } from '../../../src/mysql/auth/parsec.ts';
import type { AuthAnswer } from '../../../src/mysql/auth/plugin.ts';

/** What MariaDB 11.8.9 keeps of an account: the ext-salt and the public key of the password. */
function account(password: string, kept: string) {
  const [head, salt, hash] = kept.split(':');
  const extSalt = Buffer.concat([
    Buffer.from(head[0]),
    Buffer.of(Number(head[1])),
    Buffer.from(salt, 'base64'),
  ]);
  const x = Buffer.from(hash, 'base64').toString('base64url');
  return {
    password,
    extSalt,
    key: createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' }),
  };
}

const ACCOUNTS = [
  account('pw', 'P0:RF5y7Orij/CncFbRLhTDyknP:r1fKm91KaISKEVgy+OJqFJg77hI73iUY7VhJLNFoShs'),
  account('', 'P0:oK88tHT2YKP67KHjudKdepSK:hy/NCz9HqEFrN8hv4u4SXG2E5BsvFh/8Rlf3LBUFibE'),
];

const scramble = Uint8Array.from({ length: 32 }, (_, i) => i + 1);
const challenge = (password: string) => ({ password, scramble, secure: false });

function more(password: string, extSalt: Uint8Array, nonce = scramble): AuthAnswer {
  return parsec.more?.({ ...challenge(password), scramble: nonce }, extSalt) as AuthAnswer;
}

function octets(step: AuthAnswer): Uint8Array {
  assert.equal(step.type, 'answer');
  return (step as { octets: Uint8Array }).octets;
}

test('first nothing is sent: that asks for the ext-salt', () => {
  assert.equal(octets(parsec.first(challenge('pw'))).length, 0);
});

test('both nonces are signed by the key that MariaDB has of the password', () => {
  for (const { password, extSalt, key } of ACCOUNTS) {
    const said = octets(more(password, extSalt));
    assert.equal(said.length, 32 + 64);
    const message = Buffer.concat([scramble, said.subarray(0, 32)]);
    assert.ok(verify(null, message, key, said.subarray(32)));
    const wrong = octets(more(`${password}x`, extSalt));
    assert.ok(!verify(null, Buffer.concat([scramble, wrong.subarray(0, 32)]), key, wrong.subarray(32)));
  }
});

test("the client's nonce is another for each of the server's, and for each password", () => {
  const [{ extSalt }] = ACCOUNTS;
  const other = scramble.toReversed();
  const nonces = [more('pw', extSalt), more('pw', extSalt, other), more('pv', extSalt)].map((step) =>
    Buffer.from(octets(step).subarray(0, 32)).toString('hex'),
  );
  assert.equal(new Set(nonces).size, 3);
});

test('what is no ext-salt, or wants too much work, is refused with a way out', () => {
  for (const [extSalt, wanted] of [
    [Buffer.alloc(0), /key derivation/],
    [Buffer.from('P'), /key derivation/],
    [Buffer.from('X\0salt'), /key derivation/],
    [Buffer.from('P\x09salt'), /2\^19 iterations/],
    [Buffer.from('P\xffsalt', 'latin1'), /2\^265 iterations/],
  ] as const) {
    const step = more('pw', extSalt);
    assert.equal(step.type, 'refused');
    const { why, advice } = step as { why: string; advice?: string };
    assert.match(why, wanted);
    assert.ok(advice !== undefined);
  }
});
