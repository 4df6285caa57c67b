import { createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { MytapeError } from '../errors.ts';
import type { ServerKey } from '../mysql/auth/plugin.ts';

/** The options of all verbs that log in to a server, as Commander takes them. */
export const GET_SERVER_KEY = [
  '--get-server-public-key',
  "without TLS, ask the server for the RSA key that caching_sha2_password and sha256_password encrypt passwords with; whoever answers in the server's place gets the passwords",
] as const;
export const SERVER_KEY = [
  '--server-public-key <file>',
  'RSA key of the server that these plugins encrypt passwords with, in PEM: its public_key.pem',
] as const;

export interface ServerKeyChoices {
  getServerPublicKey?: boolean | undefined;
  serverPublicKey?: string | undefined;
}

/** Reads the key where a file is given. */
export function serverKeyOf({
  getServerPublicKey,
  serverPublicKey,
}: ServerKeyChoices): ServerKey | undefined {
  if (serverPublicKey === undefined) return getServerPublicKey === true ? 'ask' : undefined;
  if (getServerPublicKey === true) {
    throw new MytapeError(
      'usage',
      'both --server-public-key and --get-server-public-key are given: leave one out',
    );
  }
  try {
    const pem = readFileSync(serverPublicKey, 'latin1');
    const { type, asymmetricKeyType: kind } = createPublicKey({ key: pem, format: 'pem' });
    if (type === 'public' && kind === 'rsa') return { pem };
    throw new Error(`it is a key of ${kind}`);
  } catch (cause) {
    throw new MytapeError(
      'bad-file',
      `cannot use ${serverPublicKey} as an RSA public key in PEM: ${(cause as Error).message} ` +
        "(copy the server's public_key.pem, or: mysql -Ne \"SHOW STATUS LIKE 'Caching_sha2_password_rsa_public_key'\")",
      { cause },
    );
  }
}
