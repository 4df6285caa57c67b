/** From a key log's secrets to the keys of records: TLS 1.2's PRF (RFC 5246 5, 6.3), TLS 1.3's HKDF (RFC 8446 7). */
import { createHmac } from 'node:crypto';
import type { Suite } from './suites.ts';

export interface RecordKeys {
  key: Uint8Array;
  /** The part of the nonce that does not change: Suite.ivOctets of it. */
  iv: Uint8Array;
}

/** The keys of both directions of a TLS 1.2 session. The randoms are those of the hellos, 32 octets each. */
export function tls12Keys(
  suite: Suite,
  master: Uint8Array,
  clientRandom: Uint8Array,
  serverRandom: Uint8Array,
): { client: RecordKeys; server: RecordKeys } {
  const { keyOctets, ivOctets } = suite;
  // Suites with authenticated encryption have no MAC keys.
  const seed = Buffer.concat([Buffer.from('key expansion'), serverRandom, clientRandom]);
  const block = expand12(suite.hash, master, seed, 2 * (keyOctets + ivOctets));
  const ivs = 2 * keyOctets;
  return {
    client: { key: block.subarray(0, keyOctets), iv: block.subarray(ivs, ivs + ivOctets) },
    server: { key: block.subarray(keyOctets, ivs), iv: block.subarray(ivs + ivOctets) },
  };
}

/** P_hash: HMACs of A(i) + seed, one behind the other, where A(i) is the HMAC of A(i-1) and A(0) the seed. */
function expand12(hash: string, secret: Uint8Array, seed: Uint8Array, octets: number): Buffer {
  const pieces: Buffer[] = [];
  let a = seed;
  for (let made = 0; made < octets; made += pieces[0].length) {
    a = createHmac(hash, secret).update(a).digest();
    pieces.push(createHmac(hash, secret).update(a).update(seed).digest());
  }
  return Buffer.concat(pieces).subarray(0, octets);
}

/** The keys of one direction of a TLS 1.3 session, from its handshake or application traffic secret (7.3). */
export function tls13Keys(suite: Suite, secret: Uint8Array): RecordKeys {
  return {
    key: expandLabel(suite.hash, secret, 'key', suite.keyOctets),
    iv: expandLabel(suite.hash, secret, 'iv', suite.ivOctets),
  };
}

/** The traffic secret after a KeyUpdate (7.2). */
export function updatedSecret(suite: Suite, secret: Uint8Array): Uint8Array {
  return expandLabel(suite.hash, secret, 'traffic upd', suite.hashOctets);
}

/** HKDF-Expand-Label with an empty context (7.1). Nothing here is longer than one hash, so HKDF-Expand is one HMAC. */
function expandLabel(hash: string, secret: Uint8Array, name: string, octets: number): Uint8Array {
  const label = Buffer.from(`tls13 ${name}`);
  const info = Buffer.concat([Buffer.from([0, octets, label.length]), label, Buffer.from([0, 1])]);
  return createHmac(hash, secret).update(info).digest().subarray(0, octets);
}
