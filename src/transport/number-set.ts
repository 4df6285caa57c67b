/** Octets of a slot are 8; a set is never more than half full. */
const FIRST_SLOTS = 64;

/**
 * A set of whole numbers from 1 to 2^53 - 1, at 16 to 32 octets each: a third of what a Set of such numbers takes, for the tens of
 * thousands that come and go. Open addressing with linear probing; what is removed leaves no mark behind.
 */
export class NumberSet {
  size = 0;
  /** 0 is an empty slot. */
  #slots = new Float64Array(FIRST_SLOTS);

  has(value: number): boolean {
    return this.#slots[this.#slotOf(value)] === value;
  }

  add(value: number): void {
    const slot = this.#slotOf(value);
    if (this.#slots[slot] === value) return;
    this.#slots[slot] = value;
    if (++this.size * 2 > this.#slots.length) this.#grow();
  }

  delete(value: number): void {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let free = this.#slotOf(value);
    if (slots[free] !== value) return;
    this.size--;
    // What stands behind it moves up where its own probing would now stop at the free slot.
    for (let i = (free + 1) & mask; slots[i] !== 0; i = (i + 1) & mask) {
      const home = hash(slots[i]) & mask;
      if (((i - home) & mask) >= ((i - free) & mask)) {
        slots[free] = slots[i];
        free = i;
      }
    }
    slots[free] = 0;
  }

  /** Where `value` is, or would be put. */
  #slotOf(value: number): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let i = hash(value) & mask;
    while (slots[i] !== 0 && slots[i] !== value) i = (i + 1) & mask;
    return i;
  }

  #grow(): void {
    const before = this.#slots;
    this.#slots = new Float64Array(before.length * 2);
    for (const value of before) {
      if (value !== 0) this.#slots[this.#slotOf(value)] = value;
    }
  }
}

function hash(value: number): number {
  const h = Math.imul((value % 0x1_0000_0000) ^ Math.imul(value / 0x1_0000_0000, 0x85eb_ca6b), 0x9e37_79b1);
  return h ^ (h >>> 15);
}
