/**
 * What a MySQL server says that has one row and asks for no password: the null responder's answers, and the server's side of
 * synthetic recordings. Never changed once made, so that they can be sent, and their checksums known, without a look.
 */
import { CLIENT, EXTENDED } from '../../src/mysql/capabilities.ts';
import { COM, EXPECT, expectOf } from '../../src/mysql/command.ts';
import { NATIVE_PASSWORD } from '../../src/mysql/native-password.ts';
import { OctetWriter } from '../../src/mysql/packet.ts';
import { sumWords } from '../../src/wire/checksum.ts';

/** Octets to send, in pieces that each fit into one segment. */
export interface Saying {
  readonly octets: Uint8Array;
  /** Piece i is [cuts[i], cuts[i + 1]); all begin at an even place. */
  readonly cuts: readonly number[];
  /** What piece i adds to an Internet checksum. */
  readonly sums: readonly number[];
}

/** Fits a segment of any Ethernet, whatever its options. Even, because of the sums. */
const PIECE_OCTETS = 1400;

/** As sysbench's column c: char(120). */
const ROW_TEXT = '7'.repeat(119);

const STATUS_AUTOCOMMIT = 2;
const TYPE_STRING = 254;
const CHARSET_UTF8 = 33;

/**
 * CLIENT_DEPRECATE_EOF is not among them, nor CLIENT_SESSION_TRACK: so answers look the same to every client, and nothing has
 * to be remembered of any. CLIENT_MYSQL not set: MariaDB, whose clients' extended capabilities a recording may insist on.
 */
export const OFFERED =
  CLIENT.foundRows |
  CLIENT.longFlag |
  CLIENT.connectWithDb |
  CLIENT.noSchema |
  CLIENT.ignoreSpace |
  CLIENT.protocol41 |
  CLIENT.interactive |
  CLIENT.transactions |
  CLIENT.secureConnection |
  CLIENT.multiStatements |
  CLIENT.multiResults |
  CLIENT.psMultiResults |
  CLIENT.pluginAuth |
  CLIENT.connectAttrs |
  CLIENT.pluginAuthLenencClientData;
export const OFFERED_EXTENDED = EXTENDED.stmtBulkOperations;

/** One packet, or several one behind the other, as a saying. */
export function saying(...packets: readonly Uint8Array[]): Saying {
  const octets = new Uint8Array(Buffer.concat(packets));
  const cuts = [0];
  const sums: number[] = [];
  for (let from = 0; from < octets.length; from += PIECE_OCTETS) {
    const to = Math.min(octets.length, from + PIECE_OCTETS);
    sums.push(sumWords(octets, from, to));
    cuts.push(to);
  }
  return { octets, cuts, sums };
}

function greeting(): Uint8Array {
  const high = Math.floor(OFFERED / 0x1_0000);
  return new OctetWriter()
    .uint(10, 1)
    .text('5.5.5-10.11.0-MariaDB-null')
    .uint(1, 4)
    .octets(new Uint8Array(8).fill(0x61))
    .uint(0, 1)
    .uint(OFFERED & 0xffff, 2)
    .uint(CHARSET_UTF8, 1)
    .uint(STATUS_AUTOCOMMIT, 2)
    .uint(high, 2)
    .uint(21, 1)
    .zeros(6)
    .uint(OFFERED_EXTENDED, 4)
    .octets(new Uint8Array(12).fill(0x62))
    .uint(0, 1)
    .text(NATIVE_PASSWORD)
    .packet(0);
}

function ok(sequenceId: number): Uint8Array {
  return new OctetWriter().uint(0, 1).uint(0, 2).uint(STATUS_AUTOCOMMIT, 2).uint(0, 2).packet(sequenceId);
}

function eof(sequenceId: number): Uint8Array {
  return new OctetWriter().uint(0xfe, 1).uint(0, 2).uint(STATUS_AUTOCOMMIT, 2).packet(sequenceId);
}

