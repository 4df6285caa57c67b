/** Says when packets of the answers' capture were lost: `look` is to be called now and then. */
import { counted } from '../counted.ts';
import type { ReceiverStats } from './ports.ts';

export class DropLog {
  readonly #stats: () => ReceiverStats;
  readonly #log: (line: string) => void;
  #known = 0;

  constructor(stats: () => ReceiverStats, log: (line: string) => void) {
    this.#stats = stats;
    this.#log = log;
  }

  /** One line, if there are more than there were. */
  look(): void {
    const { dropped } = this.#stats();
    if (dropped === this.#known) return;
    this.#log(
      `the capture dropped ${counted(dropped - this.#known, 'packet')}, ${dropped} in all: the target sends them again, and the run is ` +
        'slower for it (narrow -F to the answers alone, give this host more CPU, or share the clients among several intercepts)',
    );
    this.#known = dropped;
  }
}
