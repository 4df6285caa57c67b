import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { MytapeError } from '../errors.ts';

/** Says in `path` which process this is. Throws where another intercept says so there, or it cannot be written. */
export function writePidFile(path: string): void {
  const other = pidIn(path);
  if (other !== undefined && other !== process.pid && isIntercept(other)) {
    throw new MytapeError(
      'relay',
      `the pid file ${path} is that of process ${other}, an intercept that runs (stop it: kill ${other}, or choose another: --pid-file)`,
    );
  }
  try {
    writeFileSync(path, `${process.pid}\n`);
  } catch (cause) {
    throw new MytapeError(
      'bad-file',
      `cannot write the pid file ${path}: ${(cause as Error).message} (choose another: --pid-file)`,
      {
        cause,
      },
    );
  }
}

/** Takes it away again, unless it is another's by now. */
export function removePidFile(path: string): void {
  if (pidIn(path) === process.pid) rmSync(path, { force: true });
}

function pidIn(path: string): number | undefined {
  try {
    return Number.parseInt(readFileSync(path, 'utf8'), 10) || undefined;
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
