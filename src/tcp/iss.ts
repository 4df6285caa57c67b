/**
 * Initial sequence numbers by RFC 6528: ISS = M + F(tuple, secret), where M is a clock of one tick in 4 µs. A tuple that
 * is used again gets a higher one, so that a target with the old connection in TIME_WAIT takes the new SYN
 * (RFC 6191, RFC 1122 4.2.2.13).
 */
export function initialSequence(epochMs: number, tuple: string, secret: number): number {
  const ticks = Math.floor(epochMs * 250) % 2 ** 32;
  return (ticks + hash(tuple, secret)) >>> 0;
}

/** FNV-1a with the secret as its seed: unpredictable enough for a host that only speaks to test servers. */
function hash(text: string, seed: number): number {
  let h = (seed ^ 0x811c9dc5) >>> 0;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  h ^= h >>> 15;
  return Math.imul(h, 0x2c1b3c6d) >>> 0;
}
