import assert from 'node:assert/strict';
import { createPublicKey, verify } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { ed25519, signEd25519 } from '../../../src/mysql/auth/ed25519.ts';

/** Base64 of a public key, as MariaDB's ed25519_password() tells it, without its padding. */
function keyOf(hash: string) {
  const x = Buffer.from(hash, 'base64').toString('base64url');
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
}

/** What MariaDB 10.11's ed25519_password() answers for these passwords. */
const KEYS = {
  secret: keyOf('ZIgUREUg5PVgQ6LskhXmO+eZLS0nC8be6HPjYWR4YJY'),
  'päßwörd of more octets than a private key has': keyOf('72kH6iqE40/k9W14BDduQ+PKLVOSzFoc92msmZT+jNY'),
};

for (const [password, key] of Object.entries(KEYS)) {
  test(`a signature with ${password} is good by the key that MariaDB has of it`, () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (scramble) => {
        assert.ok(verify(null, scramble, key, signEd25519(password, scramble)));
      }),
      { numRuns: 20 },
    );
  });
}

test('the first 32 octets of the scramble are signed, also with an empty password', () => {
  const scramble = Uint8Array.from({ length: 33 }, (_, i) => i);
  for (const password of ['secret', '']) {
    const first = ed25519.first({ password, scramble, secure: false });
    assert.deepEqual(first, { type: 'answer', octets: signEd25519(password, scramble.subarray(0, 32)) });
  }
  const other = signEd25519('Secret', scramble.subarray(0, 32));
  assert.equal(verify(null, scramble.subarray(0, 32), KEYS.secret, other), false);
});
