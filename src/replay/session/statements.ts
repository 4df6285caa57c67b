import { bulkTypesOf } from '../../mysql/bulk-execute.ts';
import { COM, type Command } from '../../mysql/command.ts';
import { fitsTypes, leavesTypesOut, typesOf, withTypes } from '../../mysql/execute.ts';
import { TypeInference } from '../../mysql/infer-types.ts';
import { type Effect, effectsOf } from '../../sql/effects.ts';
import { killOf } from '../../sql/kill.ts';
import { endsServer } from '../../sql/shutdown.ts';
import { LAST_PREPARED, RecordedIds, readId } from './recorded-ids.ts';

/** Where a statement id stands in a command's packet: behind its header and the command octet. */
const STATEMENT_ID = 5;

/** … and, behind it, the parameter's number in a COM_STMT_SEND_LONG_DATA. */
const LONG_DATA_PARAMETER = 9;

/** Where the text of a COM_STMT_PREPARE begins. */
const SQL = 5;
const QUESTION_MARK = 0x3f;

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
  /** Whether its text has parameters … */
  readonly hasParameters: boolean;
  /** … and how many the target counts. */
  params: number;
  /** What executing it would do that must not be done on another server. */
  readonly forbidden: 'kill' | 'shutdown' | undefined;
  /** Types of its parameters as the client sent them last … */
  types: Uint8Array | undefined;
  /** … and whether the target was told them on this connection. */
  typesSent: boolean;
  /** Commands were missed since: an execution among them may have had others. */
  typesInDoubt: boolean;
  /** Finds them in its executions, where the client sent them when nobody listened. */
  inference: TypeInference | undefined;
  /** Parameters that COM_STMT_SEND_LONG_DATA brought for its next execution … */
  longData: Set<number> | undefined;
  /** … and that went with the connection, or that the capture may lack. */
  lacksLongData: LongDataLost | undefined;
}

/** Where the long data of an execution went. */
export type LongDataLost = 'connection' | 'capture';

/** What the execution of a statement goes by. */
interface Executed {
  params: number;
  /** Parameters that were sent before. */
  longData: ReadonlySet<number> | undefined;
  /** Types of the parameters, where any were sent. */
  types: Uint8Array | undefined;
}

const NOTHING_EXECUTED: Executed = { params: 0, longData: undefined, types: undefined };

/** The statements of one replayed session: recorded ids to the target's, on whatever connection it has. */
export class Statements {
  #ids = new RecordedIds<Statement>();

