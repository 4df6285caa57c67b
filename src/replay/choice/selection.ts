import { MytapeError } from '../../errors.ts';
import type { SessionMeta } from '../../flow/events.ts';
import { COM, type Command, hasText } from '../../mysql/command.ts';
import { textOf } from '../../mysql/query-attributes.ts';
import { Digester, eachStatement } from '../../sql/digest/digest.ts';
import type { StatementKind } from '../../sql/kind/statement-kind.ts';
import { namesStatement } from '../session/statements.ts';
import type { CommandKinds } from './command-kinds.ts';
import { PerStatement } from './per-statement.ts';

/** Which commands a run is to have, as the command line says it. Plain data: it crosses to worker threads. */
export interface SelectionChoices {
  /** No command that may change anything but its own session. */
  readOnly?: boolean | undefined;
  /** To which copies such a command goes: default all. */
  writes?: 'all' | 'first' | 'none' | undefined;
  /** Regular expressions, any of which a statement's text must match … */
  includeSql?: readonly string[] | undefined;
  /** … or none of which it may. */
  excludeSql?: readonly string[] | undefined;
  /** Digests (32 hexadecimal digits, or their first 8 and more), likewise. */
  includeDigest?: readonly string[] | undefined;
  excludeDigest?: readonly string[] | undefined;
}

/** Why a command is not sent, and by which copies: all, or all but copy 0. */
export interface Verdict {
  readonly cause: 'read-only' | 'writes' | 'filtered';
  readonly copies: 'all' | 'not-first';
}

const FILTERED: Verdict = { cause: 'filtered', copies: 'all' };
const READ_ONLY: Verdict = { cause: 'read-only', copies: 'all' };
const NO_WRITES: Verdict = { cause: 'writes', copies: 'all' };
const FIRST_WRITES: Verdict = { cause: 'writes', copies: 'not-first' };

/** Octets of a statement that regular expressions are held against. */
const MOST_SQL_OCTETS = 64 * 1024;

const DIGEST = /^[0-9a-f]{8,32}$/i;

/** Whether these choices leave anything out: where not, no `Selection` is needed. */
export function selects(choices: SelectionChoices): boolean {
  const { readOnly, writes = 'all', includeSql, excludeSql, includeDigest, excludeDigest } = choices;
  const lists = [includeSql, excludeSql, includeDigest, excludeDigest];
  return readOnly === true || writes !== 'all' || lists.some((list) => list !== undefined);
}

/**
 * Says of each recorded command which copies do not send it. A prepared statement goes as a whole: what is said of its text is said
 * of all commands that name it. One whose text is not known is a write, and in no list.
 */
export class Selection {
  readonly #kinds: CommandKinds;
  readonly #write: Verdict | undefined;
  readonly #lists: StatementLists | undefined;
  /** Whether the lists let a statement in. */
  readonly #listed = new PerStatement<boolean>();

  /** Throws `usage` for what is no regular expression, or no digest. */
  constructor(choices: SelectionChoices, kinds: CommandKinds) {
    const { readOnly, writes, includeSql, excludeSql, includeDigest, excludeDigest } = choices;
    this.#kinds = kinds;
    if (readOnly) this.#write = READ_ONLY;
    else if (writes === 'first') this.#write = FIRST_WRITES;
    else if (writes === 'none') this.#write = NO_WRITES;
    if (includeSql || excludeSql || includeDigest || excludeDigest) this.#lists = new StatementLists(choices);
  }

