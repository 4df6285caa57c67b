import { MytapeError } from '../errors.ts';

/** The error of an index that is not what a mytape wrote. `what` names the table, the row, what it says and what is wrong with that. */
export class DamagedIndex extends MytapeError {
  readonly what: string;

  constructor(dir: string, what: string, cause?: unknown) {
    super(
      'bad-archive',
      `the index of ${dir} is damaged: ${what} (try: mytape verify ${dir}, which says what is wrong; with --rebuild it makes the index ` +
        'again from the segments)',
      { cause },
    );
    this.what = what;
  }
}

export function damagedIndex(dir: string, what: string, cause?: unknown): DamagedIndex {
  return new DamagedIndex(dir, what, cause);
}

/** A value in a message: short, whatever it is. */
export function shown(value: unknown): string {
  if (value instanceof Uint8Array) return `${value.length} octets`;
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return text.length > 80 ? `${text.slice(0, 80)}… (${text.length} characters)` : text;
}
