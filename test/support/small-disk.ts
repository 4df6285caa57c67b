import { execFileSync } from 'node:child_process';
import { mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { atEnd } from './at-end.ts';

/** Why there can be no small disk here; false where there can. */
export const noSmallDisk =
  process.platform !== 'linux' || process.getuid?.() !== 0
    ? 'needs root on Linux, to mount a small disk'
    : false;

const mounts = new Set<string>();
atEnd(() => {
  for (const mount of mounts) unmount(mount);
});

/** Lazily: a process that is about to end may have files open there. */
function unmount(mount: string): void {
  if (mounts.delete(mount)) execFileSync('umount', ['-l', mount]);
}

/** Does `act` with a new disk of `size` (as mount takes it: 4m), mounted in `folder`; takes it away after, and on Ctrl-C, too. */
export async function onSmallDisk<T>(
  folder: string,
  size: string,
  act: (mount: string) => T | Promise<T>,
): Promise<T> {
  const mount = join(folder, 'disk');
  mkdirSync(mount);
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', mount]);
  mounts.add(mount);
  try {
    return await act(mount);
  } finally {
    unmount(mount);
    rmdirSync(mount);
  }
}
