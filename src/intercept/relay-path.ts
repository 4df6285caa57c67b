/** Unix sockets of a relay. Whoever may write the socket's file may connect; whoever may write its folder may replace it. */
import { lchownSync, lstatSync, realpathSync, rmSync, type Stats, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { MytapeError } from '../errors.ts';
import { ourUsers } from '../files.ts';
import { isServed, MOST_PATH_OCTETS } from '../net/unix-socket.ts';

const OTHERS_WRITE = 0o002;

/**
 * Makes way for a socket at `path`: removes a stale one of this user's. Throws where a process serves it, where something else has that
 * name, and where anyone may write to the folder.
 */
export async function clearSocketPath(path: string): Promise<void> {
  if (Buffer.byteLength(path) > MOST_PATH_OCTETS) {
    throw cannot(path, `its path is longer than ${MOST_PATH_OCTETS} octets: choose a shorter one`);
  }
  let folder: Stats;
  try {
    folder = statSync(realpathSync(dirname(path)));
  } catch (cause) {
    throw cannot(
      path,
      `${(cause as Error).message}: choose a folder that is there, as in -p /run/mytape.sock`,
    );
  }
  if (folder.mode & OTHERS_WRITE) {
    throw cannot(
      path,
      `anyone may write to ${dirname(path)}, and put another socket in its place: choose another folder, as in -p /run/mytape.sock`,
    );
  }
  const there = lstatSync(path, { throwIfNoEntry: false });
  if (there === undefined) return;
  if (!there.isSocket()) throw cannot(path, 'something else has that name: choose another');
  if (!isOurs(there)) {
    throw cannot(path, `it is a socket of user ${there.uid}: choose another, or remove it`);
  }
  if (await isServed(path))
    throw cannot(path, 'another intercept listens there (stop it, or choose another -p)');
  rmSync(path, { force: true });
}

/**
 * Gives the socket at `path` to a user, who can connect to it then. For root, and in a folder of root's: in another one its owner could have
 * put something else in the socket's place.
 */
export function giveSocket(path: string, { uid, gid }: { uid: number; gid: number }): void {
  if (statSync(dirname(path)).uid === 0 && lstatSync(path).isSocket()) lchownSync(path, uid, gid);
}

/** Why the socket at `path` is not to be spoken to; undefined: it is ours, or not just anyone could have put it there, or it does not exist. */
export function whyNotTrusted(path: string): string | undefined {
  const there = statSync(path, { throwIfNoEntry: false });
  if (there === undefined || isOurs(there)) return undefined;
  if (!(statSync(dirname(realpathSync(path))).mode & OTHERS_WRITE)) return undefined;
  return `it belongs to user ${there.uid}, and anyone could have put it there (have intercept listen in a folder that only its owner can write, as in -p /run/mytape.sock)`;
}

function isOurs({ uid }: Stats): boolean {
  return ourUsers().includes(uid);
}

function cannot(path: string, why: string): MytapeError {
  return new MytapeError('relay', `cannot listen on ${path}: ${why}`);
}
