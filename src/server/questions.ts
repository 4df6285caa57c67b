/** The questions that a target is asked before a run, and what counts as an answer to each. Decision 0033. */
import {
  type AskedServer,
  clockOf,
  IDENTITY_QUERY,
  identityOf,
  startOf,
  UPTIME_QUERY,
  variablesOf,
} from '../archive/server-identity.ts';
import type { AskTarget, Row } from './client.ts';
import { MOST_TEXT, troubleText } from './trouble.ts';

/** Each stays open until an answer to it is known whole. */
export const QUESTIONS = {
  identity: 'which server is it?',
  readOnly: 'is it read-only, as replicas are?',
  attached: 'is a replica attached to it?',
  replica: 'is it a replica itself, running or stopped?',
  galera: 'is it a node of a Galera cluster?',
  group: 'is it a member of a replication group?',
} as const;

export type QuestionName = keyof typeof QUESTIONS;

const QUESTION_NAMES = Object.keys(QUESTIONS) as QuestionName[];

/** Why one user got no answer, and the privilege that would help. */
export interface NoAnswer {
  why: string;
  grant?: string | undefined;
}

/** What is known of a target: facts from all users that were asked, united. */
export class Inquiry {
  identity: AskedServer | undefined;
  /** The target's number of one of our connections. */
  connectionId: number | undefined;
  /** The address and port that the target sees this host's connection come from, `ADDRESS:PORT`. */
  seenAs: string | undefined;
  /** What makes it look live, in words, each once. */
  readonly live = new Set<string>();
  readonly #open = new Map<QuestionName, Map<string, NoAnswer>>(
    QUESTION_NAMES.map((name) => [name, new Map()]),
  );

  get open(): ReadonlyMap<QuestionName, ReadonlyMap<string, NoAnswer>> {
    return this.#open;
  }

  isOpen(name: QuestionName): boolean {
    return this.#open.has(name);
  }

  answer(name: QuestionName, live?: string): void {
    if (live !== undefined) this.live.add(live);
    this.#open.delete(name);
  }

  /** Why a question stays open, by `user`. */
  lacks(name: QuestionName, user: string, { why, grant }: NoAnswer): void {
    this.#open.get(name)?.set(user, { why, grant });
  }

  /** `user` got no answer to any of the open questions. */
  lacksAll(user: string, why: string): void {
    for (const name of this.#open.keys()) this.lacks(name, user, { why });
  }
}

/** Server variables that are signs of a live server, and what makes its answers differ; those of a plugin that is not there are missing. Needs no privilege. */
const SIGNS =
  "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('read_only', 'super_read_only', 'log_bin', 'wsrep_on', 'wsrep_cluster_address', 'group_replication_group_name', 'sql_mode')";

/** Needs no privilege. Each server has Threads_connected. */
const COUNTS =
  "SHOW GLOBAL STATUS WHERE Variable_name IN ('Threads_connected', 'Slaves_connected', 'Slaves_running', 'wsrep_cluster_size')";

/** One row, whoever asks: our own connection. */
const OUR_END = 'SELECT HOST AS seen_as FROM information_schema.PROCESSLIST WHERE ID = CONNECTION_ID()';

/** One row, however long the process list is. Without PROCESS it counts the asking user's own connections only. */
const READERS =
  "SELECT COUNT(*) AS readers FROM information_schema.PROCESSLIST WHERE COMMAND LIKE 'Binlog Dump%'";

const GRANTS = 'SHOW GRANTS';
const SEES_ALL = /^GRANT (ALL PRIVILEGES|.*\bPROCESS\b).* ON \*\.\* /;

const CHANNELS =
  "SELECT HOST AS source_host, PORT AS source_port FROM performance_schema.replication_connection_configuration WHERE HOST NOT IN ('', '<NULL>')";

const MEMBERS = 'SELECT MEMBER_HOST AS member FROM performance_schema.replication_group_members';

/** Privilege that it takes to ask whether a server is a replica. */
const MONITOR = { mariadb: 'SLAVE MONITOR ON *.*', mysql: 'REPLICATION CLIENT ON *.*' } as const;

/** Another release's way to say it, or a table of a plugin that is not there. */
const NO_SUCH_THING: ReadonlySet<number | undefined> = new Set([1064, 1146, 1109, 1235, 1193]);

