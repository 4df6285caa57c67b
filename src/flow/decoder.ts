/** From a capture's packets to the events of its connections, whatever their protocol. */
import type { CaptureNs } from '../time.ts';
import type { PacketBlock, PacketSource } from '../wire/packets.ts';
import { PARSE, Segment } from '../wire/segment.ts';
import type { FlowEvent } from './events.ts';
import { type Endpoints, type Flow, FlowTable, type TableOptions } from './table.ts';

export interface FlowOptions extends TableOptions {
  /** Who listens on these is the server. */
  serverPorts: ReadonlySet<number>;
  /** Which sessions (SessionMeta.id) to read, default all: the others have no events, and cost next to nothing. */
  wants?: (id: number) => boolean;
}

/** What went through a decoder so far. */
export interface DecodeCounters {
  packets: number;
  /** Of them, packets that are no TCP segment or are malformed or cut in their headers. */
  unreadable: number;
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
export interface DecodedSessions extends AsyncIterable<FlowEvent[]> {
  readonly counters: Readonly<DecodeCounters>;
}

/** A connection that makes events of its segments. */
export interface DecodedFlow extends Flow {
  segment(segment: Segment, fromClient: boolean, at: CaptureNs): void;
  /** The table gives it up: closed a while ago, idle for too long, its ports used anew, or the capture is over. */
  ended(at: CaptureNs): void;
}

/** Makes a connection; `push` is told its events: undefined where nobody wants them. */
export type MakeFlow<F> = (
  endpoints: Endpoints,
  id: number,
  at: CaptureNs,
  push: ((event: FlowEvent) => void) | undefined,
) => F;

/** Reads `source` by `decoder`. */
export function decodeBlocks<F extends DecodedFlow>(
  source: PacketSource,
  decoder: FlowDecoder<F>,
): DecodedSessions {
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
export class FlowDecoder<F extends DecodedFlow> {
  readonly counters: DecodeCounters = {
    packets: 0,
    unreadable: 0,
    sessions: 0,
    commands: 0,
    answered: 0,
    lost: 0,
  };
  readonly #linkType: number;
  readonly #segment = new Segment();
  readonly #table: FlowTable<F>;
  #events: FlowEvent[] = [];
  #at: CaptureNs = 0;

  constructor(linkType: number, options: FlowOptions, make: MakeFlow<F>) {
    const { serverPorts, wants } = options;
    this.#linkType = linkType;
    const push = (event: FlowEvent) => this.#push(event);
    const create = (endpoints: Endpoints, id: number, at: CaptureNs) => {
      this.counters.sessions++;
      return make(endpoints, id, at, wants?.(id) === false ? undefined : push);
    };
    const ended = (flow: F) => flow.ended(this.#at);
    this.#table = new FlowTable<F>(serverPorts, { create, ended }, options);
  }

  block(block: PacketBlock): FlowEvent[] {
    this.#events = [];
    const { octets, view, offset, length, at } = block;
    const segment = this.#segment;
    const table = this.#table;
    for (let i = 0; i < block.count; i++) {
      if (segment.parse(octets, view, offset[i], length[i], this.#linkType) !== PARSE.ok) {
        this.counters.unreadable++;
        continue;
      }
      if (at[i] > this.#at) this.#at = at[i];
      const flow = table.find(segment, at[i]);
      flow.segment(segment, table.fromClient, flow.lastAt);
      this.read(flow);
    }
    this.counters.packets += block.count;
    this.settle(this.#at);
    return this.#events;
  }

  /** The capture is over: what is open ends. */
  finish(): FlowEvent[] {
    this.#events = [];
    this.#table.finish();
    return this.#events;
  }

  /** A segment of `flow` was read. */
  protected read(_flow: F): void {}

  /** All packets of before `at` were read. */
  protected settle(_at: CaptureNs): void {}

  #push(event: FlowEvent): void {
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
