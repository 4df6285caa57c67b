import type { FileHandle } from 'node:fs/promises';
import { MytapeError } from '../errors.ts';
import { OPEN, openRegularHandle } from '../files.ts';
import type { Codec } from './codec.ts';
import type { BlockRow } from './index/rows.ts';
import { segmentPath } from './segment.ts';

/** Blocks are read in runs of at most this; one run is read ahead while the last is being used. */
const RUN_OCTETS = 1024 * 1024;

/** A run has no more blocks than that, however small they are. */
const RUN_BLOCKS = 4096;

/** Blocks in the order asked for, and their octets. */
export interface Run {
  rows: BlockRow[];
  /** Where each row's block begins in `octets` … */
  at: number[];
  /** … and why it is not all there; undefined: it is. */
  missing: (string | undefined)[];
  octets: Uint8Array;
}

/** Blocks of a run that follow one another in one file. */
interface Span {
  segment: number;
  offset: number;
  octets: number;
  /** Rows of the run, by their place in it. */
  rows: number[];
}

/** How much of a span was read, and why not more. */
interface Reading {
  done: number;
  why: string;
}

const GONE: Reading = { done: 0, why: 'the file is missing' };
const UNREADABLE = 'the disk cannot read it (EIO)';

/**
 * Reads runs of blocks, into two buffers by turns: a run is valid until the second next one is asked for. What follows one
 * another in a file is read in one go, also where blocks of several files come by turns.
 */
export class RunReader {
  readonly #dir: string;
  readonly #codec: Codec;
  readonly #rows: Iterator<BlockRow>;
  readonly #buffers = [new Uint8Array(RUN_OCTETS), new Uint8Array(RUN_OCTETS)];
  #turn = 0;
  #ahead: BlockRow | undefined;
  /** Files of the last run. */
  #files = new Map<number, FileHandle>();
  #reading: Promise<Run | undefined> = Promise.resolve(undefined);

  constructor(dir: string, codec: Codec, rows: Iterator<BlockRow>) {
    this.#dir = dir;
    this.#codec = codec;
    this.#rows = rows;
  }

  /** The next run; undefined at the end. Not to be called again before it settled. */
  next(): Promise<Run | undefined> {
    this.#reading = this.#read();
    return this.#reading;
  }

  async close(): Promise<void> {
    await this.#reading.catch(() => {});
    for (const file of this.#files.values()) await file.close();
  }

  async #read(): Promise<Run | undefined> {
    const rows = this.#takeRows();
    if (rows.length === 0) return undefined;
    const spans = spansOf(rows);
    await this.#openOnly(spans);
    const buffer = this.#buffers[this.#turn];
    this.#turn = 1 - this.#turn;
    const run: Run = { rows, at: [], missing: [], octets: buffer };
    let end = 0;
    for (const span of spans) {
      const file = this.#files.get(span.segment);
      const { done, why } = file === undefined ? GONE : await this.#readSpan(file, span, buffer, end);
      for (const i of span.rows) {
        const row = rows[i];
        const from = row.offset - span.offset;
        run.at[i] = end + from;
        if (from + row.stored <= done) continue;
        // The disk can't read one of them: the others are tried one by one.
        const again = { ...span, offset: row.offset, octets: row.stored };
        const alone =
          file === undefined || why !== UNREADABLE || span.rows.length === 1
            ? { done: 0, why }
            : await this.#readSpan(file, again, buffer, end + from);
        if (alone.done < row.stored) run.missing[i] = alone.why;
      }
      end += span.octets;
    }
    return run;
  }

  /** Reads a span to `at` of `buffer`, as far as that goes, and tells why not further. Rejects with `bad-archive`. */
  async #readSpan(file: FileHandle, span: Span, buffer: Uint8Array, at: number): Promise<Reading> {
    const { octets, offset, segment } = span;
    let done = 0;
    try {
      while (done < octets) {
        const { bytesRead } = await file.read(buffer, at + done, octets - done, offset + done);
        if (bytesRead === 0) break;
        done += bytesRead;
      }
      return { done, why: 'the file ends before it' };
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'EIO') return { done, why: UNREADABLE };
      const path = segmentPath(this.#dir, segment, this.#codec);
      throw new MytapeError('bad-archive', `cannot read ${path}: ${(cause as Error).message}`, { cause });
    }
  }

  #takeRows(): BlockRow[] {
    const rows: BlockRow[] = [];
    let octets = 0;
    while (rows.length < RUN_BLOCKS) {
      this.#ahead ??= this.#nextRow();
      const row = this.#ahead;
      if (row === undefined) return rows;
      octets += row.stored;
      if (rows.length > 0 && octets > RUN_OCTETS) return rows;
      rows.push(row);
      this.#ahead = undefined;
    }
    return rows;
  }

  #nextRow(): BlockRow | undefined {
    const step = this.#rows.next();
    return step.done ? undefined : step.value;
  }

  /** Opens the files that the spans need, and closes the others. */
  async #openOnly(spans: readonly Span[]): Promise<void> {
    const needed = new Set(spans.map(({ segment }) => segment));
    for (const [segment, file] of this.#files) {
      if (needed.has(segment)) continue;
      this.#files.delete(segment);
      await file.close();
    }
    for (const segment of needed) {
      if (this.#files.has(segment)) continue;
      const path = segmentPath(this.#dir, segment, this.#codec);
      try {
        this.#files.set(segment, await openRegularHandle(path, OPEN.read));
      } catch (cause) {
        // Its blocks are missing; those of other files are not.
        if ((cause as NodeJS.ErrnoException).code === 'ENOENT') continue;
        throw new MytapeError('bad-archive', `cannot read ${path}: ${(cause as Error).message}`, { cause });
      }
    }
  }
}

function spansOf(rows: readonly BlockRow[]): Span[] {
  const spans: Span[] = [];
  /** The newest of each segment. */
  const newest = new Map<number, Span>();
  for (const [i, { segment, offset, stored }] of rows.entries()) {
    const last = newest.get(segment);
    if (last !== undefined && last.offset + last.octets === offset) {
      last.octets += stored;
      last.rows.push(i);
      continue;
    }
    const span = { segment, offset, octets: stored, rows: [i] };
    newest.set(segment, span);
    spans.push(span);
  }
  return spans;
}
