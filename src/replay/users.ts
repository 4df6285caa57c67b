import { readFileSync, statSync } from 'node:fs';
import { type ErrorCode, MytapeError } from '../errors.ts';

/**
 * Reads a users file: a line a user, `user: password`; `#` begins a comment line. The password is all that follows the
 * first colon and one space; nothing is quoted. The user without a name is `: password`. Others must not be able to read
 * the file.
 */
export function readUsersFile(path: string): Map<string, string> {
  const form = 'it has a line for each user, `user: password`, and mode 0600';
  const text = readPrivateFile(path, { what: 'users file', form, code: 'bad-users-file' });
  const users = new Map<string, string>();
  text.split(/\r?\n/).forEach((line, i) => {
    if (line.trim() === '' || line.startsWith('#')) return;
    const colon = line.indexOf(':');
    if (colon < 0) {
      throw new MytapeError('bad-users-file', `${path}:${i + 1} is not of the form \`user: password\``);
    }
    const password = line.slice(colon + 1);
    users.set(line.slice(0, colon).trim(), password.startsWith(' ') ? password.slice(1) : password);
  });
  return users;
}

/** The text of a file with passwords, which only its owner may read. `what` it is and its `form` are for the errors. */
export function readPrivateFile(
  path: string,
  { what, form, code }: { what: string; form: string; code: ErrorCode },
): string {
  let text: string;
  let mode: number;
  try {
    mode = statSync(path).mode;
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    const why = (cause as Error).message;
    throw new MytapeError(code, `cannot read the ${what} ${path}: ${why} (${form})`, { cause });
  }
  if (mode & 0o077) {
    throw new MytapeError(code, `the ${what} ${path} can be read by others (run: chmod 600 ${path})`);
  }
  return text;
}
