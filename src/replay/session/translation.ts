import type { SessionMeta } from '../../flow/events.ts';
import { CLIENT, EXTENDED, has } from '../../mysql/capabilities.ts';
import { COM } from '../../mysql/command.ts';
import { withoutAttributes } from '../../mysql/execute.ts';
import { sqlAt, withoutQueryAttributes } from '../../mysql/query-attributes.ts';

/** Behind the header of a COM_STMT_EXECUTE: command octet, statement id, then its flags … */
const EXECUTE_FLAGS = 9;

/** … of which this one says that a count of parameters follows (MySQL manual, COM_STMT_EXECUTE). */
const PARAMETER_COUNT_AVAILABLE = 0x08;

/** Of COM_STMT_BULK_EXECUTE's, which stand in the same place (MariaDB manual). */
const SEND_UNIT_RESULTS = 0x40;

/** Where the text of a COM_QUERY begins that has no attributes. */
const PLAIN_TEXT = 5;

/** From the capabilities that were in force in the recording to those that the target has. */
export class Translation {
  readonly #dropsAttributes: boolean;
  readonly #takesBulk: boolean;
  /** A bulk execution can be answered by the result of each row. */
  readonly #tellsUnits: boolean;
  /** The recording has attributes wherever a command seems to: its login was not seen. */
  readonly #guesses: boolean;

  /** `joinedLate`: the recorded capabilities are not known. */
  constructor(session: SessionMeta, joinedLate: boolean, capabilities: number, extendedCapabilities: number) {
    const recorded = joinedLate || has(session.capabilities, CLIENT.queryAttributes);
    this.#dropsAttributes = recorded && !has(capabilities, CLIENT.queryAttributes);
    this.#guesses = joinedLate;
    this.#takesBulk = has(extendedCapabilities, EXTENDED.stmtBulkOperations);
    this.#tellsUnits = has(extendedCapabilities, EXTENDED.bulkUnitResults);
  }

  /**
   * The command `packet` as the target reads it: `packet` itself, or a copy; undefined where the target has no word for it.
   * `params`: parameters of the statement that it executes, of them `longData` sent before.
   */
  packet(
    packet: Uint8Array,
    com: number,
    params = 0,
    longData?: ReadonlySet<number>,
  ): Uint8Array | undefined {
    if (com === COM.stmtBulkExecute) return this.#takesBulk ? this.#bulk(packet) : undefined;
    if (!this.#dropsAttributes) return packet;
    if (com === COM.query) {
      return this.#guesses && sqlAt(packet) === PLAIN_TEXT ? packet : withoutQueryAttributes(packet);
    }
    if (com !== COM.stmtExecute) return packet;
    return this.#guesses && !showsAttributes(packet) ? packet : withoutAttributes(packet, params, longData);
  }

  #bulk(packet: Uint8Array): Uint8Array {
    if (this.#tellsUnits || (packet[EXECUTE_FLAGS] & SEND_UNIT_RESULTS) === 0) return packet;
    const copy = packet.slice();
    copy[EXECUTE_FLAGS] &= ~SEND_UNIT_RESULTS;
    return copy;
  }
}

/** Whether a COM_STMT_EXECUTE of which nothing else is known says that it has attributes. */
export function showsAttributes(packet: Uint8Array): boolean {
  return (packet[EXECUTE_FLAGS] & PARAMETER_COUNT_AVAILABLE) !== 0;
}
