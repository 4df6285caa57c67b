import type { MonotonicMs } from '../time.ts';

/** Lines of one kind that are logged in an interval; those beyond are counted. */
const LINES = 5;
const INTERVAL_MS = 60_000;

/** Kinds that are counted apart; the lines of all others share one count. */
const MOST_KINDS = 16;
const OTHER = 'other';

interface Kind {
  lines: number;
  untold: number;
}

/**
 * A log of what a peer can cause, at a bounded rate: of each kind the first lines of an interval, and at its end how many more there
 * were. Call `look` now and then.
 */
export class RatedLog {
  readonly #log: (line: string) => void;
  readonly #kinds = new Map<string, Kind>();
  #endsAt: MonotonicMs;

  constructor(log: (line: string) => void, now: MonotonicMs) {
    this.#log = log;
    this.#endsAt = now + INTERVAL_MS;
  }

  /** `kind` also names the lines in the count of those that were not logged. */
  say(kind: string, line: string): void {
    const name = this.#kinds.has(kind) || this.#kinds.size < MOST_KINDS ? kind : OTHER;
    let known = this.#kinds.get(name);
    if (known === undefined) this.#kinds.set(name, (known = { lines: 0, untold: 0 }));
    if (known.lines === LINES) known.untold++;
    else {
      known.lines++;
      this.#log(line);
    }
  }

  /** Ends the interval where it is over. */
  look(now: MonotonicMs): void {
    if (now < this.#endsAt) return;
    this.#endsAt = now + INTERVAL_MS;
    this.tellRest();
  }

  /** Says how many lines were not logged. */
  tellRest(): void {
    for (const [kind, { untold }] of this.#kinds) {
      if (untold > 0) this.#log(`${kind}: ${untold} more like these, not logged one by one`);
    }
    this.#kinds.clear();
  }
}
