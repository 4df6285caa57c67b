/** What SET statements, and servers, make of a session's sql_mode, as far as it changes how texts are read. */
import { DIALECT, IN_DOUBT } from './dialect.ts';
import { KIND, Scanner, SIGN } from './scanner.ts';
import { stringText } from './string-text.ts';

const { ansiQuotes, noBackslashEscapes, ignoreSpace } = DIALECT;

/** All of a dialect that sql_mode tells. */
const SQL_MODE = ansiQuotes | noBackslashEscapes | ignoreSpace | IN_DOUBT;

/** Modes by name; those that stand for several too. All but ANSI of these MariaDB has, and MySQL had until 5.7. */
const MODES: Readonly<Record<string, number>> = {
  ANSI_QUOTES: ansiQuotes,
  IGNORE_SPACE: ignoreSpace,
  NO_BACKSLASH_ESCAPES: noBackslashEscapes,
  ANSI: ansiQuotes | ignoreSpace,
  DB2: ansiQuotes | ignoreSpace,
  MAXDB: ansiQuotes | ignoreSpace,
  MSSQL: ansiQuotes | ignoreSpace,
  ORACLE: ansiQuotes | ignoreSpace,
  POSTGRESQL: ansiQuotes | ignoreSpace,
};

/** The same by number: ANSI_QUOTES, IGNORE_SPACE, POSTGRESQL, ORACLE, MSSQL, DB2, MAXDB, ANSI, NO_BACKSLASH_ESCAPES. */
const NUMBERS: readonly (readonly [bit: number, mode: number])[] = [
  [0x4, ansiQuotes],
  [0x8, ignoreSpace],
  ...[0x100, 0x200, 0x400, 0x800, 0x1000, 0x4_0000].map((bit) => [bit, MODES.ANSI] as const),
  [0x10_0000, noBackslashEscapes],
];

const SEMICOLON = 0x3b;
const COMMA = 0x2c;
const POINT = 0x2e;
const EQUAL = 0x3d;
const OPEN = 0x28;
const CLOSE = 0x29;

const scanner = new Scanner();

/** `dialect` with what a server shows as its sql_mode: names with commas between. */
export function withSqlMode(dialect: number, sqlMode: string): number {
  let mode = 0;
  for (const name of sqlMode.toUpperCase().split(',')) mode |= MODES[name] ?? 0;
  return (dialect & ~SQL_MODE) | mode;
}

/**
 * The dialect in force after the statement in [from, to), with its `;` or without: `dialect`, unless it is a SET of the session's sql_mode. One that cannot be told
 * from the text leaves the dialect as it was, but in doubt. `initial`: what DEFAULT stands for.
 */
export function sqlModeAfter(
  octets: Uint8Array,
  from: number,
  to: number,
  dialect: number,
  initial = dialect | IN_DOUBT,
): number {
  let after = dialect;
  scanner.begin(octets, from, to, dialect, true);
  while (scanner.next() === SEMICOLON);
  if (scanner.isWord('SET')) {
    // A keyword of scope goes for all assignments behind it that have none of their own.
    let isSession = true;
    scanner.next();
    while (!isOver()) {
      if (scanner.isWord('GLOBAL') || scanner.isWord('PERSIST') || scanner.isWord('PERSIST_ONLY')) {
        isSession = false;
        scanner.next();
      } else if (scanner.isWord('SESSION') || scanner.isWord('LOCAL')) {
        isSession = true;
        scanner.next();
      } else {
        const isMode = setsSqlMode(isSession);
        if (isMode && (scanner.kind === EQUAL || scanner.kind === SIGN.assign))
          after = (after & ~SQL_MODE) | (assigned(dialect, initial) & SQL_MODE);
        passAssignment();
      }
    }
  }
  scanner.release();
  return after;
}

/** The statement ends here. */
function isOver(): boolean {
  return scanner.kind === KIND.end || scanner.kind === SEMICOLON;
}

/** Whether what is set is the session's sql_mode. Goes past its name. */
function setsSqlMode(isSession: boolean): boolean {
  if (scanner.kind !== KIND.systemVariable) {
    const isMode = scanner.isName('SQL_MODE');
    scanner.next();
    return isMode && isSession;
  }
  const isGlobal = isVariable('GLOBAL') || isVariable('PERSIST') || isVariable('PERSIST_ONLY');
  const isMode = endOfVariable();
  return isMode && !isGlobal;
}

/** Whether the token is `@@name`, or begins with that. */
function isVariable(name: string): boolean {
  return scanner.kind === KIND.systemVariable && scanner.reads(scanner.from + 2, scanner.to, name);
}

/** Whether a system variable, whatever its scope, is sql_mode. Goes past it. */
function endOfVariable(): boolean {
  let isMode = isVariable('SQL_MODE');
  const isQuoted = scanner.to === scanner.from + 2;
  scanner.next();
  if (isQuoted) {
    isMode = scanner.isName('SQL_MODE');
    scanner.next();
  } else if (scanner.kind === POINT) {
    scanner.next();
    isMode = scanner.isName('SQL_MODE');
    scanner.next();
  }
  return isMode;
}

/** What is assigned, the scanner being on the sign before it: stops behind it. */
function assigned(dialect: number, initial: number): number {
  const unknown = dialect | IN_DOUBT;
  const kind = scanner.next();
  const { octets, from, to } = scanner;
  let value = unknown;
  if (kind === KIND.systemVariable) {
    const isGlobal = isVariable('GLOBAL');
    if (endOfVariable() && isGlobal) value = initial;
  } else {
    const isDefault = scanner.isWord('DEFAULT');
    scanner.next();
    if (isDefault) value = initial;
    else if (kind === KIND.string)
      value = withSqlMode(dialect, latin1(stringText(octets, from, to, dialect).octets));
    else if (kind === KIND.word || kind === KIND.name)
      value = withSqlMode(dialect, latin1(octets.subarray(from, to)));
    else if (kind === KIND.quotedName)
      value = withSqlMode(dialect, latin1(octets.subarray(from + 1, to - 1)));
    else if (kind === KIND.integer) value = withNumber(dialect, Number(latin1(octets.subarray(from, to))));
  }
  // It is part of an expression.
  return scanner.kind === COMMA || isOver() ? value : unknown;
}

function withNumber(dialect: number, number: number): number {
  let mode = 0;
  for (const [bit, modes] of NUMBERS) if (Math.floor(number / bit) % 2 === 1) mode |= modes;
  return (dialect & ~SQL_MODE) | mode;
}

/** To what is assigned next. */
function passAssignment(): void {
  let depth = 0;
  while (!isOver() && (scanner.kind !== COMMA || depth > 0)) {
    if (scanner.kind === OPEN) depth++;
    else if (scanner.kind === CLOSE) depth--;
    scanner.next();
  }
  if (!isOver()) scanner.next();
}

function latin1(octets: Uint8Array): string {
  return Buffer.from(octets).toString('latin1');
}
