import { constants, createPublicKey, publicEncrypt } from 'node:crypto';
import { ACCESS_DENIED } from '../login-errors.ts';
import { type AuthAnswer, answer, type Challenge, withNul } from './plugin.ts';

/**
 * What caching_sha2_password and sha256_password send where the way is not secure: the password under the key that was given, or
 * `request`, which asks the server for its own. Whoever answers gets the password, so this is done only if the operator says so.
 */
export function encrypted(challenge: Challenge, request: number): AuthAnswer {
  const { serverKey } = challenge;
  if (serverKey === 'ask') return { type: 'answer', octets: Uint8Array.of(request), asksForKey: true };
  if (serverKey !== undefined) return byKey(challenge, serverKey.pem);
  return {
    type: 'refused',
    why: 'that sends the password under an RSA key, and nothing proves whose that is',
    advice:
      'log in over TLS: --transport socket --target-tls; or give the key: --server-public-key FILE; or trust the network: --get-server-public-key',
  };
}

/**
 * What it means that a server refuses a login where it was asked for its key: MySQL's without one say no more than 1045 (9.7,
 * measured). Goes on from "the target wants PLUGIN for USER: ".
 */
export const NO_KEY = {
  why: 'that plugin encrypts the password with an RSA key, and the server, asked for its key, sent none',
  advice:
    'log in over TLS: --transport socket --target-tls; or let the server make its keys: set caching_sha2_password_auto_generate_rsa_keys=ON and restart it',
};

/** Whether a login that ended by `errno` after an answer of ours met a server without a key. */
export function lacksKey(errno: number, asksForKey: boolean): boolean {
  return asksForKey && errno === ACCESS_DENIED;
}

/** The password under the key that the server sent, in PEM. */
export function encryptedByKeyOf(challenge: Challenge, pem: Uint8Array): AuthAnswer {
  if (challenge.serverKey === 'ask' && !challenge.secure)
    return byKey(challenge, Buffer.from(pem).toString('latin1'));
  return { type: 'refused', why: 'and sends a public key, or something else, that it was not asked for' };
}

/** Password and NUL, XORed with the scramble over and over, encrypted with OAEP and SHA-1. */
function byKey({ password, scramble }: Challenge, pem: string): AuthAnswer {
  const plain = withNul(password).map((octet, i) => octet ^ scramble[i % scramble.length]);
  try {
    const key = createPublicKey({ key: pem, format: 'pem' });
    return answer(publicEncrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING }, plain));
  } catch (cause) {
    return {
      type: 'refused',
      why: `its public key is of no use for this password: ${(cause as Error).message}`,
      advice: 'log in over TLS',
    };
  }
}
