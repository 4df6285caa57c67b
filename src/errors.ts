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

/** What to do about errors of files and of the system's limits, by errno(3) and by SQLite's words for it. */
const REMEDIES: readonly (readonly [code: RegExp, remedy: string])[] = [
  [/^(ENOSPC|EDQUOT|SQLITE_FULL)$/, 'the disk is full: make room on it, then try again'],
  [
    /^EMFILE$/,
    'this process has reached its limit of open files: raise it, e.g. ulimit -n 65536, then try again',
  ],
  [
    /^ENFILE$/,
    'this host has reached its limit of open files: raise it with sysctl fs.file-max, then try again',
  ],
  [/^(EROFS|SQLITE_READONLY.*)$/, 'it is read-only: choose another place'],
  [/^(EIO|ESTALE)$/, 'the disk is failing: dmesg may say why'],
  [/^SQLITE_(IOERR|CANTOPEN).*$/, 'check whether its disk is full, failing, or read-only'],
];

/** What to do about an error that is a file's or a limit's, not mytape's: for the end of a sentence; undefined: it is none. */
function remedyOf(error: unknown): string | undefined {
  const { code } = error as NodeJS.ErrnoException;
  return typeof code === 'string' ? REMEDIES.find(([known]) => known.test(code))?.[1] : undefined;
}

/** The error's message, and what to do about it where that is known. */
export function withRemedy(error: unknown): string {
  const { message } = error as Error;
  const remedy = remedyOf(error);
  return remedy === undefined ? message : `${message} (${remedy})`;
}

/** What to tell of an error that is a file's, not mytape's: a sentence; undefined: it is none. */
export function fileTrouble(error: unknown): string | undefined {
  const { message, path } = error as NodeJS.ErrnoException;
  const remedy = remedyOf(error);
  if (remedy === undefined) return undefined;
  const what = path === undefined || message.includes(path) ? message : `${path}: ${message}`;
  return `a file operation failed: ${what} (${remedy})`;
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
