/**
 * What a capture says before it is damaged: its commands in order, their answers, and in which packets the octets of each command
 * stand. The commands are found without the decoder, but where they are encrypted or compressed; the answers are the decoder's own,
 * of the whole capture (other tests hold these against tshark).
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { ClockMender } from '../../../src/flow/clock.ts';
import type { Command } from '../../../src/mysql/command.ts';
import type { Reply } from '../../../src/mysql/reply.ts';
import { PcapParser } from '../../../src/wire/pcap.ts';
import { ROOT } from '../../support/root.ts';
import { isReadable, type Packet } from './frames.ts';
import { commandsIn, type Stream, streamsOf } from './streams.ts';
import { StatementTexts, type ToldSession, tell } from './told.ts';

/** Octets of a command that one packet has: [from, to) of the packet's data, which begin `at` octets into the command. */
interface Piece {
  source: number;
  from: number;
  to: number;
  at: number;
}

export interface KnownCommand {
  /** Up to the hole, where one is in it. */
  packet: Buffer;
  /** undefined: not known in the whole capture either. */
  reply: Reply | undefined;
  /** What is true of an answer that nothing in the whole capture decides, though something in a part of it may. */
  truth: Partial<Reply> | undefined;
  /** The text of the statement that it executes; undefined: it executes none, or that text is not known. */
  text: string | undefined;
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
  /** Clients whose commands are encrypted or compressed. */
  opaque: Set<string>;
}

const FOLDERS = [join(ROOT, 'fixtures'), join(ROOT, 'fixtures/cases')];

/** Names of the captures in fixtures/ that can be read here: the frames of those in tunnels can't. */
export function wholeNames(): string[] {
  return FOLDERS.flatMap((folder) =>
    readdirSync(folder)
      .filter((file) => file.endsWith('.pcap'))
      .map((file) => basename(file, '.pcap')),
  ).filter((name) => !name.startsWith('enc-') && readPcap(name) !== undefined);
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
  const told = new Map<string, ToldSession[]>();
  for (const session of tell(packets, linkType))
    told.set(session.client, [...(told.get(session.client) ?? []), session]);
  const clients = new Map<string, KnownCommand[]>();
  const opaque = new Set<string>();
  for (const [client, sessions] of told) {
    const streams = streamsOf(packets, linkType, client);
    const known = inOctets(name, sessions, streams);
    if (known === undefined) opaque.add(client);
    clients.set(client, known ?? asTold(sessions, streams));
  }
  return { name, linkType, packets, clients, opaque };
}

/**
 * The commands that stand in the octets, with the answers that the decoder tells of them; undefined where they can't be read.
 * What the decoder tells that is not in the octets is left out: it will be found wrong.
 */
function inOctets(
  name: string,
  sessions: readonly ToldSession[],
  streams: readonly Stream[],
): KnownCommand[] | undefined {
  const told = sessions.flatMap(({ commands }) => commands);
  const known: KnownCommand[] = [];
  const truths = trueAnswers(name);
  let next = 0;
  for (const stream of streams) {
    const ranges = commandsIn(stream);
    if (ranges === undefined) return undefined;
    const texts = new StatementTexts();
    for (const { from, to } of ranges) {
      const packet = Buffer.from(stream.octets.subarray(from, to));
      const at = told.findIndex((command, i) => i >= next && packet.equals(command.packet));
      if (at >= 0) next = at + 1;
      known.push(knownCommand(packet, told[at], texts, piecesOf(stream, from, to), truths[known.length]));
    }
  }
  return known;
}

/**
 * Answers that the captures of this name don't decide, by the number of their commands; whoever wrote these captures knows them. The
 * three answers to the PREPAREs of 01 were sent together, one of the commands is missing; of 13 the first command is.
 */
function trueAnswers(name: string): Partial<Reply>[] {
  switch (name) {
    case '01-pipelined-prepare-gap':
      return [
        { kind: 'ok', statementId: 1 },
        { kind: 'ok', statementId: 3 },
        { kind: 'ok', affected: 1 },
      ];
    case '13-hole-and-early-fin': {
      // The same statements have the same answers there, and nothing is missing.
      const [, two, three] = [...readWhole('08-stray-rst').clients.values()].flat();
      return [two.reply ?? {}, three.reply ?? {}];
    }
    default:
      return [];
  }
}

/** The commands that the decoder tells; those of them that stand in the octets as they are, with the place. */
function asTold(sessions: readonly ToldSession[], streams: readonly Stream[]): KnownCommand[] {
  let next = 0;
  let from = 0;
  const find = (packet: Buffer): Piece[] | undefined => {
    for (let i = next; i < streams.length; i++) {
      const at = streams[i].octets.indexOf(packet, i === next ? from : 0);
      if (at < 0) continue;
      next = i;
      from = at + packet.length;
      return piecesOf(streams[i], at, from);
    }
    return undefined;
  };
  return sessions.flatMap(({ commands }) => {
    const texts = new StatementTexts();
    return commands.map((command) => {
      const packet = Buffer.from(command.packet);
      return knownCommand(packet, command, texts, find(packet));
    });
  });
}

function knownCommand(
  packet: Buffer,
  told: Command | undefined,
  texts: StatementTexts,
  pieces: Piece[] | undefined,
  truth?: Partial<Reply>,
): KnownCommand {
  const { reply, file } = told ?? {};
  return {
    packet,
    reply,
    truth,
    text: texts.add(packet[4], packet, reply ?? truth),
    file: file === undefined ? undefined : Buffer.concat(file.packets),
    pieces,
  };
}

/** Which packets have which of the octets [from, to) of the stream. */
function piecesOf({ parts }: Stream, from: number, to: number): Piece[] {
  return parts.flatMap(({ source, offset, length }) => {
    const begin = Math.max(offset, from);
    const end = Math.min(offset + length, to);
    return begin < end ? [{ source, from: begin - offset, to: end - offset, at: begin - from }] : [];
  });
}
