import type { SessionMeta } from '../../flow/events.ts';
import { CLIENT, has } from '../../mysql/capabilities.ts';
import { COM, type Command, hasText } from '../../mysql/command.ts';
import { queryPacket, sqlAt } from '../../mysql/query-attributes.ts';
import { PIN, pinStatement, pinsOf } from '../../sql/pin-time.ts';

/** A session's seeds differ from each other's, and from command to command. */
const SEED_STRIDE = 0x1_0000;

/** What a connection was told by the pin before. */
export interface Pinned {
  /** An insert id, which a statement that draws none leaves to the next one. */
  insertId: boolean;
}

/**
 * `--pin-time`: the SETs that go out before commands, so that these give the same however often they are replayed. A
 * statement's text is looked at once, however often it is executed.
 */
export class Pins {
  readonly #originSec: number;
  readonly #known = new WeakMap<Command, number>();

  /** `originSec`: what the recording's times count from. */
  constructor(originSec: number) {
    this.#originSec = originSec;
  }

  /** Whether what is to be pinned of `command`, which executes `text`'s, is told by its recorded answer, not read yet. */
  waits(command: Command, text: Command): boolean {
    return command.reply === undefined && (this.#of(command, text) & PIN.insertId) !== 0;
  }

  /**
   * The SET to send before `command` of `session`, as a COM_QUERY of that session's; undefined: none. Keeps `before`. `inBulk`: it
   * is sent as a bulk execution. For that a server reserves more ids than it has rows, but none where it is told an id: those
   * drawn later would be others.
   */
  before(
    session: SessionMeta,
    command: Command,
    text: Command,
    before: Pinned,
    inBulk = false,
  ): Uint8Array | undefined {
    const pins = this.#of(command, text);
    if (pins === 0) return undefined;
    const { ordinal, at, reply } = command;
    const seed = session.id * SEED_STRIDE + ordinal;
    const insertId = (pins & PIN.insertId) === 0 || inBulk ? 0 : (reply?.insertId ?? 0);
    const sql = pinStatement(pins, this.#originSec, at, insertId, seed, before.insertId);
    before.insertId = insertId > 0;
    if (sql === undefined) return undefined;
    return queryPacket(Buffer.from(sql), has(session.capabilities, CLIENT.queryAttributes));
  }

  #of({ com }: Command, text: Command): number {
    const executes = com === COM.query || com === COM.stmtExecute || com === COM.stmtBulkExecute;
    if (!executes || !hasText(text)) return 0;
    let pins = this.#known.get(text);
    if (pins === undefined) {
      pins = pinsOf(text.packet, sqlAt(text.packet), text.dialect ?? 0);
      this.#known.set(text, pins);
    }
    return pins;
  }
}
