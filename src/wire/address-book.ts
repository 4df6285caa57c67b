import { type Address, ipv4Number } from './address.ts';

const OCTETS = 16;
/** The first id of an IPv6 address: all below are IPv4 addresses themselves. */
const FIRST_ID = 2 ** 32;
const FIRST_ROOM = 64;

/**
 * A number for each address, to key tables by: an IPv4 address is its own (`ipv4Number`), an IPv6 address that was added
 * has an id from 2^32 on. `id * 65536 + port` is exact: ids stay below 2^37.
 *
 * An id is good for the book's lifetime; nothing is ever taken out. An address costs 24 to 48 octets.
 */
export class AddressBook {
  /** The IPv6 addresses, 16 octets each, in the order of their ids. */
  #octets = new Uint8Array(FIRST_ROOM * OCTETS);
  #count = 0;
  /** Open addressing: place in `#octets` plus 1, or 0. At most half of it is in use. */
  #slots = new Int32Array(2 * FIRST_ROOM);

  /** IPv6 addresses that were added. */
  get size(): number {
    return this.#count;
  }

  /** The id of `address`, which is new or known. */
  add(address: Address): number {
    if (address.family === 4) return ipv4Number(address);
    const known = this.find(address.octets, 0);
    if (known >= 0) return known;
    if (this.#count * OCTETS === this.#octets.length) this.#grow();
    const place = this.#count++;
    this.#octets.set(address.octets, place * OCTETS);
    this.#insert(place);
    return FIRST_ID + place;
  }

  /** The id of the IPv6 address that stands at `offset`, or -1 where it was never added. */
  find(octets: Uint8Array, offset: number): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    const own = this.#octets;
    for (let slot = hash(octets, offset) & mask; ; slot = (slot + 1) & mask) {
      const place = slots[slot] - 1;
      if (place < 0) return -1;
      const at = place * OCTETS;
      let i = OCTETS - 1;
      while (i >= 0 && own[at + i] === octets[offset + i]) i--;
      if (i < 0) return FIRST_ID + place;
    }
  }

  #grow(): void {
    const octets = new Uint8Array(2 * this.#octets.length);
    octets.set(this.#octets);
    this.#octets = octets;
    this.#slots = new Int32Array(2 * this.#slots.length);
    for (let place = 0; place < this.#count; place++) this.#insert(place);
  }

  #insert(place: number): void {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let slot = hash(this.#octets, place * OCTETS) & mask;
    while (slots[slot] !== 0) slot = (slot + 1) & mask;
    slots[slot] = place + 1;
  }
}

/** FNV-1a's steps over words, and a last mix, because neighbours in a prefix differ in few bits. */
function hash(octets: Uint8Array, offset: number): number {
  let h = 0x811c9dc5;
  for (let i = offset; i < offset + OCTETS; i += 4) {
    const word = (octets[i] << 24) | (octets[i + 1] << 16) | (octets[i + 2] << 8) | octets[i + 3];
    h = Math.imul(h ^ word, 0x01000193);
    h ^= h >>> 15;
  }
  h = Math.imul(h ^ (h >>> 13), 0x5bd1e995);
  return h ^ (h >>> 16);
}
