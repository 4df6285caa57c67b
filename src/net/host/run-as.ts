/** The user that a verb runs as once its sockets are open, and the folders that it writes then. */
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  fchownSync,
  mkdirSync,
  openSync,
  readdirSync,
  statSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Option } from '@commander-js/extra-typings';
import { MytapeError } from '../../errors.ts';
import { countAsOurs, readNothingBefore } from '../../files.ts';
import {
  type Account,
  asAccount,
  canDropPrivileges,
  dropPrivileges,
  findAccount,
  shedCapabilities,
} from './privileges.ts';

/** undefined: the current user. */
export type RunAs = Account | undefined;

export function userOption() {
  return new Option(
    '--user <name>',
    'user to run as once the sockets are open, e.g. mytape; root stays root (default: the user who ran sudo or doas, else the current one)',
  );
}

/**
 * Returns the user to run as: `user`, or the one who ran sudo, doas or pkexec. undefined where that is the current user, and where mytape
 * can't give up privileges. Throws where there is no such user, or we are not root and so can't become another.
 */
export function planRunAs(user: string | undefined, env: NodeJS.ProcessEnv = process.env): RunAs {
  if (user === undefined && !canDropPrivileges()) return undefined;
  const isRoot = process.geteuid?.() === 0;
  if (user === undefined) return isRoot ? unlessRoot(caller(env)) : undefined;
  const account = findAccount(/^\d+$/.test(user) ? Number(user) : user);
  if (account === undefined) {
    throw new MytapeError('usage', `--user ${user}: this host has no such user (see: getent passwd)`);
  }
  if (isRoot) return unlessRoot(account);
  if (account.uid === process.geteuid?.()) return undefined;
  throw new MytapeError(
    'no-privilege',
    `--user ${user}: only root can go on as another user (try: with sudo, or without --user)`,
  );
}

/** Throws where the account can't read mytape itself: parts of it are loaded later. */
function unlessRoot(account: RunAs): RunAs {
  if (account === undefined || account.uid === 0) return undefined;
  const self = fileURLToPath(import.meta.url);
  try {
    // access(2) would ask for the real user.
    asAccount(account, () => closeSync(openSync(self, constants.O_RDONLY)));
  } catch (cause) {
    throw new MytapeError(
      'no-privilege',
      `cannot go on as ${nameOfUser(account)}, who can't read mytape itself: ${(cause as Error).message} (install it where all can read it, or stay root: --user root)`,
      { cause },
    );
  }
  countAsOurs(account.uid);
  readNothingBefore();
  return account;
}

/** For a verb that stays who it is: files of who called it count as its own. */
export function relyOnCaller(env: NodeJS.ProcessEnv = process.env): void {
  const account = process.geteuid?.() === 0 && canDropPrivileges() ? caller(env) : undefined;
  if (account !== undefined) countAsOurs(account.uid);
}

/** The user who became root to run us. */
function caller(env: NodeJS.ProcessEnv): RunAs {
  const { SUDO_UID, SUDO_GID, DOAS_USER, PKEXEC_UID } = env;
  const uid = SUDO_UID ?? (DOAS_USER === undefined ? PKEXEC_UID : undefined);
  if (uid !== undefined && /^\d+$/.test(uid)) {
    const gid = Number(SUDO_GID ?? uid);
    // In a container the caller may be no user of its /etc/passwd.
    return findAccount(Number(uid)) ?? { uid: Number(uid), gid, name: undefined };
  }
  return DOAS_USER === undefined ? undefined : findAccount(DOAS_USER);
}

/** Who we are once the sockets are open, for messages. */
export function nameOfUser(runAs: RunAs): string {
  const uid = runAs?.uid ?? process.geteuid?.();
  if (uid === 0) return 'root without capabilities';
  return runAs?.name ?? `user ${uid}`;
}

/** Does `act` as who we will go on as: what it makes is theirs. */
export function asRunAs<T>(runAs: RunAs, act: () => T): T {
  return runAs === undefined ? act() : asAccount(runAs, act);
}

/** Gives up, for good, all rights that `runAs` does not have. Elsewhere than on Linux it does nothing. */
export async function goOnAs(runAs: RunAs): Promise<void> {
  if (canDropPrivileges()) await dropPrivileges(runAs);
}

