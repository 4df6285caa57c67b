/**
 * Files in folders that others may have prepared: opened only where they are what they should be. Nothing here follows a symbolic link
 * in the last part of a path, waits for a FIFO's other end, or truncates a file before it was looked at. Links in the path's folders are
 * followed: the path is the caller's.
 */
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  lstatSync,
  openSync,
  readFileSync,
  type Stats,
  writeSync,
} from 'node:fs';
import { type FileHandle, lstat, open } from 'node:fs/promises';

/** Absent on Windows, where Node knows neither. */
const NO_FOLLOW = constants.O_NOFOLLOW ?? 0;
const NO_WAIT = constants.O_NONBLOCK ?? 0;
const WRITES = constants.O_WRONLY | constants.O_RDWR;

/** Flags by what the file is for; add O_EXCL to `create` to refuse a file that is there. */
export const OPEN = {
  read: constants.O_RDONLY,
  /** Reads and writes a file that is there. */
  update: constants.O_RDWR,
  /** Writes a new file, or empties an old one. */
  create: constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC,
  createNew: constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL,
  append: constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND,
} as const;

export interface RegularOptions {
  /** User id that the file must belong to, or several. Default: any. */
  owner?: number | readonly number[] | undefined;
}

/** Beside this process's user, root and who called it by sudo: the one that it goes on as. */
let goesOnAs: number | undefined;

/** Files of the user `uid` are as good as our own from now on: this process, which is root's, goes on as that user. */
export function countAsOurs(uid: number): void {
  goesOnAs = uid;
}

let givesUpFirst = false;

/** This process is root's and goes on as another user: no archive is read before. */
export function readNothingBefore(): void {
  givesUpFirst = true;
}

/** Throws, by a fault of our own, where an archive or a run's folder is about to be read with root's rights that were to be given up first. */
export function checkGivenUp(path: string): void {
  if (givesUpFirst && process.getuid?.() === 0)
    throw new Error(`${path} is about to be read by root, and this process should have given that up first`);
}

/**
 * Users whose files this process relies on: its own, root, and, where it is root's, who called it (sudo, pkexec) and whom it goes on as.
 * Empty where the system has no users.
 */
export function ourUsers(env: NodeJS.ProcessEnv = process.env): number[] {
  const user = process.geteuid?.();
  if (user === undefined) return [];
  const callers = user === 0 ? [env.SUDO_UID, env.PKEXEC_UID].filter((uid) => /^\d+$/.test(uid ?? '')) : [];
  return [...new Set([user, 0, ...callers.map(Number), ...(goesOnAs === undefined ? [] : [goesOnAs])])];
}

/** A file that is not what it should be. The message continues `cannot read PATH:` and has no path of its own. */
export class UnsafeFileError extends Error {
  readonly code = 'EUNSAFE';

  constructor(message: string) {
    super(message);
    this.name = 'UnsafeFileError';
  }
}

/**
 * Opens the regular file `path` and returns its descriptor. `flags` are numbers (`OPEN`, or of fs.constants); `mode` is that of a file
 * that is made. A file that is opened for writing must have one name only (no hard links). O_TRUNC takes effect after the checks.
 * Throws UnsafeFileError, or the system's errors.
 */
