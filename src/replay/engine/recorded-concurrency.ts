/** What a recorded concurrency is kept by: one slot a session. */
export interface Turn {
  readonly copy: number;
  /** Its place in the order in which sessions were read. */
  readonly nth: number;
  /** Connections of its copy that were open in the recording when it began, itself included. */
  readonly most: number;
}

/**
 * Whose turn it is where nothing else paces it (`--speed max`): a session goes when no more of its copy are under way than
 * were open in the recording when it began. So 10,000 short sessions, one after the other in the recording, stay one
 * after the other, and the target never sees more connections at once than N times what production saw.
 *
 * It cannot wait for ever: were there more open, then one of them ended before this one began, its end has been read,
 * and it is on its way there.
 */
export class Turns<T extends Turn> {
  /** Whether anybody waits for a turn at all. */
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

  /** A recorded session began, of which this copy runs. Returns the `most` of its turn. */
  began(copy: number): number {
    return ++this.#copies[copy].recordedOpen;
  }

  /** A recorded session of which this copy runs ended. */
  ended(copy: number): void {
    this.#copies[copy].recordedOpen--;
  }

  /** `turn` comes up: answers whose turn it is now, it or those before it. */
  take(turn: T): T[] {
    const { queue } = this.#copies[turn.copy];
    let at = queue.length;
    // Behind those that were read before it: mostly the end.
    while (at > 0 && queue[at - 1].nth > turn.nth) at--;
    if (at === queue.length) queue.push(turn);
    else queue.splice(at, 0, turn);
    return this.#next(turn.copy);
  }

  /** One that had its turn is over: answers whose turn it is now. */
  over(copy: number): T[] {
    this.#copies[copy].open--;
    return this.#next(copy);
  }

  /** One that waited for its turn is over. */
  leave(turn: T): T[] {
    const { queue } = this.#copies[turn.copy];
    const at = queue.indexOf(turn);
    if (at >= 0) queue.splice(at, 1);
    return this.#next(turn.copy);
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
