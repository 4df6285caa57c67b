/** FNV's prime: odd, so that no factor of a hash is ever lost. */
const BASE = 0x0100_0193;

/**
 * A 32-bit hash of octets that knows how to join: of two pieces of a stream, each hashed where it came, the hash of both is to
 * be had without their octets. Octets count from 1, so that zeros count, too.
 */
export function hashOctets(octets: Uint8Array, from: number, to: number): number {
  let hash = 0;
  for (let i = from; i < to; i++) hash = (Math.imul(hash, BASE) + octets[i] + 1) | 0;
  return hash >>> 0;
}

/** The hash of two pieces, one behind the other; the second has `octets` octets. That of nothing is 0. */
export function joinHashes(first: number, second: number, octets: number): number {
  let shifted = first;
  let square = BASE;
  for (let left = octets; left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) shifted = Math.imul(shifted, square);
    square = Math.imul(square, square);
  }
  return (shifted + second) >>> 0;
}
