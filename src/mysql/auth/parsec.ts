import { createHmac, createPrivateKey, type KeyObject, pbkdf2Sync, sign } from 'node:crypto';
import { type AuthAnswer, type AuthPlugin, answer, type Challenge } from './plugin.ts';

/** The ext-salt: the key derivation (P: PBKDF2), the iterations as 1024 << factor, the salt. */
const KDF = 0,
  FACTOR = 1,
  SALT = 2;
const PBKDF2 = 'P'.charCodeAt(0);
const LEAST_ITERATIONS = 1024;

/** The server names the work that we do; 2^18 iterations are a quarter of a second. Servers up to 12 want 2^10. */
const MOST_FACTOR = 8;

const SEED_OCTETS = 32;
const SCRAMBLE_OCTETS = 32;

/** A private key of RFC 8410, in DER, up to its 32 octets. */
const PKCS8_HEAD = Buffer.from('302e020100300506032b657004220420', 'hex');

interface Secret {
  seed: Uint8Array;
  key: KeyObject;
}

/**
 * Secrets by password and ext-salt. An account has one of each, and a derivation costs a millisecond: a run's thousands of logins
 * of one account shall have it once.
 */
const SECRETS = new Map<string, Secret>();
const MOST_SECRETS = 256;

/**
 * MariaDB's PARSEC (Knowledge Base, "Authentication Plugin - PARSEC"), 11.6 and later: asked by a nonce of 32 octets the client
 * sends an empty packet for the account's ext-salt, and then a nonce of its own and the Ed25519 signature (RFC 8032) of both
 * nonces, by a key that PBKDF2 makes of the password and the ext-salt. An empty password signs, too.
 */
export const parsec: AuthPlugin = {
  name: 'parsec',
  sendsUnmarked: true,
  first: () => answer(new Uint8Array(0)),

  more(challenge, extSalt) {
    if (extSalt.length <= SALT || extSalt[KDF] !== PBKDF2)
      return { type: 'refused', why: 'by a key derivation that mytape does not know', advice: OTHER_PLUGIN };
    if (extSalt[FACTOR] > MOST_FACTOR) {
      const iterations = `2^${10 + extSalt[FACTOR]}`;
      const why = `it asks for ${iterations} iterations to derive the password's key, and mytape's limit is 2^${10 + MOST_FACTOR}`;
      return {
        type: 'refused',
        why,
        advice: 'set the password again there, with a smaller parsec_iterations',
      };
    }
    return signed(challenge, secretOf(challenge.password, extSalt));
  },
};

const OTHER_PLUGIN = 'give the user another plugin there';

function signed({ scramble }: Challenge, { seed, key }: Secret): AuthAnswer {
  const server = scramble.subarray(0, SCRAMBLE_OCTETS);
  // It keeps a server from choosing what is signed: nobody without the secret may foresee it. It need not be drawn for that.
  const client = createHmac('sha512', seed).update(server).digest().subarray(0, SCRAMBLE_OCTETS);
  const signature = sign(null, Buffer.concat([server, client]), key);
  return answer(new Uint8Array(Buffer.concat([client, signature])));
}

function secretOf(password: string, extSalt: Uint8Array): Secret {
  const name = `${Buffer.from(extSalt).toString('hex')} ${password}`;
  const known = SECRETS.get(name);
  if (known !== undefined) return known;
  const iterations = LEAST_ITERATIONS << extSalt[FACTOR];
  const seed = pbkdf2Sync(password, extSalt.subarray(SALT), iterations, SEED_OCTETS, 'sha512');
  const der = Buffer.concat([PKCS8_HEAD, seed]);
  const secret = { seed, key: createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }) };
  // A server that gives each login another salt gets no more of our memory.
  if (SECRETS.size === MOST_SECRETS) SECRETS.clear();
  SECRETS.set(name, secret);
  return secret;
}
