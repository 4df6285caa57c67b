/** Changes that take nothing from a capture: all that was told of it has to be told of what they make. */
import { FLAG, type Frame, parseFrame, rewritten } from './frames.ts';
import type { Whole } from './reference.ts';
import { PORTS } from './told.ts';

/** Both captures at once: packets of `other` are moved to the time of `whole`, its clients to other ports. */
export function overlay(whole: Whole, other: Whole): Whole {
  const shift = whole.packets[0].at - other.packets[0].at;
  const renamed = new Map<string, string>();
  const ports = new Map<string, number>();
  for (const client of [...other.clients.keys(), ...clientsOf(other)]) {
    const [address, port] = client.split(':');
    let moved = Number(port) ^ 0x2000;
    while (whole.clients.has(`${address}:${moved}`) || PORTS.has(moved)) moved ^= 0x155;
    ports.set(client, moved);
    renamed.set(client, `${address}:${moved}`);
  }
  const first = whole.packets.length;
  const packets = [
    ...whole.packets,
    ...other.packets.map((packet) => {
      const frame = parseFrame(packet.octets, other.linkType, PORTS);
      const clientPort = frame && ports.get(frame.client);
      return {
        ...packet,
        octets: frame && clientPort ? rewritten(packet.octets, frame, { clientPort }) : packet.octets,
        at: packet.at + shift,
        source: packet.source + first,
      };
    }),
  ].sort((a, b) => a.at - b.at);
  const clients = new Map(whole.clients);
  for (const [client, known] of other.clients) {
    clients.set(
      renamed.get(client) as string,
      known.map((command) => ({
        ...command,
        pieces: command.pieces?.map((piece) => ({ ...piece, source: piece.source + first })),
      })),
    );
  }
  const opaque = new Set([
    ...whole.opaque,
    ...[...other.opaque].map((client) => renamed.get(client) as string),
  ]);
  return { name: `${whole.name} + ${other.name}`, linkType: whole.linkType, packets, clients, opaque };
}

function clientsOf({ packets, linkType }: Whole): string[] {
  return packets.flatMap(({ octets }) => parseFrame(octets, linkType, PORTS)?.client ?? []);
}

/** The same conversations, both ends' sequence numbers moved so that they pass 2^32 within the first octets of each direction. */
export function wrapped(whole: Whole, ahead: number): Whole {
  const moves = new Map<string, number>();
  /** The first sequence number of a direction becomes 2^32 - `ahead`. */
  const moveOf = (key: string, seq: number) => {
    if (!moves.has(key)) moves.set(key, (-ahead - seq) | 0);
    return moves.get(key) as number;
  };
  const frames = whole.packets.map(({ octets }) => parseFrame(octets, whole.linkType, PORTS));
  for (const frame of frames)
    if (frame && !isReset(frame)) moveOf(`${frame.client} ${frame.fromClient}`, frame.seq);
  for (const frame of frames)
    if (frame && frame.flags & FLAG.ack) moveOf(`${frame.client} ${!frame.fromClient}`, frame.ack);
  const packets = whole.packets.map((packet, i) => {
    const frame = frames[i];
    if (frame === undefined) return packet;
    const { client, fromClient, seq, ack, flags } = frame;
    const change = {
      // A RST that answers a SYN has none of its sender's sequence numbers, but 0.
      seq: isReset(frame) ? seq : seq + moveOf(`${client} ${fromClient}`, seq),
      ...(flags & FLAG.ack ? { ack: ack + moveOf(`${client} ${!fromClient}`, ack) } : {}),
    };
    return { ...packet, octets: rewritten(packet.octets, frame, change) };
  });
  return { ...whole, name: `${whole.name} wrapped at ${ahead}`, packets };
}

function isReset({ flags, seq }: Frame): boolean {
  return (flags & FLAG.rst) !== 0 && seq === 0;
}
