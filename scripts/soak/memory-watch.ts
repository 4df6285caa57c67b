import { statusOctets } from '../bench/cpu.ts';
import { median } from '../bench/figures.ts';

const EACH_MS = 5_000;

/** Until then a process may grow: it compiles, its heap finds its size, its pools fill. */
const WARM_UP_MS = 120_000;

/** What is judged is this long at least: less is a collector's sawtooth. */
const LEAST_MS = 120_000;

/**
 * That much is noise. With a thousand sessions a second, as the soak has them, one that left 18 octets behind would show.
 */
const MOST_OCTETS_A_MINUTE = 1_048_576;

export interface Sample {
  /** Since the watch began. */
  ms: number;
  octets: number;
}

export interface Growth {
  /** undefined: there is not enough after the first two minutes to say. */
  flat: boolean | undefined;
  octetsAMinute: number;
  /** Over so long. */
  ms: number;
}

/**
 * How fast what was measured grows after the first two minutes: the median of the slopes between any two samples (Theil and Sen),
 * which a collector's sawtooth and a passing bump, were it at the end, leave alone.
 */
export function growthOf(samples: readonly Sample[]): Growth {
  const warm = samples.filter(({ ms }) => ms >= WARM_UP_MS);
  const ms = warm.length === 0 ? 0 : warm[warm.length - 1].ms - warm[0].ms;
  if (ms < LEAST_MS) return { flat: undefined, octetsAMinute: 0, ms };
  const slopes = warm.flatMap((late, i) =>
    warm.slice(0, i).map((early) => (late.octets - early.octets) / (late.ms - early.ms)),
  );
  const octetsAMinute = median(slopes) * 60_000;
  return { flat: octetsAMinute <= MOST_OCTETS_A_MINUTE, octetsAMinute, ms };
}

/** Looks at the resident set of a process, from now until `stop`, or its end. */
export class MemoryWatch {
  readonly samples: Sample[] = [];
  readonly #pid: number;
  readonly #begun = performance.now();
  readonly #timer: NodeJS.Timeout;

  constructor(pid: number) {
    this.#pid = pid;
    this.#look();
    this.#timer = setInterval(() => this.#look(), EACH_MS);
  }

  #look(): void {
    const ms = performance.now() - this.#begun;
    try {
      const octets = statusOctets(this.#pid, 'VmRSS');
      // None: it has ended, and nobody has waited for it yet.
      if (octets > 0) this.samples.push({ ms, octets });
    } catch {
      this.stop();
    }
  }

  /** Octets, when last looked at. */
  get now(): number {
    return this.samples.at(-1)?.octets ?? 0;
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