export function openRegular(path: string, flags: number, mode = 0o600, options: RegularOptions = {}): number {
  refuseOther(path);
  const fd = openSync(path, safeFlags(flags), mode);
  try {
    check(fstatSync(fd), flags, options);
    if (flags & constants.O_TRUNC) ftruncateSync(fd);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** As `openRegular`, with a handle for reading or writing off this thread. */
export async function openRegularHandle(
  path: string,
  flags: number,
  mode = 0o600,
  options: RegularOptions = {},
): Promise<FileHandle> {
  // Nothing here waits on this thread: `path` may be on a file system that does not answer.
  const found = await lstat(path).catch(() => undefined);
  if (found !== undefined && !found.isFile()) throw notRegular(found);
  const handle = await open(path, safeFlags(flags), mode);
  try {
    check(await handle.stat(), flags, options);
    if (flags & constants.O_TRUNC) await handle.truncate();
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** Writes all of `octets` to the file at `position`. Throws the system's errors. */
export function writeWhole(fd: number, octets: Uint8Array, position: number): void {
  for (let done = 0; done < octets.length; ) {
    done += writeSync(fd, octets, done, octets.length - done, position + done);
  }
}

/** The octets of the regular file `path`, of which there may be at most `most`. Throws as `openRegular`. */
export function readRegular(
  path: string,
  most = Number.POSITIVE_INFINITY,
  options: RegularOptions = {},
): Buffer {
  const fd = openRegular(path, OPEN.read, 0, options);
  try {
    const { size } = fstatSync(fd);
    if (size > most) throw new UnsafeFileError(`it has ${size} octets, more than ${most}`);
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}

/**
 * The text of a file with secrets: a regular file of `ourUsers`, which nobody else can read or write, of at most `most` octets. Throws as
 * `openRegular`; the messages end with what to do.
 */
export function readPrivate(path: string, most = Number.POSITIVE_INFINITY): string {
  const fd = openRegular(path, OPEN.read);
  try {
    const { mode, uid, size } = fstatSync(fd);
    const users = ourUsers();
    if (users.length > 0 && !users.includes(uid)) {
      throw new UnsafeFileError(
        `it belongs to user ${uid}, who could change it: it must be root's or user ${users[0]}'s (run: chown ${users[0]} ${path})`,
      );
    }
    if (mode & 0o077) throw new UnsafeFileError(`it can be read by others (run: chmod 600 ${path})`);
    if (size > most) throw new UnsafeFileError(`it has ${size} octets, more than ${most}`);
    return readFileSync(fd, 'utf8');
  } finally {
    closeSync(fd);
  }
}

/**
 * Why `path` must not be opened by a library that opens by name and would follow a link or write to a special file; undefined: it is a
 * regular file with one name, or it is not there. What is checked here can be changed by whoever may write the folder, until the library
 * opens it: check the folder too.
 */
export function whyNotRegular(path: string, options: RegularOptions = {}): string | undefined {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return undefined;
  try {
    check(found, constants.O_RDWR, options);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** Makes the names of new files, of renamed and of removed ones durable. Throws the system's errors. */
export function syncFolder(folder: string): void {
  const fd = openSync(folder, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** What kind of file it is, for people. */
function kindOf(stats: Stats): string {
  if (stats.isSymbolicLink()) return 'a symbolic link';
  if (stats.isDirectory()) return 'a folder';
  if (stats.isFIFO()) return 'a FIFO';
  if (stats.isSocket()) return 'a socket';
  if (stats.isFile()) return 'a regular file';
  return 'a device';
}

/** Names a link or a special file before it is opened: opening alone may do something to a device, and errors of open() name neither. */
function refuseOther(path: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found !== undefined && !found.isFile()) throw notRegular(found);
}

function safeFlags(flags: number): number {
  return (flags & ~constants.O_TRUNC) | NO_FOLLOW | NO_WAIT;
}

function check(found: Stats, flags: number, { owner }: RegularOptions): void {
  if (!found.isFile()) throw notRegular(found);
  const owners = typeof owner === 'number' ? [owner] : (owner ?? []);
  if (owners.length > 0 && !owners.includes(found.uid))
    throw new UnsafeFileError(`it belongs to user ${found.uid}, not to user ${owners.join(' or ')}`);
  if (flags & WRITES && found.nlink > 1)
    throw new UnsafeFileError(`it has ${found.nlink} hard links, and writing would change them all`);
}

function notRegular(found: Stats): UnsafeFileError {
  return new UnsafeFileError(`it is ${kindOf(found)}, not a regular file`);
}
