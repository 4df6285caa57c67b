/** What `mytape show` reads out of recorded commands. */
import { isUtf8 } from 'node:buffer';
import { COM, type Command } from '../../mysql/command.ts';
import { payloadOf } from '../../mysql/framing.ts';
import { HEADER_OCTETS, OctetReader } from '../../mysql/packet.ts';
import { textOf } from '../../mysql/query-attributes.ts';

const WITH_TEXT: ReadonlySet<number> = new Set([
  COM.initDb,
  COM.query,
  COM.fieldList,
  COM.createDb,
  COM.dropDb,
  COM.stmtPrepare,
]);

const WITH_STATEMENT: ReadonlySet<number> = new Set([
  COM.stmtExecute,
  COM.stmtSendLongData,
  COM.stmtClose,
  COM.stmtReset,
  COM.stmtFetch,
  COM.stmtBulkExecute,
]);

/** Octets of the command octet and the statement id. */
const STATEMENT_HEAD = 5;

/**
 * The text of a COM_QUERY or COM_STMT_PREPARE, the schema of a COM_INIT_DB, COM_CREATE_DB or COM_DROP_DB, the table of a
 * COM_FIELD_LIST; undefined for other commands. A view of the command's packet where that is a single one.
 */
export function sqlOf({ com, packet }: Command): Uint8Array | undefined {
  if (!WITH_TEXT.has(com)) return undefined;
  const text = textOf(packet);
  // Behind the table's name stands a NUL, and a pattern for its columns.
  const end = com === COM.fieldList ? text.indexOf(0) : -1;
  return end < 0 ? text : text.subarray(0, end);
}

/** The statement that a command names, by the recorded server's number; undefined where it names none. */
export function statementOf({ com, packet }: Command): number | undefined {
  if (!WITH_STATEMENT.has(com)) return undefined;
  const reader = new OctetReader(packet, HEADER_OCTETS + 1, packet.length);
  const id = reader.uint(4);
  return reader.short ? undefined : id;
}

/** Octets of the number that a command has for its only argument. */
const ARGUMENT_OCTETS: ReadonlyMap<number, number> = new Map([
  [COM.processKill, 4],
  [COM.setOption, 2],
]);

/** The connection of a COM_PROCESS_KILL, the option of a COM_SET_OPTION; undefined for other commands. */
export function argumentOf({ com, packet }: Command): number | undefined {
  const size = ARGUMENT_OCTETS.get(com);
  if (size === undefined) return undefined;
  const reader = new OctetReader(packet, HEADER_OCTETS + 1, packet.length);
  const value = reader.uint(size);
  return reader.short ? undefined : value;
}

/** What stands behind the command octet, or behind the statement id where there is one. */
export function bodyOf(command: Command): Uint8Array {
  return payloadOf(command.packet).subarray(WITH_STATEMENT.has(command.com) ? STATEMENT_HEAD : 1);
}

/** `octets` as UTF-8; each that is none as `\xNN`. */
export function readable(octets: Uint8Array): string {
  const buffer = Buffer.from(octets.buffer, octets.byteOffset, octets.length);
  if (isUtf8(buffer)) return buffer.toString('utf8');
  const parts: string[] = [];
  let from = 0;
  for (let at = 0; at < buffer.length; ) {
    const length = characterLength(buffer, at);
    if (length > 0) {
      at += length;
      continue;
    }
    parts.push(buffer.toString('utf8', from, at), `\\x${buffer[at].toString(16).padStart(2, '0')}`);
    from = ++at;
  }
  return parts.join('') + buffer.toString('utf8', from);
}

/** Octets of the UTF-8 character at `at`; 0 where none stands there. */
function characterLength(octets: Buffer, at: number): number {
  const first = octets[at];
  if (first < 0x80) return 1;
  const length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  return isUtf8(octets.subarray(at, at + length)) ? length : 0;
}
