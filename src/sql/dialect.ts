/** How a session's SQL is read: what its sql_mode changes about the tokens of a text (MySQL manual, "Server SQL Modes"). Bits. */
export const DIALECT = {
  /** ANSI_QUOTES: what stands in double quotes is a name, in which nothing escapes. */
  ansiQuotes: 1,
  /** NO_BACKSLASH_ESCAPES: in strings a backslash is itself. */
  noBackslashEscapes: 2,
  /** IGNORE_SPACE, or CLIENT_IGNORE_SPACE at the login: `COUNT (` is the function. Matters to digests only. */
  ignoreSpace: 4,
  /** ANSI_QUOTES may be otherwise: nothing has told it since the session may have changed it. */
  ansiQuotesInDoubt: 8,
  /** The same of NO_BACKSLASH_ESCAPES. */
  noBackslashEscapesInDoubt: 16,
  /** Executable comments are comments. Without this flag and the next they are text, whatever their version. */
  plainComments: 32,
  /** Executable comments are what MySQL 9.7 makes of them. */
  mysqlComments: 64,
} as const;

const { ansiQuotes, noBackslashEscapes, ansiQuotesInDoubt, noBackslashEscapesInDoubt } = DIALECT;

/** What is in doubt where nothing is known of a session. */
export const IN_DOUBT = ansiQuotesInDoubt | noBackslashEscapesInDoubt;

/** What of a dialect is a session's; the rest is how a reader takes comments. */
const OF_SESSION = ansiQuotes | noBackslashEscapes | DIALECT.ignoreSpace | IN_DOUBT;

const READINGS: readonly (readonly number[])[] = Array.from({ length: OF_SESSION + 1 }, (_, dialect) => {
  const readings = [dialect & ~IN_DOUBT];
  const orWith = (bit: number) => readings.push(...readings.map((reading) => reading ^ bit));
  if ((dialect & ansiQuotesInDoubt) !== 0) orWith(ansiQuotes);
  if ((dialect & noBackslashEscapesInDoubt) !== 0) orWith(noBackslashEscapes);
  return readings;
});

/** The dialects without doubt that a session's may be, the likeliest first: for those who must not miss what a text holds. */
export function readingsOf(dialect: number): readonly number[] {
  return READINGS[dialect & OF_SESSION];
}
