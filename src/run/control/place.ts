/**
 * Where the socket of a run lies: in the run's folder, or, where its path is too long for one, in a folder of this user's with an
 * unpredictable name, which control.json in the run's folder holds. A socket that someone else may have put there is neither asked
 * nor removed.
 */
import { existsSync, lstatSync, mkdtempSync, realpathSync, rmdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { MytapeError } from '../../errors.ts';
import { ourUsers, readRegular } from '../../files.ts';
import { MOST_PATH_OCTETS } from '../../net/unix-socket.ts';
import { writeDurably } from '../checkpoint/durable.ts';

const MOST_POINTER_OCTETS = 4096;

const SOCKET = 'control.sock';
const FOLDER_PREFIX = 'mytape-';
/** As long as what mkdtemp(3) adds. */
const MKDTEMP_SUFFIX = '------';

/** Group's and others' right to write. */
const OTHERS_WRITE = 0o022;

const pointerIn = (folder: string) => join(folder, 'control.json');

/** Where the socket of a run in `folder` is to be made. Makes the folder for it, where it is another one, and names it in `folder`. */
export function makePlace(folder: string): string {
  const here = join(realpathSync(folder), SOCKET);
  if (fits(here)) return here;
  const elsewhere = join(mkdtempSync(join(baseFolder(), FOLDER_PREFIX)), SOCKET);
  writeDurably(pointerIn(folder), `${JSON.stringify({ socket: elsewhere })}\n`);
  return elsewhere;
}

const fits = (path: string) => Buffer.byteLength(path) <= MOST_PATH_OCTETS;

/** Of this user's alone where there is such a folder; else the one for temporary files. */
function baseFolder(): string {
  const own = process.env.XDG_RUNTIME_DIR;
  if (own === undefined || own === '') return tmpdir();
  const found = statSync(own, { throwIfNoEntry: false });
  const isOurs = found?.isDirectory() && found.uid === process.geteuid?.() && !(found.mode & OTHERS_WRITE);
  return isOurs && fits(join(own, FOLDER_PREFIX + MKDTEMP_SUFFIX, SOCKET)) ? own : tmpdir();
}

/** Where the socket of the run in `folder` is, if there is one. Throws where the folder names one, and who wrote that is not to be relied on. */
export function findPlace(folder: string): string {
  const pointer = pointerIn(folder);
  if (!existsSync(pointer)) {
    // By another name its path may be too long for a socket.
    return join(existsSync(folder) ? realpathSync(folder) : folder, SOCKET);
  }
  try {
    const text = readRegular(pointer, MOST_POINTER_OCTETS, { owner: usersOf(folder) }).toString('utf8');
    const { socket } = JSON.parse(text) as { socket?: unknown };
    if (typeof socket !== 'string') throw new Error('it names no socket');
    return socket;
  } catch (cause) {
    throw new MytapeError('bad-file', `cannot read ${pointer}: ${(cause as Error).message}`, { cause });
  }
}

/** Throws where `path` is no socket, or one of a user whom this process does not trust. */
export function checkPlace(folder: string, path: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) throw new MytapeError('bad-file', `${path} is no socket: nothing is asked of it`);
  const users = usersOf(folder);
  if (users.length === 0 || users.includes(found.uid)) return;
  throw new MytapeError(
    'bad-file',
    `the socket ${path} belongs to user ${found.uid}, and not to this one: nothing is asked of it (run mytape ctl as that user)`,
  );
}

/** Root may steer anybody's run, by what belongs to whoever the run's folder belongs to. */
function usersOf(folder: string): number[] {
  const users = ourUsers();
  const owner = process.geteuid?.() === 0 ? statSync(folder, { throwIfNoEntry: false })?.uid : undefined;
  return owner === undefined ? users : [...users, owner];
}

/** Removes the stale socket at `path`, and the file that named it; unless it is another user's, or no socket. */
export function clearPlace(folder: string, path: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found !== undefined && (!found.isSocket() || found.uid !== (process.geteuid?.() ?? found.uid))) return;
  rmSync(path, { force: true });
  removePointer(folder, path);
}

/** After the socket is gone. */
export function removePointer(folder: string, path: string): void {
  const own = dirname(path);
  const pointer = pointerIn(folder);
  if (lstatSync(pointer, { throwIfNoEntry: false }) === undefined) return;
  rmSync(pointer, { force: true });
  if (!basename(own).startsWith(FOLDER_PREFIX) || basename(path) !== SOCKET) return;
  try {
    rmdirSync(own);
  } catch {
    // Gone already, or something else is in it.
  }
}
