/** An item of a queue, in one queue at a time. Only the queue sets its neighbours. */
export interface Queued {
  queuedBefore: this | undefined;
  queuedAfter: this | undefined;
}

/** A queue, oldest first, that any item can leave in constant time. A Set is slow here: finding its first item walks over all that have left. */
export class FlowQueue<T extends Queued> {
  #first: T | undefined;
  #last: T | undefined;
  size = 0;

  /** The one that has been in it for the longest time. */
  get first(): T | undefined {
    return this.#first;
  }

  add(item: T): void {
    item.queuedBefore = this.#last;
    item.queuedAfter = undefined;
    if (this.#last === undefined) this.#first = item;
    else this.#last.queuedAfter = item;
    this.#last = item;
    this.size++;
  }

  /** `item` must be in it. */
  remove(item: T): void {
    const { queuedBefore: before, queuedAfter: after } = item;
    if (before === undefined) this.#first = after;
    else before.queuedAfter = after;
    if (after === undefined) this.#last = before;
    else after.queuedBefore = before;
    item.queuedBefore = undefined;
    item.queuedAfter = undefined;
    this.size--;
  }
}