/** In a worker thread, after `goOnAs` in the main one: capabilities are a thread's own. */
export function shedRights(): void {
  if (canDropPrivileges()) shedCapabilities();
}

/**
 * Makes the folder `path`, and those that it lies in, as `runAs`; where only root may, root makes them and makes them over. One that is
 * there stays as it is. Throws the system's errors.
 */
export function makeFolderFor(runAs: RunAs, path: string): void {
  try {
    asRunAs(runAs, () => mkdirSync(path, { recursive: true, mode: 0o700 }));
  } catch (error) {
    if (runAs === undefined || (error as NodeJS.ErrnoException).code !== 'EACCES') throw error;
    makeAndGive(resolve(path), runAs);
  }
}

/** As `makeFolderFor`, for an archive. Throws `disk`. */
export function makeArchiveFolder(runAs: RunAs, path: string): void {
  try {
    makeFolderFor(runAs, path);
  } catch (cause) {
    throw new MytapeError('disk', `cannot make the archive ${path}: ${(cause as Error).message}`, { cause });
  }
}

/** By descriptors: whoever may write a folder on the way cannot put another one in its place meanwhile. */
function makeAndGive(path: string, { uid, gid }: Account): void {
  const names: string[] = [];
  let parent = path;
  for (; !existsSync(parent); parent = dirname(parent)) names.unshift(basename(parent));
  const folders = [openSync(parent, constants.O_RDONLY | constants.O_DIRECTORY)];
  try {
    for (const name of names) {
      const made = `/proc/self/fd/${folders.at(-1)}/${name}`;
      mkdirSync(made, 0o700);
      folders.push(openSync(made, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW));
    }
    // The innermost first: until then all of them are root's, and no one else can change what is in them.
    for (const folder of folders.slice(1).reverse()) fchownSync(folder, uid, gid);
  } finally {
    for (const folder of folders) closeSync(folder);
  }
}

/** After `goOnAs(runAs)`: throws where the folder `path` can't be written. `option` names it on the command line. */
export function checkWritable(path: string, runAs: RunAs, option: string): void {
  try {
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw new MytapeError(
      'bad-file',
      `cannot write the folder ${path} as ${nameOfUser(runAs)}: ${(cause as Error).message} ` +
        `(choose another by ${option}, or ${otherUser(path, runAs)})`,
      { cause },
    );
  }
}

/** Before `goOnAs`: calls `read` as `runAs`. Throws also where they can't read the folder `path`. */
export function readFor<T>(runAs: RunAs, path: string, read: () => T): T {
  return asRunAs(runAs, () => {
    try {
      readdirSync(path);
    } catch (cause) {
      // `read` has better words for whatever else is wrong.
      if ((cause as NodeJS.ErrnoException).code === 'EACCES') throw unreadable(path, runAs, cause as Error);
    }
    return read();
  });
}

/** After `goOnAs(runAs)`: throws where the folder `path` or a file in it can't be read. */
export function checkReadable(path: string, runAs: RunAs): void {
  try {
    accessSync(path, constants.R_OK | constants.X_OK);
    for (const name of readdirSync(path)) checkFile(join(path, name));
  } catch (cause) {
    throw unreadable(path, runAs, cause as Error);
  }
}

/** Who could do what we can't with `path`: its owner by name, unless that is who we are. For the end of "choose …". */
export function otherUser(path: string, runAs: RunAs): string {
  const we = runAs?.uid ?? process.geteuid?.();
  const owner = ownerOf(path) ?? ownerOf(dirname(path));
  if (owner === undefined || owner === we) return 'another user by --user NAME';
  const asRoot = runAs === undefined && we !== 0 ? 'with sudo ' : '';
  return `${asRoot}its owner by --user ${findAccount(owner)?.name ?? owner}`;
}

function ownerOf(path: string): number | undefined {
  try {
    return statSync(path).uid;
  } catch {
    return undefined;
  }
}

function unreadable(path: string, runAs: RunAs, cause: Error): MytapeError {
  return new MytapeError(
    'bad-file',
    `cannot read ${path} as ${nameOfUser(runAs)}: ${cause.message} (make it readable, or choose ${otherUser((cause as NodeJS.ErrnoException).path ?? path, runAs)})`,
    { cause },
  );
}

function checkFile(path: string): void {
  try {
    accessSync(path, constants.R_OK);
  } catch (error) {
    // A reader of the archive makes a lock file, and removes it again.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
