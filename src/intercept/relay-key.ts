/** The key that both ends of a relay share: 32 or more hexadecimal digits in a file that only its user can read. */
import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, rmSync, writeSync } from 'node:fs';
import { MytapeError, withRemedy } from '../errors.ts';
import { OPEN, openRegular, readPrivate } from '../files.ts';

const KEY_OCTETS = 32;

/** More than any key file has: a larger one is something else. */
const MOST_OCTETS = 4096;

const MAKE_ONE = (path: string) => `make one: mytape intercept --new-key ${path}`;

/** Reads a shared key. Throws where the file is not one that only its owner can read, this process's user or root, or holds no key. */
export function readKeyFile(path: string): Buffer {
  let text: string;
  try {
    text = readPrivate(path, MOST_OCTETS).trim();
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const next = code === 'ENOENT' ? ` (${MAKE_ONE(path)})` : '';
    throw new MytapeError('bad-key', `cannot read the key file ${path}: ${message}${next}`, { cause });
  }
  if (!/^([0-9a-f]{2}){16,}$/i.test(text)) {
    throw new MytapeError(
      'bad-key',
      `the key file ${path} holds no key: wanted are 32 or more hexadecimal digits (${MAKE_ONE(path)})`,
    );
  }
  return Buffer.from(text, 'hex');
}

/** Makes a key in a new file `path`, mode 0600. Throws where there is one already: the other end may have it. */
export function makeKeyFile(path: string): void {
  let fd: number;
  try {
    fd = openRegular(path, OPEN.createNew, 0o600);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const why =
      code === 'EEXIST' || code === 'EUNSAFE'
        ? 'it is there already, and is left as it is: name another'
        : withRemedy(cause);
    throw new MytapeError('bad-key', `cannot make the key file ${path}: ${why}`, { cause });
  }
  try {
    writeSync(fd, `${randomBytes(KEY_OCTETS).toString('hex')}\n`);
    fsyncSync(fd);
  } catch (cause) {
    // An empty file would be in the way of the next try.
    rmSync(path, { force: true });
    throw new MytapeError('bad-key', `cannot make the key file ${path}: ${withRemedy(cause)}`, { cause });
  } finally {
    closeSync(fd);
  }
}
