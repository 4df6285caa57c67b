import type { MonotonicMs } from '../time.ts';

/** Width of a slot: timers fire up to this late. */
const SLOT_MS = 8;

/** Slots in a turn; deadlines further away wait for another turn. */
const SLOTS = 512;

/** What a wheel turns. `wheelSlot` is the wheel's own note; begin with -1. */
export interface Timed {
  /** When it wants to be woken. May move later or to NEVER without telling the wheel. */
  readonly pollAt: MonotonicMs;
  wheelSlot: number;
}

/**
 * Timers for many connections at the price of few: an item stands in one slot, and is asked for its real deadline only
 * when that slot comes round. A deadline that moves later, as a retransmission timer's does with each ACK, costs nothing.
 * One that moves earlier needs `schedule` again. Pure: `advance` is told the time.
 */
export class TimerWheel<T extends Timed> {
  #slots: T[][] = Array.from({ length: SLOTS }, () => []);
  #slot = 0;
  #slotAt: MonotonicMs;
  /** Items that stand in a slot. */
  size = 0;

  constructor(now: MonotonicMs) {
    this.#slotAt = now;
  }

  /** Sees to it that `item` is looked at by its `pollAt`. */
  schedule(item: T): void {
    const ahead = Math.ceil((item.pollAt - this.#slotAt) / SLOT_MS);
    if (ahead === Number.POSITIVE_INFINITY) return;
    const distance = Math.min(SLOTS - 1, Math.max(1, ahead));
    if (item.wheelSlot >= 0) {
      const stands = (item.wheelSlot - this.#slot + SLOTS) % SLOTS;
      if (stands <= distance) return;
      this.#remove(item);
    }
    item.wheelSlot = (this.#slot + distance) % SLOTS;
    this.#slots[item.wheelSlot].push(item);
    this.size++;
  }

  /** Calls `fire` for every item whose deadline has passed. It may schedule items, itself included. */
  advance(now: MonotonicMs, fire: (item: T) => void): void {
    if (this.size === 0) {
      if (now > this.#slotAt) this.#slotAt = now;
      return;
    }
    while (this.#slotAt + SLOT_MS <= now) {
      this.#slotAt += SLOT_MS;
      this.#slot = (this.#slot + 1) % SLOTS;
      const items = this.#slots[this.#slot];
      if (items.length === 0) continue;
      this.#slots[this.#slot] = [];
      this.size -= items.length;
      for (const item of items) item.wheelSlot = -1;
      for (const item of items) {
        if (item.pollAt <= now) fire(item);
        this.schedule(item);
      }
    }
  }

  #remove(item: T): void {
    const items = this.#slots[item.wheelSlot];
    const i = items.indexOf(item);
    items[i] = items[items.length - 1];
    items.pop();
    item.wheelSlot = -1;
    this.size--;
  }
}
