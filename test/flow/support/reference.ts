/**
 * What a capture says before it is damaged: its commands in order, their answers, and in which packets the octets of each command
 * stand. The commands and answers are the decoder's own, of the whole capture (other tests hold these against tshark); where they
 * stand is found by sequence numbers alone.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { ClockMender } from '../../../src/flow/clock.ts';
import { type DecodeOptions, SessionDecoder } from '../../../src/flow/decode.ts';
import type { FlowEvent } from '../../../src/flow/events.ts';
import { CLIENT } from '../../../src/mysql/capabilities.ts';
import { COM, type Command } from '../../../src/mysql/command.ts';
import type { Reply } from '../../../src/mysql/reply.ts';
import { KeyLog } from '../../../src/tls/key-log.ts';
import { TlsStream } from '../../../src/tls/stream.ts';
import { makeBlock, type PacketBlock } from '../../../src/wire/packets.ts';
import { PcapParser } from '../../../src/wire/pcap.ts';
import { ROOT } from '../../support/root.ts';
import { FLAG, isReadable, type Packet, parseFrame, rewritten } from './frames.ts';

/** Of the golden captures' server, and of the synthetic ones'. */
export const PORTS: ReadonlySet<number> = new Set([33_917, 3307]);

/** Octets of a command that one packet has: [from, to) of the packet's data, which begin `at` octets into the command. */
interface Piece {
  source: number;
  from: number;
  to: number;
  at: number;
}

export interface KnownCommand {
  /** Of its session, by the decoder's number in the whole capture. */
  session: number;
  com: number;
  packet: Buffer;
  /** undefined: not known in the whole capture either. */
  reply: Reply | undefined;
  /** The text of the statement that it executes; undefined: it executes none, or that text is not known. */
  text: string | undefined;
  /** Its session is compressed. */
  compressed: boolean;
  /** The file that it read from the client, if it did. */
  file: Buffer | undefined;
  /** Packets that have octets of it, repeated ones as well; undefined: it can't be found, since it is encrypted or compressed. */
  pieces: Piece[] | undefined;
}

/** A capture before it is damaged. */
export interface Whole {
  name: string;
  linkType: number;
  packets: Packet[];
  /** Commands of all sessions that a client (`10.0.0.1:4711`) had one after another. */
  clients: Map<string, KnownCommand[]>;
}

export interface ToldSession {
  id: number;
  client: string;
  server: string;
  user: string | undefined;
  commands: Command[];
  compressed: boolean;
  /** It could not be read at all. */
  skipped: boolean;
  /** Commands that something was lost before. */
  losses: Set<number>;
  /** Commands that were sent and are not told; undefined: they can't be counted (TLS). */
  lost: number | undefined;
}

/** Which text each statement id stands for in a conversation, as its commands come. */
export class StatementTexts {
  readonly #texts = new Map<number, string>();
  /** Of the newest PREPARE, whatever its answer. */
  #last: string | undefined;

  /** The text that `command` executes. Learns from it what it says for those after it. */
  add(com: number, packet: Uint8Array, reply: Reply | undefined): string | undefined {
    if (com === COM.stmtPrepare) {
      const text = Buffer.from(packet.subarray(5)).toString('latin1');
      if (reply?.kind === 'ok') this.#texts.set(reply.statementId, text);
      this.#last = text;
      return undefined;
    }
    if (com === COM.resetConnection || com === COM.changeUser) {
      this.#texts.clear();
      this.#last = undefined;
      return undefined;
    }
    if (packet.length < 9) return undefined;
    const id = Buffer.from(packet.buffer, packet.byteOffset, packet.length).readUInt32LE(5);
    if (com === COM.stmtClose) this.#texts.delete(id);
    if (!EXECUTING.has(com)) return undefined;
    return id === LAST_PREPARED ? this.#last : this.#texts.get(id);
  }

  /** Commands were lost, perhaps a PREPARE: nobody can say which was the last. */
  lost(): void {
    this.#last = undefined;
  }
}

const EXECUTING: ReadonlySet<number> = new Set([
  COM.stmtExecute,
  COM.stmtBulkExecute,
  COM.stmtSendLongData,
  COM.stmtFetch,
  COM.stmtReset,
]);

/** MariaDB's -1: the statement that was prepared last. */
const LAST_PREPARED = 0xffffffff;

const COMPRESSED = CLIENT.compress | CLIENT.zstdCompression;

/** Packets of a block: few, so that damage shows at the seams of blocks as well. */
const BLOCK_PACKETS = 50;

export function* blocksOf(packets: readonly Packet[], linkType: number): Generator<PacketBlock> {
  for (let first = 0; first < packets.length; first += BLOCK_PACKETS) {
    const some = packets.slice(first, first + BLOCK_PACKETS);
    const octets = Buffer.concat(some.map((packet) => packet.octets));
    const block = makeBlock(octets, some.length, linkType);
    let offset = 0;
    for (const [i, packet] of some.entries()) {
      block.offset[i] = offset;
      block.length[i] = packet.octets.length;
      block.wireLength[i] = packet.wireLength;
      block.at[i] = packet.at;
      offset += packet.octets.length;
    }
    block.count = some.length;
    yield block;
  }
}

