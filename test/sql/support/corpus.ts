/**
 * Texts in which a statement, which stands for `{}`, is seen or hidden, by every dialect that a session may speak. All consumers of SQL
 * text are held against them (test/sql/corpus.test.ts), and real servers too (test/e2e/dialects.test.ts).
 */

/** What a session's sql_mode changes about where strings and names end. */
export interface Mode {
  noBackslashEscapes: boolean;
  ansiQuotes: boolean;
}

export const MODES: readonly Mode[] = [
  { noBackslashEscapes: false, ansiQuotes: false },
  { noBackslashEscapes: true, ansiQuotes: false },
  { noBackslashEscapes: false, ansiQuotes: true },
  { noBackslashEscapes: true, ansiQuotes: true },
];

/** As SET sql_mode takes it. */
export function sqlModeOf({ noBackslashEscapes, ansiQuotes }: Mode): string {
  const modes = [
    ...(noBackslashEscapes ? ['NO_BACKSLASH_ESCAPES'] : []),
    ...(ansiQuotes ? ['ANSI_QUOTES'] : []),
  ];
  return modes.join(',');
}

/** Whether the statement is seen: always, never, or by the session's mode. */
type Sees = boolean | ((mode: Mode) => boolean);

/** How executable comments are read: as text whatever their version, as comments, or as MySQL 9.7 or MariaDB 10.11 reads them. */
export type Reading = 'text' | 'comments' | 'mysql' | 'mariadb';

export interface Entry {
  /** A character for each octet. */
  text: string;
  /** However executable comments are read. */
  sees: Sees;
  /** Readings that see it otherwise. */
  but?: Partial<Record<Reading, Sees>>;
  /** Servers refuse the text, whatever the statement is: nothing can be asked of them. */
  refused?: true;
}

export function sees({ sees, but }: Entry, mode: Mode, reading: Reading): boolean {
  const seen = but?.[reading] ?? sees;
  return typeof seen === 'boolean' ? seen : seen(mode);
}

const always = (...texts: string[]): Entry[] => texts.map((text) => ({ text, sees: true }));
const never = (...texts: string[]): Entry[] => texts.map((text) => ({ text, sees: false }));
const refused = (sees: boolean, ...texts: string[]): Entry[] =>
  texts.map((text) => ({ text, sees, refused: true }));

const noBackslash: Sees = (mode) => mode.noBackslashEscapes;
const backslash: Sees = (mode) => !mode.noBackslashEscapes;
/** In double quotes a backslash is itself, too, where they make a name. */
const plainDoubleQuotes: Sees = (mode) => mode.noBackslashEscapes || mode.ansiQuotes;
const escapingDoubleQuotes: Sees = (mode) => !mode.noBackslashEscapes && !mode.ansiQuotes;

/** Longer than what anyone may be content to look at. */
const LONG = 'x'.repeat(70_000);

