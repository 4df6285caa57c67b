/** One session that may wait. */
export interface Slot {
  readonly copy: number;
  /** Its place in the order in which sessions were read. */
  readonly nth: number;
  /** Connections of its copy that were open in the recording when it began, itself included. */
  readonly most: number;
}

/**
 * Keeps to the recorded concurrency where nothing else paces a run (`--speed max`): a session goes when no more of its copy are under way than
 * were open in the recording when it began. So 10,000 short sessions, one after the other in the recording, stay one
 * after the other, and the target never sees more connections at once than N times what production saw.
 *
 * It cannot wait for ever: were there more open, then one of them ended before this one began, its end has been read,
 * and it is on its way there.
 */
export class RecordedConcurrency<T extends Slot> {
  /** Whether sessions wait at all. */
  applies: boolean;
  readonly #copies: {
    /** Sessions under way now. */
    open: number;
    /** Sessions that were open in the recording, as far as it was read. */
    recordedOpen: number;
    queue: T[];
  }[];

  constructor(copies: number, applies: boolean) {
    this.applies = applies;
    this.#copies = Array.from({ length: copies }, () => ({ open: 0, recordedOpen: 0, queue: [] }));
  }

  /** A recorded session began, of which this copy runs. Returns the `most` of its slot. */
  began(copy: number): number {
    return ++this.#copies[copy].recordedOpen;
  }

  /** A recorded session of which this copy runs ended. */
  ended(copy: number): void {
    this.#copies[copy].recordedOpen--;
  }

  /** The session of `slot` is due. Returns those that may go now, it or those before it. */
  take(slot: T): T[] {
    const { queue } = this.#copies[slot.copy];
    let at = queue.length;
    // After those that were read before it: mostly the end.
    while (at > 0 && queue[at - 1].nth > slot.nth) at--;
    if (at === queue.length) queue.push(slot);
    else queue.splice(at, 0, slot);
    return this.#next(slot.copy);
  }

  /** One that went is over. Returns those that may go now. */
  over(copy: number): T[] {
    this.#copies[copy].open--;
    return this.#next(copy);
  }

  /** One that waited is over. Returns those that may go now. */
  leave(slot: T): T[] {
    const { queue } = this.#copies[slot.copy];
    const at = queue.indexOf(slot);
    if (at >= 0) queue.splice(at, 1);
    return this.#next(slot.copy);
  }

  #next(index: number): T[] {
    const copy = this.#copies[index];
    const { queue } = copy;
    let n = 0;
    while (n < queue.length && (!this.applies || copy.open < queue[n].most)) {
      copy.open++;
      n++;
    }
    return n === 0 ? NOBODY : queue.splice(0, n);
  }
}

const NOBODY: never[] = [];
