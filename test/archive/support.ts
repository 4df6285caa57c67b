import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import Database from 'better-sqlite3';
import { columnsOf, FORMAT_VERSION, TABLE_NAMES, type TableName } from '../../src/archive/index/columns.ts';
import { INDEX_FILE } from '../../src/archive/index/index-file.ts';
import { RowTable } from '../../src/archive/index/row-table.ts';
import { type ArchiveOptions, ArchiveWriter } from '../../src/archive/writer.ts';
import { parseAddress } from '../../src/wire/address.ts';
import { LINKTYPE, makeBlock, type PacketBlock, type PacketSource } from '../../src/wire/packets.ts';
import { CTL } from '../../src/wire/segment.ts';

/** A packet on its own, as tests like to have them. */
export interface Packet {
  octets: Uint8Array;
  at: number;
  wireLength?: number;
}

export const ORIGIN_SEC = 1_700_000_000;
export const SERVER_PORT = 3307;

/** A folder that is gone when the test is over. */
export function temporaryFolder(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'mytape-test-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

export function blockOf(packets: readonly Packet[], linkType: number = LINKTYPE.ethernet): PacketBlock {
  const total = packets.reduce((sum, packet) => sum + packet.octets.length, 0);
  const block = makeBlock(new Uint8Array(total), packets.length, linkType);
  let end = 0;
  for (const [i, packet] of packets.entries()) {
    block.octets.set(packet.octets, end);
    block.offset[i] = end;
    block.length[i] = packet.octets.length;
    block.wireLength[i] = packet.wireLength ?? packet.octets.length;
    block.at[i] = packet.at;
    end += packet.octets.length;
  }
  block.count = packets.length;
  return block;
}

export async function collect(source: PacketSource): Promise<Required<Packet>[]> {
  const packets: Required<Packet>[] = [];
  for await (const block of source) {
    for (let i = 0; i < block.count; i++) {
      const from = block.offset[i];
      packets.push({
        octets: block.octets.slice(from, from + block.length[i]),
        at: block.at[i],
        wireLength: block.wireLength[i],
      });
    }
  }
  return packets;
}

export interface TcpFields {
  client: string;
  clientPort: number;
  server?: string;
  serverPort?: number;
  fromClient: boolean;
  seq: number;
  ack?: number;
  flags?: number;
  payload?: Uint8Array;
  /** Identification of IPv4; default 0. */
  ipId?: number;
  /** Time stamp of TCP; default none. */
  tsVal?: number;
}

/** A TCP segment over IPv4 or IPv6 (as its addresses are) in an Ethernet frame. Checksums are left out. */
export function tcpFrame(fields: TcpFields): Uint8Array {
  const client = parseAddress(fields.client)!;
  const server = parseAddress(fields.server ?? (client.family === 4 ? '10.0.0.9' : 'fd00::9'))!;
  const serverPort = fields.serverPort ?? SERVER_PORT;
  const payload = fields.payload ?? new Uint8Array(0);
  const ipOctets = client.family === 4 ? 20 : 40;
  const tcpOctets = fields.tsVal === undefined ? 20 : 32;
  const octets = new Uint8Array(14 + ipOctets + tcpOctets + payload.length);
  const view = new DataView(octets.buffer);
  const tcp = 14 + ipOctets;
  const [source, destination] = fields.fromClient ? [client, server] : [server, client];
  if (client.family === 4) {
    view.setUint16(12, 0x0800);
    octets[14] = 0x45;
    view.setUint16(16, octets.length - 14);
    view.setUint16(18, fields.ipId ?? 0);
    octets[14 + 9] = 6;
    octets.set(source.octets, 14 + 12);
    octets.set(destination.octets, 14 + 16);
  } else {
    view.setUint16(12, 0x86dd);
    octets[14] = 0x60;
    view.setUint16(14 + 4, octets.length - tcp);
    octets[14 + 6] = 6;
    octets.set(source.octets, 14 + 8);
    octets.set(destination.octets, 14 + 24);
  }
  view.setUint16(tcp, fields.fromClient ? fields.clientPort : serverPort);
  view.setUint16(tcp + 2, fields.fromClient ? serverPort : fields.clientPort);
  view.setUint32(tcp + 4, fields.seq);
  view.setUint32(tcp + 8, fields.ack ?? 0);
  octets[tcp + 12] = tcpOctets << 2;
  octets[tcp + 13] = fields.flags ?? CTL.ack;
  if (fields.tsVal !== undefined) {
    // NOP, NOP, timestamps.
    view.setUint32(tcp + 20, 0x0101080a);
    view.setUint32(tcp + 24, fields.tsVal);
  }
  octets.set(payload, tcp + tcpOctets);
  return octets;
}

/**
 * One session as its packets: SYN, SYN-ACK, then `exchanges` rounds of a command and an answer, then FINs. The server's answer to
 * the login is among them only where it `letsIn`.
 */
export function sessionFrames(
  client: string,
  clientPort: number,
  exchanges: number,
  isn = 1000,
  {
    letsIn = false,
    statements = Array.from({ length: exchanges }, () => 'select 1'),
    ...to
  }: Pick<TcpFields, 'server' | 'serverPort'> & { letsIn?: boolean; statements?: readonly string[] } = {},
): Uint8Array[] {
  const ends = { client, clientPort, ...to };
  const answer = mysqlPacket(1, Buffer.from('\x00\x00\x00\x02\x00\x00\x00'));
  const frames = [
    tcpFrame({ ...ends, fromClient: true, seq: isn, flags: CTL.syn }),
    tcpFrame({ ...ends, fromClient: false, seq: 5000, ack: isn + 1, flags: CTL.syn | CTL.ack }),
  ];
  const hello = handshakeResponse('app', 'shop');
  let clientSeq = isn + 1;
  let serverSeq = 5001;
  const says = (fromClient: boolean, payload: Uint8Array, flags: number = CTL.ack) => {
    const [seq, ack] = fromClient ? [clientSeq, serverSeq] : [serverSeq, clientSeq];
    frames.push(tcpFrame({ ...ends, fromClient, seq, ack, payload, flags }));
    const octets = payload.length + (flags & CTL.fin);
    if (fromClient) clientSeq += octets;
    else serverSeq += octets;
  };
  says(false, GREETING);
  says(true, hello);
  if (letsIn) says(false, mysqlPacket(2, Buffer.from('\x00\x00\x00\x02\x00\x00\x00')));
  for (const statement of statements) {
    says(true, mysqlPacket(0, Buffer.from(`\x03${statement}`)));
    says(false, answer);
  }
  says(true, new Uint8Array(0), CTL.fin | CTL.ack);
  says(false, new Uint8Array(0), CTL.fin | CTL.ack);
  return frames;
}

/** A session, the nth of an archive, whose client says these. */
export function statementFrames(statements: readonly string[], n: number): Uint8Array[] {
  return sessionFrames('198.51.100.1', 40_001 + n, statements.length, 1000, { letsIn: true, statements });
}

/** Several lists as one, taking from each in turn: sessions that run at the same time. */
export function interleave(lists: readonly Uint8Array[][]): Packet[] {
  const packets: Packet[] = [];
  const longest = Math.max(...lists.map((list) => list.length));
  for (let i = 0; i < longest; i++) {
    for (const list of lists) {
      if (i < list.length) packets.push({ octets: list[i], at: packets.length * 1_000_003 });
    }
  }
  return packets;
}

export function mysqlPacket(sequenceId: number, payload: Uint8Array): Uint8Array {
  const packet = new Uint8Array(4 + payload.length);
  new DataView(packet.buffer).setUint32(0, payload.length, true);
  packet[3] = sequenceId;
  packet.set(payload, 4);
  return packet;
}

const CAPABILITIES = 0x0000_aa0d | 0x0008_0000;

/** A HandshakeV10 as short as they come. */
export const GREETING = mysqlPacket(
  0,
  Buffer.concat([
    Buffer.from('\x0a11.0\0'),
    Buffer.from([1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0]),
    Buffer.from([0xff, 0xff, 8, 2, 0, 0xff, 0xff, 21]),
    Buffer.alloc(10),
    Buffer.from('abcdefghijkl\0mysql_native_password\0'),
  ]),
);

/** A HandshakeResponse41 with an empty password. `flags` are or-ed to its capabilities. */
export function handshakeResponse(user: string, schema: string, flags = 0): Uint8Array {
  const head = Buffer.alloc(32);
  head.writeUInt32LE((CAPABILITIES | flags) >>> 0, 0);
  head.writeUInt32LE(1 << 24, 4);
  head[8] = 45;
  const plugin = 'mysql_native_password\0';
  return mysqlPacket(1, Buffer.concat([head, Buffer.from(`${user}\0\0${schema}\0${plugin}`)]));
}

/** Writes an archive of `packets` and closes it. */
export function recordArchive(
  dir: string,
  packets: readonly Packet[],
  options: { rotateOctets?: number; serverPorts?: number[] } = {},
): ArchiveWriter {
  const writer = createWriter(dir, options);
  for (let i = 0; i < packets.length; i += 100) writer.write(blockOf(packets.slice(i, i + 100)));
  writer.close({ packets: packets.length, dropped: 0 });
  return writer;
}

export function createWriter(dir: string, options: Partial<ArchiveOptions> = {}): ArchiveWriter {
  return ArchiveWriter.create(dir, {
    linkType: LINKTYPE.ethernet,
    originSec: ORIGIN_SEC,
    serverPorts: [SERVER_PORT],
    ...options,
  });
}

/** Octets that no codec makes smaller, the same for the same seed. */
export function noise(length: number, seed = 1): Uint8Array {
  const octets = new Uint8Array(length);
  let state = seed;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    octets[i] = state >>> 16;
  }
  return octets;
}

