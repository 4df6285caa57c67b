import type { CaptureNs } from '../time.ts';
import type { PacketBlock, PacketSource } from '../wire/packets.ts';
import { PARSE, Segment } from '../wire/segment.ts';
import type { DecodeCounters, DecodedSessions, DecodeOptions } from './decode.ts';
import type { FlowEvent } from './events.ts';
import { RawFlow } from './raw-flow.ts';
import { type Endpoints, FlowTable } from './table.ts';

export type RawOptions = Omit<DecodeOptions, 'openTls'>;

/**
 * As `decodeSessions`, for any service: nothing is known of the protocol, and a "command" is a turn of the client's
 * (raw-dialogue.ts). A session is told as open once its connection stands.
 */
export function decodeRawSessions(source: PacketSource, options: RawOptions): DecodedSessions {
  const decoder = new RawDecoder(source.linkType, options);
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

/** The work of `decodeRawSessions`, block by block. */
export class RawDecoder {
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
  readonly #table: FlowTable<RawFlow>;
  /** Those whose clients are in a turn, or were when it was looked last. */
  readonly #inTurn = new Set<RawFlow>();
  #events: FlowEvent[] = [];
  #at: CaptureNs = 0;

  constructor(linkType: number, options: RawOptions) {
    const { serverPorts, wants } = options;
    this.#linkType = linkType;
    const push = (event: FlowEvent) => this.#push(event);
    const create = (endpoints: Endpoints, id: number, at: CaptureNs) => {
      this.counters.sessions++;
      return new RawFlow(endpoints, id, at, wants?.(id) === false ? undefined : push);
    };
    const ended = (flow: RawFlow) => flow.ended(this.#at);
    this.#table = new FlowTable<RawFlow>(serverPorts, { create, ended }, options);
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
      this.#at = at[i];
      const flow = table.find(segment, at[i]);
      flow.segment(segment, table.fromClient, at[i]);
      if (flow.underWay) this.#inTurn.add(flow);
    }
    this.counters.packets += block.count;
    // A turn whose answer takes long is told before that comes: it is due long before it.
    for (const flow of this.#inTurn) {
      if (flow.underWay) flow.settle(this.#at);
      if (!flow.underWay) this.#inTurn.delete(flow);
    }
    return this.#events;
  }

  /** The capture is over: what is open ends. */
  finish(): FlowEvent[] {
    this.#events = [];
    this.#table.finish();
    return this.#events;
  }

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
