import { statementsOf, type Token, textFrom } from './leading.ts';

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

/**
 * Whether the answer to the statements in the text at [from, end) names connections, which each server numbers for itself.
 * To be asked of answers that diverge.
 */
export function notComparable(octets: Uint8Array, from: number): NotComparable | undefined {
  const text = textFrom(octets, from);
  if (!MAY_NAME.test(text)) return undefined;
  return statementsOf(text).some(namesConnections) ? 'connection-id' : undefined;
}

function namesConnections(tokens: Token[]): boolean {
  const isShow = tokens[0].text === 'SHOW';
  for (let i = 0; i < tokens.length; i++) {
    const { kind } = tokens[i];
    const text = tokens[i].text.toUpperCase();
    if (kind === 'variable' && /^@@(?:(?:SESSION|LOCAL)\.)?PSEUDO_THREAD_ID$/.test(text)) return true;
    if (kind !== 'word' && kind !== 'name') continue;
    if (TABLES.test(text)) return true;
    if (CALLS.test(text) && tokens[i + 1]?.text === '(') return true;
    // SHOW ENGINE INNODB STATUS.
    if (isShow && text === 'INNODB') return true;
    if (tokens[i - 1]?.text !== '.' || i < 2) continue;
    const schema = tokens[i - 2].text.toUpperCase();
    if (schema === 'PERFORMANCE_SCHEMA' && PERFORMANCE_TABLES.test(text)) return true;
    if (schema === 'SYS' && SYS_TABLES.test(text)) return true;
  }
  return false;
}
