/** What the index holds, row by row. docs/archive-format.md has the meaning of each column. */
import type { ClockStep } from '../../flow/clock.ts';
import type { Coverage, SessionEnd } from '../../flow/events.ts';
import type { FlowLimits } from '../../flow/flow-limits.ts';
import type { CaptureNs } from '../../time.ts';
import type { CaptureGap } from '../../wire/packets.ts';

/** What the whole archive says of itself. */
export interface ArchiveRow {
  codec: string;
  /** Of its first segment. */
  linkType: number;
  originSec: number;
  serverPorts: number[];
  filter: string | null;
  iface: string | null;
  startedMs: number;
  /** What of its connections was kept; the sessions' ids follow from it. */
  limits: FlowLimits;
}

/** What changes while it is recorded. */
export interface Totals {
  packets: number;
  /** Captured octets of the packets, link-layer headers included. */
  octets: number;
  sessions: number;
  /** Of the sessions that they could be counted of … */
  commands: number;
  /** … and how many sessions those are that they couldn't. */
  uncounted: number;
  /** Packets that are copies of others: captured before and after address translation, or at two ports. */
  copies: number;
  /** Packets of connections that there was no room for (`limits`): they belong to no session. */
  flooded: number;
  /** Those of them that had data: what was said in them can't be replayed. */
  floodedData: number;
  /** Packets that the kernel lost before we had them. */
  dropped: number;
  /** Packets that could not be written. */
  droppedByDisk: number;
  /**
   * Packets that a repair found to be lost: they were in the segments once. Each place counts as one packet where nobody knows how many
   * there were.
   */
  lostByDamage: number;
  /** Those of them that no segment shows any more. */
  cutPackets: number;
  /** Rows of these tables; 0 in formats that don't say. */
  segments: number;
  blocks: number;
  clockSteps: number;
  gaps: number;
  /** What all blocks make, unpacked. */
  blockOctets: number;
}

export interface SegmentRow {
  number: number;
  /** Size of the file. */
  octets: number;
  linkType: number;
  /** What is in it; 0 in formats that don't say. */
  blocks: number;
  packets: number;
}

export interface BlockRow {
  number: number;
  segment: number;
  offset: number;
  /** Octets that it takes in the file. */
  stored: number;
  /** Octets that it makes. */
  octets: number;
  checksum: number;
  /** Number of its first packet within the archive. */
  firstPacket: number;
  packets: number;
  /** Least and greatest time of its packets. */
  firstAt: CaptureNs;
  lastAt: CaptureNs;
  /** A repair found that it can't be read any more: readers pass it over, and its packets are in `lostByDamage`. */
  damaged: boolean;
}

export interface SessionRow {
  id: number;
  client: string;
  clientPort: number;
  server: string;
  serverPort: number;
  firstAt: CaptureNs;
  lastAt: CaptureNs;
  firstPacket: number;
  lastPacket: number;
  packets: number;
  /** TCP payload as on the wire, octets sent again included. */
  clientOctets: number;
  serverOctets: number;
  coverage: Coverage;
  /** As of its last packet. Archives from before format 3 don't know: open. */
  ended: SessionEnd;
  user: string | null;
  schema: string | null;
  tls: boolean;
  compressed: boolean;
  /** null: could not be counted (TLS, compression, joined late, octets missing or out of order). */
  commands: number | null;
  /** Blocks that have packets of its; 0 in formats that don't say. */
  blocks: number;
}

export interface SessionBlocksRow {
  session: number;
  firstBlock: number;
  /** See block-list.ts. */
  blocks: Uint8Array;
}

/** What one transaction brings. Rows replace those of the same key. */
export interface CatalogBatch {
  totals: Totals;
  segments: SegmentRow[];
  blocks: BlockRow[];
  sessions: SessionRow[];
  sessionBlocks: SessionBlocksRow[];
  clockSteps: ClockStep[];
  /** By their beginnings. */
  gaps: CaptureGap[];
}

/** How an archive ended: by its recorder, or mended later. */
export interface CatalogEnd {
  endedMs: number | null;
  complete: boolean;
  repaired: string | null;
  /** Why it has not all that it was to have, for people: an import that did not finish. */
  partial: string | null;
}
