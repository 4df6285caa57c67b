/** What the decoder tells of packets, as plain lists; and which text a statement's id stands for in what it tells. */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type DecodeOptions, SessionDecoder } from '../../../src/flow/decode.ts';
import type { FlowEvent } from '../../../src/flow/events.ts';
import { COM, type Command } from '../../../src/mysql/command.ts';
import { UNFINISHED_OCTETS } from '../../../src/mysql/dialogue.ts';
import type { Reply } from '../../../src/mysql/reply.ts';
import { KeyLog } from '../../../src/tls/key-log.ts';
import { TlsStream } from '../../../src/tls/stream.ts';
import { makeBlock, type PacketBlock } from '../../../src/wire/packets.ts';
import { ROOT } from '../../support/root.ts';
import type { Packet } from './frames.ts';

/** Of the golden captures' server, and of the synthetic ones'. */
export const PORTS: ReadonlySet<number> = new Set([33_917, 3307]);

export interface ToldSession {
  id: number;
  client: string;
  server: string;
  user: string | undefined;
  commands: Command[];
  /** It could not be read at all. */
  skipped: boolean;
  /** As the decoder has it at the session's end. */
  readonly coverage: string | undefined;
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
  add(com: number, packet: Uint8Array, reply: Partial<Reply> | undefined): string | undefined {
    if (com === COM.stmtPrepare) {
      const text = Buffer.from(packet.subarray(5)).toString('latin1');
      if (reply?.kind === 'ok') this.#texts.set(reply.statementId as number, text);
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

const FIXTURES = join(ROOT, 'fixtures');

const KEYS = KeyLog.parse(
  readdirSync(FIXTURES)
    .filter((file) => file.endsWith('.keys'))
    .map((file) => readFileSync(join(FIXTURES, file), 'latin1'))
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
      if (event.type === 'open') told.user = session.login?.user;
      else if (event.type === 'command') told.commands.push(event.command);
      else if (event.type === 'lost' || event.type === 'skip') {
        told.losses.add(told.commands.length);
        told.skipped ||= event.type === 'skip';
        if (event.cause === 'tls') told.lost = undefined;
        else if (told.lost !== undefined) told.lost += event.commands;
      }
    }
  };
  const room = { octets: 0, limit: UNFINISHED_OCTETS };
  const decoder = new SessionDecoder({ serverPorts: PORTS, openTls, room });
  for (const block of blocksOf(packets, linkType)) take(decoder.block(block));
  take(decoder.finish());
  assert.equal(room.octets, 0, 'sessions that ended hold octets');
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
    skipped: false,
    // As it is at the end.
    get coverage() {
      return session.coverage;
    },
    losses: new Set(),
    lost: 0,
  };
}
