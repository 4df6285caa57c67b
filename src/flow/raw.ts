import type { CaptureNs } from '../time.ts';
import type { PacketSource } from '../wire/packets.ts';
import { type DecodedSessions, decodeBlocks, FlowDecoder, type FlowOptions } from './decoder.ts';
import { RawFlow } from './raw-flow.ts';

/**
 * As `decodeSessions`, for any service: nothing is known of the protocol, and a "command" is a turn of the client's
 * (raw-dialogue.ts). A session is told as open once its connection stands.
 */
export function decodeRawSessions(source: PacketSource, options: FlowOptions): DecodedSessions {
  return decodeBlocks(source, new RawDecoder(options));
}

/** The work of `decodeRawSessions`, block by block. */
export class RawDecoder extends FlowDecoder<RawFlow> {
  /** Those whose clients are in a turn, or were when it was looked last. */
  readonly #inTurn = new Set<RawFlow>();

  constructor(options: FlowOptions) {
    super(options, (endpoints, id, at, push) => new RawFlow(endpoints, id, at, push));
  }

  protected override read(flow: RawFlow): void {
    if (flow.underWay) this.#inTurn.add(flow);
  }

  /** A turn whose answer takes long is told before that comes: it is due long before it. */
  protected override settle(at: CaptureNs): void {
    for (const flow of this.#inTurn) {
      if (flow.underWay) flow.settle(at);
      if (!flow.underWay) this.#inTurn.delete(flow);
    }
  }
}
