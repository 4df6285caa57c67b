import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type DecodeOptions, decodeSessions } from '../../../src/flow/decode.ts';
import type { DecodeCounters } from '../../../src/flow/decoder.ts';
import type { FlowEvent } from '../../../src/flow/events.ts';
import { UNFINISHED_OCTETS } from '../../../src/mysql/dialogue.ts';
import type { PacketBlock, PacketSource } from '../../../src/wire/packets.ts';
import { PcapParser } from '../../../src/wire/pcap.ts';
import { PARSE, Segment } from '../../../src/wire/segment.ts';

/** The port that fixtures/make-captures.sh runs its server on. */
export const FIXTURE_PORT = 33917;

/** One of the golden captures, as octets of its pcap file. */
export function fixture(name: string): Uint8Array {
  return new Uint8Array(readFileSync(new URL(`../../../../fixtures/${name}.pcap`, import.meta.url)));
}

/** A pcap file's packets. */
export function pcapSource(octets: Uint8Array): PacketSource {
  const parser = new PcapParser();
  parser.push(octets);
  let packets = 0;
  const blocks: PacketBlock[] = [];
  // One file here is one block after another over the same octets; columns are the parser's, so each is copied.
  while (parser.pull()) {
    const { block } = parser;
    packets += block.count;
    blocks.push({
      ...block,
      offset: block.offset.slice(0, block.count),
      length: block.length.slice(0, block.count),
      wireLength: block.wireLength.slice(0, block.count),
      at: block.at.slice(0, block.count),
    });
  }
  if (parser.format === undefined) throw new Error('not a pcap file');
  return {
    linkType: parser.format.linkType,
    originSec: parser.originSec,
    stats: () => ({ packets, dropped: 0 }),
    close: () => {},
    async *[Symbol.asyncIterator]() {
      yield* blocks;
    },
  };
}

/** The same packets, of which `change` may drop, repeat or reorder some: it gets and answers packet numbers. */
export function rearranged(source: PacketSource, change: (numbers: number[]) => number[]): PacketSource {
  return {
    ...source,
    async *[Symbol.asyncIterator]() {
      for await (const block of source) {
        const numbers = change(Array.from({ length: block.count }, (_, i) => i));
        const pick = (column: Uint32Array) => Uint32Array.from(numbers, (i) => column[i]);
        yield {
          ...block,
          count: numbers.length,
          offset: pick(block.offset),
          length: pick(block.length),
          wireLength: pick(block.wireLength),
          // Whatever comes where: times go up.
          at: Float64Array.from(numbers, (_, i) => block.at[Math.min(i, block.count - 1)]),
        };
      }
    },
  };
}

export interface Decoded {
  events: FlowEvent[];
  counters: Readonly<DecodeCounters>;
}

export async function decode(
  source: PacketSource,
  ports: number[] = [FIXTURE_PORT],
  openTls?: DecodeOptions['openTls'],
): Promise<Decoded> {
  const room = { octets: 0, limit: UNFINISHED_OCTETS };
  const options: DecodeOptions = { serverPorts: new Set(ports), room };
  if (openTls !== undefined) options.openTls = openTls;
  const sessions = decodeSessions(source, options);
  const events: FlowEvent[] = [];
  for await (const batch of sessions) events.push(...batch);
  assert.equal(room.octets, 0, 'sessions that ended hold octets');
  return { events, counters: sessions.counters };
}

const decoder = new TextDecoder();

/** An event in a line, without what differs from one making of the captures to the next. */
export function describe(event: FlowEvent): string {
  const who = `${event.session.id}`;
  switch (event.type) {
    case 'open': {
      const { login, refused } = event.session;
      const error = refused === undefined ? '' : ` refused ${refused}`;
      return `${who} open ${login?.user} ${login?.schema ?? '-'}${error}`;
    }
    case 'command': {
      const { command } = event;
      const text =
        command.com === 3 || command.com === 22 ? ` ${decoder.decode(command.packet.subarray(5))}` : '';
      const shown = text.slice(0, 60).replaceAll('\n', '\\n');
      return `${who} command ${command.ordinal} com ${command.com}${shown}`;
    }
    case 'reply': {
      const { reply, file } = event.command;
      if (reply === undefined) return `${who} reply missing`;
      const read = file === undefined ? '' : ` file ${file.octets}${file.whole ? '' : ' torn'}`;
      const { kind, errno, affected, columns, rows, params } = reply;
      return `${who} reply ${event.command.ordinal} ${kind} errno ${errno} affected ${affected} columns ${columns} rows ${rows} params ${params}${read}`;
    }
    case 'lost':
    case 'skip':
      return `${who} ${event.type} ${event.cause} ${event.commands}`;
    case 'close':
      return `${who} close ${event.how}`;
  }
}

/** Octets that one side sent in one segment. */
export interface Turn {
  fromClient: boolean;
  octets: Uint8Array;
}

/** The payloads of one connection of a golden capture (its `session`th), in capture order; these have no holes. */
export async function sessionTurns(name: string, session = 0): Promise<Turn[]> {
  const source = pcapSource(fixture(name));
  const segment = new Segment();
  const clients: number[] = [];
  const turns: Turn[] = [];
  for await (const { octets, view, count, offset, length } of source) {
    for (let i = 0; i < count; i++) {
      if (segment.parse(octets, view, offset[i], length[i], source.linkType) !== PARSE.ok) continue;
      const fromClient = segment.dstPort === FIXTURE_PORT;
      const client = fromClient ? segment.srcPort : segment.dstPort;
      if (!clients.includes(client)) clients.push(client);
      if (clients.indexOf(client) !== session || segment.dataLength === 0) continue;
      const { dataOffset, dataLength } = segment;
      turns.push({ fromClient, octets: octets.slice(dataOffset, dataOffset + dataLength) });
    }
  }
  return turns;
}
