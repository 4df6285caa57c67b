/** What a session may leave on its connection that COM_RESET_CONNECTION, or nothing at all, takes away. */
import { COM } from '../../mysql/command.ts';
import { sqlAt } from '../../mysql/query-attributes.ts';
import { firstWordAt, MOST_SQL_OCTETS, textFrom } from '../../sql/leading.ts';

/** What cleans a connection: the worst of all commands that went over it tells. */
export const CLEANED_BY = {
  /** COM_RESET_CONNECTION. On MariaDB it leaves the schema and the role as they are. */
  reset: 0,
  /** COM_CHANGE_USER. */
  change: 1,
  /** Nothing but its end. */
  end: 2,
} as const;

/** Statements that choose neither a schema nor a role, whatever they call: functions and triggers cannot either. */
const HARMLESS = new Set([
  ...['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'REPLACE', 'WITH', 'VALUES', 'TABLE', 'DO', 'LOAD', 'TRUNCATE'],
  ...['BEGIN', 'START', 'COMMIT', 'ROLLBACK', 'SAVEPOINT', 'RELEASE', 'LOCK', 'UNLOCK'],
  ...['SHOW', 'EXPLAIN', 'DESCRIBE', 'DESC', 'CREATE', 'ALTER', 'HANDLER', 'KILL'],
]);

/** Octets of the longest of them. */
const LONGEST_WORD = 9;

const SEMICOLON = 0x3b;

/** What cleans a connection of what the command `packet` (header included) may have left there: one of CLEANED_BY. */
export function cleanedBy(packet: Uint8Array): number {
  switch (packet[4]) {
    case COM.query:
      return textCleanedBy(packet, sqlAt(packet));
    case COM.stmtPrepare:
      return textCleanedBy(packet, 5);
    case COM.stmtExecute:
    case COM.stmtBulkExecute:
    case COM.stmtFetch:
    case COM.stmtClose:
    case COM.stmtReset:
    case COM.stmtSendLongData:
    case COM.fieldList:
    case COM.ping:
    case COM.statistics:
    case COM.resetConnection:
      return CLEANED_BY.reset;
    // Multiple statements on or off stays as it is.
    case COM.setOption:
      return CLEANED_BY.end;
    default:
      return CLEANED_BY.change;
  }
}

function textCleanedBy(packet: Uint8Array, from: number): number {
  const at = firstWordAt(packet, from);
  const word = wordAt(packet, at);
  // What a prepared transaction does behind its session differs from version to version.
  if (word === 'XA') return CLEANED_BY.end;
  if (word === 'SET') return setCleanedBy(packet, at);
  if (!HARMLESS.has(word)) return CLEANED_BY.change;
  // Several statements, or a block of them.
  const semicolon = packet.indexOf(SEMICOLON, at);
  return semicolon < 0 || firstWordAt(packet, semicolon + 1) >= packet.length
    ? CLEANED_BY.reset
    : CLEANED_BY.change;
}

/** SET: of a role, of an account, for a statement; and of profiling, whose findings stay as long as the connection. */
function setCleanedBy(packet: Uint8Array, at: number): number {
  const text = textFrom(packet, at);
  if (/\bprofiling\b/i.test(text)) return CLEANED_BY.end;
  if (text.length >= MOST_SQL_OCTETS || /\b(?:role|statement|authorization)\b|;/i.test(text))
    return CLEANED_BY.change;
  return CLEANED_BY.reset;
}

/** The word at `at` in capitals; '' where it is longer than any that is looked for. */
function wordAt(octets: Uint8Array, at: number): string {
  let end = at;
  while (isLetter(octets[end])) if (++end - at > LONGEST_WORD) return '';
  return Buffer.from(octets.buffer, octets.byteOffset + at, end - at)
    .toString('latin1')
    .toUpperCase();
}

function isLetter(octet: number): boolean {
  const small = octet | 0x20;
  return small >= 0x61 && small <= 0x7a;
}