  /** To be asked once for each command of a session, in their order. undefined: all copies send it. */
  select(session: SessionMeta, command: Command): Verdict | undefined {
    const kind = this.#kinds.of(session, command);
    if (this.#lists !== undefined && !this.#isListed(this.#lists, session, command, kind)) return FILTERED;
    return kind === 'write' ? this.#write : undefined;
  }

  /** `command.reply` is there. */
  replied(session: SessionMeta, command: Command): void {
    this.#kinds.replied(session, command);
    if (this.#lists !== undefined) this.#listed.replied(session, command);
  }

  /** Commands of the session are missing. */
  lost(session: SessionMeta): void {
    this.#kinds.lost(session);
    this.#listed.lost(session);
  }

  closed(session: SessionMeta): void {
    this.#kinds.closed(session);
    this.#listed.closed(session);
  }

  /** A command that has neither a text nor a statement is in all lists. */
  #isListed(lists: StatementLists, session: SessionMeta, command: Command, kind: StatementKind): boolean {
    const { com, packet, dialect = 0 } = command;
    if (namesStatement(command)) {
      const listed = this.#listed.named(session, command) ?? lists.hasUnknown;
      if (com === COM.stmtClose) this.#listed.close(session, command);
      return listed;
    }
    if (!hasText(command)) return true;
    const listed = lists.has(textOf(packet), kind, dialect);
    if (com === COM.stmtPrepare) this.#listed.prepare(session, command, listed);
    return listed;
  }
}

/** Statements that are let in or kept out by their texts and digests. */
class StatementLists {
  readonly #includeSql: readonly RegExp[] | undefined;
  readonly #excludeSql: readonly RegExp[];
  readonly #includeDigest: readonly string[] | undefined;
  readonly #excludeDigest: readonly string[];
  readonly #digester = new Digester();

  constructor(choices: SelectionChoices) {
    const { includeSql, excludeSql, includeDigest, excludeDigest } = choices;
    this.#includeSql = includeSql?.map((text) => patternOf('--include-sql', text));
    this.#excludeSql = (excludeSql ?? []).map((text) => patternOf('--exclude-sql', text));
    this.#includeDigest = includeDigest?.map((text) => digestOf('--include-digest', text));
    this.#excludeDigest = (excludeDigest ?? []).map((text) => digestOf('--exclude-digest', text));
  }

  /** Whether a statement whose text is not known is let in. */
  get hasUnknown(): boolean {
    return this.#includeSql === undefined && this.#includeDigest === undefined;
  }

  /**
   * Whether `text` is let in: every list that there is must do so, but those that include do not ask what changes its session
   * only, which makes the rest mean the same. Of several statements in one text one is enough to let it in, or to keep it out.
   */
  has(text: Uint8Array, kind: StatementKind, dialect: number): boolean {
    const isSession = kind === 'session';
    if (this.#excludeSql.length > 0 || (this.#includeSql !== undefined && !isSession)) {
      const sql = Buffer.from(
        text.buffer,
        text.byteOffset,
        Math.min(text.length, MOST_SQL_OCTETS),
      ).toString();
      const matches = (pattern: RegExp) => pattern.test(sql);
      if (this.#excludeSql.some(matches)) return false;
      if (!isSession && this.#includeSql?.some(matches) === false) return false;
    }
    const includes = isSession ? undefined : this.#includeDigest;
    if (this.#excludeDigest.length === 0 && includes === undefined) return true;
    let isIncluded = includes === undefined;
    let isExcluded = false;
    eachStatement(this.#digester, text, 0, text.length, dialect, () => {
      const hash = this.#digester.hash();
      const begins = (digest: string) => hash.startsWith(digest);
      isExcluded ||= this.#excludeDigest.some(begins);
      isIncluded ||= includes?.some(begins) === true;
    });
    return isIncluded && !isExcluded;
  }
}

function patternOf(option: string, text: string): RegExp {
  try {
    return new RegExp(text, 'is');
  } catch (cause) {
    const why = (cause as Error).message;
    throw new MytapeError('usage', `${option} ${text} is no regular expression: ${why}`, { cause });
  }
}

function digestOf(option: string, text: string): string {
  if (DIGEST.test(text)) return text.toLowerCase();
  throw new MytapeError(
    'usage',
    `${option} ${text} is no digest: give its 32 hexadecimal digits, or the first 8 or more`,
  );
}
