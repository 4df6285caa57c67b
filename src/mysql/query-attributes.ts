/**
 * What comes before the text of a COM_QUERY where CLIENT_QUERY_ATTRIBUTES is in force: a parameter count, a count of
 * parameter sets (1) and, where there are parameters, the block of bound-parameters.ts with names (MySQL manual,
 * "COM_QUERY").
 */
import { boundParametersAt, valuesEnd } from './bound-parameters.ts';
import { COM } from './command.ts';
import { commandPacket, payloadOf } from './framing.ts';
import { HEADER_OCTETS, lenenc, lenencSize, MAX_PAYLOAD } from './packet.ts';

/** No text of a statement has this octet near its beginning, where a count of 1 stands. */
const ONE_SET = 1;

/**
 * Where the text of a COM_QUERY begins that has its command octet at `at - 1` and ends at `end`. Attributes are told by
 * their form, so that nobody need know the capabilities: `at` where what stands there is none, or is malformed.
 */
export function queryTextAt(octets: Uint8Array, at: number, end: number): number {
  // Most counts are a single octet: a look at the one behind it says no.
  if (octets[at + 1] !== ONE_SET && octets[at] < 0xfb) return at;
  const size = at < end ? lenencSize(octets[at]) : 0;
  const blockAt = at + size + 1;
  if (size === 0 || blockAt > end || octets[blockAt - 1] !== ONE_SET) return at;
  const count = lenenc(octets, at);
  if (count === 0) return blockAt;
  const bound = boundParametersAt(octets, blockAt, end, count, true);
  return (bound && valuesEnd(octets, bound, count, end)) ?? at;
}

/** A COM_QUERY without what comes before its text; `packet` itself where nothing does. */
export function withoutQueryAttributes(packet: Uint8Array): Uint8Array {
  const payload = payloadOf(packet);
  const textAt = textBegin(payload);
  return textAt === 1 ? packet : commandPacket([COM.query], payload.subarray(textAt));
}

/** A COM_QUERY of ours with `text`, as the capabilities in force want it. */
export function queryPacket(text: Uint8Array, queryAttributes: boolean): Uint8Array {
  return commandPacket(queryAttributes ? [COM.query, 0, ONE_SET] : [COM.query], text);
}

/**
 * The text (or name) of a COM_QUERY, COM_STMT_PREPARE or COM_INIT_DB. A view of `packet`, but where its payload takes
 * several packets.
 */
export function textOf(packet: Uint8Array): Uint8Array {
  const payload = payloadOf(packet);
  return payload.subarray(textBegin(payload));
}

/** A copy of such a packet, attributes and all, with `text` for its text. */
export function withText(packet: Uint8Array, text: Uint8Array): Uint8Array {
  const payload = payloadOf(packet);
  return commandPacket(payload.subarray(0, textBegin(payload)), text);
}

function textBegin(payload: Uint8Array): number {
  return payload[0] === COM.query ? queryTextAt(payload, 1, payload.length) : 1;
}

const BODY = 5;

/** Where the text of a COM_QUERY's packet begins: behind its query attributes, where it has any. */
export function sqlAt(packet: Uint8Array): number {
  return queryTextAt(packet, BODY, Math.min(packet.length, HEADER_OCTETS + MAX_PAYLOAD));
}
