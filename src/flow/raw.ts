import type { PacketSource } from '../wire/packets.ts';
import { type DecodedSessions, decodeBlocks, FlowDecoder, type FlowOptions } from './decoder.ts';
import type { Turn } from './raw-dialogue.ts';
import { RawFlow } from './raw-flow.ts';

/**
 * As `decodeSessions`, for any service: nothing is known of the protocol, and in the place of a command is a turn of the client's
 * (raw-dialogue.ts). A session is told as open once its connection stands.
 */
export function decodeRawSessions(source: PacketSource, options: FlowOptions): DecodedSessions<Turn> {
  return decodeBlocks(source, new RawDecoder(options));
}

/** The work of `decodeRawSessions`, block by block. */
export class RawDecoder extends FlowDecoder<RawFlow, Turn> {
  constructor(options: FlowOptions) {
    super(options, (endpoints, id, at, sink) => new RawFlow(endpoints, id, at, sink));
  }
}
