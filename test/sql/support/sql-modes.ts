/** What SETs make of a session's sql_mode, as far as it changes how texts are read: for test/sql/sql-mode.test.ts and test/e2e/dialects.test.ts. */
import { DIALECT } from '../../../src/sql/dialect.ts';

const { ansiQuotes, noBackslashEscapes, ignoreSpace } = DIALECT;

/** The session's sql_mode before each of them … */
export const BEFORE = 'IGNORE_SPACE';
/** … and its server's. */
export const GLOBAL = 'NO_BACKSLASH_ESCAPES';

export interface SetCase {
  sql: string;
  /** DIALECT flags of the session afterwards. */
  after: number;
  /** They are not to be told by the text. */
  inDoubt?: true;
  /** MySQL 9.7 refuses it. */
  mariaDbOnly?: true;
}

const cases = (after: number, ...texts: string[]): SetCase[] => texts.map((sql) => ({ sql, after }));

export const SETS: readonly SetCase[] = [
  ...cases(
    ansiQuotes,
    "SET sql_mode = 'ANSI_QUOTES'",
    'set SQL_MODE = ansi_quotes',
    'SET sql_mode = "ANSI_QUOTES"',
    'SET sql_mode = `ANSI_QUOTES`',
    "SET sql_mode = N'ANSI_QUOTES'",
    'SET sql_mode := 4',
    "SET sql_mode = ',STRICT_ALL_TABLES,,Ansi_Quotes,'",
    "SET `sql_mode` = 'ANSI_QUOTES'",
    "SET @@sql_mode = 'ANSI_QUOTES'",
    "SET @@`sql_mode` = 'ANSI_QUOTES'",
    "SET @@session.sql_mode = 'ANSI_QUOTES'",
    "SET @@session . `sql_mode` = 'ANSI_QUOTES'",
    "SET @@LOCAL.SQL_MODE = 'ANSI_QUOTES'",
    "SET SESSION sql_mode = 'ANSI_QUOTES'",
    "SET LOCAL sql_mode = 'ANSI_QUOTES'",
    "/* x */ SET /* y */ sql_mode /* z */ = -- w\n 'ANSI_QUOTES'",
    "/*!40101 SET sql_mode = 'ANSI_QUOTES' */",
    "SET @a = (1, 2) = (1, 2), sql_mode = 'ANSI_QUOTES', @b = 2",
    "SET sql_mode = 'NO_BACKSLASH_ESCAPES', sql_mode = 'ANSI_QUOTES'",
    "SET SESSION wait_timeout = 77, sql_mode = 'ANSI_QUOTES'",
    "SET GLOBAL auto_increment_increment = 1, SESSION sql_mode = 'ANSI_QUOTES'",
    "SET GLOBAL auto_increment_increment = 1, @@sql_mode = 'ANSI_QUOTES'",
    "SET @@global.auto_increment_increment = 1, sql_mode = 'ANSI_QUOTES'",
    "SET NAMES utf8mb4, sql_mode = 'ANSI_QUOTES'",
    "SET @old = @@sql_mode, sql_mode = 'ANSI_QUOTES'",
  ),
  ...cases(
    0,
    "SET sql_mode = ''",
    "SET sql_mode = 'TRADITIONAL'",
    "SET sql_mode = 'STRICT_ALL_TABLES'",
    'SET sql_mode = 0',
  ),
  ...cases(ansiQuotes | ignoreSpace, "SET sql_mode = 'ANSI'", 'SET sql_mode = ansi', 'SET sql_mode = 262144'),
  ...cases(
    ansiQuotes | noBackslashEscapes,
    'SET sql_mode = 1048580',
    "SET sql_mode = 'NO_BACKSLASH_ESCAPES,ANSI_QUOTES'",
  ),
  ...['ORACLE', 'MSSQL', 'DB2', 'POSTGRESQL', 'MAXDB'].map((mode) => ({
    sql: `SET sql_mode = '${mode}'`,
    after: ansiQuotes | ignoreSpace,
    mariaDbOnly: true as const,
  })),
  ...[256, 512, 1024, 2048, 4096].map((mode) => ({
    sql: `SET sql_mode = ${mode}`,
    after: ansiQuotes | ignoreSpace,
    mariaDbOnly: true as const,
  })),
  // The server's own.
  ...cases(
    noBackslashEscapes,
    'SET sql_mode = DEFAULT',
    'SET @@sql_mode = default, @a = 1',
    'SET sql_mode = @@global.sql_mode',
    'SET sql_mode = @@GLOBAL.`sql_mode`',
  ),
  // Of something else, or of somebody else's.
  ...cases(
    ignoreSpace,
    "SELECT 'SET sql_mode = ANSI'",
    "SET @sql_mode = 'ANSI_QUOTES'",
    "SET @a = 'sql_mode = ANSI_QUOTES'",
    'SET GLOBAL sql_mode = DEFAULT',
    'SET @@global.sql_mode = DEFAULT',
    'SET GLOBAL auto_increment_increment = 1, @a = 1, sql_mode = DEFAULT',
    'SET @a = @@sql_mode',
    'SET NAMES utf8mb4',
  ),
  { sql: "SET STATEMENT sql_mode = 'ANSI_QUOTES' FOR SELECT 1", after: ignoreSpace, mariaDbOnly: true },
  ...[
    "SET sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')",
    "SET SESSION sql_mode = REPLACE(@@sql_mode, 'STRICT_ALL_TABLES', '')",
    'SET sql_mode = @@sql_mode',
    "SET sql_mode = (SELECT 'IGNORE_SPACE')",
    "SET sql_mode = 'IGNORE' '_SPACE'",
    "SET sql_mode = ('IGNORE_SPACE')",
    "SET sql_mode = X'49474E4F52455F5350414345'",
  ].map((sql) => ({ sql, after: ignoreSpace, inDoubt: true as const })),
];
