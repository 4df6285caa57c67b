import type { OctetReader, OctetWriter } from './packet.ts';

/**
 * MurmurHash3 (x86, 32 bits) of one row, taken in however the row is cut: not against an adversary, but even enough that
 * sums of it tell sets of rows apart.
 */
export class RowHash {
  #hash = 0;
  /** Octets that do not fill a word yet, the first of them lowest. */
  #word = 0;
  #wordOctets = 0;
  #length = 0;

  begin(): void {
    this.#hash = 0;
    this.#word = 0;
    this.#wordOctets = 0;
    this.#length = 0;
  }

  update(octets: Uint8Array, from: number, to: number): void {
    this.#length += to - from;
    let at = from;
    while (this.#wordOctets > 0 && at < to) this.#octet(octets[at++]);
    let hash = this.#hash;
    const wordsEnd = to - 3;
    for (; at < wordsEnd; at += 4) {
      const word = octets[at] | (octets[at + 1] << 8) | (octets[at + 2] << 16) | (octets[at + 3] << 24);
      hash = mix(hash, word);
    }
    this.#hash = hash;
    while (at < to) this.#octet(octets[at++]);
  }

  /** The hash, as an unsigned number. */
  end(): number {
    let hash = this.#hash;
    if (this.#wordOctets > 0) hash ^= scatter(this.#word);
    hash ^= this.#length;
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    return (hash ^ (hash >>> 16)) >>> 0;
  }

  /** Puts what was taken in of an unfinished row where `restore` finds it. */
  save(writer: OctetWriter): void {
    writer
      .uint(this.#hash >>> 0, 4)
      .uint(this.#word >>> 0, 4)
      .uint(this.#wordOctets, 1)
      .lenenc(this.#length);
  }

  restore(reader: OctetReader): void {
    this.#hash = reader.uint(4) | 0;
    this.#word = reader.uint(4) | 0;
    this.#wordOctets = reader.uint(1) & 3;
    this.#length = reader.lenenc();
  }

  #octet(octet: number): void {
    this.#word |= octet << (this.#wordOctets << 3);
    if (++this.#wordOctets < 4) return;
    this.#hash = mix(this.#hash, this.#word);
    this.#word = 0;
    this.#wordOctets = 0;
  }
}

function scatter(word: number): number {
  word = Math.imul(word, 0xcc9e2d51);
  return Math.imul((word << 15) | (word >>> 17), 0x1b873593);
}

function mix(hash: number, word: number): number {
  hash ^= scatter(word);
  return (Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64) | 0;
}

/** The hash of rows in their order: `hash` of the rows before, `row` of the next one. Begins at 0; unsigned. */
export function thenRow(hash: number, row: number): number {
  return mix(hash, row) >>> 0;
}
