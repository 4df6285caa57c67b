import type { LocalFile } from '../mysql/command.ts';
import { HEADER_OCTETS, payloadLength } from '../mysql/packet.ts';

/** What ends a file, and stands for one that is not to be had: an empty packet. Owned by the caller. */
export function endOfFile(sequenceId: number): Uint8Array {
  return Uint8Array.of(0, 0, 0, sequenceId);
}

/** A recorded file's packets with sequence ids from `first` on, since another server's request may have another. Copies. */
export function filePackets({ packets, octets }: LocalFile, first: number): Uint8Array {
  const all = new Uint8Array(octets);
  let to = 0;
  let sequenceId = first;
  for (const packet of packets) {
    all.set(packet, to);
    // One of 16 MiB and more has headers within.
    for (let at = 0; at < packet.length; at += HEADER_OCTETS + payloadLength(packet, at))
      all[to + at + 3] = sequenceId++;
    to += packet.length;
  }
  return all;
}
