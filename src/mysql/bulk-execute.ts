/**
 * MariaDB's COM_STMT_BULK_EXECUTE, for servers without MARIADB_CLIENT_STMT_BULK_OPERATIONS: command octet, statement id,
 * flags, types where the flags say so; then, up to its end, rows of an indicator and maybe a value for each parameter
 * (MariaDB manual, "COM_STMT_BULK_EXECUTE").
 */
import { binaryValueLength } from './binary-value.ts';
import { nullOctets, TYPE_OCTETS } from './bound-parameters.ts';
import { COM } from './command.ts';
import { framePayload, payloadOf } from './framing.ts';

const FLAGS = 5;
const TYPES = 7;
const SEND_TYPES_TO_SERVER = 0x80;

/** What an indicator says. Its others, DEFAULT and IGNORE, COM_STMT_EXECUTE has no words for. */
const INDICATOR = { none: 0, null: 1 } as const;

/** Rows of one command that are expanded. Beyond them a command of 16 MiB would become gigabytes. */
const MOST_ROWS = 0x10_0000;

/** Where things stand in the payload of COM_STMT_EXECUTE. */
const ITERATIONS = 6;
const NULLS = 10;

/**
 * A COM_STMT_EXECUTE of statement `id` for each row of a COM_STMT_BULK_EXECUTE, in their order, each with its types.
 * `types`: those of an earlier one (as from `bulkTypesOf`), for one that sends none. undefined where it is malformed, has
 * more rows than are expanded, or an indicator that COM_STMT_EXECUTE cannot say.
 */
export function bulkToExecutes(
  packet: Uint8Array,
  params: number,
  id: number,
  types?: Uint8Array,
): Uint8Array[] | undefined {
  const payload = payloadOf(packet);
  if (payload.length < TYPES || params === 0) return undefined;
  const sendsTypes = (payload[FLAGS] & SEND_TYPES_TO_SERVER) !== 0;
  const rowTypes = sendsTypes ? bulkTypesOf(packet, params) : types;
  if (rowTypes === undefined || rowTypes.length !== params * TYPE_OCTETS) return undefined;
  const head = executeHead(id, params, rowTypes);
  const nulls = head.subarray(NULLS, NULLS + nullOctets(params));
  // The longest row there can be; each is put together here.
  const execute = new Uint8Array(head.length + payload.length);
  const executes: Uint8Array[] = [];
  let at = sendsTypes ? TYPES + rowTypes.length : TYPES;
  while (at < payload.length) {
    if (executes.length === MOST_ROWS) return undefined;
    let length = head.length;
    nulls.fill(0);
    for (let i = 0; i < params; i++) {
      const indicator = payload[at++];
      if (indicator === INDICATOR.null) nulls[i >> 3] |= 1 << (i & 7);
      else if (indicator !== INDICATOR.none) return undefined;
      else {
        const octets = binaryValueLength(payload, at, payload.length, rowTypes[i * TYPE_OCTETS]);
        if (octets === undefined) return undefined;
        execute.set(payload.subarray(at, at + octets), length);
        length += octets;
        at += octets;
      }
    }
    execute.set(head);
    executes.push(framePayload(execute.subarray(0, length)));
  }
  return executes.length > 0 ? executes : undefined;
}

/** The types that a COM_STMT_BULK_EXECUTE sends, 2 octets a parameter; undefined where it sends none. */
export function bulkTypesOf(packet: Uint8Array, params: number): Uint8Array | undefined {
  const payload = payloadOf(packet);
  const end = TYPES + params * TYPE_OCTETS;
  return payload.length >= end && (payload[FLAGS] & SEND_TYPES_TO_SERVER) !== 0
    ? payload.subarray(TYPES, end)
    : undefined;
}

/** A COM_STMT_EXECUTE's payload up to its values, without a NULL in its bitmap. */
function executeHead(id: number, params: number, types: Uint8Array): Uint8Array {
  const flagAt = NULLS + nullOctets(params);
  const head = new Uint8Array(flagAt + 1 + types.length);
  head[0] = COM.stmtExecute;
  head[1] = id;
  head[2] = id >>> 8;
  head[3] = id >>> 16;
  head[4] = id >>> 24;
  head[ITERATIONS] = 1;
  head[flagAt] = 1;
  head.set(types, flagAt + 1);
  return head;
}
