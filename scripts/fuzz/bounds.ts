/** How many trials a kind makes, and from which seed: options that all kinds have. */
import { Command, Option } from '@commander-js/extra-typings';
import { parseCount } from '../../src/verbs/replay-options.ts';

const SECONDS = 60;

/** The command of a kind; `trials`: what it makes, in the plural. */
export function fuzzCommand(kind: string, trials: string) {
  return new Command(`fuzz ${kind}`)
    .addOption(
      new Option('--seconds <n>', `how long (default: ${SECONDS}, unless --count is given)`).argParser(
        parseCount,
      ),
    )
    .addOption(new Option('--count <n>', `how many ${trials}`).argParser(parseCount))
    .addOption(
      new Option('--seed <n>', 'of the first one; the next have the numbers after it')
        .argParser(Number)
        .default(1),
    )
    .helpOption('-h, --help', 'show this');
}

/** The trials of one run: over after `seconds`, after `count` of them, or by Ctrl-C. */
export class Bounds {
  readonly #begun = performance.now();
  readonly #lastMs: number;
  readonly #most: number;
  #isStopped = false;

  constructor(seconds: number | undefined, count: number | undefined, isUnbounded = count !== undefined) {
    this.#lastMs = 1000 * (seconds ?? (isUnbounded ? Number.POSITIVE_INFINITY : SECONDS));
    this.#most = count ?? Number.POSITIVE_INFINITY;
    process.once('SIGINT', () => {
      this.#isStopped = true;
    });
  }

  /** Seconds since it began. */
  get seconds(): number {
    return (performance.now() - this.#begun) / 1000;
  }

  /** Whether another trial may begin after `begun` of them. */
  hasRoom(begun: number): boolean {
    return !this.#isStopped && begun < this.#most && this.seconds * 1000 < this.#lastMs;
  }
}
