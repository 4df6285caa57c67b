import { COM, type Command } from '../mysql/command.ts';
import { type Effect, effectsOf } from './effects.ts';

/** Where a statement id stands in a command's packet: behind its header and the command octet. */
const STATEMENT_ID = 5;

/** Where the text of a COM_STMT_PREPARE begins. */
const SQL = 5;
const QUESTION_MARK = 0x3f;

/** MariaDB: the statement prepared last on this connection, whatever its id. */
const LAST_PREPARED = 0xffffffff;

/** An id that no server gives: what it names there is as unknown as it was in the recording. */
export const NO_STATEMENT = 0;

/** Stands for the target's id of a statement that was being prepared when the connection ended. */
export const NOT_YET_PREPARED = -1;

/** Commands that begin with a statement id. */
const NAMES_STATEMENT: ReadonlySet<number> = new Set([
  COM.stmtExecute,
  COM.stmtBulkExecute,
  COM.stmtFetch,
  COM.stmtReset,
  COM.stmtClose,
  COM.stmtSendLongData,
]);

export function namesStatement(command: Command): boolean {
  return NAMES_STATEMENT.has(command.com) && command.packet.length >= STATEMENT_ID + 4;
}

/** A statement that a recorded session has prepared. */
export interface Statement {
  readonly prepare: Command;
  /** The schema of that moment; undefined: the login's. */
  readonly schema: string | undefined;
  /** The target's id; NO_STATEMENT where it could not be prepared there. */
  id: number;
  /** What each execution changes in the session. */
  readonly effects: Effect[] | undefined;
  /** Whether its text has parameters. */
  readonly hasParameters: boolean;
  /** COM_STMT_SEND_LONG_DATA was sent for its next execution … */
  hasLongData: boolean;
  /** … and went with the connection. */
  lacksLongData: boolean;
}

/** The statements of one replayed session: recorded ids to the target's, on whatever connection it has. */
export class Statements {
  readonly #byId = new Map<number, Statement>();
  /** Prepared on the target before the capture's own answer was decoded. */
  #unnamed: Statement[] = [];

  /** COM_STMT_PREPARE is done: the target's id, NO_STATEMENT where it has none, or NOT_YET_PREPARED. */
  prepared(command: Command, id: number, schema: string | undefined): void {
    const { packet } = command;
    const statement: Statement = {
      prepare: command,
      schema,
      id,
      effects: effectsOf(packet, SQL, false),
      hasParameters: packet.includes(QUESTION_MARK, SQL),
      hasLongData: false,
      lacksLongData: false,
    };
    if (command.reply === undefined) this.#unnamed.push(statement);
    else this.#name(statement);
  }

  /** The statement that `command` names. */
  named(command: Command): Statement | undefined {
    if (this.#unnamed.length > 0) this.#nameAll();
    return this.#byId.get(readId(command.packet));
  }

  /**
   * The packet to send for `command`, which names a statement: its own, or a copy with the target's id. undefined where
   * the statement could not be prepared on the target. One that the recorded session did not have either (closed twice,
   * or after COM_RESET_CONNECTION) is sent with an id that the target does not have.
   */
  rewrite(command: Command): Uint8Array | undefined {
    const { com, packet } = command;
    const recorded = readId(packet);
    if (recorded === LAST_PREPARED) return packet;
    const statement = this.named(command);
    if (statement?.id === NO_STATEMENT) return undefined;
    if (com === COM.stmtClose) this.#byId.delete(recorded);
    else if (statement !== undefined) {
      if (com === COM.stmtSendLongData) statement.hasLongData = true;
      else if (com !== COM.stmtFetch) statement.hasLongData = false;
    }
    const id = statement?.id ?? NO_STATEMENT;
    if (id === recorded) return packet;
    const copy = packet.slice();
    copy[STATEMENT_ID] = id;
    copy[STATEMENT_ID + 1] = id >>> 8;
    copy[STATEMENT_ID + 2] = id >>> 16;
    copy[STATEMENT_ID + 3] = id >>> 24;
    return copy;
  }

  /** Whether `command` is part of an execution whose long data went with a connection: it cannot run. */
  lacksLongData(command: Command): boolean {
    const statement = this.named(command);
    if (statement === undefined || !statement.lacksLongData) return false;
    if (command.com === COM.stmtSendLongData) return true;
    if (command.com === COM.stmtFetch) return false;
    statement.lacksLongData = false;
    return command.com === COM.stmtExecute || command.com === COM.stmtBulkExecute;
  }

  /** All that are open, in the order in which they were prepared. */
  open(): Statement[] {
    return [...this.#byId.values(), ...this.#unnamed].filter(({ id }) => id !== NO_STATEMENT);
  }

  /** The connection that they were prepared on is gone. */
  disconnected(): void {
    for (const statement of this.open()) {
      if (statement.hasLongData) statement.lacksLongData = true;
      statement.hasLongData = false;
    }
  }

  #nameAll(): void {
    const unnamed = this.#unnamed;
    this.#unnamed = [];
    for (const statement of unnamed) {
      if (statement.prepare.reply === undefined) this.#unnamed.push(statement);
      else this.#name(statement);
    }
  }

  #name(statement: Statement): void {
    const recorded = statement.prepare.reply?.statementId ?? NO_STATEMENT;
    if (recorded === NO_STATEMENT) return;
    // Closed and prepared again under the same id: the order of the map is that of preparing.
    this.#byId.delete(recorded);
    this.#byId.set(recorded, statement);
  }
}

export function readId(packet: Uint8Array): number {
  return (
    (packet[STATEMENT_ID] |
      (packet[STATEMENT_ID + 1] << 8) |
      (packet[STATEMENT_ID + 2] << 16) |
      (packet[STATEMENT_ID + 3] << 24)) >>>
    0
  );
}
