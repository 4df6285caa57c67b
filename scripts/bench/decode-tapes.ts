/** Recordings that the decoder's bench reads: the same octets on every machine and in every run. */
import { COM } from '../../src/mysql/command.ts';
import { framePacket, OctetWriter } from '../../src/mysql/packet.ts';
import { ExchangeTape } from './exchange-tape.ts';
import { NullMysql } from './null-mysql.ts';
import { ROWS } from './pointselect.ts';

const SESSIONS = 50;
const STATEMENTS = 1_000;
/** Different rows of a result: more than fit into a block of the archive, so that none is packed as another's repetition. */
const DIFFERENT_ROWS = 2_000;
const BLOB_OCTETS = 1_000_000;
/** What is handed to the tape at once. */
const PIECE_OCTETS = 1 << 20;
const STATEMENT_ID = 1;

const SERVER = new NullMysql();

/** The answer's octets, as the null responder says them. */
function answer(command: Uint8Array): Uint8Array {
  return SERVER.answer(command, 4, command.length)!.octets;
}

const prepare = framePacket(0, payload(COM.stmtPrepare, 'SELECT c FROM sbtest1 WHERE id=?'));

function payload(com: number, text: string): Uint8Array {
  return Buffer.concat([Uint8Array.of(com), Buffer.from(text)]);
}

function query(id: number): Uint8Array {
  return framePacket(0, payload(COM.query, `SELECT c FROM sbtest1 WHERE id=${id}`));
}

/** COM_STMT_EXECUTE with one number: no cursor, one iteration, no NULL, types sent. */
function execute(id: number): Uint8Array {
  const types = [1, 0x08, 0];
  return new OctetWriter()
    .uint(COM.stmtExecute, 1)
    .uint(STATEMENT_ID, 4)
    .uint(0, 1)
    .uint(1, 4)
    .uint(0, 1)
    .octets(Uint8Array.from(types))
    .uint(id, 8)
    .packet(0);
}

/** Point selects as sysbench makes them, one after the other in many sessions, as text or prepared. */
export function makePointSelects(folder: string, commands: number, prepared: boolean): void {
  const tape = new ExchangeTape(folder, SESSIONS);
  const select = prepared ? execute : query;
  const selects = Array.from({ length: STATEMENTS }, (_, i) => select(1 + ((i * 7919) % ROWS)));
  const row = answer(selects[0]);
  for (let i = 0; i < SESSIONS; i++) {
    tape.open(i);
    if (!prepared) continue;
    tape.client(i, prepare);
    tape.server(i, answer(prepare));
  }
  for (let i = 0; i < commands; i++) {
    tape.client(i % SESSIONS, selects[i % STATEMENTS]);
    tape.server(i % SESSIONS, row);
  }
  for (let i = 0; i < SESSIONS; i++) tape.close(i);
  tape.end();
}

/** Uniform 32-bit numbers (xorshift, Marsaglia 2003), the same in every run. */
function* numbers(): Generator<number, never> {
  for (let x = 2_463_534_242; ; ) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    yield x >>> 0;
  }
}

/** A text row of some 200 octets: numbers, a name, hexadecimal digits. LZ4 makes two thirds of it. */
function smallRows(): Uint8Array[] {
  const random = numbers();
  const next = () => random.next().value;
  return Array.from({ length: DIFFERENT_ROWS }, (_, i) => {
    const digits = Array.from({ length: 18 }, () => next().toString(16).padStart(8, '0')).join('');
    const fields = [`${1_000_000 + i}`, `customer-${next() % 100_000}`, `${next() % 10_000}.25`, digits];
    const writer = new OctetWriter();
    for (const field of fields) writer.lenenc(field.length).octets(Buffer.from(field));
    return writer.all();
  });
}

/** A row of 1 MB that cannot be packed, as a picture. */
function blobRow(): Uint8Array[] {
  const random = numbers();
  const blob = new Uint32Array(BLOB_OCTETS / 4).map(() => random.next().value);
  return [new OctetWriter().lenenc(BLOB_OCTETS).octets(new Uint8Array(blob.buffer)).all()];
}

/** One session, one SELECT, an answer of about `octets`: rows of 200 octets, or of 1 MB. */
export function makeResult(folder: string, octets: number, blobs: boolean): void {
  const tape = new ExchangeTape(folder, 1);
  tape.open(0);
  tape.client(0, query(1));
  const rows = blobs ? blobRow() : smallRows();
  const result = answer(query(1));
  // The null responder's answer has three packets in front of its one row, and an EOF behind it.
  const headOctets = packetsEnd(result, 3);
  let pieces = [result.subarray(0, headOctets)];
  let pieceOctets = 0;
  let sequenceId = 4;
  let total = 0;
  for (let i = 0; total < octets; i++) {
    const packet = framePacket(sequenceId, rows[i % rows.length]);
    sequenceId = (sequenceId + 1) & 0xff;
    pieces.push(packet);
    total += packet.length;
    pieceOctets += packet.length;
    if (pieceOctets < PIECE_OCTETS) continue;
    tape.server(0, Buffer.concat(pieces));
    pieces = [];
    pieceOctets = 0;
  }
  const eof = result.slice(packetsEnd(result, 4));
  eof[3] = sequenceId;
  tape.server(0, Buffer.concat([...pieces, eof]));
  tape.close(0);
  tape.end();
}

/** Where the first `count` packets end. */
function packetsEnd(octets: Uint8Array, count: number): number {
  let at = 0;
  for (let i = 0; i < count; i++) at += 4 + (octets[at] | (octets[at + 1] << 8));
  return at;
}
