import { MytapeError } from '../../errors.ts';

/** The error of an index that is not what a mytape wrote. `what` names the table, the row, what it says and what is wrong with that. */
export class DamagedIndex extends MytapeError {
  readonly what: string;

  constructor(dir: string, what: string, next: string, cause?: unknown) {
    super('bad-archive', `the index of ${dir} is damaged: ${what} (${next})`, { cause });
    this.what = what;
  }
}

export function damagedIndex(dir: string, what: string, cause?: unknown): DamagedIndex {
  const next =
    `try: mytape verify ${dir}, which says what is wrong; with --rebuild it makes the index ` +
    'again from the segments';
  return new DamagedIndex(dir, what, next, cause);
}

/** As `damagedIndex`, of an index that does not even say what was recorded: then it can't be made again. */
export function lostIndex(dir: string, what: string, cause?: unknown): DamagedIndex {
  return new DamagedIndex(dir, what, withoutIndex(dir), cause);
}

/** What to do where the index can't be read nor made again. Every file has a pcap header of 24 octets, of which one stream has one. */
export function withoutIndex(dir: string): string {
  return `it can't be made again; make a new archive of the segments: ${importSegments(dir)}`;
}

/** A line for the shell. */
export function importSegments(dir: string): string {
  const name = /^[\w./+:@%-]+$/.test(dir) ? dir : `'${dir.replaceAll("'", "'\\''")}'`;
  return `n=1; for f in ${name}/*.pcap.lz4; do lz4 -dc "$f" | tail -c +$n; n=25; done | mytape import - -p PORT -o NEW`;
}

/** A value in a message: short, whatever it is. */
export function shown(value: unknown): string {
  if (value instanceof Uint8Array) return `${value.length} octets`;
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return text.length > 80 ? `${text.slice(0, 80)}… (${text.length} characters)` : text;
}
