import type { SessionMeta } from '../../flow/events.ts';
import { COM, type Command, EXPECT, hasText } from '../../mysql/command.ts';
import { STATUS } from '../../mysql/packet.ts';
import { textOf } from '../../mysql/query-attributes.ts';
import { isRolledBack } from '../../mysql/rolled-back.ts';
import { DIALECT } from '../../sql/dialect.ts';
import { type StatementKind, StatementReader } from '../../sql/kind/statement-kind.ts';
import type { CaptureNs } from '../../time.ts';
import { namesStatement } from '../session/statements.ts';
import { PerStatement } from './per-statement.ts';
import { type Known, PreparedTexts } from './prepared-texts.ts';

/** SERVER_STATUS_NO_BACKSLASH_ESCAPES: where strings end depends on it. */
const NO_BACKSLASH_ESCAPES = 0x0200;

const SEMICOLON = 0x3b;

const UNKNOWN: Known = { kind: 'write', step: undefined };

interface SessionKinds {
  /** The command asked for last, and its kind: asked again, it is not read again. */
  last: Command | undefined;
  lastKind: StatementKind;
  /** How the session's strings end: a DIALECT flag. */
  mode: number;
  /** Ordinal of the last command that has an answer to come, */
  asked: number;
  /** whether it was asked before the answer to the one before it was there; */
  pending: boolean;
  /** of the last one whose answer was read, */
  repliedTo: number;
  /** and when that answer came. */
  repliedAt: CaptureNs;
  /** That command has committed something. */
  committed: boolean;
  /** Something was written, and neither committed nor rolled back. */
  wrote: boolean;
  /** That command has ended a transaction that had written before it, as its client asked at this moment. */
  endedAt: CaptureNs | undefined;
}

/**
 * What each command of recorded sessions may change, and which of them commit. Knows the statements that were prepared, by
 * COM_STMT_PREPARE or by PREPARE; what it has not seen being prepared is a write.
 */
export class CommandKinds {
  readonly #sessions = new Map<number, SessionKinds>();
  readonly #statements = new PerStatement<Known>();
  readonly #texts = new PreparedTexts();
  readonly #reader = new StatementReader();

  /** To be asked for each command of a session, in their order; for the one asked for last as often as wanted. */
  of(session: SessionMeta, command: Command): StatementKind {
    const known = this.#session(session);
    if (known.last !== command) {
      known.last = command;
      known.lastKind = this.#of(session, command, known.mode);
      if (command.expect !== EXPECT.none) {
        known.pending = known.asked > known.repliedTo;
        known.asked = command.ordinal;
      }
    }
    return known.lastKind;
  }

  /** `command.reply` is there. */
  replied(session: SessionMeta, command: Command): void {
    const known = this.#session(session);
    const { reply, ordinal } = command;
    if (reply === undefined || ordinal <= known.repliedTo) return;
    known.repliedTo = ordinal;
    const wrote = known.wrote;
    known.committed = this.#transact(session, command, known);
    // A client that pipelines asks before it has the answer to what it asked before, and the server does one after the other.
    known.endedAt = wrote && !known.wrote ? Math.max(command.at, known.repliedAt) : undefined;
    known.repliedAt = reply.at;
    this.#statements.replied(session, command);
    if (hasStatus(command)) {
      known.mode = (reply.status & NO_BACKSLASH_ESCAPES) === 0 ? 0 : DIALECT.noBackslashEscapes;
    }
  }

  /**
   * Whether `command`, whose reply was read just now, has ended a transaction that had written, or was such a write by itself. A
   * server's status flags tell the end, the text whether it was a ROLLBACK. Writes are what `of` calls so: a SELECT … FOR UPDATE by
   * itself commits, too.
   */
  commits(session: SessionMeta, command: Command): boolean {
    this.replied(session, command);
    const known = this.#session(session);
    return known.repliedTo === command.ordinal && known.committed;
  }

  /**
   * When the client asked for the end, commit or rollback, of a transaction that had written, where `command`, whose reply was read
   * just now, was that end; undefined: it was none.
   */
  endedAt(session: SessionMeta, command: Command): CaptureNs | undefined {
    this.replied(session, command);
    const known = this.#session(session);
    return known.repliedTo === command.ordinal ? known.endedAt : undefined;
  }

  /** Whether `command`, which `of` was asked for just now, will end such a transaction by its text, if it succeeds. */
  mayEnd(session: SessionMeta, command: Command): boolean {
    const known = this.#session(session);
    const { com, packet, ordinal } = command;
    const isNext = known.last === command && known.asked === ordinal;
    if (!isNext || !known.wrote || known.pending) return false;
    if (com === COM.stmtExecute) return this.#statements.named(session, command)?.step !== undefined;
    if (com !== COM.query || known.lastKind !== 'session') return false;
    const text = textOf(packet);
    this.#reader.read(text, 0, text.length, known.mode, false);
    return this.#reader.step !== undefined;
  }

