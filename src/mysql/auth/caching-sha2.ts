import { createHash } from 'node:crypto';
import { type AuthPlugin, answer, emptyPassword, withNul } from './plugin.ts';
import { encrypted, encryptedByKeyOf } from './rsa.ts';

/** Octets of AuthMoreData from the server, and what the client asks for its key with. */
const FAST_AUTH_SUCCESS = 3;
const PERFORM_FULL_AUTHENTICATION = 4;
const REQUEST_PUBLIC_KEY = 2;

/** Octets of scramble that it takes in. */
const SCRAMBLE_OCTETS = 20;

function sha256(...parts: Uint8Array[]): Uint8Array {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

/** SHA256(password) XOR SHA256(SHA256(SHA256(password)) + scramble), 32 octets. */
export function scrambleSha2(password: string, scramble: Uint8Array): Uint8Array {
  const once = sha256(new TextEncoder().encode(password));
  const mask = sha256(sha256(once), scramble.subarray(0, SCRAMBLE_OCTETS));
  return Uint8Array.from(once, (octet, i) => octet ^ mask[i]);
}

/** MySQL manual, "Caching SHA-2 Pluggable Authentication". A server that has the user in its cache says so, and OK. */
export const cachingSha2: AuthPlugin = {
  name: 'caching_sha2_password',

  first({ password, scramble }) {
    return password === '' ? emptyPassword() : answer(scrambleSha2(password, scramble));
  },

  more(challenge, data) {
    const code = data.length === 1 ? data[0] : -1;
    if (code === FAST_AUTH_SUCCESS) return { type: 'wait' };
    if (code !== PERFORM_FULL_AUTHENTICATION) return encryptedByKeyOf(challenge, data);
    if (challenge.secure) return answer(withNul(challenge.password));
    return encrypted(challenge, REQUEST_PUBLIC_KEY);
  },
};
