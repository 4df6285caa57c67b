/** A binary heap of things to do, the earliest on top. */
export class DueHeap<T> {
  #items: T[] = [];
  #due: number[] = [];

  get size(): number {
    return this.#items.length;
  }

  /** When the top is due; Infinity where there is none. */
  get nextDue(): number {
    return this.#due.length === 0 ? Number.POSITIVE_INFINITY : this.#due[0];
  }

  /** Takes all off, in no order. */
  drain(): T[] {
    const items = this.#items;
    this.#items = [];
    this.#due = [];
    return items;
  }

  /** Takes those off that `some` wants, in no order. */
  take(some: (item: T) => boolean): T[] {
    const dues = this.#due;
    const taken: T[] = [];
    for (const [i, item] of this.drain().entries()) {
      if (some(item)) taken.push(item);
      else this.push(dues[i], item);
    }
    return taken;
  }

  push(due: number, item: T): void {
    const dues = this.#due;
    const items = this.#items;
    let i = dues.length;
    dues.push(due);
    items.push(item);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (dues[parent] <= due) break;
      dues[i] = dues[parent];
      items[i] = items[parent];
      i = parent;
    }
    dues[i] = due;
    items[i] = item;
  }

  /** Takes the top off; only where `size` is not 0. */
  pop(): T {
    const dues = this.#due;
    const items = this.#items;
    const top = items[0];
    const due = dues.pop() as number;
    const item = items.pop() as T;
    const { length } = dues;
    if (length === 0) return top;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= length) break;
      if (child + 1 < length && dues[child + 1] < dues[child]) child++;
      if (dues[child] >= due) break;
      dues[i] = dues[child];
      items[i] = items[child];
      i = child;
    }
    dues[i] = due;
    items[i] = item;
    return top;
  }
}