export const CORPUS: readonly Entry[] = [
  // Blanks and comments.
  ...always(
    '{}',
    ' \t\r\n\v\f{} ',
    '{};',
    '/* a */ {}',
    '/**/{}',
    '/* a /* b */ {}',
    '-- a\n{}',
    '--\n{}',
    '--\t\x01a\n{}',
    '# a\n# b\n{} # c',
    '/* ; */ {} -- ;',
  ),
  ...never(
    'SELECT 1 /* {} */',
    'SELECT 1 /* ; {} */',
    'SELECT 1 -- ; {}',
    'SELECT 1 --\t; {}',
    'SELECT 1 # ; {}',
  ),
  ...never('SELECT 1 --\x01; {}', 'SELECT 1 -- \r; {}', '# {}', '-- {}'),
  // Several statements.
  ...always(
    'SELECT 1; {}',
    'SELECT 1;{}',
    'SELECT 1 ; \n-- x\n/* y */ {} ;',
    'SELECT 1 /* ; */; {}',
    "SELECT 1 /* ' */; {}",
    "SELECT 1 -- '\n; {} -- '",
    'SELECT 1 # "\n; {} # "',
    'SELECT 5--1; {}',
    'SELECT 1.; {}',
    'SELECT .5, 1e5, 1e-5, 1.5e+5, 0x41, 0b01; {}',
    'SELECT 1 AS 1a; {}',
    'SELECT 1 AS a$; {}',
    'SELECT 1 AS a$$; {}',
    'SELECT 1 <=> 1, 1 << 1, 1 != 2, 1 <> 2; {}',
  ),
  ...refused(true, 'SELECT 5 --; {}', ';{}', 'SELECT 1;;{}', 'SELECT 1; /**/ ; {}', 'SELECT 1 */; {}'),
  // Strings.
  ...always(
    "SELECT 'it''s;'; {}",
    "SELECT ''; {} -- '",
    'SELECT \'"\'; {} -- "',
    "SELECT '`'; {} -- `",
    "SELECT 'a' 'b'; {}",
    "SELECT 'a\\\\'; {} -- '",
    `SELECT '${LONG}'; {}`,
  ),
  ...never("SELECT '; {}'", "SELECT '''; {} -- '", "SELECT 'a' '; {} -- '"),
  { text: "SELECT 'a\\'; {} -- '", sees: noBackslash },
  { text: "SELECT 'a\\''; {} -- '", sees: backslash },
  { text: "SELECT '\\\\\\'; {} -- '", sees: noBackslash },
  { text: "SELECT 'a' 'b\\'; {} -- '", sees: noBackslash },
  { text: `SELECT '${LONG}\\'; {} -- '`, sees: noBackslash },
  // … of national character sets, with introducers, of bits.
  { text: "SELECT N'a\\'; {} -- '", sees: noBackslash },
  { text: "SELECT n'a\\''; {} -- '", sees: backslash },
  { text: "SELECT _utf8'a\\'; {} -- '", sees: noBackslash },
  { text: "SELECT _utf8mb4 'a\\''; {} -- '", sees: backslash },
  ...always(
    "SELECT X'41', x'42'; {}",
    "SELECT b'01', B'10'; {}",
    "SELECT _latin1 X'41'; {}",
    "SELECT N'it''s'; {}",
  ),
  // Double quotes: strings, or names.
  ...always('SELECT 1 AS "a;"; {}', 'SELECT 1 AS "it\'s"; {} -- \'', 'SELECT 1 AS "a""b"; {}'),
  ...never('SELECT 1 AS "; {}"', 'SELECT 1 AS """; {} -- "'),
  { text: 'SELECT 1 AS "a\\"; {} -- "', sees: plainDoubleQuotes },
  { text: 'SELECT 1 AS "a\\""; {} -- "', sees: escapingDoubleQuotes },
  // Names in backticks, in which nothing escapes.
  ...always(
    'SELECT 1 AS `a;`; {}',
    "SELECT 1 AS `it's`; {} -- '",
    'SELECT 1 AS `a``b`; {}',
    'SELECT 1 AS `a\\`; {} -- `',
  ),
  ...never('SELECT 1 AS `; {}`', 'SELECT 1 AS `a``; {} -- `'),
  // Variables, whose names may be in any quotes.
  ...always(
    'SELECT @a, @@version, @@session.autocommit; {}',
    'SELECT @`a\\`; {} -- `',
    'SELECT @\'a\', @"b", @`c`; {}',
  ),
  ...never("SELECT @'a''; {} -- '", 'SELECT @`; {}`'),
  { text: "SELECT @'a\\'; {} -- '", sees: noBackslash },
  { text: "SELECT @'a\\''; {} -- '", sees: backslash },
  { text: 'SELECT @"a\\"; {} -- "', sees: plainDoubleQuotes },
  // Executable comments.
  ...always('/*! {} */', '/*!{}*/', '/*!50000 {} */', '/*!50000{} */', '/*!50000 SELECT 1 */; {}'),
  ...always('SELECT 1 /*!50000 + 1 */; {}', 'SELECT 1 /*!80000 + 1 */; {}', 'SELECT 1 /*M!100100 + 1 */; {}'),
  { text: '/*!99999 {} */', sees: false, but: { text: true } },
  { text: '/*!80000 {} */', sees: true, but: { comments: false, mariadb: false } },
  { text: '/*!50701 {} */', sees: true, but: { comments: false, mariadb: false } },
  { text: '/*!100100 {} */', sees: true, but: { comments: false, mysql: false } },
  { text: '/*M!100100 {} */', sees: true, but: { comments: false, mysql: false } },
  { text: '/*M!999999 {} */', sees: false, but: { text: true } },
  { text: "SELECT 1 /*!99999 ' */; {} -- '", sees: true, but: { text: false } },
  { text: "SELECT 1 /*M!999999 ' */; {} -- '", sees: true, but: { text: false } },
  { text: 'SELECT 1 /*!99999 ` */; {} -- `', sees: true, but: { text: false } },
  { text: 'SELECT 1 /*!99999 -- */; {}', sees: true, but: { text: false } },
  { text: "/*!99999 a /* b */ ' */ {} -- '", sees: true, but: { text: false } },
  // NUL octets, which servers take within strings and comments, and at the end.
  ...always("SELECT 'a\0'; {}", 'SELECT 1 /* \0 */; {}', '{}\0'),
  ...refused(true, '\0{}', 'SELECT 1\0; {}'),
  // Cut short.
  ...refused(
    false,
    "SELECT 'a; {}",
    'SELECT `a; {}',
    '/* {}',
    'SELECT "a; {}',
    'SELECT @`a; {}',
    "SELECT 'a'; /* {}",
  ),
  ...refused(true, '/*! {}', 'SELECT 1; {} /* a', 'SELECT 1; /*!50000 {}'),
  // A statement that changes how those after it are read.
  ...always(
    "SET sql_mode = 'NO_BACKSLASH_ESCAPES'; SELECT 'a\\'; {} -- '",
    "SET @a = 1, SESSION sql_mode = 'STRICT_ALL_TABLES,no_backslash_escapes'; SELECT 1; SELECT 'a\\'; {} -- '",
    'set @@session.sql_mode := ansi_quotes; SELECT 1 AS "a\\"; {} -- "',
    'SET LOCAL sql_mode = \'ANSI\'; SELECT 1 AS "a\\"; {} -- "',
    'SET sql_mode = 4; SELECT 1 AS "a\\"; {} -- "',
    "SET sql_mode = ''; SELECT 'a\\''; {} -- '",
  ),
  ...never(
    "SET sql_mode = ''; SELECT 'a\\'; {} -- '",
    "SET sql_mode = 'TRADITIONAL'; SELECT 'a\\'; {} -- '",
    'SET sql_mode = \'ANSI_QUOTES\'; SELECT 1 AS "a\\""; {} -- "',
    "SET sql_mode = 'NO_BACKSLASH_ESCAPES', @@sql_mode = ''; SELECT 'a\\'; {} -- '",
  ),
  { text: "SET @a = 'sql_mode', @b = 'NO_BACKSLASH_ESCAPES'; SELECT 'a\\'; {} -- '", sees: noBackslash },
  {
    text: "/*!40101 SET sql_mode = 'NO_BACKSLASH_ESCAPES' */; SELECT 'a\\'; {} -- '",
    sees: true,
    but: { comments: noBackslash },
  },
];

/** The text of `entry` with `statement` in its place. */
export function withStatement({ text }: Entry, statement: string): string {
  return text.replace('{}', () => statement);
}
