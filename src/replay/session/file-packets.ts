import type { LocalFile } from '../../mysql/command.ts';
import { HEADER_OCTETS, payloadLength } from '../../mysql/packet.ts';

/** What ends a file, and stands for one that is not to be had: an empty packet. Owned by the caller. */
export function endOfFile(sequenceId: number): Uint8Array {
  return Uint8Array.of(0, 0, 0, sequenceId);
}

/**
 * The packets of the `nth` file, from 0, that a command's statements have read, with sequence ids from `first` on, since
 * another server's request may have another; undefined where there were not as many. Copies.
 */
export function filePackets({ packets }: LocalFile, nth: number, first: number): Uint8Array | undefined {
  let from = 0;
  let end = -1;
  for (let file = 0; file <= nth; file++) {
    from = end + 1;
    end = packets.findIndex(({ length }, i) => i >= from && length === HEADER_OCTETS);
    if (end < 0) return undefined;
  }
  const own = packets.slice(from, end + 1);
  const all = new Uint8Array(own.reduce((octets, { length }) => octets + length, 0));
  let to = 0;
  let sequenceId = first;
  for (const packet of own) {
    all.set(packet, to);
    // One of 16 MiB and more has headers within.
    for (let at = 0; at < packet.length; at += HEADER_OCTETS + payloadLength(packet, at))
      all[to + at + 3] = sequenceId++;
    to += packet.length;
  }
  return all;
}
