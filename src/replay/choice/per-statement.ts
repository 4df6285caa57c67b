import type { SessionMeta } from '../../flow/events.ts';
import type { Command } from '../../mysql/command.ts';
import { endsStatements, RecordedIds } from '../session/recorded-ids.ts';

/** Something that is known of each statement that recorded sessions have prepared, by the recorded ids. */
export class PerStatement<T> {
  /** By the ids of sessions; of those only that have prepared something. */
  readonly #sessions = new Map<number, RecordedIds<T>>();

  /** A COM_STMT_PREPARE was read. */
  prepare(session: SessionMeta, command: Command, value: T): void {
    this.#idsOf(session).prepared(command, value);
  }

  /** What was said of the statement that `command` names, which begins with an id; undefined: it is not known which it is. */
  named(session: SessionMeta, command: Command): T | undefined {
    return this.#sessions.get(session.id)?.named(command);
  }

  /** A COM_STMT_CLOSE was read: the server may give the id to another. */
  close(session: SessionMeta, command: Command): void {
    this.#sessions.get(session.id)?.closed(command);
  }

  /** The answer to `command` was read: it may do away with all. */
  replied(session: SessionMeta, command: Command): void {
    if (endsStatements(command)) this.#sessions.delete(session.id);
  }

  /** Commands of the session are missing. */
  lost(session: SessionMeta): void {
    this.#sessions.get(session.id)?.lost();
  }

  closed(session: SessionMeta): void {
    this.#sessions.delete(session.id);
  }

  #idsOf({ id }: SessionMeta): RecordedIds<T> {
    let ids = this.#sessions.get(id);
    if (ids === undefined) {
      ids = new RecordedIds();
      this.#sessions.set(id, ids);
    }
    return ids;
  }
}
