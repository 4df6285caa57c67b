import { closeSync, openSync } from 'node:fs';
import { basename } from 'node:path';
import type { CaptureNs } from '../time.ts';
import { makeBlock, type PacketBlock } from '../wire/packets.ts';
import { PCAP_RECORD_OCTETS, readPcapRecords, segmentFormat } from '../wire/pcap.ts';
import { type Codec, MAX_BLOCK_OCTETS } from './codec.ts';
import type { BlockRow } from './rows.ts';
import {
  mendSegment,
  readLinkType,
  type ScanEnd,
  type ScannedBlock,
  scanSegment,
  segmentPath,
} from './segment.ts';

/** A block at hand; or one that the index knows and that can't be read any more. */
type Item =
  | { type: 'block'; scanned: ScannedBlock; row: BlockRow | undefined }
  | { type: 'damaged'; row: BlockRow };

export interface ScanOptions {
  originSec: number;
  /** What the index knows of the segment's blocks. */
  known: readonly BlockRow[];
  /** For a segment whose head is torn. */
  linkType: number;
}

/** One segment of an archive that is being repaired: its blocks one by one, and at their end the file mended. */
export class SegmentScan {
  readonly number: number;
  linkType: number;
  /** What is at hand; undefined before `begin` and at the end. Valid until `advance`. */
  item: Item | undefined;
  /** The packets of a block at hand. */
  block: PacketBlock = NO_BLOCK;
  /** Size of the file, once it was mended. */
  octets = 0;
  /** What was mended, for people. */
  readonly notes: string[] = [];
  readonly #path: string;
  readonly #codec: Codec;
  readonly #originSec: number;
  readonly #known: Map<number, BlockRow>;
  #fd = -1;
  #scan: Generator<ScannedBlock | number, ScanEnd, boolean> | undefined;
  #ended = false;

  constructor(dir: string, number: number, codec: Codec, options: ScanOptions) {
    this.number = number;
    this.linkType = options.linkType;
    this.#path = segmentPath(dir, number, codec);
    this.#codec = codec;
    this.#originSec = options.originSec;
    this.#known = new Map(options.known.map((row) => [row.offset, row]));
  }

  /** Reads the link type. Throws the file system's errors. */
  open(): void {
    const fd = openSync(this.#path, 'r+');
    try {
      this.linkType = readLinkType(fd, this.#codec) ?? this.linkType;
    } finally {
      closeSync(fd);
    }
  }

  /** Whether there is something at hand; begins with the first block. */
  begin(): boolean {
    if (this.#scan === undefined && !this.#ended) {
      this.#fd = openSync(this.#path, 'r+');
      this.block = makeBlock(new Uint8Array(0), MAX_BLOCK_OCTETS / PCAP_RECORD_OCTETS, this.linkType);
      this.#scan = scanSegment(this.#fd, this.#codec, this.linkType, (offset, fileOctets) => {
        const row = this.#known.get(offset);
        return row === undefined || offset + row.stored > fileOctets ? undefined : offset + row.stored;
      });
      this.advance();
    }
    return this.item !== undefined;
  }

  /** Goes on to the next block, or mends the file at its end. */
  advance(): void {
    this.item = undefined;
    let isPackets = true;
    while (this.#scan !== undefined) {
      const step = this.#scan.next(isPackets);
      if (step.done) {
        this.#end(step.value);
        return;
      }
      if (typeof step.value === 'number') {
        this.item = { type: 'damaged', row: this.#known.get(step.value)! };
        return;
      }
      isPackets = this.#read(step.value);
      if (isPackets) {
        this.item = { type: 'block', scanned: step.value, row: this.#known.get(step.value.offset) };
        return;
      }
    }
  }

  /** Lets go of the file, at its end or before. */
  close(): void {
    if (this.#scan === undefined) return;
    closeSync(this.#fd);
    this.#scan = undefined;
    this.#ended = true;
    this.block = NO_BLOCK;
  }

  /**
   * Whether what is at hand was captured before what `other` has, which is of another link type: of what the index knows it
   * knows the order, and all of that was before the rest; of the rest, the last second's, the packets' times must say it.
   */
  isBefore(other: SegmentScan): boolean {
    const mine = this.#order();
    const others = other.#order();
    if (mine.number !== others.number) return mine.number < others.number;
    return mine.at !== others.at ? mine.at < others.at : this.number < other.number;
  }

  #order(): { number: number; at: CaptureNs } {
    const { row } = this.item!;
    return row === undefined
      ? { number: Number.POSITIVE_INFINITY, at: this.block.at[0] }
      : { number: row.number, at: 0 };
  }

  #read(scanned: ScannedBlock): boolean {
    const { block } = this;
    block.octets = scanned.octets;
    block.view = new DataView(scanned.octets.buffer);
    block.count = 0;
    const format = segmentFormat(this.linkType);
    return readPcapRecords(block, 0, scanned.length, format, this.#originSec) === scanned.length;
  }

  #end(end: ScanEnd): void {
    const codec = this.#codec;
    this.octets = end.end + codec.end.length;
    try {
      if (!end.headWhole || end.answer !== 'end' || end.octets !== this.octets) {
        mendSegment(this.#fd, codec, this.linkType, end);
        const cut = Math.max(0, end.octets - end.end);
        this.notes.push(
          `${basename(this.#path)}: cut ${cut} octets behind the last whole block, and ended it`,
        );
      }
    } finally {
      this.close();
    }
  }
}

const NO_BLOCK = makeBlock(new Uint8Array(0), 0, -1);
