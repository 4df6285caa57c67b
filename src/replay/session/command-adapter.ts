import type { SessionMeta } from '../../flow/events.ts';
import { bulkToExecutes } from '../../mysql/bulk-execute.ts';
import { CLIENT, has } from '../../mysql/capabilities.ts';
import { COM, type Command } from '../../mysql/command.ts';
import { commandPacket } from '../../mysql/framing.ts';
import type { LoginDone } from '../../mysql/login.ts';
import type { LostCause } from '../outcome.ts';
import { BulkParts } from './bulk.ts';
import { readId } from './recorded-ids.ts';
import { lacksFile, withTargetOfKill } from './rewrite.ts';
import { type LongDataLost, namesStatement, type Statements } from './statements.ts';
import { showsAttributes, Translation } from './translation.ts';

/** Why a command is not sent: it is skipped by a name, or what it needs was lost. */
export type NotSent = { skipped: string } | { lost: LostCause };

const LACKS_FILE: NotSent = { skipped: 'local-infile' };
const SKIPPED_KILL: NotSent = { skipped: 'kill' };
const UNTRANSLATABLE: NotSent = { skipped: 'untranslatable' };
/** Prepared before the recording began, and no snapshot tells as what; or its id was in an answer that is missing. */
const UNKNOWN_STATEMENT: NotSent = { skipped: 'unknown-statement' };
/** Executed before the recording began, or in what is missing of it, when its client told the types of its parameters, and no more since. */
const UNKNOWN_TYPES: NotSent = { skipped: 'unknown-types' };
const LACKS_LONG_DATA: Readonly<Record<LongDataLost, NotSent>> = {
  connection: { lost: 'reset' },
  capture: { skipped: 'long-data' },
};
const NO_OCTETS = new Uint8Array(0);
const UNPREPARED: NotSent = { lost: 'unprepared' };

/** Makes the commands of one recorded session, all but COM_CHANGE_USER, fit for one connection to the target. */
export class CommandAdapter {
  /** What the command last adapted was made into, where it is several; the first of them is what `adapt` returned. */
  parts: BulkParts | undefined;
  readonly #session: SessionMeta;
  readonly #joinedLate: boolean;
  readonly #translation: Translation;

  constructor(session: SessionMeta, joinedLate: boolean, { capabilities, extendedCapabilities }: LoginDone) {
    this.#session = session;
    this.#joinedLate = joinedLate;
    this.#translation = new Translation(session, joinedLate, capabilities, extendedCapabilities);
  }

  /** A command of ours, made in the form of the recorded ones: all that we send can be said to every target. */
  injected(packet: Uint8Array, com: number): Uint8Array {
    return this.#translation.packet(packet, com) ?? packet;
  }

  /** What to send for `command`, which names one of `statements` where these are given. */
  adapt(command: Command, statements: Statements | undefined): Uint8Array | NotSent {
    // Its answer was decoded since it was scheduled, and shows a command that we cannot carry out.
    if (lacksFile(command)) return LACKS_FILE;
    if (statements !== undefined) return this.#adaptStatement(command, statements);
    return this.#translation.packet(command.packet, command.com) ?? UNTRANSLATABLE;
  }

  /** The same for one that `mayKill`; `find` answers the target's number of the connection that was recorded by another. */
  adaptKill(command: Command, find: (connectionId: number) => number | undefined): Uint8Array | NotSent {
    const aimed = withTargetOfKill(command, find);
    return aimed === undefined
      ? SKIPPED_KILL
      : (this.#translation.packet(aimed, command.com) ?? UNTRANSLATABLE);
  }

  /** Takes note of `command`, which is not sent. Returns what to send so that long data which was sent for it does not join the next. */
  leaveOut(command: Command, statements: Statements): Uint8Array | undefined {
    const id = namesStatement(command) ? statements.named(command)?.id : undefined;
    if (id === undefined) return undefined;
    statements.readTypes(command, this.#hasAttributes(command));
    const { longData } = statements.executes(command);
    if (longData === undefined) return undefined;
    return commandPacket([COM.stmtReset, id, id >>> 8, id >>> 16, id >>> 24], NO_OCTETS);
  }

  #adaptStatement(command: Command, statements: Statements): Uint8Array | NotSent {
    const attributes = this.#hasAttributes(command);
    if (this.#joinedLate && !statements.has(command)) return UNKNOWN_STATEMENT;
    if (statements.isUnknown(command)) return UNKNOWN_STATEMENT;
    if (statements.lacksTypes(command, attributes, this.#joinedLate)) return UNKNOWN_TYPES;
    const lacking = statements.lacksLongData(command, attributes);
    if (lacking !== undefined) {
      statements.readTypes(command, attributes);
      return LACKS_LONG_DATA[lacking];
    }
    const forbidden = statements.forbidden(command);
    if (forbidden !== undefined) return { skipped: forbidden };
    const packet = statements.rewrite(command, attributes);
    if (packet === undefined) return UNPREPARED;
    const { params, longData, types } = statements.executes(command);
    const translated = this.#translation.packet(packet, command.com, params, longData);
    if (translated !== undefined) return translated;
    const packets =
      command.com === COM.stmtBulkExecute ? bulkToExecutes(packet, params, readId(packet), types) : undefined;
    if (packets === undefined || packets.length === 0) return UNTRANSLATABLE;
    this.parts = new BulkParts(packets);
    return this.parts.begin();
  }

  /** Whether an execution was recorded in the form that CLIENT_QUERY_ATTRIBUTES gives it. */
  #hasAttributes({ packet }: Command): boolean {
    return this.#joinedLate
      ? showsAttributes(packet)
      : has(this.#session.capabilities, CLIENT.queryAttributes);
  }
}