const FOLDERS = [join(ROOT, 'fixtures'), join(ROOT, 'fixtures/cases')];

const KEYS = KeyLog.parse(
  readdirSync(FOLDERS[0])
    .filter((file) => file.endsWith('.keys'))
    .map((file) => readFileSync(join(FOLDERS[0], file), 'latin1'))
    .join('\n'),
);

const openTls: DecodeOptions['openTls'] = (plain) => new TlsStream(KEYS, plain);

/** What the decoder tells of these packets, by session, in order of their ids. */
export function tell(packets: readonly Packet[], linkType: number): ToldSession[] {
  const sessions = new Map<number, ToldSession>();
  const take = (events: FlowEvent[]) => {
    for (const event of events) {
      const { session } = event;
      const told = sessions.get(session.id) ?? begin(event);
      sessions.set(session.id, told);
      if (event.type === 'open') {
        told.user = session.login?.user;
        told.compressed = (session.capabilities & COMPRESSED) !== 0;
      } else if (event.type === 'command') told.commands.push(event.command);
      else if (event.type === 'lost' || event.type === 'skip') {
        told.losses.add(told.commands.length);
        told.skipped ||= event.type === 'skip';
        if (event.cause === 'tls') told.lost = undefined;
        else if (told.lost !== undefined) told.lost += event.commands;
      }
    }
  };
  const decoder = new SessionDecoder({ serverPorts: PORTS, openTls });
  for (const block of blocksOf(packets, linkType)) take(decoder.block(block));
  take(decoder.finish());
  return [...sessions.values()].sort((a, b) => a.id - b.id);
}

function begin({ session }: FlowEvent): ToldSession {
  const { id, client, clientPort, server, serverPort } = session;
  return {
    id,
    client: `${client.text}:${clientPort}`,
    server: `${server.text}:${serverPort}`,
    user: undefined,
    commands: [],
    compressed: false,
    skipped: false,
    losses: new Set(),
    lost: 0,
  };
}

/** Names of the captures in fixtures/ that can be read here. */
export function wholeNames(): string[] {
  return FOLDERS.flatMap((folder) =>
    readdirSync(folder)
      .filter((file) => file.endsWith('.pcap'))
      .map((file) => basename(file, '.pcap')),
  ).filter((name) => readPcap(name) !== undefined);
}

function readPcap(name: string): { linkType: number; packets: Packet[] } | undefined {
  const [path] = FOLDERS.map((folder) => join(folder, `${name}.pcap`)).filter(existsSync);
  const parser = new PcapParser();
  parser.push(readFileSync(path));
  const packets: Packet[] = [];
  const clock = new ClockMender();
  while (parser.pull()) {
    const { octets, offset, length, wireLength, at, count } = parser.block;
    clock.mend(at, count, packets.length);
    for (let i = 0; i < count; i++) {
      packets.push({
        octets: new Uint8Array(octets.subarray(offset[i], offset[i] + length[i])),
        wireLength: wireLength[i],
        at: at[i],
        source: packets.length,
      });
    }
  }
  const linkType = parser.format?.linkType ?? -1;
  return isReadable(linkType) ? { linkType, packets } : undefined;
}

/** Reads a capture. */
export function readWhole(name: string): Whole {
  const { linkType, packets } = readPcap(name) as { linkType: number; packets: Packet[] };
  const clients = new Map<string, KnownCommand[]>();
  for (const { id, client, compressed, commands } of tell(packets, linkType)) {
    const texts = new StatementTexts();
    const known = clients.get(client) ?? [];
    clients.set(client, known);
    for (const { com, packet, reply, file } of commands) {
      const text = texts.add(com, packet, reply);
      known.push({
        ...{ session: id, compressed, com, packet: Buffer.from(packet), reply, text, pieces: undefined },
        file: file === undefined ? undefined : Buffer.concat(file.packets),
      });
    }
  }
  for (const [client, known] of clients) place(known, streamsOf(packets, linkType, client));
  return { name, linkType, packets, clients };
}

/** A client's data, of connections one after another: which packets have which octets of it. */
interface Stream {
  /** Of its first octet. */
  base: number;
  octets: Buffer;
  captured: Uint8Array;
  parts: { source: number; offset: number; length: number }[];
}

/** A jump of sequence numbers that is further than a connection's data go. */
const ANOTHER_STREAM = 1 << 20;

