import { FIRST } from './first-words.ts';
import { KIND, type Scanner } from './scanner.ts';
import { Statements } from './statements.ts';

/** Why a replayed answer cannot be as the recorded one, however well it was replayed. */
export type NotComparable = 'connection-id';

/** Whether a text may name connections: most hold nothing like it. */
const MAY_NAME =
  /connection_id|thread_id|processlist|is_used_lock|innodb|metadata_lock|performance_schema|sys/i;

/** Functions whose value is a connection's id. */
const CALLS = /^(?:CONNECTION_ID|IS_USED_LOCK|PS_THREAD_ID|PS_CURRENT_THREAD_ID)$/;

/** Tables of connections, whatever their schema is. */
const TABLES = /^(?:PROCESSLIST|INNODB_TRX|INNODB_LOCK_WAITS|INNODB_LOCKS|METADATA_LOCK_INFO)$/;

/** Tables of connections in the schema performance_schema … */
const PERFORMANCE_TABLES =
  /^(?:THREADS|METADATA_LOCKS|DATA_LOCKS|DATA_LOCK_WAITS|SESSION_\w+|\w+_BY_THREAD\w*|EVENTS_\w+)$/;
/** … and in sys. */
const SYS_TABLES = /^(?:X\$)?(?:SESSION|PROCESSLIST|INNODB_LOCK_WAITS|SCHEMA_TABLE_LOCK_WAITS)$/;

const POINT = 0x2e;
const SEMICOLON = 0x3b;
const OPEN = 0x28;

/**
 * Whether the answer to the statements in the text at [from, end), of a session of this `dialect`, names connections, which each server
 * numbers for itself. To be asked of answers that diverge.
 */
export function notComparable(octets: Uint8Array, from: number, dialect: number): NotComparable | undefined {
  const text = Buffer.from(octets.buffer, octets.byteOffset + from, octets.length - from).toString('latin1');
  if (!MAY_NAME.test(text)) return undefined;
  const statements = new Statements();
  statements.begin(octets, from, octets.length, dialect);
  while (statements.next()) if (namesConnections(statements)) return 'connection-id';
  return undefined;
}

function namesConnections({ scanner, first }: Statements): boolean {
  // SHOW ENGINE INNODB STATUS.
  const shows = (first & FIRST.shows) !== 0;
  /** The name right before, and the one before it and a period. */
  let before = '';
  let schema = '';
  for (; scanner.kind !== KIND.end && scanner.kind !== SEMICOLON; scanner.next()) {
    if (scanner.kind === OPEN && CALLS.test(before)) return true;
    if (scanner.kind === POINT) schema = before;
    before = nameAt(scanner);
    if (before === '') continue;
    if (isConnections(before, schema) || (shows && before === 'INNODB')) return true;
    schema = '';
  }
  return false;
}

/** A name or a word in capitals, a system variable with its `@@`; '' for any other token. */
function nameAt({ kind, octets, from, to }: Scanner): string {
  const isQuoted = kind === KIND.quotedName;
  if (!isQuoted && kind !== KIND.word && kind !== KIND.name && kind !== KIND.systemVariable) return '';
  const name = isQuoted ? octets.subarray(from + 1, to - 1) : octets.subarray(from, to);
  return Buffer.from(name).toString('latin1').toUpperCase();
}

/** Whether `name`, behind `schema` and a period where that is not '', is a table or variable of connections. */
function isConnections(name: string, schema: string): boolean {
  switch (schema) {
    case 'PERFORMANCE_SCHEMA':
      return PERFORMANCE_TABLES.test(name) || TABLES.test(name);
    case 'SYS':
      return SYS_TABLES.test(name) || TABLES.test(name);
    case '@@SESSION':
    case '@@LOCAL':
      return name === 'PSEUDO_THREAD_ID';
    default:
      return name === '@@PSEUDO_THREAD_ID' || TABLES.test(name);
  }
}
