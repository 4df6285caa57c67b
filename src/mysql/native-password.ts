import { createHash } from 'node:crypto';

export const NATIVE_PASSWORD = 'mysql_native_password';

/** Octets of scramble that mysql_native_password takes in. */
const SCRAMBLE_OCTETS = 20;

function sha1(...parts: Uint8Array[]): Uint8Array {
  const hash = createHash('sha1');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

/**
 * The answer to a scramble: SHA1(password) XOR SHA1(scramble + SHA1(SHA1(password))), 20 octets; empty for an empty
 * password (MySQL manual, "Native Authentication").
 */
export function nativePassword(password: string, scramble: Uint8Array): Uint8Array {
  if (password === '') return new Uint8Array(0);
  const once = sha1(new TextEncoder().encode(password));
  const mask = sha1(scramble.subarray(0, SCRAMBLE_OCTETS), sha1(once));
  return Uint8Array.from(once, (octet, i) => octet ^ mask[i]);
}
