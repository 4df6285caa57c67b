import {
  closeSync,
  fchmodSync,
  fstatSync,
  ftruncateSync,
  lstatSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { MytapeError } from '../errors.ts';
import { OPEN, openRegular, ourUsers, readRegular } from '../files.ts';

/** Anybody may read it. */
const MODE = 0o644;
/** A process id and a line end are less. */
const MOST_OCTETS = 32;

/** A pid file that this process wrote. */
export class PidFile {
  readonly #path: string;
  readonly #fd: number;

  constructor(path: string, fd: number) {
    this.#path = path;
    this.#fd = fd;
  }

  /** Removes it, unless another's is in its place by now; where we may not, because we go on as another user, it is emptied. */
  remove(): void {
    try {
      ftruncateSync(this.#fd);
      const ours = fstatSync(this.#fd);
      const found = lstatSync(this.#path);
      if (found.ino === ours.ino && found.dev === ours.dev) rmSync(this.#path);
    } catch {
      // Gone, or left empty in a folder of root's.
    } finally {
      closeSync(this.#fd);
    }
  }
}

/**
 * Writes this process's id to `path`. Throws where the file there is that of another intercept that runs, where it is a link or no
 * regular file, and where it can't be written.
 */
export function writePidFile(path: string): PidFile {
  const other = pidIn(path);
  if (other !== undefined && other !== process.pid && isIntercept(other)) {
    throw new MytapeError(
      'relay',
      `the pid file ${path} is that of process ${other}, an intercept that runs (stop it: kill ${other}, or choose another: --pid-file)`,
    );
  }
  let fd: number | undefined;
  try {
    fd = openRegular(path, OPEN.create, MODE, { owner: ourUsers() });
    fchmodSync(fd, MODE);
    writeSync(fd, `${process.pid}\n`);
    return new PidFile(path, fd);
  } catch (cause) {
    if (fd !== undefined) closeSync(fd);
    throw new MytapeError(
      'bad-file',
      `cannot write the pid file ${path}: ${(cause as Error).message} (choose another: --pid-file)`,
      { cause },
    );
  }
}

function pidIn(path: string): number | undefined {
  try {
    return Number.parseInt(readRegular(path, MOST_OCTETS).toString('latin1'), 10) || undefined;
  } catch {
    return undefined;
  }
}

/** One that was killed leaves its pid file behind, and its number may be another's by now. */
function isIntercept(pid: number): boolean {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    return words.includes('intercept');
  } catch {
    return false;
  }
}
