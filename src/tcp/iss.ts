import { createHash } from 'node:crypto';

/**
 * Initial sequence numbers by RFC 6528 (3): ISS = M + F(tuple, secret), where M is a clock of one tick in 4 µs. A tuple that
 * is used again gets a higher one, so that a target with the old connection in TIME_WAIT takes the new SYN
 * (RFC 6191, RFC 1122 4.2.2.13). `tuple` is any text that names the four parts; `secret` stays the same from run to run.
 */
export function initialSequence(epochMs: number, tuple: string, secret: number): number {
  const ticks = Math.floor(epochMs * 250) % 2 ** 32;
  // F: who sees one number cannot tell the offset of another tuple from it.
  const hash = createHash('sha256').update(`${secret} ${tuple}`).digest().readUInt32BE(0);
  return (ticks + hash) >>> 0;
}
