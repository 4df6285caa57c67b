import type { CaptureNs } from '../time.ts';

export { LINKTYPE } from './link-types.ts';

/**
 * Many captured packets in one buffer. Columns, not objects, because an object a packet costs more than all the rest
 * of the packet's way through mytape (docs/performance.md).
 *
 * Lifetime: everything in it, the octets above all, is valid until the next block is pulled from its source.
 */
export interface PacketBlock {
  /** What its packets begin with; all of a block's with the same. A source may change it from block to block. */
  linkType: number;
  octets: Uint8Array;
  /** Over the same memory as `octets`, so that offsets are the same. */
  view: DataView;
  count: number;
  /** Where packet i begins in `octets`: its link-layer header. */
  offset: Uint32Array;
  /** Octets captured of packet i. */
  length: Uint32Array;
  /** Octets that packet i had on the wire; more than `length` where the capture cut it. */
  wireLength: Uint32Array;
  /** When packet i was captured. */
  at: Float64Array;
}

/** Times in which packets could not be captured. */
export interface CaptureGap {
  /** By the time of the packets, without the steps of their clock. */
  fromAt: CaptureNs;
  /** undefined: it lasts. */
  toAt: CaptureNs | undefined;
}

export interface SourceStats {
  /** Packets handed over by this source so far. */
  packets: number;
  /** Packets that the kernel says it lost for want of room (0 for files). */
  dropped: number;
}

/**
 * Packets from anywhere: a ring, an archive, a pcap file, stdin. Nothing downstream can tell which.
 * Iterating ends when the source is exhausted or `close` was called; an error rejects.
 */
export interface PacketSource extends AsyncIterable<PacketBlock> {
  /** That of its first packets; what counts for each packet is its block's. */
  readonly linkType: number;
  /** Whole seconds since 1970 from which this source counts its CaptureNs. */
  readonly originSec: number;
  stats(): SourceStats;
  close(): void;
}

/** An empty block with room for `capacity` packets over `octets`. */
export function makeBlock(octets: Uint8Array, capacity: number, linkType: number): PacketBlock {
  return {
    linkType,
    octets,
    view: new DataView(octets.buffer, octets.byteOffset, octets.byteLength),
    count: 0,
    offset: new Uint32Array(capacity),
    length: new Uint32Array(capacity),
    wireLength: new Uint32Array(capacity),
    at: new Float64Array(capacity),
  };
}

/** Nanoseconds since `originSec` of a moment given in seconds and nanoseconds since 1970. */
export function captureNs(sec: number, nsec: number, originSec: number): CaptureNs {
  return (sec - originSec) * 1e9 + nsec;
}
