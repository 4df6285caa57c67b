import { basename } from 'node:path';
import { MytapeError } from '../errors.ts';
import { checkGivenUp } from '../files.ts';
import type { CaptureNs } from '../time.ts';
import { makeBlock, type PacketBlock, type PacketSource, type SourceStats } from '../wire/packets.ts';
import { PCAP_RECORD_OCTETS, readPcapRecords, segmentFormat } from '../wire/pcap.ts';
import { type Codec, MAX_BLOCK_OCTETS } from './codec.ts';
import type { Catalog } from './index/catalog.ts';
import type { BlockRow } from './index/rows.ts';
import { SessionFilter } from './index/session-filter.ts';
import { MendedTimes } from './mended-times.ts';
import { type Run, RunReader } from './run-reader.ts';
import { segmentPath } from './segment.ts';

/** Which packets. Times are CaptureNs of the archive, both ends included. */
export interface PacketSelection {
  /** Ids; default: all, and packets that belong to no session too. Unknown ids select nothing. */
  sessions?: Iterable<number>;
  from?: CaptureNs;
  to?: CaptureNs;
  /** A block can't be read: its packets are left out. Default: that rejects. */
  onDamage?: (damage: BlockDamage) => void;
  /** Times are those that were captured, of `from` and `to`, too. Default: the steps of the clock are taken out. */
  asCaptured?: boolean;
}

/** A block that can't be read, by the index. */
export interface BlockDamage {
  block: BlockRow;
  /** `000003.pcap.lz4, block 17 at offset 12345: damaged, its checksum is wrong`. */
  what: string;
}

/** The packets of an archive that a selection asks for. Its blocks are the archive's, so each has whole packets. */
export class ArchivePackets implements PacketSource {
  readonly linkType: number;
  readonly originSec: number;
  readonly #dir: string;
  readonly #catalog: Catalog;
  readonly #codec: Codec;
  readonly #from: number;
  readonly #to: number;
  /** Undefined: times are as captured. */
  readonly #clock: MendedTimes | undefined;
  /** Undefined: all sessions. */
  readonly #filter: SessionFilter | undefined;
  /** 1 for each block that has packets of the sessions; undefined: all blocks. */
  readonly #wanted: Uint8Array | undefined;
  readonly #onDamage: PacketSelection['onDamage'];
  /** Link types by segment, as far as they are known. */
  readonly #linkTypes = new Map<number, number>();
  #packets = 0;
  #closed = false;

  constructor(
    dir: string,
    catalog: Catalog,
    codec: Codec,
    linkType: number,
    originSec: number,
    selection: PacketSelection,
  ) {
    checkGivenUp(dir);
    this.#dir = dir;
    this.#catalog = catalog;
    this.#codec = codec;
    this.linkType = linkType;
    this.originSec = originSec;
    this.#from = selection.from ?? Number.NEGATIVE_INFINITY;
    this.#to = selection.to ?? Number.POSITIVE_INFINITY;
    this.#onDamage = selection.onDamage;
    this.#clock = selection.asCaptured === true ? undefined : new MendedTimes(catalog);
    if (selection.sessions === undefined) return;
    const wanted = new Uint8Array(catalog.blockCount());
    const rows = [];
    for (const id of selection.sessions) {
      const row = catalog.session(id);
      if (row === undefined) continue;
      rows.push(row);
      catalog.blocksOfSession(row, (block) => {
        wanted[block] = 1;
      });
    }
    this.#wanted = wanted;
    this.#filter = new SessionFilter(rows);
  }