  /** The same, for another connection. */
  copy(): Statements {
    const copy = new Statements();
    copy.#ids = this.#ids.copy((statement) => ({
      ...statement,
      longData: statement.longData && new Set(statement.longData),
    }));
    return copy;
  }

  /** COM_STMT_PREPARE is done: the target's id, NO_STATEMENT where it has none, or NOT_YET_PREPARED. */
  prepared(command: Command, id: number, params: number, schema: string | undefined): void {
    const { packet, dialect = 0 } = command;
    const statement: Statement = {
      prepare: command,
      schema,
      id,
      effects: effectsOf(packet, SQL, false, dialect),
      hasParameters: packet.includes(QUESTION_MARK, SQL),
      params,
      forbidden: forbiddenIn(packet, dialect),
      types: undefined,
      typesSent: false,
      typesInDoubt: false,
      inference: undefined,
      longData: undefined,
      lacksLongData: undefined,
    };
    this.#ids.prepared(command, statement, id !== NO_STATEMENT);
  }

  /** What the recorded session prepared last is not among these. */
  lastIsUnknown(): void {
    this.#ids.lastIsUnknown();
  }

  /** Recorded commands are missing, before `next` where that is known. */
  lost(next?: Command): void {
    this.#ids.lost();
    for (const statement of this.#ids.all()) {
      statement.typesInDoubt = true;
      statement.inference = undefined;
      if (statement.longData !== undefined) statement.lacksLongData ??= 'capture';
    }
    // Clients send it in one go: what is missing may be more of it.
    if (next?.com !== COM.stmtSendLongData || !namesStatement(next)) return;
    const named = this.named(next);
    if (named !== undefined) named.lacksLongData ??= 'capture';
  }

  /** The statement that `command` names. */
  named(command: Command): Statement | undefined {
    return this.#ids.named(command);
  }

  /** Whether `command` names one that the recorded session may have, though nobody knows which it is. */
  isUnknown(command: Command): boolean {
    return this.#ids.isUnknown(command);
  }

  /** Whether that is about to be told. */
  isPending(command: Command): boolean {
    return this.#ids.isPending(command);
  }

  /**
   * The packet to send for `command`, which names a statement: its own, or a copy with the target's id. undefined where
   * the statement could not be prepared on the target. `queryAttributes`: whether they were in force when it was recorded. One that
   * the recorded session did not have either (closed twice, or after COM_RESET_CONNECTION) is sent with an id that the target
   * does not have.
   */
  rewrite(command: Command, queryAttributes: boolean): Uint8Array | undefined {
    const { com } = command;
    let { packet } = command;
    const recorded = readId(packet);
    const statement = this.named(command);
    if (com === COM.stmtExecute && statement !== undefined)
      packet = typed(statement, packet, queryAttributes);
    else if (com === COM.stmtBulkExecute && statement !== undefined)
      statement.types = bulkTypesOf(packet, statement.params) ?? statement.types;
    // There is none: so shall the target find.
    if (recorded === LAST_PREPARED && statement === undefined) return packet;
    if (statement?.id === NO_STATEMENT) return undefined;
    if (com === COM.stmtClose) this.#ids.closed(command);
    else if (com === COM.stmtSendLongData && statement !== undefined) {
      statement.longData ??= new Set();
      statement.longData.add(packet[LONG_DATA_PARAMETER] | (packet[LONG_DATA_PARAMETER + 1] << 8));
    }
    const id = statement?.id ?? NO_STATEMENT;
    if (id === recorded) return packet;
    const copy = packet === command.packet ? packet.slice() : packet;
    copy[STATEMENT_ID] = id;
    copy[STATEMENT_ID + 1] = id >>> 8;
    copy[STATEMENT_ID + 2] = id >>> 16;
    copy[STATEMENT_ID + 3] = id >>> 24;
    return copy;
  }

  /** What holds the text that `command` executes, where that is known. */
  textOf(command: Command): Command | undefined {
    return namesStatement(command) ? this.named(command)?.prepare : undefined;
  }

  /** Whether `command` names one that this session is known to have. */
  has(command: Command): boolean {
    return this.named(command) !== undefined;
  }

  /**
   * Whether `command` is an execution whose parameters have types that nobody knows: they were sent before the capture began, or
   * may have been in commands that are missing (`mayLack`: before all that is known of the session, too); and that its values and those
   * of executions before it do not tell. What they tell is taken for what the client sent.
   */
  lacksTypes(command: Command, queryAttributes: boolean, mayLack: boolean): boolean {
    const { com, packet } = command;
    const statement = this.named(command);
    if (statement === undefined || statement.params === 0) return false;
    const { params, types, typesInDoubt, longData } = statement;
    if (com === COM.stmtBulkExecute) return typesInDoubt && bulkTypesOf(packet, params) === undefined;
    if (com !== COM.stmtExecute || !leavesTypesOut(packet, params, queryAttributes)) return false;
    if (statement.inference === undefined) {
      const isKnown =
        types === undefined
          ? !mayLack && !typesInDoubt
          : !typesInDoubt || fitsTypes(packet, params, types, queryAttributes, longData);
      if (isKnown) return false;
      statement.inference = new TypeInference(params);
    }
    if (longData !== undefined) return true;
    const inferred = statement.inference.read(packet, queryAttributes);
    if (inferred === undefined) return true;
    if (types === undefined || !Buffer.from(types).equals(inferred)) setTypes(statement, inferred);
    return false;
  }

  /** Takes in the types of an execution that is not sent: later ones go by them. */
  readTypes(command: Command, queryAttributes: boolean): void {
    const statement = this.named(command);
    if (statement === undefined || command.com !== COM.stmtExecute) return;
    const types = typesOf(command.packet, statement.params, queryAttributes);
    if (types === undefined) return;
    setTypes(statement, types);
    statement.inference = undefined;
  }

  /** What an execution would do that must not be done on another server. */
  forbidden(command: Command): Statement['forbidden'] {
    return command.com === COM.stmtExecute ? this.named(command)?.forbidden : undefined;
  }

  /** What the execution that `command` is was prepared with. */
  executes(command: Command): Executed {
    const statement = this.named(command);
    if (statement === undefined) return NOTHING_EXECUTED;
    const { longData, params, types } = statement;
    // It takes its long data with it; fetching does not.
    if (command.com === COM.stmtExecute || command.com === COM.stmtReset) statement.longData = undefined;
    return { params, longData, types };
  }

  /** Whether `command` is part of an execution whose long data is not all there, and why: it cannot run. */
  lacksLongData(command: Command, queryAttributes: boolean): LongDataLost | undefined {
    const statement = this.named(command);
    if (statement === undefined || command.com === COM.stmtFetch) return undefined;
    const { lacksLongData } = statement;
    if (command.com === COM.stmtSendLongData) return lacksLongData;
    statement.lacksLongData = undefined;
    if (command.com !== COM.stmtExecute && command.com !== COM.stmtBulkExecute) return undefined;
    if (lacksLongData !== undefined) {
      statement.longData = undefined;
      return lacksLongData;
    }
    const { params, types, longData } = statement;
    const mayLack = command.followsLoss === true && command.com === COM.stmtExecute && params > 0;
    return mayLack && !fitsTypes(command.packet, params, types, queryAttributes, longData)
      ? 'capture'
      : undefined;
  }

  /** All that are open, in the order in which they were prepared. */
  open(): Statement[] {
    return this.#ids.all().filter(({ id }) => id !== NO_STATEMENT);
  }

  /** The connection that they were prepared on is gone. */
  disconnected(): void {
    for (const statement of this.open()) {
      if (statement.longData !== undefined) statement.lacksLongData ??= 'connection';
      statement.longData = undefined;
      statement.typesSent = false;
    }
  }
}

function forbiddenIn(packet: Uint8Array, dialect: number): Statement['forbidden'] {
  if (endsServer(packet, SQL, dialect)) return 'shutdown';
  return killOf(packet, SQL, false, dialect) === undefined ? undefined : 'kill';
}

/** Types that the target was not told yet. */
function setTypes(statement: Statement, types: Uint8Array): void {
  statement.types = types;
  statement.typesInDoubt = false;
  statement.typesSent = false;
}

/** An execution with the types of its parameters, where the target was not told them on this connection. */
function typed(statement: Statement, packet: Uint8Array, queryAttributes: boolean): Uint8Array {
  const { params } = statement;
  if (params === 0) return packet;
  const types = typesOf(packet, params, queryAttributes);
  const isKnown = types === undefined && !statement.typesSent && statement.types !== undefined;
  if (types !== undefined) {
    statement.types = types;
    statement.typesInDoubt = false;
    statement.inference = undefined;
  }
  const { types: known } = statement;
  statement.typesSent ||= known !== undefined;
  return isKnown && known !== undefined ? withTypes(packet, params, known, queryAttributes) : packet;
}
