/** From a capture's packets to the events of its connections, whatever their protocol. */
import type { Command } from '../mysql/command.ts';
import { UNFINISHED_OCTETS } from '../mysql/dialogue.ts';
import type { Room } from '../mysql/room.ts';
import { HeldBudget, type WatchWaits } from '../tcp/watched.ts';
import type { CaptureNs } from '../time.ts';
import type { PacketBlock, PacketSource } from '../wire/packets.ts';
import { PARSE, Segment } from '../wire/segment.ts';
import type { FlowEvent, RecordedRequest } from './events.ts';
import type { Endpoints, Flow } from './flow.ts';
import { FlowTable, type TableOptions } from './table.ts';

export interface FlowOptions extends TableOptions {
  /** Who listens on these is the server. */
  serverPorts: ReadonlySet<number>;
  /** Which sessions (SessionMeta.id) to read, default all: the others have no events, and cost next to nothing. */
  wants?: (id: number) => boolean;
  /** How long octets that are captured late are waited for; default: as suits a file. */
  waits?: WatchWaits;
  /** What unfinished commands and files of all connections may take; default: one command of any length. */
  room?: Room;
}

/**
 * Of a file: the queues of a network card differ by milliseconds, the clocks of a tap's two directions, or of two files that were
 * merged, by up to a second.
 */
export const FILE_WAITS: WatchWaits = { holeNs: 100e6, directionNs: 1e9 };

/** Of a live capture, where everything comes from one ring, and the load must not wait. */
export const LIVE_WAITS: WatchWaits = { holeNs: 20e6, directionNs: 50e6 };

/** What all connections together may hold back. */
const HELD_OCTETS = 256 * 1024 * 1024;

/** A stamp this far behind the newest is of a clock that was set back. */
const SET_BACK_NS = 10e9;

/** What the connections of a decoder share. */
export interface FlowSink<Request extends RecordedRequest = Command> {
  push(event: FlowEvent<Request>): void;
  readonly waits: WatchWaits;
  readonly budget: HeldBudget;
  /** What unfinished commands and files of all connections may take. */
  readonly room: Room;
}

/** What went through a decoder so far. */
export interface DecodeCounters {
  packets: number;
  /** Of them, packets that are no TCP segment or are malformed or cut in their headers. */
  unreadable: number;
  /** Packets that are copies of others: captured before and after address translation, or at two ports. */
  copies: number;
  /** Packets of connections that there was no room for, and those of them that had data. */
  flooded: number;
  floodedData: number;
  /** Connections, whatever came of them. */
  sessions: number;
  /** Commands told. */
  commands: number;
  /** Of them, commands whose answer was read. */
  answered: number;
  /** Commands known to have been sent and not told: those of `lost` and `skip`. */
  lost: number;
}

/** A capture's sessions as batches of events, one for each block of packets that has any. */
export interface DecodedSessions<Request extends RecordedRequest = Command>
  extends AsyncIterable<FlowEvent<Request>[]> {
  readonly counters: Readonly<DecodeCounters>;
}

/** A connection that makes events of its segments. */
export interface DecodedFlow extends Flow {
  /** `now`: the newest stamp of the capture. Returns `unsettled`. */
  segment(segment: Segment, fromClient: boolean, at: CaptureNs, now: CaptureNs): boolean;
  /** Whether the passing of time may change something: then `settle` is called. */
  readonly unsettled: boolean;
  /** All packets of before `now` were read. */
  settle(now: CaptureNs): void;
  /** The capture is over, and the table has given it up. Left out: then it has ended. */
  finish?(): void;
  /** The table gives it up: closed a while ago, idle for too long, its ports used anew, or the capture is over. */
  ended(at: CaptureNs): void;
}

/** Makes a connection; `sink` is told its events: undefined where nobody wants them. */
export type MakeFlow<F, Request extends RecordedRequest = Command> = (
  endpoints: Endpoints,
  id: number,
  at: CaptureNs,
  sink: FlowSink<Request> | undefined,
) => F;

/** Reads `source` by `decoder`. */
export function decodeBlocks<F extends DecodedFlow, Request extends RecordedRequest>(
  source: PacketSource,
  decoder: FlowDecoder<F, Request>,
): DecodedSessions<Request> {
  return {
    counters: decoder.counters,
    async *[Symbol.asyncIterator]() {
      for await (const block of source) {
        const events = decoder.block(block);
        if (events.length > 0) yield events;
      }
      const events = decoder.finish();
      if (events.length > 0) yield events;
    },
  };
}

/** Hands segments to the connections that they belong to, block by block, and gathers what these tell. */
export class FlowDecoder<F extends DecodedFlow, Request extends RecordedRequest = Command> {
  readonly counters: DecodeCounters = {
    packets: 0,
    unreadable: 0,
    copies: 0,
    flooded: 0,
    floodedData: 0,
    sessions: 0,
    commands: 0,
    answered: 0,
    lost: 0,
  };
  readonly #segment = new Segment();
  readonly #table: FlowTable<F>;
  readonly #unsettled = new Set<F>();
  #events: FlowEvent<Request>[] = [];
  /** The newest stamp. */
  #now: CaptureNs = 0;

  constructor(options: FlowOptions, make: MakeFlow<F, Request>) {
    const { serverPorts, wants, waits = FILE_WAITS } = options;
    const { room = { octets: 0, limit: UNFINISHED_OCTETS } } = options;
    const budget = new HeldBudget(HELD_OCTETS);
    const sink: FlowSink<Request> = { push: (event) => this.#push(event), waits, budget, room };
    const create = (endpoints: Endpoints, id: number, at: CaptureNs) => {
      this.counters.sessions++;
      return make(endpoints, id, at, wants?.(id) === false ? undefined : sink);
    };
    const ended = (flow: F) => flow.ended(this.#now);
    this.#table = new FlowTable<F>(serverPorts, { create, ended }, options);
  }

  block(block: PacketBlock): FlowEvent<Request>[] {
    this.#events = [];
    const { linkType, octets, view, offset, length, at } = block;
    const segment = this.#segment;
    const table = this.#table;
    for (let i = 0; i < block.count; i++) {
      if (segment.parse(octets, view, offset[i], length[i], linkType) !== PARSE.ok) {
        this.counters.unreadable++;
        continue;
      }
      const moment = at[i];
      if (moment > this.#now || moment < this.#now - SET_BACK_NS) this.#now = moment;
      const flow = table.find(segment, moment);
      if (flow === undefined) continue;
      if (flow.segment(segment, table.fromClient, moment, this.#now)) this.#unsettled.add(flow);
    }
    this.counters.packets += block.count;
    this.counters.copies = table.copies;
    this.counters.flooded = table.flooded;
    this.counters.floodedData = table.floodedData;
    for (const flow of this.#unsettled) {
      flow.settle(this.#now);
      if (!flow.unsettled) this.#unsettled.delete(flow);
    }
    return this.#events;
  }

  /** The capture is over: what is open ends. */
  finish(): FlowEvent<Request>[] {
    this.#events = [];
    this.#table.finish();
    for (const flow of this.#unsettled) flow.finish?.();
    return this.#events;
  }

  #push(event: FlowEvent<Request>): void {
    this.#events.push(event);
    switch (event.type) {
      case 'command':
        this.counters.commands++;
        break;
      case 'reply':
        this.counters.answered++;
        break;
      case 'lost':
      case 'skip':
        this.counters.lost += event.commands;
        break;
    }
  }
}
