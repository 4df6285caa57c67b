/**
 * What of a log of sessions (log.ts) is not on the disk yet, in files that lie in memory: a record must outlive this process
 * before a session connects, and the thread that sends must never wait for a disk. The kernel's cache would do for the first, but a file
 * system that is frozen, or throttled, makes its writers wait.
 *
 * Two files take turns: while one is carried to the disk, the other is written to. Each begins with its place in the log (8 octets,
 * little-endian).
 */
import { closeSync, existsSync, ftruncateSync, mkdirSync, rmdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { OPEN, openRegular, ourUsers, readRegular, writeWhole } from '../../files.ts';

/** Where Linux has files in memory. */
const MEMORY = '/dev/shm';

/** A checkpoint's `stage` where there is no such place: the run's folder, and the thread that sends waits for its disk. */
const IN_THE_FOLDER = '.';

/** A checkpoint's `stage` where all of the log is on the disk. */
export const NO_STAGE = '';

const STAGE = /^\/dev\/shm\/mytape-[0-9a-f]{32}$/;

const HEADER_OCTETS = 8;

/** Behind a log's name: nobody is to go on from it, whatever else is there. */
const BROKEN = '.broken';

/** What is not on the disk may take so much memory. */
const MOST_OCTETS = 64 << 20;

export function isStage(value: unknown): value is string {
  return value === NO_STAGE || value === IN_THE_FOLDER || (typeof value === 'string' && STAGE.test(value));
}

/** Of the run with this id (32 hexadecimal digits). */
export function stageOf(run: string): string {
  return existsSync(MEMORY) ? join(MEMORY, `mytape-${run}`) : IN_THE_FOLDER;
}

/** A stretch of the log, and its place in it. */
export interface Piece {
  octets: Buffer;
  at: number;
}

/** What one log has that is not on the disk. Throws the system's errors. */
export class LogStage {
  readonly #files: readonly [StageFile, StageFile];
  #current = 0;
  /** What the current file has. */
  #written: Buffer[] = [];
  #octets = 0;

  /** `name` is the log's; what comes first has its place at octet `at`. */
  constructor(folder: string, stage: string, name: string, at: number) {
    const dir = resolve(folder, stage);
    if (stage !== IN_THE_FOLDER) mkdirSync(dir, { recursive: true, mode: 0o700 });
    const [one, other] = pathsIn(dir, name).map((path) => new StageFile(path));
    this.#files = [one, other];
    one.begin(at);
  }

  write(octets: Buffer): void {
    if (this.#octets + octets.length > MOST_OCTETS) throw new Error('its disk takes no writes');
    this.#files[this.#current].write(octets);
    // Who hands it over uses it again.
    this.#written.push(Buffer.from(octets));
    this.#octets += octets.length;
  }

  /** What is to be carried to the disk; the log goes on at `end`, in the other file. `carried` comes before the next. */
  take(end: number): Piece {
    this.#current = 1 - this.#current;
    this.#files[this.#current].begin(end);
    const octets = Buffer.concat(this.#written);
    this.#written = [];
    this.#octets = 0;
    return { octets, at: end - octets.length };
  }

  /** What was taken is on the disk. */
  carried(): void {
    this.#files[1 - this.#current].empty();
  }

  close(): void {
    for (const file of this.#files) file.close();
  }
}

class StageFile {
  readonly #fd: number;
  #at = 0;

  constructor(path: string) {
    this.#fd = openRegular(path, OPEN.create);
  }

  begin(place: number): void {
    const header = Buffer.alloc(HEADER_OCTETS);
    header.writeBigUInt64LE(BigInt(place));
    this.#at = 0;
    this.write(header);
  }

  write(octets: Buffer): void {
    writeWhole(this.#fd, octets, this.#at);
    this.#at += octets.length;
  }

  empty(): void {
    ftruncateSync(this.#fd, 0);
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** What the stage of an interrupted run has of the log `name`, in order; undefined: it is gone. Throws where it must not be relied on. */
export function staged(folder: string, stage: string, name: string): Piece[] | undefined {
  const dir = resolve(folder, stage);
  if (existsSync(join(dir, name + BROKEN))) throw new Error('some of what was sent could not be recorded');
  const pieces: Piece[] = [];
  for (const path of pathsIn(dir, name)) {
    if (!existsSync(path)) return undefined;
    const octets = readRegular(path, HEADER_OCTETS + MOST_OCTETS, { owner: ourUsers() });
    if (octets.length >= HEADER_OCTETS)
      pieces.push({ at: Number(octets.readBigUInt64LE()), octets: octets.subarray(HEADER_OCTETS) });
  }
  return pieces.sort((a, b) => a.at - b.at);
}

/** The log `name` is on the disk, or is not wanted any more. */
export function removeStaged(folder: string, stage: string, name: string): void {
  const dir = resolve(folder, stage);
  for (const path of pathsIn(dir, name)) rmSync(path, { force: true });
  removeEmpty(dir, stage);
}

function removeEmpty(dir: string, stage: string): void {
  if (stage === IN_THE_FOLDER) return;
  try {
    rmdirSync(dir);
  } catch {
    // Other threads' are in it.
  }
}

/** Of a run that is over, or begins anew. */
export function removeStage(run: string): void {
  if (stageOf(run) !== IN_THE_FOLDER) rmSync(stageOf(run), { recursive: true, force: true });
}

/** Nobody must go on from the log `name`, though its checkpoint is there. */
export function condemnStage(folder: string, stage: string, name: string): void {
  closeSync(openRegular(join(resolve(folder, stage), name + BROKEN), OPEN.create));
}

/** Its checkpoint is gone, so nobody can. */
export function absolveStage(folder: string, stage: string, name: string): void {
  const dir = resolve(folder, stage);
  rmSync(join(dir, name + BROKEN), { force: true });
  removeEmpty(dir, stage);
}

function pathsIn(dir: string, name: string): [string, string] {
  return [join(dir, `${name}.staged-0`), join(dir, `${name}.staged-1`)];
}
