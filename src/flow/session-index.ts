/**
 * What an archive's index knows of sessions, gathered packet by packet while they are recorded: who, when, how much, and
 * how many commands. It reads MySQL only by its packet headers and in order; where it can't, it says that it doesn't
 * know (`commands` null) rather than guess. The whole truth is the decoder's (decode.ts), which has the same session ids.
 */
import { CLIENT, has } from '../mysql/capabilities.ts';
import { parseClientHello, parseGreeting } from '../mysql/handshake.ts';
import { HEADER_OCTETS, payloadLength } from '../mysql/packet.ts';
import type { CaptureNs } from '../time.ts';
import type { Address } from '../wire/address.ts';
import type { PacketBlock } from '../wire/packets.ts';
import { CTL, Segment } from '../wire/segment.ts';
import { seqAdd, seqDiff } from '../wire/sequence.ts';
import { type Endpoints, Flow } from './flow.ts';
import { FlowTable, type TableOptions } from './table.ts';

/** How far the walk over a client's octets has come. */
const WALK = {
  /** Waits for the client's first packet. */
  hello: 0,
  /** Counts packets with sequence id 0: the commands. */
  commands: 1,
  /** Cannot tell any more: octets are missing, encrypted, compressed or not MySQL. */
  lost: 2,
} as const;

/** A client's first packet may come in pieces, but not for ever. */
const MAX_HELLO_OCTETS = 64 * 1024;

/** What first packets that come in pieces may take in all sessions together. */
const MOST_HELLOS_OCTETS = 16 * 1024 * 1024;

/** Sequence ids wrap at 256: behind this one, an id of 0 need not be a command (data of LOAD DATA LOCAL). */
const LAST_SEQUENCE_ID = 255;

/** One session, as far as the index knows it. */
export class IndexedSession extends Flow {
  readonly client: Address;
  readonly clientPort: number;
  readonly server: Address;
  readonly serverPort: number;
  packets = 0;
  /** TCP payload as on the wire, octets sent again included. */
  clientOctets = 0;
  serverOctets = 0;
  /** Numbers of its first and last packet within the capture; among sessions of the same ends they do not overlap. */
  firstPacket = 0;
  lastPacket = 0;
  user: string | undefined;
  schema: string | undefined;
  tls = false;
  compressed = false;
  /** Blocks that have packets of its, ascending, since the owner of the index last emptied this. */
  blocks: number[] = [];
  /** How many there were when it was emptied. */
  blocksBefore = 0;
  /** The newest of them. */
  lastBlock = -1;
  /** Whether it is on the index's list of changed sessions. */
  changed = false;
  walk: number = WALK.hello;
  counted = 0;
  /** What of its commands the totals hold. */
  totalled: number | null = 0;
  /** Capabilities of the server's greeting; all, where that was not seen. */
  offered = 0xffffffff;
  greeted = false;
  /** The client's next octet in order, as a sequence number; -1 until it is known. */
  next = -1;
  /** Payload octets of the current packet that are still to come. */
  payloadLeft = 0;
  /** Pieces of a packet header that was cut by a segment's end. */
  header = 0;
  headerOctets = 0;
  /** The client's first packet, as far as it came. */
  hello: Uint8Array | undefined;

  constructor(endpoints: Endpoints, id: number, at: CaptureNs) {
    super(id, at);
    this.client = endpoints.client;
    this.clientPort = endpoints.clientPort;
    this.server = endpoints.server;
    this.serverPort = endpoints.serverPort;
  }

  /** Commands of the client's; null where they could not be counted. */
  get commands(): number | null {
    if (this.walk === WALK.lost || !this.fromStart || this.clientSide.hasGaps(this.serverSide)) return null;
    // It says something, and what it said first is not there.
    if (this.walk === WALK.hello && this.clientSide.hasData) return null;
    return this.coverage === 'one-sided' ? null : this.counted;
  }
}

/** Builds the index from blocks of packets, in capture order. */
export class SessionIndex {
  /** Sessions so far. */
  sessions = 0;
  /** Packets so far, those that belong to no session (not TCP, fragments) included. */
  packets = 0;
  /** As of the last `takeChanged`: commands of the sessions that they could be counted of. */
  commands = 0;
  /** And sessions that they could not be counted of. */
  uncounted = 0;
  /** Sessions that went on under TLS. */
  tls = 0;
  readonly #table: FlowTable<IndexedSession>;
  readonly #segment = new Segment();
  #changed: IndexedSession[] = [];
  /** Octets of all sessions' `hello`. */
  #helloOctets = 0;

  /** Packets that are copies of others: captured before and after address translation, or at two ports. */
  get copies(): number {
    return this.#table.copies;
  }

  /** Packets of connections that a server's host made from a server's port. */
  get outgoing(): number {
    return this.#table.outgoing;
  }

  /** Packets of connections that there was no room for: a flood. */
  get flooded(): number {
    return this.#table.flooded;
  }

  /** Those of them that had data. */
  get floodedData(): number {
    return this.#table.floodedData;
  }

  /** As for FlowTable. */
  constructor(serverPorts: ReadonlySet<number>, options?: TableOptions) {
    const create = (endpoints: Endpoints, id: number, at: CaptureNs) => {
      this.sessions++;
      return new IndexedSession(endpoints, id, at);
    };
    const ended = (session: IndexedSession) => {
      this.#dropHello(session);
      this.#change(session);
    };
    this.#table = new FlowTable(serverPorts, { create, ended }, options);
  }

