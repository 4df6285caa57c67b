/** Upper case of an octet, of ASCII only. */
export const UPPER = Uint8Array.from({ length: 256 }, (_, octet) =>
  octet >= 0x61 && octet <= 0x7a ? octet - 0x20 : octet,
);

/** Hash of a word: `hash` of its octets so far (0 at first), `octet` the next one, in upper case. */
export function hashOctet(hash: number, octet: number): number {
  return ((hash << 5) + hash + octet) | 0;
}

/** Words and a number for each, looked up by the hash that a scanner makes of them: open addressing, a quarter full at most. */
export class WordTable {
  readonly #mask: number;
  /** Of each slot, 0 where it is empty. */
  readonly #values: Int32Array;
  readonly #hashes: Int32Array;
  /** Where its word begins in `#octets`. */
  readonly #at: Uint16Array;
  readonly #lengths: Uint8Array;
  readonly #octets: Uint8Array;

  /** Words in capitals, each once; their numbers are not 0. */
  constructor(words: ReadonlyMap<string, number>) {
    let slots = 16;
    while (slots < 4 * words.size) slots *= 2;
    this.#mask = slots - 1;
    this.#values = new Int32Array(slots);
    this.#hashes = new Int32Array(slots);
    this.#at = new Uint16Array(slots);
    this.#lengths = new Uint8Array(slots);
    this.#octets = Buffer.from([...words.keys()].join(''), 'latin1');
    let at = 0;
    for (const [word, value] of words) {
      let hash = 0;
      for (let i = 0; i < word.length; i++) hash = hashOctet(hash, word.charCodeAt(i));
      let slot = firstSlot(hash) & this.#mask;
      while (this.#values[slot] !== 0) slot = (slot + 1) & this.#mask;
      this.#values[slot] = value;
      this.#hashes[slot] = hash;
      this.#at[slot] = at;
      this.#lengths[slot] = word.length;
      at += word.length;
    }
  }

  /** The number of the word at [from, to) whose hash is `hash`, in whatever case; 0 where it is not among them. */
  find(octets: Uint8Array, from: number, to: number, hash: number): number {
    const values = this.#values;
    const hashes = this.#hashes;
    const mask = this.#mask;
    for (let slot = firstSlot(hash) & mask; values[slot] !== 0; slot = (slot + 1) & mask) {
      if (hashes[slot] === hash && this.#isAt(slot, octets, from, to)) return values[slot];
    }
    return 0;
  }

  #isAt(slot: number, octets: Uint8Array, from: number, to: number): boolean {
    const length = to - from;
    if (this.#lengths[slot] !== length) return false;
    const word = this.#octets;
    const at = this.#at[slot];
    let i = 0;
    while (i < length && UPPER[octets[from + i]] === word[at + i]) i++;
    return i === length;
  }
}

function firstSlot(hash: number): number {
  return hash ^ (hash >>> 15);
}