/** Asks all that is open, as `user`. Rejects where the connection broke; what was learnt by then stays. */
export async function askAs(inquiry: Inquiry, user: string, ask: AskTarget): Promise<void> {
  const asking = new Asking(inquiry, user, ask);
  await asking.identity();
  const signs = variablesOf((await asking.rows(SIGNS)) ?? []);
  const counts = variablesOf((await asking.rows(COUNTS)) ?? []);
  const isMariadb = /mariadb/i.test(inquiry.identity?.version ?? '');
  if (inquiry.identity !== undefined) inquiry.identity.sqlMode ??= signs.get('sql_mode');
  asking.readOnly(signs);
  asking.galera(signs, counts);
  await asking.attached(isMariadb, signs, counts);
  await asking.replica(isMariadb, counts);
  await asking.group(isMariadb, signs);
}

/** One user's questions. */
class Asking {
  readonly #inquiry: Inquiry;
  readonly #user: string;
  readonly #ask: AskTarget;
  /** Why the last statement got no answer. */
  #refusal = '';

  constructor(inquiry: Inquiry, user: string, ask: AskTarget) {
    this.#inquiry = inquiry;
    this.#user = user;
    this.#ask = ask;
  }

  /** Rows of the first of `statements` that the server knows; undefined where it refuses them all. */
  async rows(...statements: string[]): Promise<readonly Row[] | undefined> {
    let isDenied = false;
    for (const sql of statements) {
      try {
        return await this.#ask(sql);
      } catch (error) {
        const { errno, sqlState } = error as Error & { errno?: number; sqlState?: string };
        if (sqlState === undefined) throw error;
        // The words of other releases say nothing of why this one's own were denied.
        if (isDenied) continue;
        isDenied = !NO_SUCH_THING.has(errno);
        this.#refusal = isDenied
          ? troubleText(error as Error)
          : `the target does not know ${sql.split(' ', 3).join(' ')}`;
      }
    }
    return undefined;
  }

