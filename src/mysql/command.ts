import type { CaptureNs } from '../time.ts';
import type { Reply } from './reply.ts';

/** Command octets, as the manual numbers them (MariaDB's own from 0xfa down). */
export const COM = {
  quit: 0x01,
  initDb: 0x02,
  query: 0x03,
  fieldList: 0x04,
  createDb: 0x05,
  dropDb: 0x06,
  refresh: 0x07,
  shutdown: 0x08,
  statistics: 0x09,
  processInfo: 0x0a,
  processKill: 0x0c,
  debug: 0x0d,
  ping: 0x0e,
  changeUser: 0x11,
  binlogDump: 0x12,
  tableDump: 0x13,
  registerSlave: 0x15,
  stmtPrepare: 0x16,
  stmtExecute: 0x17,
  stmtSendLongData: 0x18,
  stmtClose: 0x19,
  stmtReset: 0x1a,
  setOption: 0x1b,
  stmtFetch: 0x1c,
  binlogDumpGtid: 0x1e,
  resetConnection: 0x1f,
  stmtBulkExecute: 0xfa,
} as const;

/**
 * What shape of answer a command has: what the reader of replies must know before the first octet comes. Numbers,
 * because they cross the relay.
 */
export const EXPECT = {
  /** No answer at all: COM_QUIT, COM_STMT_CLOSE, COM_STMT_SEND_LONG_DATA. */
  none: 0,
  /** OK, ERR, LOCAL INFILE or result sets: COM_QUERY, COM_STMT_EXECUTE, COM_INIT_DB, COM_PING … */
  result: 1,
  /** COM_STMT_PREPARE's OK with the statement id, then definitions. */
  prepare: 2,
  /** One packet of text: COM_STATISTICS. */
  text: 3,
  /** Column definitions up to an EOF: COM_FIELD_LIST. */
  fieldList: 4,
  /** Rows up to an EOF: COM_STMT_FETCH. */
  fetch: 5,
} as const;

/** One command of a recorded session. Owned: lives as long as somebody holds it. */
export interface Command {
  /** Counts from 0 within its session. */
  ordinal: number;
  /** When its last octet was on the wire. */
  at: CaptureNs;
  com: number;
  /** One of EXPECT. */
  expect: number;
  /**
   * The command as it goes on the wire: 4 octets of packet header (sequence id 0), then the payload, command octet
   * first. A payload of 0xffffff octets or more is split into several packets, as the protocol wants it.
   */
  packet: Uint8Array;
  /** The recorded answer; undefined until it was seen whole, and for ever where none came. */
  reply?: Reply;
}
