import { constants, createPublicKey, publicEncrypt } from 'node:crypto';
import { type AuthAnswer, answer, type Challenge, withNul } from './plugin.ts';

/**
 * What caching_sha2_password and sha256_password send where the way is not secure: password and NUL, XORed with the
 * scramble over and over, encrypted by the server's RSA key, with OAEP and SHA-1. `pem`: the key as the server sent it.
 * Nothing proves whose key it is: that is so for every client that asks for it.
 */
export function encrypted({ password, scramble }: Challenge, pem: Uint8Array): AuthAnswer {
  const plain = withNul(password).map((octet, i) => octet ^ scramble[i % scramble.length]);
  try {
    const key = createPublicKey({ key: Buffer.from(pem), format: 'pem' });
    return answer(publicEncrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING }, plain));
  } catch (cause) {
    return {
      type: 'refused',
      why: `its public key is of no use for this password: ${(cause as Error).message} (replay over TLS)`,
    };
  }
}