function text(value: string): Uint8Array {
  const octets = Buffer.from(value);
  return Buffer.concat([Uint8Array.of(octets.length), octets]);
}

/** Protocol::ColumnDefinition41. */
function column(sequenceId: number, name: string): Uint8Array {
  const writer = new OctetWriter();
  for (const field of ['def', 'sbtest', 'sbtest1', 'sbtest1', name, name]) writer.octets(text(field));
  return writer
    .uint(12, 1)
    .uint(CHARSET_UTF8, 2)
    .uint(360, 4)
    .uint(TYPE_STRING, 1)
    .uint(0, 2)
    .uint(0, 1)
    .zeros(2)
    .packet(sequenceId);
}

/** Sequence ids go round at 256. */
function resultSet(rows: number, row: (sequenceId: number) => Uint8Array): Uint8Array[] {
  const packets = [new OctetWriter().uint(1, 1).packet(1), column(2, 'c'), eof(3)];
  for (let i = 0; i < rows; i++) packets.push(row((4 + i) & 255));
  packets.push(eof((4 + rows) & 255));
  return packets;
}

const textRow = (id: number) => new OctetWriter().octets(text(ROW_TEXT)).packet(id);
/** Protocol::BinaryResultsetRow: 0, bitmap of NULLs, values. */
const binaryRow = (id: number) => new OctetWriter().zeros(2).octets(text(ROW_TEXT)).packet(id);

/** COM_STMT_PREPARE_OK and the definitions: statement 1, one column. */
function prepared(params: number): Uint8Array[] {
  const head = new OctetWriter().uint(0, 1).uint(1, 4).uint(1, 2).uint(params, 2).uint(0, 1).uint(0, 2);
  const packets = [head.packet(1)];
  for (let i = 0; i < params; i++) packets.push(column((packets.length + 1) & 255, '?'));
  if (params > 0) packets.push(eof((packets.length + 1) & 255));
  packets.push(column((packets.length + 1) & 255, 'c'));
  packets.push(eof((packets.length + 1) & 255));
  return packets;
}

/** As many as a statement of sysbench's has, and then some. */
const MAX_PARAMS = 64;

/** All that the server ever says. */
export class NullMysql {
  readonly greeting = saying(greeting());
  /** To the login. */
  readonly welcome = saying(ok(2));
  readonly ok = saying(ok(1));
  readonly rows: Saying;
  readonly #binaryRows: Saying;
  readonly #prepared = Array.from({ length: MAX_PARAMS + 1 }, (_, params) => saying(...prepared(params)));

  /** `rows`: how many a SELECT has. */
  constructor(rows = 1) {
    this.rows = saying(...resultSet(rows, textRow));
    this.#binaryRows = saying(...resultSet(rows, binaryRow));
  }

  /** The answer to the command whose payload is [from, to); undefined where it has none. */
  answer(octets: Uint8Array, from: number, to: number): Saying | undefined {
    const com = octets[from];
    if (com === COM.query) return isRead(octets, from + 1, to) ? this.rows : this.ok;
    if (com === COM.stmtExecute) return this.#binaryRows;
    if (com === COM.stmtPrepare) return this.#prepared[Math.min(MAX_PARAMS, marks(octets, from + 1, to))];
    return expectOf(com) === EXPECT.none ? undefined : this.ok;
  }
}

/** Whether the statement is a SELECT or a SHOW, by its first three letters. */
function isRead(octets: Uint8Array, from: number, to: number): boolean {
  if (from + 3 > to || (octets[from] | 0x20) !== 0x73) return false;
  const second = octets[from + 1] | 0x20;
  const third = octets[from + 2] | 0x20;
  return (second === 0x65 && third === 0x6c) || (second === 0x68 && third === 0x6f);
}

/** Question marks in a statement: its parameters, unless one stands in a string. */
function marks(octets: Uint8Array, from: number, to: number): number {
  let count = 0;
  for (let i = from; i < to; i++) if (octets[i] === 0x3f) count++;
  return count;
}
