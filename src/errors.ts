/** Exit codes of the command line, as README.md and `replay --help` list them. */
export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  refused: 3,
  diverged: 4,
  invalidRun: 5,
  interrupted: 130,
} as const;

export type ErrorCode =
  | 'usage'
  | 'refused'
  | 'no-privilege'
  | 'no-interface'
  | 'bad-filter'
  | 'no-library'
  | 'system-call'
  | 'bad-archive'
  | 'archive-exists'
  | 'bad-file'
  | 'bad-key'
  | 'bad-users-file'
  | 'relay'
  | 'disk'
  | 'not-supported';

/** errno(3) of a disk or a file system that is full, failing, or not ours to write to; and SQLite's words for it. */
const FILE_TROUBLE =
  /^(EIO|ENOSPC|EDQUOT|EROFS|EMFILE|ENFILE|ESTALE|SQLITE_(IOERR.*|FULL|READONLY.*|CANTOPEN.*))$/;

/** What to tell of an error that is a file's, not mytape's: a sentence; undefined: it is none. */
export function fileTrouble(error: unknown): string | undefined {
  const { code, message, path } = error as NodeJS.ErrnoException;
  if (typeof code !== 'string' || !FILE_TROUBLE.test(code)) return undefined;
  const what = path === undefined || message.includes(path) ? message : `${path}: ${message}`;
  return `trouble with a file: ${what} (is the disk full, failing, or read-only?)`;
}

/**
 * What the caller or the operator must mend. `message` names the thing and says the next move; `code` is stable, for
 * programs. Malformed input from the wire is never one of these: that is an answer, not an exception.
 */
export class MytapeError extends Error {
  readonly code: ErrorCode;
  readonly exitCode: number;

  /** What follows the message, a line each, where one line does not do. */
  readonly lines: readonly string[];

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown; lines?: readonly string[] }) {
    super(message, options);
    this.lines = options?.lines ?? [];
    this.name = 'MytapeError';
    this.code = code;
    this.exitCode = code === 'usage' ? EXIT.usage : code === 'refused' ? EXIT.refused : EXIT.failed;
  }
}

/** For a package with a native module that cannot be loaded. `cause`: what loading it threw. */
export function notCompiled(name: string, cause: unknown): MytapeError {
  return new MytapeError(
    'no-library',
    `cannot load the package ${name}: it was not compiled for Node ${process.versions.node} on this machine ` +
      `(try: apt install g++ make python3, then npm rebuild ${name})`,
    { cause },
  );
}