/** Makes the index of the archive in `dir` one of an older format, as the mytape of that format left it. */
export function makeOld(dir: string, version: number): void {
  const db = new Database(join(dir, INDEX_FILE));
  for (const table of TABLE_NAMES) {
    const kept = columnsOf(table, version);
    if (kept.length === 0) db.exec(`DROP TABLE ${table}`);
    else
      for (const column of columnsOf(table, FORMAT_VERSION))
        if (!kept.includes(column)) db.exec(`ALTER TABLE ${table} DROP COLUMN "${column.name}"`);
  }
  db.pragma(`user_version = ${version}`);
  db.close();
}

/** Changes values of a row of the index, by the columns' names, and makes its sum right again, as whoever wants to do harm would. */
export function editIndex(
  dir: string,
  table: TableName,
  where: string,
  changes: Readonly<Record<string, unknown>>,
): void {
  const db = new Database(join(dir, INDEX_FILE));
  const version = db.pragma('user_version', { simple: true }) as number;
  const rows = new RowTable<Record<string, unknown>>(table, version);
  const values = db.prepare(`SELECT ${rows.list} FROM ${table} WHERE ${where}`).raw().get() as unknown[];
  const row: Record<string, unknown> = {};
  for (const [i, { name, field }] of rows.columns.entries())
    row[field] = Object.hasOwn(changes, name) ? changes[name] : values[i];
  const stored = rows.store(row);
  const set = rows.columns.map(({ name }) => `"${name}" = ?`).join(', ');
  db.prepare(`UPDATE ${table} SET ${set} WHERE ${where}`).run(stored);
  db.close();
}

/** Writes a file until there is no room for more. */
export function fillUp(path: string): void {
  const fd = openSync(path, 'a');
  try {
    while (writeSync(fd, noise(4096)) > 0);
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC');
  } finally {
    closeSync(fd);
  }
}
