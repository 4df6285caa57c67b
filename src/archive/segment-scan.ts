import { closeSync } from 'node:fs';
import { OPEN, openRegular } from '../files.ts';
import type { CaptureNs } from '../time.ts';
import { makeBlock, type PacketBlock } from '../wire/packets.ts';
import { PCAP_RECORD_OCTETS, readPcapRecords, segmentFormat } from '../wire/pcap.ts';
import { type Codec, MAX_BLOCK_OCTETS } from './codec.ts';
import type { BlockRow } from './index/rows.ts';
import {
  mendSegment,
  readLinkType,
  type ScanEnd,
  type ScannedBlock,
  scanSegment,
  segmentPath,
} from './segment.ts';

/** A block at hand; or one that can't be read, of which the index knows something or nothing. */
type Item =
  | { type: 'block'; scanned: ScannedBlock; row: BlockRow | undefined }
  | { type: 'damaged'; row: BlockRow | undefined };

export type Mends = 'always' | 'known' | 'never';

export interface ScanOptions {
  originSec: number;
  /** What the index knows of the segment's blocks. */
  known: readonly BlockRow[];
  /** For a segment whose head is torn. */
  linkType: number;
  /**
   * Whether the file is mended at its end: what is torn is cut. `known`: only where nothing is lost, since it is whole up to the length that
   * the index knows. `never`: it is only read.
   */
  mends: Mends;
  /** The file's length, as the index has it. */
  knownOctets: number | undefined;
}

/** What is wrong with the end of a segment. */
export interface TornEnd {
  /** Octets after the last whole block. */
  octets: number;
  /** Blocks that the index knows and that are not there any more, in order. */
  gone: BlockRow[];
}

/** One segment of an archive that is read whole: its blocks one by one, and at their end the file mended where that is asked for. */
export class SegmentScan {
  readonly number: number;
  linkType: number;
  /** What is at hand; undefined before `begin` and at the end. Valid until `advance`. */
  item: Item | undefined;
  /** The packets of a block at hand. */
  block: PacketBlock = NO_BLOCK;
  /** Size of the file as it should be, at its end. */
  octets = 0;
  /** At its end: what is wrong with that; undefined: nothing is. */
  torn: TornEnd | undefined;
  /** At its end: whether all is there that the index knows of. */
  isUpToKnown = false;
  /** At its end: whether the file was changed. */
  mended = false;
  /** At its end: whether the head is as it should be. */
  headWhole = true;
  readonly #path: string;
  readonly #codec: Codec;
  readonly #originSec: number;
  readonly #known: Map<number, BlockRow>;
  readonly #mends: Mends;
  readonly #knownOctets: number | undefined;
  #fd = -1;
  #scan: Generator<ScannedBlock | number, ScanEnd, boolean> | undefined;
  #ended = false;

  constructor(dir: string, number: number, codec: Codec, options: ScanOptions) {
    this.number = number;
    this.linkType = options.linkType;
    this.#path = segmentPath(dir, number, codec);
    this.#codec = codec;
    this.#originSec = options.originSec;
    this.#mends = options.mends;
    this.#knownOctets = options.knownOctets;
    this.#known = new Map(options.known.map((row) => [row.offset, row]));
  }

  /** Reads the link type. Throws the file system's errors. */
  open(): void {
    const fd = this.#openFile();
    try {
      this.linkType = readLinkType(fd, this.#codec) ?? this.linkType;
    } finally {
      closeSync(fd);
    }
  }

  /** Whether there is something at hand; begins with the first block. */
  begin(): boolean {
    if (this.#scan === undefined && !this.#ended) {
      this.#fd = this.#openFile();
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
        this.item = { type: 'damaged', row: this.#known.get(step.value) };
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

  #openFile(): number {
    // What is written to must be ours: see ours.ts.
    return this.#mends !== 'never'
      ? openRegular(this.#path, OPEN.update, 0, { owner: process.geteuid?.() })
      : openRegular(this.#path, OPEN.read);
  }

  #end(end: ScanEnd): void {
    const codec = this.#codec;
    this.octets = end.end + codec.end.length;
    this.headWhole = end.headWhole;
    const gone = [...this.#known.values()].filter(({ offset }) => offset >= end.end);
    try {
      if (end.answer !== 'end' || end.octets !== this.octets || gone.length > 0)
        this.torn = { octets: Math.max(0, end.octets - end.end), gone };
      this.isUpToKnown = this.octets === this.#knownOctets;
      const mends = this.#mends === 'always' || (this.#mends === 'known' && this.isUpToKnown);
      this.mended = mends && (!end.headWhole || this.torn !== undefined);
      if (this.mended) mendSegment(this.#fd, codec, this.linkType, end);
    } finally {
      this.close();
    }
  }
}

const NO_BLOCK = makeBlock(new Uint8Array(0), 0, -1);
