/** KILL: it names a connection of the server that it was sent to. */
import { DIALECT, readingsOf } from './dialect.ts';
import { FIRST } from './first-words.ts';
import { KIND, type Scanner } from './scanner.ts';
import { firstWords, Statements } from './statements.ts';
import { isDigit, OCTET } from './text.ts';

const SEMICOLON = 0x3b;

/** No connection id is longer. */
const MOST_DIGITS = 10;

const MAY_KILL = FIRST.kills | FIRST.compound;

/** What a text kills. */
export type Kill =
  | {
      what: 'connection' | 'query';
      /** A recorded connection's. */
      id: number;
      /** Where the number stands in the text. */
      from: number;
      to: number;
    }
  /** A user's connections, a query by its own id, the value of an expression; or several, or by a statement made in SQL. */
  | { what: 'other' };

const OTHER: Kill = { what: 'other' };

/**
 * What the text at [from, end) of a COM_QUERY kills, or each execution of it, where it is a COM_STMT_PREPARE's. `multi`: it
 * may be several statements. `dialect`: its session's, which may be in doubt: a KILL that some server might see is one.
 */
export function killOf(octets: Uint8Array, from: number, multi: boolean, dialect: number): Kill | undefined {
  if ((firstWords(octets, from, octets.length, dialect) & MAY_KILL) === 0) return undefined;
  let found: Kill | undefined;
  for (const reading of readingsOf(dialect)) {
    const kill =
      killBy(octets, from, multi, reading) ?? killBy(octets, from, multi, reading | DIALECT.plainComments);
    if (kill !== undefined) found = found === undefined || isSame(found, kill) ? kill : OTHER;
  }
  return found;
}

function isSame(a: Kill, b: Kill): boolean {
  return a.what !== 'other' && b.what !== 'other' && a.what === b.what && a.from === b.from && a.to === b.to;
}

function killBy(octets: Uint8Array, from: number, multi: boolean, reading: number): Kill | undefined {
  const statements = new Statements();
  statements.begin(octets, from, octets.length, reading);
  let found: Kill | undefined;
  while (statements.next()) {
    const kill = killIn(statements, from);
    if (found !== undefined && kill !== undefined) return OTHER;
    found ??= kill;
    if (!multi) break;
  }
  return found;
}

/** `textAt`: where the text begins. */
function killIn(statements: Statements, textAt: number): Kill | undefined {
  const { scanner, first } = statements;
  if (statements.inBlock) return statements.hasWord('KILL') ? OTHER : undefined;
  if ((first & FIRST.kills) === 0) return undefined;
  if (scanner.isWord('KILL')) return killAt(scanner, textAt);
  // What Amazon's RDS has in the place of KILL: CALL mysql.rds_kill(7).
  if ((first & FIRST.calls) !== 0) return callsRdsKill(scanner) ? OTHER : undefined;
  const text = statements.preparedText();
  if (text === undefined) return undefined;
  return killOf(text, 0, true, scanner.dialect) === undefined ? undefined : OTHER;
}

/** The scanner is on the word KILL. */
function killAt(scanner: Scanner, textAt: number): Kill {
  scanner.next();
  if (scanner.isWord('HARD') || scanner.isWord('SOFT')) scanner.next();
  const isQuery = scanner.isWord('QUERY');
  if (isQuery || scanner.isWord('CONNECTION')) scanner.next();
  const { octets, kind, from, to } = scanner;
  // A digit before it is the last of an executable comment's version, of which some servers take more than others.
  const isNumber = kind === KIND.integer && to - from <= MOST_DIGITS && !isDigit(octets[from - 1]);
  const next = scanner.next();
  if (!isNumber || (next !== KIND.end && next !== SEMICOLON)) return OTHER;
  let id = 0;
  for (let i = from; i < to; i++) id = id * 10 + octets[i] - OCTET.zero;
  return { what: isQuery ? 'query' : 'connection', id, from: from - textAt, to: to - textAt };
}

/** The scanner is on the word CALL. */
function callsRdsKill(scanner: Scanner): boolean {
  let calls = false;
  while (scanner.next() !== KIND.end && scanner.kind !== OCTET.open && scanner.kind !== SEMICOLON)
    calls ||= scanner.isName('RDS_KILL') || scanner.isName('RDS_KILL_QUERY');
  return calls;
}
