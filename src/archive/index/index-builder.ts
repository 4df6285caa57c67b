/** What an archive's index will be told next: gathered while blocks are written, or found again in their segments. */
import { ClockMender, type ClockStep } from '../../flow/clock.ts';
import type { FlowLimits } from '../../flow/flow-limits.ts';
import { type IndexedSession, SessionIndex } from '../../flow/session-index.ts';
import type { CaptureGap, PacketBlock } from '../../wire/packets.ts';
import { packBlocks } from '../block-list.ts';
import type { StoredBlock } from '../segment.ts';
import type { BlockRow, CatalogBatch, SegmentRow, SessionBlocksRow, SessionRow, Totals } from './rows.ts';

/** A session's list of blocks is rewritten as it grows until it names so many; then a new one begins. */
const BLOCKS_PER_LIST = 256;

/** People are told so many steps of the clock; the index holds all. */
const CLOCK_STEPS_NAMED = 5;

/** What is known of the clock that stamps the packets. */
export interface ClockFacts {
  /** Steps so far … */
  readonly clockSteps: number;
  /** … and the first of them. */
  readonly firstClockSteps: readonly ClockStep[];
  /** What is added to the newest stamp, ns, for the steps to be taken out. */
  readonly clockOffset: number;
}

export class IndexBuilder implements ClockFacts {
  readonly index: SessionIndex;
  clockSteps = 0;
  readonly firstClockSteps: ClockStep[] = [];
  readonly #clock = new ClockMender();
  /** Captured octets of all packets so far. */
  octets = 0;
  /** Packets that were in the segments once: see Totals. */
  lostByDamage = 0;
  cutPackets = 0;
  /** Steps that wait for `take`. */
  #clockSteps: ClockStep[] = [];
  #blocks: BlockRow[] = [];
  #segments = new Map<number, SegmentRow>();
  #gaps: CaptureGap[] = [];
  /** What the segments hold so far. */
  readonly #contents = new Map<number, { blocks: number; packets: number }>();
  #segmentCount = 0;
  #gapRows = 0;
  #lastGap: number | undefined;
  #stepRows = 0;
  /** The packet of the newest step. */
  #lastStep = -1;
  #blockOctets = 0;
  #nextBlock = 0;

  constructor(serverPorts: Iterable<number>, limits: FlowLimits) {
    this.index = new SessionIndex(new Set(serverPorts), limits);
  }

  get clockOffset(): number {
    return this.#clock.offset;
  }

  /** Takes the packets of a block that was written to `segment`, in order of writing, and returns the block's row. Takes the clock's steps out of `packets`. */
  add(segment: number, stored: StoredBlock, octets: number, packets: PacketBlock): BlockRow {
    const { count, at, length } = packets;
    this.#clock.mend(at, count, this.index.packets);
    const row: BlockRow = {
      number: this.#nextBlock++,
      segment,
      offset: stored.offset,
      stored: stored.stored,
      octets,
      checksum: stored.checksum,
      firstPacket: this.index.packets,
      packets: count,
      firstAt: at[0],
      lastAt: at[0],
      damaged: false,
    };
    for (let i = 0; i < count; i++) {
      if (at[i] < row.firstAt) row.firstAt = at[i];
      if (at[i] > row.lastAt) row.lastAt = at[i];
      this.octets += length[i];
    }
    this.#push(row);
    this.#noteSteps();
    this.index.add(packets, row.number);
    return row;
  }

  #noteSteps(): void {
    for (const step of this.#clock.take()) {
      this.#clockSteps.push(step);
      // A later step at the same packet takes the row of the earlier one.
      if (step.packet !== this.#lastStep) this.#stepRows++;
      this.#lastStep = step.packet;
      if (this.clockSteps++ < CLOCK_STEPS_NAMED) this.firstClockSteps.push(step);
    }
  }

  /** Keeps the row of a block that can't be read any more: its packets count, but belong to no session. */
  keep(row: BlockRow): void {
    this.#push({ ...row, number: this.#nextBlock++, firstPacket: this.index.packets, damaged: true });
    this.index.skip(row.packets);
  }

  #push(row: BlockRow): void {
    this.#blocks.push(row);
    this.#blockOctets += row.octets;
    const contents = this.#contents.get(row.segment) ?? { blocks: 0, packets: 0 };
    contents.blocks++;
    contents.packets += row.packets;
    this.#contents.set(row.segment, contents);
  }

  /** Says how large the file of a segment is; what it holds is what was added so far. */
  segment(number: number, octets: number, linkType: number): void {
    const contents = this.#contents.get(number) ?? { blocks: 0, packets: 0 };
    this.#segmentCount = Math.max(this.#segmentCount, number + 1);
    this.#segments.set(number, { number, octets, linkType, ...contents });
  }

  /** A gap; called again, with the same beginning, when it is over. */
  gap(gap: CaptureGap): void {
    this.#gaps.push(gap);
    if (gap.fromAt !== this.#lastGap) this.#gapRows++;
    this.#lastGap = gap.fromAt;
  }

  /** Blocks that wait for `take`. */
  get waiting(): number {
    return this.#blocks.length;
  }

  /** Everything new since the last call, as it is now: later packets don't change it. */
  take(dropped: number, droppedByDisk: number): CatalogBatch {
    const sessions: SessionRow[] = [];
    const sessionBlocks: SessionBlocksRow[] = [];
    for (const session of this.index.takeChanged()) {
      sessions.push(toRow(session));
      // It ended, and had no packet since.
      if (session.blocks.length === 0) continue;
      sessionBlocks.push({
        session: session.id,
        firstBlock: session.blocks[0],
        blocks: packBlocks(session.blocks),
      });
      if (session.blocks.length < BLOCKS_PER_LIST) continue;
      session.blocksBefore += session.blocks.length;
      session.blocks = [];
    }
    const clockSteps = this.#clockSteps;
    this.#clockSteps = [];
    const gaps = this.#gaps;
    this.#gaps = [];
    const batch: CatalogBatch = {
      totals: this.totals(dropped, droppedByDisk),
      segments: [...this.#segments.values()],
      blocks: this.#blocks,
      sessions,
      sessionBlocks,
      clockSteps,
      gaps,
    };
    this.#blocks = [];
    this.#segments.clear();
    return batch;
  }

  totals(dropped: number, droppedByDisk: number): Totals {
    const { packets, sessions, commands, uncounted, copies, flooded, floodedData } = this.index;
    return {
      packets,
      octets: this.octets,
      sessions,
      commands,
      uncounted,
      copies,
      flooded,
      floodedData,
      dropped,
      droppedByDisk,
      lostByDamage: this.lostByDamage,
      cutPackets: this.cutPackets,
      segments: this.#segmentCount,
      blocks: this.#nextBlock,
      blockOctets: this.#blockOctets,
      clockSteps: this.#stepRows,
      gaps: this.#gapRows,
    };
  }
}

function toRow(session: IndexedSession): SessionRow {
  return {
    id: session.id,
    client: session.client.text,
    clientPort: session.clientPort,
    server: session.server.text,
    serverPort: session.serverPort,
    firstAt: session.firstAt,
    lastAt: session.lastAt,
    firstPacket: session.firstPacket,
    lastPacket: session.lastPacket,
    packets: session.packets,
    clientOctets: session.clientOctets,
    serverOctets: session.serverOctets,
    coverage: session.coverage,
    user: session.user ?? null,
    schema: session.schema ?? null,
    tls: session.tls,
    compressed: session.compressed,
    commands: session.commands,
    ended: session.ending,
    blocks: session.blocksBefore + session.blocks.length,
  };
}
