import type { ClockStep } from '../flow/clock.ts';
import type { PacketBlock } from '../wire/packets.ts';
import type { Catalog } from './index/catalog.ts';

/** Takes the steps of the clock out of blocks, in ascending order of their packets. */
export class MendedTimes {
  readonly #catalog: Catalog;
  #steps: ClockStep[] = [];
  /** In `#steps`. */
  #next = 0;
  #offset = 0;
  /** Packets that steps were read for: an archive that is being recorded gets more of both. */
  #known = -1;

  constructor(catalog: Catalog) {
    this.#catalog = catalog;
  }

  mend({ at, count }: PacketBlock, first: number): void {
    const end = first + count;
    if (end > this.#known) this.#read(end);
    this.#pass(first);
    for (let i = 0; i < count; ) {
      const next = this.#steps[this.#next]?.packet ?? end;
      const until = Math.min(next - first, count);
      const offset = this.#offset;
      if (offset === 0) i = until;
      for (; i < until; i++) at[i] += offset;
      this.#pass(first + i);
    }
  }

  /** Has the offset of `packet`. */
  #pass(packet: number): void {
    const steps = this.#steps;
    while (this.#next < steps.length && steps[this.#next].packet <= packet)
      this.#offset = steps[this.#next++].offset;
  }

  #read(end: number): void {
    const last = this.#steps.at(-1)?.packet ?? -1;
    const { packets } = this.#catalog.archive();
    this.#steps.push(...this.#catalog.clockSteps(last + 1));
    this.#known = Math.max(end, packets);
  }
}
