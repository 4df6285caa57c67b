import { formatCount } from '../counted.ts';
import { formatTime } from '../report/output.ts';
import type { Progress } from './job.ts';

/** So long a time in which nothing is due is told, ms: shorter ones are common, and soon over. */
const LEAST_TOLD_MS = 60_000;

export interface RestTellerOptions {
  /** The second since 1970 that the recording's times count from. */
  originSec: number;
  /** Idle times are cut as it is. */
  skipsIdle: boolean;
  say: (line: string) => void;
}

/** Says that a run waits because nothing was recorded, once for each such time. To be asked every second or so. */
export class RestTeller {
  readonly #options: RestTellerOptions;
  #isTold = false;

  constructor(options: RestTellerOptions) {
    this.#options = options;
  }

  /** `nowMs`: since 1970. */
  look({ restsUntilMs, restsTo }: Pick<Progress, 'restsUntilMs' | 'restsTo'>, nowMs: number): void {
    const leftMs = restsUntilMs - nowMs;
    if (!Number.isFinite(leftMs) || leftMs < LEAST_TOLD_MS) {
      this.#isTold = false;
      return;
    }
    if (this.#isTold) return;
    this.#isTold = true;
    const { originSec, skipsIdle, say } = this.#options;
    const text = (ms: number) => formatTime(ms).slice(0, 19);
    const recorded =
      restsTo === undefined ? '' : `: the recording goes on at ${text(originSec * 1000 + restsTo / 1e6)}`;
    const hint = skipsIdle ? '' : ' (--skip-idle 5s cuts such times)';
    const seconds = formatCount(Math.round(leftMs / 1000));
    say(`nothing is due for ${seconds} s${recorded}; waiting until ${text(restsUntilMs)}${hint}`);
  }
}
