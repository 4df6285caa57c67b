import { COM, type Command } from '../mysql/command.ts';

/** Where a statement id stands in a command's packet: behind its header and the command octet. */
const STATEMENT_ID = 5;

/** MariaDB: the statement prepared last on this connection, whatever its id. */
const LAST_PREPARED = 0xffffffff;

/** An id that no server gives: what it names there is as unknown as it was in the recording. */
const NO_STATEMENT = 0;

/** Where a COM_QUERY's text begins, and how much of it is looked at. */
const SQL = 5;
const HEAD_OCTETS = 256;

/** KILL, behind blanks and comments. */
const KILL = /^(?:\s|\/\*(?!!)(?:[^*]|\*(?!\/))*\*\/|(?:#|--\s)[^\n]*\n)*kill\s/i;

/** Whether a statement that begins so is worth a look: most are not. A letter k, a blank, or a comment. */
function mayKill(first: number): boolean {
  return (first | 0x20) === 0x6b || first <= 0x20 || first === 0x2f || first === 0x23 || first === 0x2d;
}

/** Commands that begin with a statement id. */
const NAMES_STATEMENT: ReadonlySet<number> = new Set([
  COM.stmtExecute,
  COM.stmtBulkExecute,
  COM.stmtFetch,
  COM.stmtReset,
  COM.stmtClose,
  COM.stmtSendLongData,
]);

/**
 * Why a command must not, or cannot yet, be sent to another server than the one it was made for. undefined: it can.
 */
export function skipCauseOf(command: Command): string | undefined {
  switch (command.com) {
    case COM.query:
      if (command.reply?.kind === 'infile') return 'local-infile';
      return mayKill(command.packet[SQL]) && isKill(command.packet) ? 'kill' : undefined;
    case COM.processKill:
      return 'kill';
    case COM.shutdown:
      return 'shutdown';
    case COM.changeUser:
      return 'change-user';
    default:
      return undefined;
  }
}

/** `KILL 17` names a connection of the recorded server: here it would hit somebody else's. */
function isKill(packet: Uint8Array): boolean {
  const head = Buffer.from(
    packet.buffer,
    packet.byteOffset + SQL,
    Math.min(HEAD_OCTETS, packet.length - SQL),
  );
  return KILL.test(head.toString('latin1'));
}

/** The statements of one replayed connection: recorded ids to the target's. */
export class StatementIds {
  readonly #ids = new Map<number, number>();
  /** Recorded ids of statements that were prepared in the recording and could not be on the target. */
  readonly #failed = new Set<number>();
  /** Prepared on the target before the capture's own answer was decoded. */
  #unnamed: { command: Command; id: number }[] = [];

  /** The target answered COM_STMT_PREPARE; `id` is NO_STATEMENT (0) where it refused. */
  prepared(command: Command, id: number): void {
    if (command.reply === undefined) {
      this.#unnamed.push({ command, id });
      return;
    }
    const recorded = command.reply.statementId;
    if (recorded === NO_STATEMENT) return;
    if (id === NO_STATEMENT) this.#failed.add(recorded);
    else this.#ids.set(recorded, id);
  }

  /**
   * The packet to send for `command`: its own, or a copy with the target's statement id. undefined where the statement
   * could not be prepared on the target. One that the recorded session did not have either (closed twice, or after
   * COM_RESET_CONNECTION) is sent with an id that the target does not have.
   */
  rewrite(command: Command): Uint8Array | undefined {
    const { com, packet } = command;
    if (!NAMES_STATEMENT.has(com) || packet.length < STATEMENT_ID + 4) return packet;
    const recorded = readId(packet);
    if (recorded === LAST_PREPARED) return packet;
    if (this.#unnamed.length > 0) this.#nameAll();
    if (this.#failed.has(recorded)) return undefined;
    const id = this.#ids.get(recorded) ?? NO_STATEMENT;
    if (com === COM.stmtClose) this.#ids.delete(recorded);
    if (id === recorded) return packet;
    const copy = packet.slice();
    copy[STATEMENT_ID] = id;
    copy[STATEMENT_ID + 1] = id >>> 8;
    copy[STATEMENT_ID + 2] = id >>> 16;
    copy[STATEMENT_ID + 3] = id >>> 24;
    return copy;
  }

  /** COM_RESET_CONNECTION closes them all. */
  clear(): void {
    this.#ids.clear();
    this.#failed.clear();
    this.#unnamed = [];
  }

  #nameAll(): void {
    const unnamed = this.#unnamed;
    this.#unnamed = [];
    for (const { command, id } of unnamed) this.prepared(command, id);
  }
}

function readId(packet: Uint8Array): number {
  return (
    (packet[STATEMENT_ID] |
      (packet[STATEMENT_ID + 1] << 8) |
      (packet[STATEMENT_ID + 2] << 16) |
      (packet[STATEMENT_ID + 3] << 24)) >>>
    0
  );
}
