/**
 * The columns of an archive's index as a table: what is written, read, checked and summed follows from it. docs/archive-format.md has
 * the meaning of each.
 */

import type { Coverage, SessionEnd } from '../../flow/events.ts';
import { MOST_LIMITS } from '../../flow/flow-limits.ts';

/** The format's version: goes up when an older reader would misread a newer archive. */
export const FORMAT_VERSION = 3;

/** Older formats that are read as they are, until a repair makes their index anew. */
export const OLDEST_VERSION = 1;

/** Rows have sums, and the archive's row has counts of rows, from this version on. */
export const SUMS_SINCE = 3;

/** What one column holds. Numbers are whole and lie in [least, most]; texts and blobs have at most `most` octets. */
export interface Column {
  /** In SQL. */
  name: string;
  /** Of the row object. */
  field: string;
  type: 'INTEGER' | 'TEXT' | 'BLOB';
  isKey?: true;
  isNullable?: true;
  /** 0 or 1: a boolean in the row object. */
  isFlag?: true;
  least: number;
  most: number;
  /** The texts that it may have. Default: any. */
  oneOf?: readonly string[];
  /** It holds an IP address. */
  isAddress?: true;
  /** Format version that has it first. */
  since: number;
  /** What rows of older formats have for it in the row object. Default: null, false or 0. */
  before?: unknown;
}

export type TableName =
  | 'archive'
  | 'segments'
  | 'blocks'
  | 'sessions'
  | 'session_blocks'
  | 'clock_steps'
  | 'gaps';

const MOST = Number.MAX_SAFE_INTEGER;

const COVERAGES: readonly Coverage[] = ['whole', 'joined-late', 'gaps', 'cut', 'one-sided'];
const ENDS: readonly SessionEnd[] = ['open', 'closed', 'half-open', 'unseen-end'];

/** What SQLite's integers hold. */
const MOST_TIME = 2 ** 63;

/** Octets of a text that people wrote or read: filter, notes. */
const MOST_NOTE_OCTETS = 1024 * 1024;

/** Octets of a name off the wire: a client's first packet is read up to 64 KiB, and a character may take 3 octets in UTF-8 for one there. */
const MOST_NAME_OCTETS = 256 * 1024;

/** A list names some 256 blocks more than are in one commit at most, in up to 8 octets each. */
const MOST_LIST_OCTETS = 16 * 1024 * 1024;

/** What a block of an archive makes at most, and what it takes in its file: see codec.ts. */
const MOST_BLOCK_OCTETS = 256 * 1024;
const MOST_STORED_OCTETS = MOST_BLOCK_OCTETS + 8;

function integer(name: string, more: Partial<Column> = {}): Column {
  return { name, field: camel(name), type: 'INTEGER', least: 0, most: MOST, since: 1, ...more };
}

function text(name: string, most: number, more: Partial<Column> = {}): Column {
  return { name, field: camel(name), type: 'TEXT', least: 0, most, since: 1, ...more };
}

/** A time, or the difference of two: maybe before the origin, and inexact past 104 days, where a clock was years off. */
function time(name: string, more: Partial<Column> = {}): Column {
  return integer(name, { least: -MOST_TIME, most: MOST_TIME, ...more });
}

function camel(name: string): string {
  return name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());
}

const NULLABLE = { isNullable: true } as const;
const KEY = { isKey: true } as const;
const FLAG = { most: 1, isFlag: true } as const;
const ADDRESS = { isAddress: true } as const;
const PORT = { most: 65_535 } as const;
const SINCE_2 = { since: 2 } as const;
const SINCE_3 = { since: 3 } as const;

/** xxh32 of the row (row-sum.ts). Last in each table, and in no row object. */
const SUM: Column = integer('sum', { most: 0xffffffff, since: SUMS_SINCE });

