import { createHash } from 'node:crypto';
import { ed25519 as curve } from '@noble/curves/ed25519.js';
import { type AuthPlugin, answer } from './plugin.ts';

const { Point } = curve;

/** Octets of scramble that client_ed25519 signs. */
const SCRAMBLE_OCTETS = 32;

function sha512(...parts: Uint8Array[]): Uint8Array {
  const hash = createHash('sha512');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

/** A little-endian number, modulo the group's order. */
function scalar(octets: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(octets).reverse().toString('hex')}`) % Point.Fn.ORDER;
}

/**
 * The signature of `message`, 64 octets, by RFC 8032 (5.1.6), where the password, of any length, stands in place of the
 * 32 octets of private key. That is what keeps node:crypto, which takes these 32 only, from doing it.
 */
export function signEd25519(password: string, message: Uint8Array): Uint8Array {
  const expanded = sha512(new TextEncoder().encode(password));
  expanded[0] &= 0xf8;
  expanded[31] = (expanded[31] & 0x3f) | 0x40;
  const secret = scalar(expanded.subarray(0, 32));
  const publicKey = Point.BASE.multiply(secret).toBytes();
  const nonce = scalar(sha512(expanded.subarray(32), message));
  const commitment = Point.BASE.multiply(nonce).toBytes();
  const challenge = scalar(sha512(commitment, publicKey, message));
  const response = (nonce + challenge * secret) % Point.Fn.ORDER;
  const signature = new Uint8Array(64);
  signature.set(commitment);
  for (let i = 32, rest = response; i < 64; i++, rest >>= 8n) signature[i] = Number(rest & 0xffn);
  return signature;
}

/** MariaDB's ed25519 (Knowledge Base, "Authentication Plugin - ed25519"). An empty password signs, too. */
export const ed25519: AuthPlugin = {
  name: 'client_ed25519',
  first: ({ password, scramble }) => answer(signEd25519(password, scramble.subarray(0, SCRAMBLE_OCTETS))),
};