  #lacks(name: QuestionName, why: string, grant?: string): void {
    this.#inquiry.lacks(name, this.#user, { why, grant });
  }

  async identity(): Promise<void> {
    const inquiry = this.#inquiry;
    if (inquiry.isOpen('identity')) {
      const rows = (await this.rows(IDENTITY_QUERY)) ?? [];
      const identity = identityOf(rows);
      const uptime = (await this.rows(UPTIME_QUERY)) ?? [];
      const startedMs = startOf(uptime, Date.now());
      const clockMs = clockOf(rows);
      const ownStartMs = clockMs === undefined ? undefined : startOf(uptime, clockMs);
      if (identity !== undefined) inquiry.identity = { ...identity, startedMs, ownStartMs };
      if (identity !== undefined && startedMs !== undefined) inquiry.answer('identity');
      else this.#lacks('identity', 'the target does not say @@hostname, @@port, @@server_id and its uptime');
    }
    if (inquiry.seenAs !== undefined) return;
    const [row] = (await this.rows(OUR_END)) ?? [];
    if (typeof row?.seen_as === 'string') inquiry.seenAs = row.seen_as;
  }

  readOnly(signs: ReadonlyMap<string, string>): void {
    // MariaDB 12 has NO_LOCK and NO_LOCK_NO_ADMIN beside ON.
    const isOn = (name: string) => !['0', 'OFF', undefined].includes(signs.get(name)?.toUpperCase());
    if (!signs.has('read_only')) this.#lacks('readOnly', 'the target does not say @@read_only');
    else if (isOn('super_read_only')) this.#inquiry.answer('readOnly', 'its @@super_read_only is on');
    else this.#inquiry.answer('readOnly', isOn('read_only') ? 'its @@read_only is on' : undefined);
  }

  galera(signs: ReadonlyMap<string, string>, counts: ReadonlyMap<string, string>): void {
    const nodes = Number(counts.get('wsrep_cluster_size') ?? 0);
    const [, others = ''] = /^gcomm:\/\/([^?]*)/.exec(signs.get('wsrep_cluster_address') ?? '') ?? [];
    if (nodes > 1) this.#inquiry.answer('galera', `it is one of ${nodes} nodes of a Galera cluster`);
    else if (signs.get('wsrep_on') === 'ON' && others !== '')
      this.#inquiry.answer(
        'galera',
        `it is configured as a node of a Galera cluster (${others.slice(0, MOST_TEXT)})`,
      );
    else if (signs.has('read_only') && counts.has('Threads_connected')) this.#inquiry.answer('galera');
    else this.#lacks('galera', 'the target does not show its variables and status');
  }

  async attached(
    isMariadb: boolean,
    signs: ReadonlyMap<string, string>,
    counts: ReadonlyMap<string, string>,
  ): Promise<void> {
    const inquiry = this.#inquiry;
    const found = (attached: number) =>
      attached === 1 ? 'a replica is attached to it' : `${attached} replicas are attached to it`;
    const say = (attached: number) => inquiry.answer('attached', attached > 0 ? found(attached) : undefined);
    const counted = Number(counts.get('Slaves_connected') ?? 0);
    if (counted > 0) return say(counted);
    // Readers of the binary log that are no registered replicas, such as change data capture, are in the process list only.
    const [row] = (await this.rows(READERS)) ?? [];
    const readers = Number(row?.readers);
    if (readers > 0) return say(readers);
    if (!inquiry.isOpen('attached')) return;
    if (isMariadb && counts.has('Slaves_connected')) return say(0);
    if (signs.get('log_bin') === 'OFF') return say(0);
    const hosts = isMariadb ? undefined : await this.rows('SHOW REPLICAS', 'SHOW SLAVE HOSTS');
    if (hosts?.every((host) => 'Server_Id' in host || 'Server_id' in host)) return say(hosts.length);
    const refusal = this.#refusal;
    if (Number.isInteger(readers) && (await this.#seesAll())) return say(0);
    this.#lacks('attached', refusal, isMariadb ? 'PROCESS ON *.*' : 'REPLICATION SLAVE ON *.*');
  }

  async #seesAll(): Promise<boolean> {
    const grants = (await this.rows(GRANTS)) ?? [];
    return grants.some((row) => Object.values(row).some((grant) => SEES_ALL.test(String(grant))));
  }

  async replica(isMariadb: boolean, counts: ReadonlyMap<string, string>): Promise<void> {
    // It counts those that run: 0 says nothing of stopped ones.
    if (Number(counts.get('Slaves_running') ?? 0) > 0) this.#inquiry.live.add('it is a replica itself');
    if (!this.#inquiry.isOpen('replica')) return;
    const statements = isMariadb
      ? ['SHOW ALL SLAVES STATUS']
      : ['SHOW REPLICA STATUS', 'SHOW SLAVE STATUS', CHANNELS];
    const rows = await this.rows(...statements);
    const hosts = rows?.map((row) => row.Source_Host ?? row.Master_Host ?? row.source_host);
    if (rows === undefined || hosts?.some((host) => typeof host !== 'string')) {
      const grant = isMariadb ? MONITOR.mariadb : MONITOR.mysql;
      this.#lacks('replica', rows === undefined ? this.#refusal : 'the target answers something else', grant);
      return;
    }
    const names = rows.flatMap((row, i) => {
      const port = row.Source_Port ?? row.Master_Port ?? row.source_port;
      return hosts?.[i] === '' ? [] : [`${String(hosts?.[i]).slice(0, MOST_TEXT)}:${port}`];
    });
    if (names.length === 0) return this.#inquiry.answer('replica');
    this.#inquiry.live.delete('it is a replica itself');
    this.#inquiry.answer('replica', `it is a replica itself, of ${names.join(', ')}`);
  }

  async group(isMariadb: boolean, signs: ReadonlyMap<string, string>): Promise<void> {
    const inquiry = this.#inquiry;
    if (!inquiry.isOpen('group')) return;
    // MariaDB has no such thing, and MySQL has the variable as soon as the plugin is there.
    if (signs.has('read_only') && (isMariadb || !signs.has('group_replication_group_name')))
      return inquiry.answer('group');
    const rows = await this.rows(MEMBERS);
    if (rows === undefined || rows.some((row) => !('member' in row))) {
      const why = rows === undefined ? this.#refusal : 'the target answers something else';
      this.#lacks('group', why, 'SELECT ON performance_schema.replication_group_members');
      return;
    }
    const members = rows.filter(({ member }) => typeof member === 'string' && member !== '').length;
    inquiry.answer(
      'group',
      members > 1 ? `it is one of ${members} members of a replication group` : undefined,
    );
  }
}
