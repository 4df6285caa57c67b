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
    // The four rounds are written out: what the compiler makes of calls here is in most processes half as fast.
    for (const last = to - 16; next <= last; next += 16) {
      a = (a + Math.imul(view.getInt32(next, true), PRIME2)) | 0;
      b = (b + Math.imul(view.getInt32(next + 4, true), PRIME2)) | 0;
      c = (c + Math.imul(view.getInt32(next + 8, true), PRIME2)) | 0;
      d = (d + Math.imul(view.getInt32(next + 12, true), PRIME2)) | 0;
      a = Math.imul((a << 13) | (a >>> 19), PRIME1);
      b = Math.imul((b << 13) | (b >>> 19), PRIME1);
      c = Math.imul((c << 13) | (c >>> 19), PRIME1);
      d = Math.imul((d << 13) | (d >>> 19), PRIME1);
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
