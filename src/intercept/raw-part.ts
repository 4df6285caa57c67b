import { NO_REPLY, type Reply } from '../mysql/reply.ts';
import { hashOctets } from '../wire/octet-hash.ts';

/**
 * Octets of a target of which no protocol is known, as they came: a part of an answer, whose beginning and end only the one
 * who asks knows. Its hash joins with those of other parts (`joinHashes`).
 */
export function partOf(octets: Uint8Array, from: number, to: number, at: number): Reply {
  const hash = hashOctets(octets, from, to);
  return { ...NO_REPLY, octets: to - from, hash, hashUnordered: hash, at };
}