export const COLUMNS: Readonly<Record<TableName, readonly Column[]>> = {
  archive: [
    text('codec', 64),
    integer('link_type', { most: 0xffffffff }),
    // As in a pcap record.
    integer('origin_sec', { most: 0xffffffff }),
    text('server_ports', MOST_NOTE_OCTETS),
    text('filter', MOST_NOTE_OCTETS, NULLABLE),
    text('iface', MOST_NOTE_OCTETS, NULLABLE),
    integer('started_ms', { most: 8.64e15 }),
    integer('ended_ms', { most: 8.64e15, ...NULLABLE }),
    integer('packets'),
    integer('octets'),
    integer('sessions'),
    integer('commands'),
    integer('uncounted'),
    integer('dropped'),
    integer('dropped_by_disk'),
    integer('complete', FLAG),
    text('repaired', MOST_NOTE_OCTETS, NULLABLE),
    text('partial', MOST_NOTE_OCTETS, { ...NULLABLE, ...SINCE_2 }),
    integer('copies', SINCE_2),
    integer('flooded', SINCE_3),
    integer('flooded_data', SINCE_3),
    integer('idle_ns', { ...NULLABLE, ...SINCE_3 }),
    integer('half_open_ns', { ...NULLABLE, ...SINCE_3 }),
    integer('most_half_open', { most: MOST_LIMITS.mostHalfOpen, ...NULLABLE, ...SINCE_3 }),
    integer('most_flows', { most: MOST_LIMITS.mostFlows, ...NULLABLE, ...SINCE_3 }),
    integer('lost_by_damage', SINCE_3),
    integer('cut_packets', SINCE_3),
    integer('segments', SINCE_3),
    integer('blocks', SINCE_3),
    integer('block_octets', SINCE_3),
    integer('clock_steps', SINCE_3),
    integer('gaps', SINCE_3),
    SUM,
  ],
  segments: [
    integer('number', KEY),
    integer('octets'),
    integer('link_type', { most: 0xffffffff, ...SINCE_2 }),
    integer('blocks', SINCE_3),
    integer('packets', SINCE_3),
    SUM,
  ],
  blocks: [
    integer('number', KEY),
    integer('segment'),
    integer('offset'),
    // Size field, an octet, checksum.
    integer('stored', { least: 9, most: MOST_STORED_OCTETS }),
    integer('octets', { least: 1, most: MOST_BLOCK_OCTETS }),
    integer('checksum', { most: 0xffffffff }),
    integer('first_packet'),
    integer('packets', { least: 1, most: MOST_BLOCK_OCTETS }),
    time('first_at'),
    time('last_at'),
    integer('damaged', { ...FLAG, ...SINCE_3 }),
    SUM,
  ],
  sessions: [
    integer('id', KEY),
    text('client', 64, ADDRESS),
    integer('client_port', PORT),
    text('server', 64, ADDRESS),
    integer('server_port', PORT),
    time('first_at'),
    time('last_at'),
    integer('first_packet'),
    integer('last_packet'),
    integer('packets'),
    integer('client_octets'),
    integer('server_octets'),
    text('coverage', 64, { oneOf: COVERAGES }),
    text('user', MOST_NAME_OCTETS, NULLABLE),
    text('schema', MOST_NAME_OCTETS, NULLABLE),
    integer('tls', FLAG),
    integer('compressed', FLAG),
    integer('commands', NULLABLE),
    text('ended', 64, { oneOf: ENDS, before: 'open', ...SINCE_3 }),
    integer('blocks', SINCE_3),
    SUM,
  ],
  session_blocks: [
    integer('session', KEY),
    integer('first_block', KEY),
    { name: 'blocks', field: 'blocks', type: 'BLOB', least: 1, most: MOST_LIST_OCTETS, since: 1 },
    SUM,
  ],
  clock_steps: [
    integer('packet', KEY),
    time('before_at'),
    time('at'),
    time('jump', { field: 'jumpNs' }),
    time('offset'),
    SUM,
  ],
  gaps: [time('from_at', { ...KEY, ...SINCE_3 }), time('to_at', { ...NULLABLE, ...SINCE_3 }), SUM],
};

export const TABLE_NAMES = Object.keys(COLUMNS) as TableName[];

/** The columns that the index of a format `version` has, the sum included; none where it has no such table. */
export function columnsOf(table: TableName, version: number): readonly Column[] {
  return COLUMNS[table].filter(({ since }) => since <= version);
}