  stats(): SourceStats {
    return { packets: this.#packets, dropped: 0 };
  }

  close(): void {
    this.#closed = true;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<PacketBlock> {
    const octets = new Uint8Array(MAX_BLOCK_OCTETS);
    const block = makeBlock(octets, MAX_BLOCK_OCTETS / PCAP_RECORD_OCTETS, this.linkType);
    const runs = new RunReader(this.#dir, this.#codec, this.#rows());
    try {
      let reading = runs.next();
      while (true) {
        const run = await reading;
        if (run === undefined) return;
        reading = runs.next();
        // It is awaited in the next round; until then an error must not count as one that nobody handles.
        reading.catch(() => {});
        for (const [i, row] of run.rows.entries()) {
          if (this.#closed) return;
          const wrong = this.#unpack(run, i, block);
          if (wrong !== undefined) {
            this.#damaged(row, wrong);
            continue;
          }
          this.#clock?.mend(block, row.firstPacket);
          this.#filter?.apply(block, row.firstPacket);
          const isWithin = row.firstAt >= this.#from && row.lastAt <= this.#to;
          if (this.#clock === undefined || !isWithin) this.#cutTimes(block);
          if (block.count === 0) continue;
          this.#packets += block.count;
          yield block;
        }
      }
    } finally {
      await runs.close();
    }
  }

  *#rows(): Generator<BlockRow> {
    const wanted = this.#wanted;
    // The index has mended times.
    const [from, to] = this.#clock === undefined ? [-Infinity, Infinity] : [this.#from, this.#to];
    for (let next = 0; ; ) {
      if (wanted !== undefined) next = wanted.indexOf(1, next);
      if (next < 0) return;
      const page = this.#catalog.blocksFrom(next);
      if (page.length === 0) return;
      for (const row of page) {
        if (row.damaged || row.lastAt < from || row.firstAt > to) continue;
        if (wanted === undefined || wanted[row.number] === 1) yield row;
      }
      next += page.length;
    }
  }

  /** Fills `block` with the packets of block `i` of the run. Returns why it can't, if it can't. */
  #unpack(run: Run, i: number, block: PacketBlock): string | undefined {
    const codec = this.#codec;
    const row = run.rows[i];
    const at = run.at[i];
    const end = at + row.stored;
    if (run.missing[i] !== undefined) return run.missing[i];
    const length = codec.unpack(run.octets, at, end, block.octets);
    if (length < 0) return codec.answer === 'corrupt' ? 'damaged: its checksum is wrong' : 'not a block';
    if (length !== row.octets || codec.checksum(run.octets, at, row.stored) !== row.checksum)
      return 'not the block that the index names: the segment was changed, or belongs to another archive';
    block.count = 0;
    block.linkType = this.#linkTypeOf(row.segment);
    const format = segmentFormat(block.linkType);
    const read = readPcapRecords(block, 0, length, format, this.originSec);
    return read !== length || block.count !== row.packets ? 'its packet records are malformed' : undefined;
  }

  #damaged(row: BlockRow, wrong: string): void {
    const path = segmentPath(this.#dir, row.segment, this.#codec);
    const what = `${basename(path)}, block ${row.number} at offset ${row.offset}: ${wrong}`;
    if (this.#onDamage === undefined)
      throw new MytapeError(
        'bad-archive',
        `${this.#dir}: ${what} (to read the rest, as an archive that lost packets: mytape verify --rebuild ${this.#dir})`,
      );
    this.#onDamage({ block: row, what });
  }

  /** An archive that is being recorded gets new segments. */
  #linkTypeOf(segment: number): number {
    if (!this.#linkTypes.has(segment)) {
      for (const { number, linkType } of this.#catalog.segments()) this.#linkTypes.set(number, linkType);
    }
    return this.#linkTypes.get(segment) ?? this.linkType;
  }

  #cutTimes(block: PacketBlock): void {
    const { offset, length, wireLength, at, count } = block;
    let kept = 0;
    for (let i = 0; i < count; i++) {
      if (at[i] < this.#from || at[i] > this.#to) continue;
      offset[kept] = offset[i];
      length[kept] = length[i];
      wireLength[kept] = wireLength[i];
      at[kept] = at[i];
      kept++;
    }
    block.count = kept;
  }
}