  /** Commands of the session are missing. */
  lost(session: SessionMeta): void {
    this.#statements.lost(session);
    this.#texts.lost(session);
  }

  closed(session: SessionMeta): void {
    this.#sessions.delete(session.id);
    this.#statements.closed(session);
    this.#texts.closed(session);
  }

  #session({ id }: SessionMeta): SessionKinds {
    const known = this.#sessions.get(id);
    if (known !== undefined) return known;
    const made = {
      last: undefined,
      lastKind: 'write' as const,
      mode: 0,
      asked: -1,
      pending: false,
      repliedTo: -1,
      repliedAt: 0,
      committed: false,
      wrote: false,
      endedAt: undefined,
    };
    this.#sessions.set(id, made);
    return made;
  }

  #of(session: SessionMeta, command: Command, mode: number): StatementKind {
    const { com } = command;
    if (namesStatement(command)) {
      const { kind } = this.#statements.named(session, command) ?? UNKNOWN;
      if (com === COM.stmtClose) this.#statements.close(session, command);
      return kind;
    }
    if (!hasText(command)) return kindOfCommand(com);
    const text = textOf(command.packet);
    const kind = this.#reader.gravest(text, 0, text.length, mode);
    if (com === COM.query) {
      this.#texts.read(session, text, mode);
      return this.#texts.executed(session, text, mode)?.kind ?? kind;
    }
    this.#reader.read(text, 0, text.length, mode, false);
    this.#statements.prepare(session, command, { kind, step: this.#reader.step });
    return kind;
  }

  /** Follows the transaction; answers whether `command` has committed. */
  #transact(session: SessionMeta, command: Command, known: SessionKinds): boolean {
    const { com, reply } = command;
    if (reply === undefined) return false;
    if (reply.kind === 'err') {
      if (isRolledBack(reply)) known.wrote = false;
      return false;
    }
    let committed = false;
    switch (com) {
      case COM.query:
        committed = this.#transactTexts(session, command, known);
        break;
      case COM.stmtExecute:
      case COM.stmtBulkExecute:
        committed = transact(this.#statements.named(session, command) ?? UNKNOWN, known);
        break;
      case COM.resetConnection:
      case COM.changeUser:
        known.wrote = false;
        break;
      case COM.stmtPrepare:
      case COM.stmtReset:
      case COM.stmtFetch:
        break;
      default:
        if (kindOfCommand(com) === 'write') known.wrote = true;
    }
    if (hasStatus(command) && (reply.status & STATUS.inTransaction) === 0) {
      committed ||= known.wrote;
      known.wrote = false;
    }
    return committed;
  }

  /** The statements of a COM_QUERY, one after another. */
  #transactTexts(session: SessionMeta, { packet }: Command, known: SessionKinds): boolean {
    const text = textOf(packet);
    const executed = this.#texts.executed(session, text, known.mode);
    if (executed !== undefined) return transact(executed, known);
    const reader = this.#reader;
    const isAlone = !text.includes(SEMICOLON);
    let committed = false;
    let at = 0;
    reader.dialect = known.mode;
    do {
      at = reader.read(text, at, text.length, reader.dialect, !isAlone);
      if (transact(reader, known)) committed = true;
    } while (at < text.length && !isAlone);
    return committed;
  }
}

/** What one statement that succeeded makes of the transaction; answers whether it has committed what was written before. */
function transact({ kind, step }: Known, known: SessionKinds): boolean {
  // XA COMMIT may be another session's transaction.
  if (kind === 'write' && (step === undefined || step === 'commit')) known.wrote = true;
  if (step === undefined) return false;
  // BEGIN commits what was begun before.
  const committed = step !== 'rollback' && known.wrote;
  known.wrote = false;
  return committed;
}

/** Whether the reply tells the status flags of its session. */
function hasStatus({ com, reply }: Command): boolean {
  if (com === COM.stmtPrepare || com === COM.fieldList) return false;
  return reply !== undefined && reply.kind !== 'err' && reply.kind !== 'text' && reply.kind !== 'none';
}

/** Of a command that has neither a text nor a statement. */
function kindOfCommand(com: number): StatementKind {
  switch (com) {
    case COM.fieldList:
    case COM.statistics:
    case COM.processInfo:
      return 'read';
    case COM.quit:
    case COM.initDb:
    case COM.ping:
    case COM.setOption:
    case COM.changeUser:
    case COM.resetConnection:
      return 'session';
    default:
      return 'write';
  }
}
