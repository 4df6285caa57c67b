/**
 * xxHash, 32 bits (github.com/Cyan4973/xxHash, doc/xxhash_spec.md): what LZ4 frames check themselves with. Our own,
 * because in JavaScript it runs as fast as the native and the WebAssembly one: about 6 GB/s (docs/archive-format.md).
 */
const PRIME1 = 0x9e3779b1 | 0;
const PRIME2 = 0x85ebca77 | 0;
const PRIME3 = 0xc2b2ae3d | 0;
const PRIME4 = 0x27d4eb2f | 0;
const PRIME5 = 0x165667b1 | 0;

function rotl(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

function round(lane: number, input: number): number {
  return Math.imul(rotl((lane + Math.imul(input, PRIME2)) | 0, 13), PRIME1);
}

/** Hash with seed 0 of octets [from, to) of `view`, unsigned. */
export function xxh32(view: DataView, from: number, to: number): number {
  const length = to - from;
  let next = from;
  let hash = PRIME5;
  if (length >= 16) {
    let a = (PRIME1 + PRIME2) | 0;
    let b = PRIME2;
    let c = 0;
    let d = -PRIME1 | 0;
    for (; next + 16 <= to; next += 16) {
      a = round(a, view.getInt32(next, true));
      b = round(b, view.getInt32(next + 4, true));
      c = round(c, view.getInt32(next + 8, true));
      d = round(d, view.getInt32(next + 12, true));
    }
    hash = (rotl(a, 1) + rotl(b, 7) + rotl(c, 12) + rotl(d, 18)) | 0;
  }
  hash = (hash + length) | 0;
  for (; next + 4 <= to; next += 4) {
    hash = Math.imul(rotl((hash + Math.imul(view.getInt32(next, true), PRIME3)) | 0, 17), PRIME4);
  }
  for (; next < to; next++) {
    hash = Math.imul(rotl((hash + Math.imul(view.getUint8(next), PRIME5)) | 0, 11), PRIME1);
  }
  hash = Math.imul(hash ^ (hash >>> 15), PRIME2);
  hash = Math.imul(hash ^ (hash >>> 13), PRIME3);
  return (hash ^ (hash >>> 16)) >>> 0;
}