function streamsOf(packets: readonly Packet[], linkType: number, client: string): Stream[] {
  const groups: { base: number; parts: { source: number; seq: number; data: Uint8Array }[] }[] = [];
  for (const { octets, source } of packets) {
    const frame = parseFrame(octets, linkType, PORTS);
    if (frame === undefined || !frame.fromClient || frame.client !== client) continue;
    const { seq, flags, data, length } = frame;
    let group = groups.at(-1);
    const begins = (flags & FLAG.syn) !== 0 && group !== undefined && group.parts.length > 0;
    const jumps = length > 0 && group !== undefined && Math.abs((seq - group.base) | 0) > ANOTHER_STREAM;
    if (group === undefined || begins || jumps) groups.push((group = { base: seq, parts: [] }));
    if (length > 0) group.parts.push({ source, seq, data: octets.subarray(data, data + length) });
  }
  return groups
    .filter(({ parts }) => parts.length > 0)
    .map(({ parts }) => {
      const first = parts[0].seq;
      const base = parts.reduce((least, { seq }) => Math.min(least, (seq - first) | 0), 0);
      const placed = parts.map(({ source, seq, data }) => ({
        source,
        data,
        offset: ((seq - first) | 0) - base,
      }));
      const size = Math.max(...placed.map(({ offset, data }) => offset + data.length));
      const octets = Buffer.alloc(size);
      const captured = new Uint8Array(size);
      for (const { data, offset } of placed) {
        octets.set(data, offset);
        captured.fill(1, offset, offset + data.length);
      }
      const where = placed.map(({ source, data, offset }) => ({ source, offset, length: data.length }));
      return { base: first + base, octets, captured, parts: where };
    });
}

/** Finds the commands in the streams, one after another. */
function place(known: readonly KnownCommand[], streams: readonly Stream[]): void {
  let next = 0;
  let from = 0;
  for (const command of known) {
    const { packet } = command;
    for (let i = next; i < streams.length; i++) {
      const { octets, captured, parts } = streams[i];
      let at = octets.indexOf(packet, i === next ? from : 0);
      while (at >= 0 && captured.subarray(at, at + packet.length).includes(0))
        at = octets.indexOf(packet, at + 1);
      if (at < 0) continue;
      next = i;
      from = at + packet.length;
      command.pieces = parts.flatMap(({ source, offset, length }) => {
        const begin = Math.max(offset, at);
        const end = Math.min(offset + length, from);
        return begin < end ? [{ source, from: begin - offset, to: end - offset, at: begin - at }] : [];
      });
      break;
    }
  }
}

/** Both captures at once: packets of `other` are moved to the time of `whole`, its clients to other ports. */
export function overlay(whole: Whole, other: Whole): Whole {
  const shift = whole.packets[0].at - other.packets[0].at;
  const renamed = new Map<string, string>();
  const ports = new Map<string, number>();
  for (const client of [...other.clients.keys(), ...clientsOf(other)]) {
    const [address, port] = client.split(':');
    let moved = Number(port) ^ 0x2000;
    while (whole.clients.has(`${address}:${moved}`) || PORTS.has(moved)) moved ^= 0x155;
    ports.set(client, moved);
    renamed.set(client, `${address}:${moved}`);
  }
  const first = whole.packets.length;
  const packets = [
    ...whole.packets,
    ...other.packets.map((packet) => {
      const frame = parseFrame(packet.octets, other.linkType, PORTS);
      const clientPort = frame && ports.get(frame.client);
      return {
        ...packet,
        octets: frame && clientPort ? rewritten(packet.octets, frame, { clientPort }) : packet.octets,
        at: packet.at + shift,
        source: packet.source + first,
      };
    }),
  ].sort((a, b) => a.at - b.at);
  const clients = new Map(whole.clients);
  for (const [client, known] of other.clients) {
    clients.set(
      renamed.get(client) as string,
      known.map((command) => ({
        ...command,
        pieces: command.pieces?.map((piece) => ({ ...piece, source: piece.source + first })),
      })),
    );
  }
  return { name: `${whole.name} + ${other.name}`, linkType: whole.linkType, packets, clients };
}

function clientsOf({ packets, linkType }: Whole): string[] {
  return packets.flatMap(({ octets }) => parseFrame(octets, linkType, PORTS)?.client ?? []);
}

/** The same conversations, both ends' sequence numbers moved so that they pass 2^32 within the first octets of each direction. */
export function wrapped(whole: Whole, ahead: number): Whole {
  const moves = new Map<string, number>();
  /** The first sequence number of a direction becomes 2^32 - `ahead`. */
  const moveOf = (key: string, seq: number) => {
    if (!moves.has(key)) moves.set(key, (-ahead - seq) | 0);
    return moves.get(key) as number;
  };
  const frames = whole.packets.map(({ octets }) => parseFrame(octets, whole.linkType, PORTS));
  for (const frame of frames) if (frame) moveOf(`${frame.client} ${frame.fromClient}`, frame.seq);
  for (const frame of frames)
    if (frame && frame.flags & FLAG.ack) moveOf(`${frame.client} ${!frame.fromClient}`, frame.ack);
  const packets = whole.packets.map((packet, i) => {
    const frame = frames[i];
    if (frame === undefined) return packet;
    const { client, fromClient, seq, ack, flags } = frame;
    const change = {
      seq: seq + moveOf(`${client} ${fromClient}`, seq),
      // A RST that answers a SYN has a sequence number of 0, which is nobody's.
      ...(flags & FLAG.ack ? { ack: ack + moveOf(`${client} ${!fromClient}`, ack) } : {}),
    };
    return { ...packet, octets: rewritten(packet.octets, frame, change) };
  });
  return { ...whole, name: `${whole.name} wrapped at ${ahead}`, packets };
}
