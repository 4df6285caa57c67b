import { HEADER_OCTETS, MAX_PAYLOAD, payloadLength } from './packet.ts';

/**
 * The payload of a command's packets, which fill `packet` (`Command.packet`). A view of `packet` where it is a single one,
 * a copy without the inner headers where there are several. What is cut short ends where its octets do.
 */
export function payloadOf(packet: Uint8Array): Uint8Array {
  if (packet.length < HEADER_OCTETS + MAX_PAYLOAD) return packet.subarray(HEADER_OCTETS);
  const payload = new Uint8Array(packet.length);
  let length = 0;
  for (let at = 0; packet.length - at >= HEADER_OCTETS; ) {
    const end = at + HEADER_OCTETS + payloadLength(packet, at);
    const part = packet.subarray(at + HEADER_OCTETS, end);
    payload.set(part, length);
    length += part.length;
    at = end;
  }
  return payload.subarray(0, length);
}

/** `payload` as a command's packets, with sequence ids from 0 on: the reverse of `payloadOf`. Copies. */
export function framePayload(payload: Uint8Array): Uint8Array {
  const count = Math.floor(payload.length / MAX_PAYLOAD) + 1;
  const packet = new Uint8Array(payload.length + count * HEADER_OCTETS);
  let to = 0;
  for (let sequenceId = 0; sequenceId < count; sequenceId++) {
    const from = sequenceId * MAX_PAYLOAD;
    const part = payload.subarray(from, from + MAX_PAYLOAD);
    packet[to] = part.length;
    packet[to + 1] = part.length >> 8;
    packet[to + 2] = part.length >> 16;
    packet[to + 3] = sequenceId;
    packet.set(part, to + HEADER_OCTETS);
    to += HEADER_OCTETS + part.length;
  }
  return packet;
}

/** A command's packets: `head`, the command octet first, then `body`. Copies. */
export function commandPacket(head: ArrayLike<number>, body: Uint8Array): Uint8Array {
  const payload = new Uint8Array(head.length + body.length);
  payload.set(head);
  payload.set(body, head.length);
  return framePayload(payload);
}
