/** What only the beginning of a MySQL connection looks like, told from one segment. */
import { beginsHello, PROTOCOL_V10, parseGreeting } from '../mysql/handshake.ts';
import { HEADER_OCTETS, payloadLength } from '../mysql/packet.ts';
import type { Segment } from '../wire/segment.ts';

const SCRAMBLE_OCTETS = 20;

/** Whether a greeting fills `segment`. */
export function isGreeting({ octets, dataOffset, dataLength, wireDataLength }: Segment): boolean {
  const from = dataOffset;
  const to = from + dataLength;
  if (dataLength <= HEADER_OCTETS || octets[from + 3] !== 0) return false;
  if (octets[from + HEADER_OCTETS] !== PROTOCOL_V10) return false;
  if (from + HEADER_OCTETS + payloadLength(octets, from) !== from + wireDataLength) return false;
  const greeting = parseGreeting(octets, from, to);
  return greeting !== undefined && greeting.scramble.length === SCRAMBLE_OCTETS;
}

/** Whether the first packet of a client of 4.1 or later fills `segment`: HandshakeResponse41, or SSLRequest. */
function isHello({ octets, dataOffset, dataLength, wireDataLength }: Segment): boolean {
  const to = dataOffset + dataLength;
  if (!beginsHello(octets, dataOffset, to)) return false;
  return HEADER_OCTETS + payloadLength(octets, dataOffset) === wireDataLength;
}

/** Whether a login's first packet from this side fills `segment`: a server's greeting, or its client's answer to that. */
export function beginsLogin(segment: Segment, fromClient: boolean): boolean {
  return fromClient ? isHello(segment) : isGreeting(segment);
}
