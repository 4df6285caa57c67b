/**
 * The Internet checksum (RFC 1071), over unaligned octets, big-endian words.
 * `sum` carries on from an earlier part that had an even number of octets.
 */
export function sumWords(octets: Uint8Array, from: number, to: number, sum = 0): number {
  let i = from;
  const even = to - ((to - from) & 1);
  for (; i < even; i += 2) sum += (octets[i] << 8) | octets[i + 1];
  if (i < to) sum += octets[i] << 8;
  return sum;
}

/** Folds a sum of up to 2^48 into the checksum field's value. */
export function foldChecksum(sum: number): number {
  while (sum > 0xffff) sum = (sum % 0x10000) + Math.floor(sum / 0x10000);
  return ~sum & 0xffff;
}
