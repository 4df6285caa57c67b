import { readFileSync, statSync } from 'node:fs';
import { MytapeError } from '../errors.ts';

/**
 * Reads a users file: a line a user, `user: password`; `#` begins a comment line. The password is all that follows the
 * first colon and one space. Others must not be able to read the file.
 */
export function readUsersFile(path: string): Map<string, string> {
  let text: string;
  let mode: number;
  try {
    mode = statSync(path).mode;
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new MytapeError(
      'bad-users-file',
      `cannot read the users file ${path}: ${(cause as Error).message} (it has a line for each user, \`user: password\`, and mode 0600)`,
      { cause },
    );
  }
  if (mode & 0o077) {
    throw new MytapeError(
      'bad-users-file',
      `the users file ${path} can be read by others (run: chmod 600 ${path})`,
    );
  }
  const users = new Map<string, string>();
  text.split(/\r?\n/).forEach((line, i) => {
    if (line.trim() === '' || line.startsWith('#')) return;
    const colon = line.indexOf(':');
    if (colon <= 0) {
      throw new MytapeError('bad-users-file', `${path}:${i + 1} is not of the form \`user: password\``);
    }
    const password = line.slice(colon + 1);
    users.set(line.slice(0, colon).trim(), password.startsWith(' ') ? password.slice(1) : password);
  });
  return users;
}