  /** Takes the packets of `block`, which is block `number` of the archive. */
  add(block: PacketBlock, number: number): void {
    const { linkType, octets, view, count, offset, length, at } = block;
    const segment = this.#segment;
    for (let i = 0; i < count; i++) {
      const packet = this.packets++;
      if (segment.parse(octets, view, offset[i], length[i], linkType) !== 0) continue;
      const session = this.#table.find(segment, at[i]);
      if (session === undefined) continue;
      if (session.packets++ === 0) {
        session.firstPacket = packet;
      }
      session.lastPacket = packet;
      if (session.lastBlock !== number) {
        session.lastBlock = number;
        session.blocks.push(number);
        this.#change(session);
      }
      if (this.#table.fromClient) {
        session.clientOctets += segment.wireDataLength;
        if (session.walk !== WALK.lost) this.#fromClient(session, segment);
      } else {
        session.serverOctets += segment.wireDataLength;
        if (!session.greeted && segment.dataLength > 0) this.#greeting(session, segment);
      }
    }
  }

  #change(session: IndexedSession): void {
    if (session.changed) return;
    session.changed = true;
    this.#changed.push(session);
  }

  /** Skips packets that can't be read but count in the numbering. */
  skip(packets: number): void {
    this.packets += packets;
  }

  /** Sessions that got packets, or ended, since the last call. Their `changed` is false again. */
  takeChanged(): IndexedSession[] {
    const changed = this.#changed;
    this.#changed = [];
    for (const session of changed) {
      session.changed = false;
      this.#total(session);
    }
    return changed;
  }

  /** Brings the totals up to what is known of `session` now. */
  #total(session: IndexedSession): void {
    const { totalled, commands } = session;
    if (totalled === null) this.uncounted--;
    else this.commands -= totalled;
    if (commands === null) this.uncounted++;
    else this.commands += commands;
    session.totalled = commands;
  }

  #greeting(session: IndexedSession, segment: Segment): void {
    session.greeted = true;
    const { octets, dataOffset, dataLength } = segment;
    const greeting = parseGreeting(octets, dataOffset, dataOffset + dataLength);
    if (greeting !== undefined) session.offered = greeting.capabilities;
  }

  #fromClient(session: IndexedSession, segment: Segment): void {
    if (segment.flags & CTL.syn) return;
    const { wireDataLength, dataLength, dataOffset } = segment;
    if (wireDataLength === 0) return;
    if (session.next < 0) {
      // What came before is not there, or comes later.
      if (!session.fromStart) {
        this.#lose(session);
        return;
      }
      session.next = session.clientSide.first;
    }
    const ahead = seqDiff(segment.seq, session.next);
    if (ahead + wireDataLength <= 0) return; // Sent again, or a keep-alive probe.
    if (ahead > 0 || dataLength < wireDataLength) {
      this.#lose(session);
      return;
    }
    session.next = seqAdd(segment.seq, wireDataLength);
    this.#read(session, segment.octets, dataOffset - ahead, dataOffset + dataLength);
  }

  /** Walks over the client's octets [from, to), which are next in order. */
  #read(session: IndexedSession, octets: Uint8Array, from: number, to: number): void {
    if (session.walk === WALK.hello) {
      this.#hello(session, octets, from, to);
      return;
    }
    let at = from;
    while (at < to) {
      if (session.payloadLeft > 0) {
        const step = Math.min(session.payloadLeft, to - at);
        session.payloadLeft -= step;
        at += step;
        continue;
      }
      session.header = (session.header | (octets[at++] << (8 * session.headerOctets++))) >>> 0;
      if (session.headerOctets < HEADER_OCTETS) continue;
      session.payloadLeft = session.header & 0xffffff;
      const sequenceId = session.header >>> 24;
      session.header = 0;
      session.headerOctets = 0;
      if (sequenceId === 0) {
        session.counted++;
      } else if (sequenceId === LAST_SEQUENCE_ID) {
        this.#lose(session);
        return;
      }
    }
  }

  /** The client's first packet: whole most times, held until it is otherwise. */
  #hello(session: IndexedSession, octets: Uint8Array, from: number, to: number): void {
    if (session.hello !== undefined || to - from < HEADER_OCTETS + payloadLength(octets, from)) {
      octets = Buffer.concat([session.hello ?? new Uint8Array(0), octets.subarray(from, to)]);
      from = 0;
      to = octets.length;
      this.#dropHello(session);
      session.hello = octets;
      this.#helloOctets += to;
    }
    const end = from + HEADER_OCTETS + payloadLength(octets, from);
    if (to - from < HEADER_OCTETS || to < end) {
      if (end - from > MAX_HELLO_OCTETS || this.#helloOctets > MOST_HELLOS_OCTETS) this.#lose(session);
      return;
    }
    this.#dropHello(session);
    const hello = parseClientHello(octets, from, end);
    if (hello.type !== 'response') {
      session.tls = hello.type === 'tls';
      if (session.tls) this.tls++;
      this.#lose(session);
      return;
    }
    const { capabilities, user, schema } = hello.response;
    const inForce = (capabilities & session.offered) >>> 0;
    session.user = user;
    session.schema = schema;
    session.compressed = has(inForce, CLIENT.compress) || has(inForce, CLIENT.zstdCompression);
    if (session.compressed) {
      this.#lose(session);
      return;
    }
    session.walk = WALK.commands;
    if (end < to) this.#read(session, octets, end, to);
  }

  #lose(session: IndexedSession): void {
    if (session.walk === WALK.lost) return;
    session.walk = WALK.lost;
    this.#dropHello(session);
  }

  #dropHello(session: IndexedSession): void {
    if (session.hello === undefined) return;
    this.#helloOctets -= session.hello.length;
    session.hello = undefined;
  }
}
