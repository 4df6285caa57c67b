/** What follows from an error, by what failed. */
const CONSEQUENCE = {
  write: 'packets are dropped, and counted, until it can be written to again',
  sync: 'what was just recorded may not survive a power cut',
  index: 'the index lags behind the segments until it can be written to again',
  close: 'the next mytape that opens the archive repairs it',
  losses: 'the archive does not say how many packets were dropped',
} as const;

/** Reports that an archive can't be written, once for each spell of each kind of trouble. */
export class DiskTrouble {
  readonly #dir: string;
  readonly #onProblem: ((message: string) => void) | undefined;
  /** Kinds that were reported and have not gone away. */
  readonly #reported = new Set<keyof typeof CONSEQUENCE>();

  constructor(dir: string, onProblem: ((message: string) => void) | undefined) {
    this.#dir = dir;
    this.#onProblem = onProblem;
  }

  /** Takes an error; null ends the spell of its kind. */
  note(kind: keyof typeof CONSEQUENCE, error: Error | null): void {
    if (error === null) {
      this.#reported.delete(kind);
    } else if (!this.#reported.has(kind)) {
      this.#reported.add(kind);
      this.#onProblem?.(`cannot write to ${this.#dir}: ${error.message}; ${CONSEQUENCE[kind]}`);
    }
  }

  /** Does `work`; an error is trouble of this kind. Returns whether there was none, which ends no spell. */
  guard(kind: keyof typeof CONSEQUENCE, work: () => void): boolean {
    try {
      work();
      return true;
    } catch (error) {
      this.note(kind, error as Error);
      return false;
    }
  }
}
