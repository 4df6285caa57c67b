import type { SessionMeta } from '../flow/events.ts';
import { COM, type Command } from '../mysql/command.ts';
import { LAST_PREPARED, readId } from './statements.ts';

/** What one session has prepared. */
interface Prepared<T> {
  byId: Map<number, T>;
  last: T | undefined;
}

/** Something that is known of each statement that recorded sessions have prepared, by the recorded ids. */
export class PerStatement<T> {
  /** By the ids of sessions; of those only that have prepared something. */
  readonly #sessions = new Map<number, Prepared<T>>();
  /** Statements whose ids are not known yet, by their COM_STMT_PREPARE. */
  readonly #preparing = new WeakMap<Command, T>();

  /** A COM_STMT_PREPARE was read. */
  prepare(session: SessionMeta, command: Command, value: T): void {
    this.#preparing.set(command, value);
    let prepared = this.#sessions.get(session.id);
    if (prepared === undefined) {
      prepared = { byId: new Map(), last: undefined };
      this.#sessions.set(session.id, prepared);
    }
    prepared.last = value;
  }

  /** What was said of the statement that `command` names, which begins with an id; undefined: it was not seen being prepared. */
  named(session: SessionMeta, command: Command): T | undefined {
    const prepared = this.#sessions.get(session.id);
    if (prepared === undefined) return undefined;
    const id = readId(command.packet);
    return id === LAST_PREPARED ? prepared.last : prepared.byId.get(id);
  }

  /** A COM_STMT_CLOSE was read: the server may give the id to another. */
  close(session: SessionMeta, command: Command): void {
    this.#sessions.get(session.id)?.byId.delete(readId(command.packet));
  }

  /** The answer to `command` was read: it names a statement, or does away with all. */
  replied(session: SessionMeta, command: Command): void {
    const { com, reply } = command;
    if (reply === undefined || reply.kind === 'err') return;
    if (com === COM.stmtPrepare) {
      const value = this.#preparing.get(command);
      if (value !== undefined) this.#sessions.get(session.id)?.byId.set(reply.statementId, value);
    } else if (com === COM.resetConnection || com === COM.changeUser) this.#sessions.delete(session.id);
  }

  closed(session: SessionMeta): void {
    this.#sessions.delete(session.id);
  }
}
