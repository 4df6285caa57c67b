import type { OctetReader, OctetWriter } from './packet.ts';

const SEED_A = 0;
const SEED_B = 0x3c6ef372;

/** A view of the octets last hashed: making one costs as much as hashing a short row. One for all, so that it keeps little. */
let viewed: Uint8Array = new Uint8Array(0);
let view = new DataView(viewed.buffer);

function viewOf(octets: Uint8Array): DataView {
  if (octets === viewed) return view;
  viewed = octets;
  view = new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
  return view;
}

/**
 * The hash of one row, taken in however the row is cut: not against an adversary, but even enough that sums of it tell sets of
 * rows apart. MurmurHash3 (x86, 32 bits) in two lanes: words of four octets, the first octet lowest, go to them by turns, so that
 * the processor mixes two side by side. At the end the second lane becomes a word of the first, then the words that made no pair.
 */
export class RowHash {
  #a = SEED_A;
  #b = SEED_B;
  /** An unfinished pair of words. */
  #low = 0;
  #high = 0;
  /** Octets taken in: the last `#length & 7` of them stand in the unfinished pair. */
  #length = 0;

  begin(): void {
    this.#a = SEED_A;
    this.#b = SEED_B;
    this.#low = 0;
    this.#high = 0;
    this.#length = 0;
  }

  update(octets: Uint8Array, from: number, to: number): void {
    let at = from;
    while ((this.#length & 7) !== 0 && at < to) this.#octet(octets[at++]);
    if (to - at >= 8) at = this.#pairs(octets, at, to);
    this.#length += to - at;
    if (to - at >= 4) {
      this.#low = octets[at] | (octets[at + 1] << 8) | (octets[at + 2] << 16) | (octets[at + 3] << 24);
      at += 4;
      for (let shift = 0; at < to; shift += 8) this.#high |= octets[at++] << shift;
    } else {
      for (let shift = 0; at < to; shift += 8) this.#low |= octets[at++] << shift;
    }
  }

  /** The hash, as an unsigned number. */
  end(): number {
    let hash = mix(this.#a, this.#b);
    if ((this.#length & 7) > 0) hash = mix(hash, this.#low);
    if ((this.#length & 7) > 4) hash = mix(hash, this.#high);
    hash ^= this.#length;
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    return (hash ^ (hash >>> 16)) >>> 0;
  }

  /** Puts what was taken in of an unfinished row where `restore` finds it. */
  save(writer: OctetWriter): void {
    for (const word of [this.#a, this.#b, this.#low, this.#high]) writer.uint(word >>> 0, 4);
    writer.lenenc(this.#length);
  }

  restore(reader: OctetReader): void {
    this.#a = reader.uint(4) | 0;
    this.#b = reader.uint(4) | 0;
    this.#low = reader.uint(4) | 0;
    this.#high = reader.uint(4) | 0;
    this.#length = reader.lenenc();
  }

  /** Takes in all that is whole of [from, to), between two pairs, and answers where that ends. */
  #pairs(octets: Uint8Array, from: number, to: number): number {
    const words = viewOf(octets);
    const last = to - 8;
    let a = this.#a;
    let b = this.#b;
    let at = from;
    // `mix` twice, written out: what the compiler makes of calls here is at times half as fast.
    for (; at <= last; at += 8) {
      let one = Math.imul(words.getInt32(at, true), 0xcc9e2d51);
      let two = Math.imul(words.getInt32(at + 4, true), 0xcc9e2d51);
      one = Math.imul((one << 15) | (one >>> 17), 0x1b873593);
      two = Math.imul((two << 15) | (two >>> 17), 0x1b873593);
      a ^= one;
      b ^= two;
      a = (Math.imul((a << 13) | (a >>> 19), 5) + 0xe6546b64) | 0;
      b = (Math.imul((b << 13) | (b >>> 19), 5) + 0xe6546b64) | 0;
    }
    this.#a = a;
    this.#b = b;
    this.#length += at - from;
    return at;
  }

  #octet(octet: number): void {
    const at = this.#length & 7;
    this.#length++;
    if (at < 4) {
      this.#low |= octet << (at << 3);
      return;
    }
    this.#high |= octet << ((at & 3) << 3);
    if (at < 7) return;
    this.#a = mix(this.#a, this.#low);
    this.#b = mix(this.#b, this.#high);
    this.#low = 0;
    this.#high = 0;
  }
}

/** MurmurHash3's step: `hash` of the words before, and the next one. */
function mix(hash: number, word: number): number {
  word = Math.imul(word, 0xcc9e2d51);
  hash ^= Math.imul((word << 15) | (word >>> 17), 0x1b873593);
  return (Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64) | 0;
}

/** The hash of rows in their order: `hash` of the rows before, `row` of the next one. Begins at 0; unsigned. */
export function thenRow(hash: number, row: number): number {
  return mix(hash, row) >>> 0;
}
