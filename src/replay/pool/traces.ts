/** What a session may leave on its connection that COM_RESET_CONNECTION, or nothing at all, takes away. */
import { COM } from '../../mysql/command.ts';
import { sqlAt } from '../../mysql/query-attributes.ts';
import { FIRST } from '../../sql/first-words.ts';
import { firstWord, Statements } from '../../sql/statements.ts';

/** What cleans a connection: the worst of all commands that went over it tells. */
export const CLEANED_BY = {
  /** COM_RESET_CONNECTION. On MariaDB it leaves the schema and the role as they are. */
  reset: 0,
  /** COM_CHANGE_USER. */
  change: 1,
  /** Nothing but its end. */
  end: 2,
} as const;

/** Octets of a SET that are looked at. */
const MOST_SET_OCTETS = 64 * 1024;

const SEMICOLON = 0x3b;

const rest = new Statements();

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

/** By what every server reads alike, in whatever dialect: the connection may be in any. */
function textCleanedBy(packet: Uint8Array, from: number): number {
  const first = firstWord(packet, from, packet.length);
  // What a prepared transaction does behind its session differs from version to version.
  if ((first & FIRST.xa) !== 0) return CLEANED_BY.end;
  if ((first & FIRST.sets) !== 0) return setCleanedBy(packet, from);
  // A block of statements, or one that not every server reads.
  if ((first & FIRST.keepsSchema) === 0 || (first & (FIRST.compound | FIRST.unsure)) !== 0)
    return CLEANED_BY.change;
  const semicolon = packet.indexOf(SEMICOLON, from);
  return semicolon < 0 || isEmpty(packet, semicolon + 1) ? CLEANED_BY.reset : CLEANED_BY.change;
}

function isEmpty(packet: Uint8Array, from: number): boolean {
  rest.begin(packet, from, packet.length, 0);
  const isEmpty = !rest.next();
  rest.release();
  return isEmpty;
}

/** SET: of a role, of an account, for a statement; and of profiling, whose findings stay as long as the connection. */
function setCleanedBy(packet: Uint8Array, from: number): number {
  const length = Math.min(packet.length - from, MOST_SET_OCTETS);
  const text = Buffer.from(packet.buffer, packet.byteOffset + from, length).toString('latin1');
  if (/\bprofiling\b/i.test(text)) return CLEANED_BY.end;
  if (length === MOST_SET_OCTETS || /\b(?:role|statement|authorization)\b|;/i.test(text))
    return CLEANED_BY.change;
  return CLEANED_BY.reset;
}
