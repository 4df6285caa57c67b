/** How many packets in a row each direction loses at most: no more than retransmission is made for. */
import { randomFrom } from '../support/random.ts';

const MOST_LOST_IN_A_ROW = 3;

export interface LinkOptions {
  seed: number;
  delayMs: number;
  /** Shares of packets that are lost, come late (by up to four delays), come twice. */
  loss: number;
  late: number;
  twice: number;
}

/** Packets under way between two ends, by when they arrive. */
export class Link {
  readonly #events: { at: number; deliver: () => void }[] = [];
  readonly #random: () => number;
  readonly #options: LinkOptions;
  readonly #lostInARow = [0, 0];
  packets = 0;
  lost = 0;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#random = randomFrom(options.seed);
  }

  get nextAt(): number {
    return this.#events[0]?.at ?? Number.POSITIVE_INFINITY;
  }

  send(now: number, direction: 0 | 1, deliver: () => void): void {
    const { loss, delayMs, late, twice } = this.#options;
    this.packets++;
    if (this.#random() < loss && this.#lostInARow[direction] < MOST_LOST_IN_A_ROW) {
      this.#lostInARow[direction]++;
      this.lost++;
      return;
    }
    this.#lostInARow[direction] = 0;
    const copies = this.#random() < twice ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      const more = this.#random() < late ? this.#random() * 4 * delayMs : 0;
      this.#insert(now + delayMs + more, deliver);
    }
  }

  deliverNext(): void {
    this.#events.shift()!.deliver();
  }

  #insert(at: number, deliver: () => void): void {
    let i = this.#events.length;
    while (i > 0 && this.#events[i - 1].at > at) i--;
    this.#events.splice(i, 0, { at, deliver });
  }
}
