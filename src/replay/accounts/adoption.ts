/** What stands in for the login of a session that began before the capture. */
import type { SnapshotSession, Snapshots } from '../../archive/snapshots.ts';
import { MytapeError } from '../../errors.ts';
import type { SessionMeta } from '../../flow/events.ts';
import { sqlModeAfter } from '../../sql/sql-mode.ts';

/** As whom a session joined late logs in, and what its connection is given then: first the settings, then the statements. */
export interface Adoption {
  /** As recorded. */
  user: string;
  schema: string | undefined;
  /** Prepared statements by the id that the recorded client knows them by. */
  statements: readonly { id: number; sql: string }[];
  /** SET statements, one variable each, so that one that the target does not have costs no other. ASCII. */
  settings: readonly string[];
}

/** The dialect that a session reads texts in once it has its settings. */
export function adoptedDialect({ settings }: Adoption): number {
  let dialect = 0;
  for (const setting of settings)
    dialect = sqlModeAfter(Buffer.from(setting), 0, Buffer.byteLength(setting), dialect);
  return dialect;
}

/** Whom `--adopt` names. */
export interface Adopter {
  user: string;
  schema: string | undefined;
}

/** `app` or `app/shop`. Throws `usage`. */
export function parseAdopt(text: string): Adopter {
  const slash = text.indexOf('/');
  const user = slash < 0 ? text : text.slice(0, slash);
  const schema = slash < 0 ? undefined : text.slice(slash + 1);
  if (user !== '' && schema !== '') return { user, schema };
  throw new MytapeError(
    'usage',
    `--adopt ${text}: it is a user, or a user and a schema, as in app or app/shop`,
  );
}

/**
 * Returns what is known of a session joined late: what the recorded server said of it, else the user that is for all such
 * sessions, else undefined.
 */
export function adopterOf(sources: {
  snapshots?: Pick<Snapshots, 'find'> | undefined;
  adopt?: Adopter | undefined;
}): (session: SessionMeta) => Adoption | undefined {
  const { snapshots, adopt } = sources;
  const forAll = adopt && { ...adopt, statements: [], settings: [] };
  return ({ client, clientPort, at }) => {
    const known = snapshots?.find(client.text, clientPort, at);
    return known === undefined ? forAll : adoptionOf(known);
  };
}

export function adoptionOf({
  user,
  schema,
  statements,
  variables,
  userVariables,
}: SnapshotSession): Adoption {
  const known: { id: number; sql: string }[] = [];
  for (const { id, sql } of statements) if (sql !== undefined) known.push({ id, sql });
  const settings: string[] = [];
  // Session variables first: a user variable's text takes the collation of the connection.
  for (const [name, value] of variables) {
    if (meansNothingElsewhere(name)) continue;
    settings.push(`SET SESSION ${quotedName(name)} = ${variableLiteral(name, value)}`);
  }
  for (const [name, value] of userVariables) {
    // The name would be read in the character set that was just set.
    if (!PRINTABLE.test(name)) continue;
    settings.push(`SET @\`${name.replaceAll('`', '``')}\` = ${userLiteral(value)}`);
  }
  return { user, schema, statements: known, settings };
}

/**
 * Session variables that are not given to a connection of another server, most of which have no global value and so are
 * in no snapshot: what is read-only in a session, what tells of this one connection or the statement before, what changes
 * what the protocol carries beyond the capabilities of our own login, and replication's.
 */
const NOT_ELSEWHERE = new Set([
  // Read-only in a session.
  'error_count',
  'external_user',
  'in_transaction',
  'max_allowed_packet',
  'max_user_connections',
  'net_buffer_length',
  'proxy_user',
  'warning_count',
  // Of this connection and its last statement.
  'identity',
  'insert_id',
  'last_insert_id',
  'pseudo_thread_id',
  'rand_seed1',
  'rand_seed2',
  'timestamp',
  'transaction_allow_batching',
  // The schema's, which choosing it sets.
  'character_set_database',
  'collation_database',
  // The protocol's: it needs a capability of the login.
  'resultset_metadata',
  // Replication's and the server's own: they need privileges, and are the target's business.
  'immediate_server_version',
  'original_commit_timestamp',
  'original_server_version',
  'pseudo_replica_mode',
  'pseudo_slave_mode',
  'rbr_exec_mode',
  'require_row_format',
  'server_id',
  'skip_replication',
  'sql_log_bin',
  'sql_log_off',
]);

/** Families of the same kind. */
const FAMILY_NOT_ELSEWHERE =
  /^(gtid_|last_gtid|binlog_|debug|wsrep_|ndb_|connection_memory_|global_connection_)/;

function meansNothingElsewhere(name: string): boolean {
  const lower = name.toLowerCase();
  return (
    NOT_ELSEWHERE.has(lower) || FAMILY_NOT_ELSEWHERE.test(lower) || !/^[a-z0-9_]+(\.[a-z0-9_]+)?$/.test(lower)
  );
}

/** A variable of a component is `component`.`name`. */
function quotedName(name: string): string {
  return name
    .split('.')
    .map((part) => `\`${part}\``)
    .join('.');
}

const PRINTABLE = /^[\x20-\x7e]*$/;

/** What any character set and any sql_mode reads alike between single quotes. */
const PLAIN = /^[\x20-\x26\x28-\x5b\x5d-\x7e]*$/;

/** A numeric variable takes no string, one of another kind no number: what looks like a number is one. */
function variableLiteral(name: string, value: string): string {
  // The only one that can be NULL, which is shown as nothing.
  if (value === '' && name.toLowerCase() === 'character_set_results') return 'NULL';
  return /^-?\d{1,20}(\.\d{1,9})?$/.test(value) ? value : textLiteral(Buffer.from(value));
}

/** performance_schema does not tell a user variable's type. Integers are taken for numbers, so that LIMIT takes them. */
function userLiteral(value: Uint8Array | null): string {
  if (value === null) return 'NULL';
  const text = Buffer.from(value).toString('latin1');
  return /^(0|-?[1-9]\d{0,17})$/.test(text) ? text : textLiteral(value);
}

/** A string literal: as it is where it is plain, else in hex, as UTF-8 or, if it is not that, as binary. */
function textLiteral(octets: Uint8Array): string {
  const buffer = Buffer.from(octets);
  const text = buffer.toString('utf8');
  if (PLAIN.test(text)) return `'${text}'`;
  const introducer = Buffer.from(text).equals(buffer) ? '_utf8mb4 ' : '';
  return `${introducer}x'${buffer.toString('hex')}'`;
}
