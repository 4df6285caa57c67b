import type { CaptureNs } from '../time.ts';
import { copyOf, HEADER_OCTETS, payloadLength } from './packet.ts';
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
  clone: 0x20,
  subscribeGroupReplication: 0x21,
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
  /** An authentication exchange up to OK or ERR: COM_CHANGE_USER. */
  auth: 6,
} as const;

/** Which of EXPECT the command `com` has. One that a server does not know is answered by ERR. */
export function expectOf(com: number): number {
  switch (com) {
    case COM.quit:
    case COM.stmtClose:
    case COM.stmtSendLongData:
      return EXPECT.none;
    case COM.stmtPrepare:
      return EXPECT.prepare;
    case COM.statistics:
      return EXPECT.text;
    case COM.fieldList:
      return EXPECT.fieldList;
    case COM.stmtFetch:
      return EXPECT.fetch;
    case COM.changeUser:
      return EXPECT.auth;
    default:
      return EXPECT.result;
  }
}

/** Whether a client may send `com` (the manual's other numbers are internal to servers). */
export function isCommand(com: number): boolean {
  return KNOWN.has(com);
}

const KNOWN: ReadonlySet<number> = new Set(Object.values(COM));

/**
 * How many commands fill [from, to) exactly; 0 where anything else stands there. For octets of which nothing is known but
 * that a client sent them: a false answer needs 40 bits to fit by chance.
 */
export function countCommands(octets: Uint8Array, from: number, to: number): number {
  let count = 0;
  let at = from;
  while (to - at > HEADER_OCTETS) {
    const length = payloadLength(octets, at);
    if (length === 0 || octets[at + 3] !== 0 || !isCommand(octets[at + HEADER_OCTETS])) return 0;
    at += HEADER_OCTETS + length;
    count++;
  }
  return at === to ? count : 0;
}

/** Octets of payload of the commands that have no more than their number and fixed fields. */
const FIXED_OCTETS: ReadonlyMap<number, number> = new Map([
  [COM.quit, 1],
  [COM.statistics, 1],
  [COM.processInfo, 1],
  [COM.debug, 1],
  [COM.ping, 1],
  [COM.resetConnection, 1],
  [COM.setOption, 3],
  [COM.processKill, 5],
  [COM.stmtClose, 5],
  [COM.stmtReset, 5],
  [COM.stmtFetch, 9],
]);

/** Whether a command may begin at `from`, of which [from, to) is at hand: by its header and its command octet. */
export function beginsCommand(octets: Uint8Array, from: number, to: number): boolean {
  if (to - from <= HEADER_OCTETS || octets[from + 3] !== 0) return false;
  const length = payloadLength(octets, from);
  const com = octets[from + HEADER_OCTETS];
  if (!isCommand(com) || length === 0) return false;
  return (FIXED_OCTETS.get(com) ?? length) === length;
}

const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(COM).map(([name, com]) => [
    com,
    `COM_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`,
  ]),
);

/** The name of a command octet as the manual has it: `COM_STMT_EXECUTE`; `COM_0x55` where it has none. */
export function comName(com: number): string {
  return NAMES.get(com) ?? `COM_0x${com.toString(16).padStart(2, '0')}`;
}

/** Whether a command brings the text of a statement. */
export function hasText({ com }: Pick<Command, 'com'>): boolean {
  return com === COM.query || com === COM.stmtPrepare;
}

/** How many commands begin in [from, to), of which the last may not be whole: 1 at least. */
export function countBegun(octets: Uint8Array, from: number, to: number): number {
  let count = 0;
  for (let at = from; at < to; at += HEADER_OCTETS + payloadLength(octets, at)) {
    const isCut = to - at <= HEADER_OCTETS;
    if (!isCut && !beginsCommand(octets, at, to)) break;
    count++;
    if (isCut) break;
  }
  return Math.max(1, count);
}

/** The longest file of a LOAD DATA LOCAL INFILE that is kept. */
const MOST_FILE_OCTETS = 256 * 1024 * 1024;

/** What a client sent of a file that the server had asked for (LOCAL INFILE). */
export class LocalFile {
  /** Its packets, headers included, as they were recorded; the empty one that ends the file is among them. Owned. */
  packets: Uint8Array[] = [];
  octets = 0;
  /** Its end was seen. */
  whole = false;
  /** It is longer than what is kept, or than there was room for: there are no packets. */
  tooLong = false;

  /** The next packet, [from, to) with its header: copied. */
  add(octets: Uint8Array, from: number, to: number): void {
    this.octets += to - from;
    this.whole = to - from === HEADER_OCTETS;
    if (this.octets > MOST_FILE_OCTETS) this.giveUp();
    if (!this.tooLong) this.packets.push(copyOf(octets, from, to));
  }

  /** It is not kept. */
  giveUp(): void {
    this.tooLong = true;
    this.packets = [];
  }
}

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
  /** The file that it read from the client; whole when `reply` is there, where the capture holds it. */
  file?: LocalFile;
  /** COM_CHANGE_USER: the client answered the server's questions with a password. */
  withPassword?: boolean;
  /** Its answer was read, but whether it is its own shows only when the client's next turn is over: then it is told, or never. */
  onTrial?: boolean;
  /** Octets are missing: when it was sent, nobody knew which answer would be its own. Most such answers stay unknown. */
  unpaired?: boolean;
  /** Whoever replays has noted how the session's texts are read where it comes (DIALECT of sql/dialect.ts); undefined: as by default. */
  dialect?: number;
  /** Whoever replays has seen that commands before it are missing. */
  followsLoss?: boolean;
  /** Whoever replays has looked at its text: it may name a connection of the recorded server. */
  mayKill?: boolean;
  /** Whoever replays has chosen that only the first copy sends it: the others skip it by this cause. */
  onlyFirst?: string | undefined;
  /** The recorded answer; undefined until it was seen whole, and for ever where none came. */
  reply?: Reply;
}
