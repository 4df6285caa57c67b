import { type ErrorCode, MytapeError } from '../../errors.ts';
import { readPrivate, UnsafeFileError } from '../../files.ts';

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

/** The text of a file with passwords (readPrivate says which files are refused). `what` it is and its `form` are for the errors. */
export function readPrivateFile(
  path: string,
  { what, form, code }: { what: string; form: string; code: ErrorCode },
): string {
  try {
    return readPrivate(path);
  } catch (cause) {
    const { message } = cause as Error;
    const text =
      cause instanceof UnsafeFileError
        ? `the ${what} ${path} is refused: ${message}`
        : `cannot read the ${what} ${path}: ${message} (${form})`;
    throw new MytapeError(code, text, { cause });
  }
}
