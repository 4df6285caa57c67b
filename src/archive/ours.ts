/**
 * Whose an archive is. An archive is data, and may come from anybody: reading it follows no link and waits for no FIFO. It is written to
 * (a repair cuts files) by its owner alone, root included: whoever else may write to the folder could put a link in a file's place.
 */
import { lstatSync, readdirSync, type Stats, statSync } from 'node:fs';
import { join } from 'node:path';
import { MytapeError } from '../errors.ts';
import { whyNotRegular } from '../files.ts';
import { DRAFT_FILE } from './check/repair.ts';
import { INDEX_FILE, INDEX_FILES } from './index/index-file.ts';
import { KEYS_FILE } from './keys.ts';
import { SERVERS_FILE } from './known-servers.ts';
import { LOCK_FILE } from './lock.ts';
import { RESERVE_FILE } from './reserve.ts';
import { SNAPSHOTS_FILE } from './snapshots.ts';

const NAMES = new Set([
  ...INDEX_FILES,
  DRAFT_FILE,
  LOCK_FILE,
  `${LOCK_FILE}-journal`,
  RESERVE_FILE,
  SNAPSHOTS_FILE,
  SERVERS_FILE,
  KEYS_FILE,
]);

const SEGMENT_NAME = /^\d{6,}\.pcap\./;

/** Write permission of the group and of others. */
const OTHERS_WRITE = 0o022;

/** Looks at all files of the archive in `dir`, and opens none. Throws `bad-archive` where one is not a regular file. */
export function checkFiles(dir: string): void {
  const folder = statSync(dir, { throwIfNoEntry: false });
  if (folder === undefined) throw new MytapeError('bad-archive', `there is no archive ${dir}`);
  if (!folder.isDirectory())
    throw new MytapeError('bad-archive', `${dir} is not a mytape archive: it is not a folder`);
  const names = archiveFiles(dir);
  if (!names.includes(INDEX_FILE))
    throw new MytapeError('bad-archive', `${dir} is not a mytape archive: it has no ${INDEX_FILE}`);
  for (const name of names) {
    const path = join(dir, name);
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found === undefined || found.isFile()) continue;
    throw new MytapeError(
      'bad-archive',
      `${path}: ${whyNotRegular(path)} (an archive is a folder of regular files)`,
    );
  }
}

/** Why we must not write to the archive in `dir`, for people; undefined: it is ours. */
export function whyNotOurs(dir: string): string | undefined {
  // Where there are no user ids, there is nothing to compare.
  const user = process.geteuid?.();
  const folder = statSync(dir);
  if (user !== undefined && folder.uid !== user)
    return `the folder belongs to ${userOf(folder)}: only that user may repair it`;
  if (user !== undefined && folder.mode & OTHERS_WRITE)
    return `others may write to the folder (try: chmod go-w ${dir})`;
  for (const name of archiveFiles(dir)) {
    const path = join(dir, name);
    const why = whyNotRegular(path, { owner: user });
    if (why !== undefined) return `${name}: ${why}`;
    // It may have gone since: an index's -wal goes with its last reader.
    const mode = lstatSync(path, { throwIfNoEntry: false })?.mode ?? 0;
    if (user !== undefined && mode & OTHERS_WRITE)
      return `${name}: others may write to it (try: chmod go-w ${path})`;
  }
  return undefined;
}

function archiveFiles(dir: string): string[] {
  try {
    return readdirSync(dir).filter((name) => NAMES.has(name) || SEGMENT_NAME.test(name));
  } catch (cause) {
    throw new MytapeError('bad-archive', `cannot read ${dir}: ${(cause as Error).message}`, { cause });
  }
}

function userOf({ uid }: Stats): string {
  return uid === 0 ? 'root' : `user ${uid}`;
}
