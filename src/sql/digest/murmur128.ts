const C1 = 0x239b961b;
const C2 = 0xab0e9789;
const C3 = 0x38b34ae5;
const C4 = 0xa1e38b93;

const rotl = (word: number, bits: number) => (word << bits) | (word >>> (32 - bits));

function finish(word: number): number {
  word = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35);
  return word ^ (word >>> 16);
}

/**
 * MurmurHash3 (x86, 128 bits, seed 0) of octets [from, to), into the four words of `hash`. Not against an adversary; it takes
 * nothing but 32-bit arithmetic, which costs less than a call of node:crypto where octets are few.
 */
export function murmur128(octets: Uint8Array, from: number, to: number, hash: Int32Array): void {
  const length = to - from;
  let h1 = 0;
  let h2 = 0;
  let h3 = 0;
  let h4 = 0;
  let at = from;
  for (; at + 16 <= to; at += 16) {
    h1 ^= Math.imul(rotl(Math.imul(word(octets, at), C1), 15), C2);
    h1 = (Math.imul((rotl(h1, 19) + h2) | 0, 5) + 0x561ccd1b) | 0;
    h2 ^= Math.imul(rotl(Math.imul(word(octets, at + 4), C2), 16), C3);
    h2 = (Math.imul((rotl(h2, 17) + h3) | 0, 5) + 0x0bcaa747) | 0;
    h3 ^= Math.imul(rotl(Math.imul(word(octets, at + 8), C3), 17), C4);
    h3 = (Math.imul((rotl(h3, 15) + h4) | 0, 5) + 0x96cd1c35) | 0;
    h4 ^= Math.imul(rotl(Math.imul(word(octets, at + 12), C4), 18), C1);
    h4 = (Math.imul((rotl(h4, 13) + h1) | 0, 5) + 0x32ac3b17) | 0;
  }
  h4 ^= Math.imul(rotl(Math.imul(tail(octets, at + 12, to), C4), 18), C1);
  h3 ^= Math.imul(rotl(Math.imul(tail(octets, at + 8, to), C3), 17), C4);
  h2 ^= Math.imul(rotl(Math.imul(tail(octets, at + 4, to), C2), 16), C3);
  h1 ^= Math.imul(rotl(Math.imul(tail(octets, at, to), C1), 15), C2);
  h1 ^= length;
  h2 ^= length;
  h3 ^= length;
  h4 ^= length;
  h1 = (h1 + h2 + h3 + h4) | 0;
  h2 = (h2 + h1) | 0;
  h3 = (h3 + h1) | 0;
  h4 = (h4 + h1) | 0;
  h1 = finish(h1);
  h2 = finish(h2);
  h3 = finish(h3);
  h4 = finish(h4);
  h1 = (h1 + h2 + h3 + h4) | 0;
  hash[0] = h1;
  hash[1] = h2 + h1;
  hash[2] = h3 + h1;
  hash[3] = h4 + h1;
}

function word(octets: Uint8Array, at: number): number {
  return octets[at] | (octets[at + 1] << 8) | (octets[at + 2] << 16) | (octets[at + 3] << 24);
}

/** The word at `at`, of which there may be less than all. */
function tail(octets: Uint8Array, at: number, to: number): number {
  let value = 0;
  for (let i = 0; i < 4 && at + i < to; i++) value |= octets[at + i] << (8 * i);
  return value;
}
