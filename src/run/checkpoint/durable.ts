/**
 * Files that are whole and on the disk, or as they were before, whatever happens meanwhile: written beside, synced, and renamed; then the
 * folder is synced, which has the name.
 */
import { closeSync, fdatasyncSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { OPEN, openRegular, openRegularHandle, syncFolder } from '../../files.ts';

/** Replaces `path`, which only its owner may read. Returns when it is on the disk. Throws UnsafeFileError, or the system's errors. */
export function writeDurably(path: string, text: string): void {
  const beside = `${path}.tmp`;
  // Left by a process that was killed.
  rmSync(beside, { force: true });
  const fd = openRegular(beside, OPEN.createNew);
  try {
    try {
      writeFileSync(fd, text);
      fdatasyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(beside, path);
  } catch (error) {
    rmSync(beside, { force: true });
    throw error;
  }
  syncFolder(dirname(path));
}

/**
 * As `writeDurably`, off this thread: a disk that takes no writes holds up nobody but who waits for this. One at a time for a path, and not
 * together with `writeDurably`.
 */
export async function writeDurablyLater(path: string, text: string): Promise<void> {
  const beside = `${path}.later.tmp`;
  await rm(beside, { force: true });
  const file = await openRegularHandle(beside, OPEN.createNew);
  try {
    try {
      await file.writeFile(text);
      await file.datasync();
    } finally {
      await file.close();
    }
    await rename(beside, path);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
  await syncFolderLater(dirname(path));
}

/** Removes `path`, off this thread: resolves when that is on the disk. */
export async function removeDurablyLater(path: string): Promise<void> {
  await rm(path, { force: true });
  await syncFolderLater(dirname(path));
}

async function syncFolderLater(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
