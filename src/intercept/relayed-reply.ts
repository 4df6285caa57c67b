import { MAX_MESSAGE_OCTETS } from '../mysql/answer.ts';
import { REPLY_KINDS, type Reply } from '../mysql/reply.ts';
import type { Progress } from '../tcp/progress.ts';
import { MESSAGE, type MessageWriter } from './messages.ts';
import { beginState } from './relayed-progress.ts';

/**
 * The answer in a `reply` message (docs/relay-protocol.md): an octet that says which groups of fields follow, because most of
 * them are 0 in most answers, then octets of the answer and its age, then the groups in this order.
 */
const HAS = { rows: 1, affected: 2, error: 4, statement: 8, status: 16, insertId: 32, message: 64 } as const;

/** Numbers from 0 up: one octet up to 252; else one of these and … 2 octets, 4, or a double. */
const IN_2 = 0xfd;
const IN_4 = 0xfe;
const IN_DOUBLE = 0xff;
const MAX_NUMBER_OCTETS = 9;

/** What is no UTF-8 has three octets for each of its own. */
const MAX_TEXT_OCTETS = 3 * MAX_MESSAGE_OCTETS;

/** The longest: flags, two numbers, all groups. */
const MAX_REPLY_OCTETS =
  1 +
  2 * MAX_NUMBER_OCTETS +
  (2 + MAX_NUMBER_OCTETS + 8) +
  MAX_NUMBER_OCTETS +
  2 +
  6 +
  2 +
  MAX_NUMBER_OCTETS +
  (2 + MAX_TEXT_OCTETS);

const encoder = new TextEncoder();

/** A kind's number is its place in REPLY_KINDS. */
const KIND_NUMBER = new Map(REPLY_KINDS.map((kind, number) => [kind, number]));

/** Writes a `reply` message; `ageMs` goes to the microsecond. */
export function writeReply(
  writer: MessageWriter,
  id: number,
  progress: Progress,
  reply: Reply,
  ageMs: number,
): void {
  const kind = KIND_NUMBER.get(reply.kind) as number;
  const start = writer.used;
  const from = beginState(writer, MESSAGE.reply, kind, id, progress, MAX_REPLY_OCTETS);
  const { view } = writer;
  const hasRows = (reply.columns | reply.hash | reply.hashUnordered) !== 0 || reply.rows !== 0;
  const hasStatement = (reply.statementId | reply.params) !== 0;
  const flags =
    (hasRows ? HAS.rows : 0) |
    (reply.affected === 0 ? 0 : HAS.affected) |
    (reply.errno === 0 ? 0 : HAS.error) |
    (hasStatement ? HAS.statement : 0) |
    (reply.status === 0 ? 0 : HAS.status) |
    (reply.insertId === 0 ? 0 : HAS.insertId) |
    (reply.message === undefined ? 0 : HAS.message);
  view.setUint8(from, flags);
  let at = putNumber(view, from + 1, reply.octets);
  at = putNumber(view, at, Math.round(ageMs * 1000));
  if (hasRows) {
    view.setUint16(at, reply.columns);
    view.setUint32(at + 2, reply.hash);
    view.setUint32(at + 6, reply.hashUnordered);
    at = putNumber(view, at + 10, reply.rows);
  }
  if (reply.affected !== 0) at = putNumber(view, at, reply.affected);
  if (reply.errno !== 0) {
    view.setUint16(at, reply.errno);
    at += 2;
  }
  if (hasStatement) {
    view.setUint32(at, reply.statementId);
    view.setUint16(at + 4, reply.params);
    at += 6;
  }
  if (reply.status !== 0) {
    view.setUint16(at, reply.status);
    at += 2;
  }
  if (reply.insertId !== 0) at = putNumber(view, at, reply.insertId);
  if (reply.message !== undefined) at = putText(view, at, reply.message);
  writer.end(start, at);
}

/** Reads what `writeReply` wrote. One instance serves many messages. */
export class ReplyFields {
  /** Of the answer last read. */
  ageMs = 0;
  #view: DataView = new DataView(new ArrayBuffer(0));
  #at = 0;
  #end = 0;

  /** The answer at [from, to) of a `reply` message, or undefined where that is none. */
  read(view: DataView, from: number, to: number, kind: number): Reply | undefined {
    this.#view = view;
    this.#at = from;
    this.#end = to;
    const flags = this.#uint(1);
    const octets = this.#number();
    this.ageMs = this.#number() / 1000;
    const hasRows = (flags & HAS.rows) !== 0;
    const columns = hasRows ? this.#uint(2) : 0;
    const hash = hasRows ? this.#uint(4) : 0;
    const hashUnordered = hasRows ? this.#uint(4) : 0;
    const rows = hasRows ? this.#number() : 0;
    const affected = flags & HAS.affected ? this.#number() : 0;
    const errno = flags & HAS.error ? this.#uint(2) : 0;
    const statementId = flags & HAS.statement ? this.#uint(4) : 0;
    const params = flags & HAS.statement ? this.#uint(2) : 0;
    const status = flags & HAS.status ? this.#uint(2) : 0;
    const insertId = flags & HAS.insertId ? this.#number() : 0;
    const message = flags & HAS.message ? this.#text() : undefined;
    const name = REPLY_KINDS[kind];
    if (this.#at !== to || name === undefined) return undefined;
    const reply: Reply = {
      kind: name,
      errno,
      affected,
      columns,
      rows,
      octets,
      hash,
      hashUnordered,
      statementId,
      params,
      status,
      insertId,
      at: 0,
    };
    if (message !== undefined) reply.message = message;
    return reply;
  }

  #text(): string {
    const length = this.#uint(2);
    const at = this.#at;
    this.#at = at + length;
    if (this.#at > this.#end) return '';
    return Buffer.from(this.#view.buffer, this.#view.byteOffset + at, length).toString('utf8');
  }

  /** 0 where there is less: `#at` is past the end then. */
  #uint(octets: 1 | 2 | 4): number {
    const at = this.#at;
    this.#at = at + octets;
    if (this.#at > this.#end) return 0;
    if (octets === 1) return this.#view.getUint8(at);
    return octets === 2 ? this.#view.getUint16(at) : this.#view.getUint32(at);
  }

  #number(): number {
    const first = this.#uint(1);
    if (first < IN_2) return first;
    if (first === IN_2) return this.#uint(2);
    if (first === IN_4) return this.#uint(4);
    this.#at += 8;
    return this.#at > this.#end ? 0 : this.#view.getFloat64(this.#at - 8);
  }
}

function putText(view: DataView, at: number, text: string): number {
  const room = new Uint8Array(view.buffer, view.byteOffset + at + 2, MAX_TEXT_OCTETS);
  const { written } = encoder.encodeInto(text, room);
  view.setUint16(at, written);
  return at + 2 + written;
}

function putNumber(view: DataView, at: number, value: number): number {
  if (value < IN_2) {
    view.setUint8(at, value);
    return at + 1;
  }
  if (value < 0x1_0000) {
    view.setUint8(at, IN_2);
    view.setUint16(at + 1, value);
    return at + 3;
  }
  if (value < 0x1_0000_0000) {
    view.setUint8(at, IN_4);
    view.setUint32(at + 1, value);
    return at + 5;
  }
  view.setUint8(at, IN_DOUBLE);
  view.setFloat64(at + 1, value);
  return at + MAX_NUMBER_OCTETS;
}
