import { seqDiff } from '../wire/sequence.ts';

/** What a held segment costs besides its octets, so that many tiny ones don't go unnoticed. */
export const SEGMENT_OVERHEAD_OCTETS = 128;

/** A captured segment that waits for its turn. */
export interface HeldSegment {
  /** Sequence number of its first octet of data. */
  seq: number;
  /** The captured data: owned. */
  octets: Uint8Array;
  /** Octets of data that it had on the wire. */
  wireLength: number;
  fin: boolean;
  /** What it acknowledges, or -1. */
  ack: number;
  /** When it was captured, by its own stamp. */
  at: number;
  /** The capture's newest stamp when it was put here: what waiting is measured from. */
  heldAt: number;
  /** Counts the segments of its connection in capture order. */
  order: number;
}

/** Segments of one direction that came before their turn, in order of their sequence numbers. */
export class HeldSegments {
  /** What they take: data and overhead. */
  octets = 0;
  readonly #list: HeldSegment[] = [];

  get count(): number {
    return this.#list.length;
  }

  /** The one with the lowest sequence number. */
  get first(): HeldSegment | undefined {
    return this.#list[0];
  }

  /** Keeps `segment` unless one that is here holds all of it; drops the one that it makes superfluous. */
  add(segment: HeldSegment): void {
    const list = this.#list;
    let i = list.length;
    while (i > 0 && seqDiff(list[i - 1].seq, segment.seq) > 0) i--;
    const same = list[i - 1];
    if (same !== undefined && same.seq === segment.seq && same.wireLength >= segment.wireLength) {
      if (same.octets.length >= segment.octets.length && (same.fin || !segment.fin)) return;
      // The same segment, of which the capture has more now.
      if (same.wireLength === segment.wireLength) this.#remove(--i);
    }
    list.splice(i, 0, segment);
    this.octets += costOf(segment);
  }

  /** Removes the first and returns it. */
  shift(): HeldSegment | undefined {
    return this.#list.length === 0 ? undefined : this.#remove(0);
  }

  clear(): void {
    this.#list.length = 0;
    this.octets = 0;
  }

  #remove(i: number): HeldSegment {
    const [segment] = this.#list.splice(i, 1);
    this.octets -= costOf(segment);
    return segment;
  }
}

function costOf({ octets }: HeldSegment): number {
  return octets.length + SEGMENT_OVERHEAD_OCTETS;
}
