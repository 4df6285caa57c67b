import { mkdirSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { MytapeError, withRemedy } from '../errors.ts';
import { type FlowLimits, IDLE_SESSION_MS, limitsFor } from '../flow/flow-limits.ts';
import type { CaptureNs } from '../time.ts';
import type { CaptureGap, PacketBlock, SourceStats } from '../wire/packets.ts';
import { type Codec, DEFAULT_CODEC, makeCodec } from './codec.ts';
import { whyNotEmpty } from './in-the-way.ts';
import { CatalogWriter } from './index/catalog-writer.ts';
import { type ClockFacts, IndexBuilder } from './index/index-builder.ts';
import type { CatalogBatch } from './index/rows.ts';
import { ArchiveLock } from './lock.ts';
import { OpenBlock } from './open-block.ts';
import { giveReserveBack, takeReserve } from './reserve.ts';
import { SegmentWriter, type StoredBlock } from './segment.ts';
import { DiskTrouble } from './trouble.ts';

export interface ArchiveOptions {
  /** Of the first segment; others begin as packets of other link types come. */
  linkType: number;
  /** Whole seconds since 1970 that the packets' times count from. */
  originSec: number;
  /** Who listens there is the server. */
  serverPorts: number[];
  /** What was captured, and where: kept for people. */
  filter?: string;
  iface?: string;
  /** A segment is closed, and the next begun, when its file has so many octets. Default: never. */
  rotateOctets?: number;
  /** What of its connections is kept; default: that of sessions that were silent for two hours. */
  limits?: FlowLimits;
  /** What the archive says of itself until it is closed: why it may not have all that it was to have. */
  partial?: string;
  /** Called once for each spell in which something can't be written; recording goes on. */
  onProblem?: (message: string) => void;
}

/**
 * Records packets into a new archive. `write` and `tick` never throw and never wait for the disk's cache to be written
 * out: what can't be written is counted in `droppedByDisk` and reported by `onProblem`.
 *
 * Once a second, by `tick`, what was written becomes durable in this order: the open block is packed and written, the
 * segments are synced (fdatasync, off this thread), and only then one transaction tells the index of those blocks and of
 * the sessions as they were then. So the index never names octets that a power cut can take.
 */
export class ArchiveWriter {
  /** Packets that could not be written. */
  droppedByDisk = 0;
  readonly #dir: string;
  readonly #options: ArchiveOptions;
  readonly #codec: Codec;
  readonly #lock: ArchiveLock;
  readonly #catalog: CatalogWriter;
  readonly #builder: IndexBuilder;
  readonly #trouble: DiskTrouble;
  readonly #filling: OpenBlock;
  /** The segment that blocks of a link type go to. One for each, so that packets of two by turns don't make a file each. */
  readonly #open = new Map<number, SegmentWriter>();
  #segments = 0;
  /** Segments with octets that were not synced yet. */
  #unsynced = new Set<SegmentWriter>();
  /** Segments that the sync under way is for … */
  #syncing: SegmentWriter[] = [];
  /** … and what the index will be told after it. */
  #uncommitted: CatalogBatch | undefined;
  #closed = false;
  #dropped = 0;
  /** When the gap began that lasts; undefined: there is none. */
  #gap: CaptureNs | undefined;
  /** There is more for the index than packets. */
  #hasNews = false;

  private constructor(dir: string, options: ArchiveOptions, lock: ArchiveLock, codec: Codec) {
    this.#dir = dir;
    this.#options = options;
    this.#lock = lock;
    this.#codec = codec;
    this.#trouble = new DiskTrouble(dir, options.onProblem);
    this.#filling = new OpenBlock(options.linkType, options.originSec);
    const row = {
      codec: codec.name,
      linkType: options.linkType,
      originSec: options.originSec,
      serverPorts: options.serverPorts,
      filter: options.filter ?? null,
      iface: options.iface ?? null,
      startedMs: Date.now(),
      limits: options.limits ?? limitsFor(IDLE_SESSION_MS),
    };
    this.#catalog = CatalogWriter.create(dir, row, options.partial ?? null);
    this.#builder = new IndexBuilder(options.serverPorts, row.limits);
    this.#nextSegment(options.linkType);
  }

  /**
   * Makes the folder `dir` (which may exist, but empty) and begins an archive there. Throws `archive-exists` where
   * something is there already, `disk` where the folder can't be made.
   */
  static create(dir: string, options: ArchiveOptions): ArchiveWriter {
    const codec = makeCodec(DEFAULT_CODEC)!;
    let lock: ReturnType<typeof ArchiveLock.take> | undefined;
    let made: string | undefined;
    try {
      made = mkdirSync(dir, { recursive: true, mode: 0o700 });
      if (readdirSync(dir).length > 0) {
        throw new MytapeError('archive-exists', whyNotEmpty(dir));
      }
      lock = ArchiveLock.take(dir);
      if (!(lock instanceof ArchiveLock)) throw new Error('the folder cannot be locked');
      takeReserve(dir);
      return new ArchiveWriter(dir, options, lock, codec);
    } catch (error) {
      if (lock instanceof ArchiveLock) {
        // Nothing was there before: a second try is to find nothing in its way.
        for (const name of readdirSync(dir)) rmSync(join(dir, name), { force: true });
        lock.release();
      }
      if (made !== undefined && readdirSync(dir).length === 0) rmdirSync(dir);
      if (error instanceof MytapeError) throw error;
      throw new MytapeError('disk', `cannot make the archive ${dir}: ${withRemedy(error)}`, {
        cause: error,
      });
    }
  }

  /** Packets written, or in the open block. */
  get packets(): number {
    return this.#builder.index.packets + this.#filling.block.count;
  }

  /** Captured octets of the packets in whole blocks. */
  get octets(): number {
    return this.#builder.octets;
  }

  get sessions(): number {
    return this.#builder.index.sessions;
  }

  /** Commands of the sessions that they could be counted of. */
  get commands(): number {
    return this.#builder.index.commands;
  }

  /** Sessions whose commands could not be counted. */
  get uncounted(): number {
    return this.#builder.index.uncounted;
  }

  /** Steps of the clock in whole blocks. */
  get clock(): ClockFacts {
    return this.#builder;
  }

  /** Packets of connections that a server's host made itself, from a server's port. */
  get outgoing(): number {
    return this.#builder.index.outgoing;
  }

  /** Sessions under TLS. */
  get tls(): number {
    return this.#builder.index.tls;
  }

  /** Packets that are copies of others. */
  get copies(): number {
    return this.#builder.index.copies;
  }

  /** Packets of connections that there was no room for. */
  get flooded(): number {
    return this.#builder.index.flooded;
  }

  /** Those of them that had data. */
  get floodedData(): number {
    return this.#builder.index.floodedData;
  }

  /** Files begun. */
  get segments(): number {
    return this.#segments;
  }

  /** Nothing can be captured since `fromAt`, as captured; or could not until `toAt`. */
  gap({ fromAt, toAt }: CaptureGap): void {
    const { clockOffset } = this.#builder;
    this.#gap ??= fromAt + clockOffset;
    this.#builder.gap({ fromAt: this.#gap, toAt: toAt === undefined ? undefined : toAt + clockOffset });
    if (toAt !== undefined) this.#gap = undefined;
    this.#hasNews = true;
  }

  /** Takes the packets; keeps nothing of `source`. */
  write(source: PacketBlock): void {
    const { count, linkType } = source;
    const { block } = this.#filling;
    if (linkType !== block.linkType && count > 0) {
      // Blocks stay in the order of capture, so the open one ends here.
      this.#flush();
      block.linkType = linkType;
    }
    for (let next = 0; next < count; ) {
      next = this.#filling.add(source, next);
      if (next < count) this.#flush();
    }
  }

  /** Makes everything written so far durable: to be called each second. `stats` is the source's, so far. */
  tick(stats?: SourceStats): void {
    if (stats !== undefined) this.#dropped = stats.dropped;
    this.#flush();
    // A disk slower than a second: what is new waits for the next turn.
    if (this.#syncing.length > 0) return;
    if (this.#uncommitted !== undefined) this.#commit();
    if (this.#uncommitted !== undefined || (this.#unsynced.size === 0 && !this.#hasNews)) return;
    this.#uncommitted = this.#takeBatch();
    this.#hasNews = false;
    const segments = [...this.#unsynced];
    if (segments.length === 0) {
      this.#commit();
      return;
    }
    this.#unsynced.clear();
    this.#syncing = segments;
    let waiting = segments.length;
    const done = (error: Error | null) => {
      this.#trouble.note('sync', error);
      if (--waiting > 0 || this.#closed) return;
      for (const segment of segments)
        if (!this.#isOpen(segment)) this.#trouble.guard('close', () => segment.close());
      this.#syncing = [];
      this.#commit();
    };
    for (const segment of segments) segment.sync(done);
  }

  /**
   * Ends the archive: everything is durable on return, or `onProblem` has reported what is not. `partial`: why the archive has
   * not all that it was to have.
   */
  close(stats: SourceStats, partial: string | null = null): void {
    this.#dropped = stats.dropped;
    this.#flush();
    this.#closed = true;
    const segments = new Set([...this.#syncing, ...this.#unsynced, ...this.#open.values()]);
    giveReserveBack(this.#dir);
    const isWhole = this.#trouble.guard('close', () => {
      for (const segment of segments) segment.syncNow();
      if (this.#uncommitted !== undefined) this.#catalog.commit(this.#uncommitted);
      this.#catalog.commit(this.#takeBatch(), {
        endedMs: Date.now(),
        complete: true,
        repaired: null,
        partial,
      });
      this.#catalog.settle();
    });
    // What was lost is in no segment: a repair, which makes the rest again, would not know it.
    if (!isWhole)
      this.#trouble.guard('losses', () => this.#catalog.commitLosses(this.#dropped, this.droppedByDisk));
    // A disk that fails may fail here as well, and what is left is to be let go of all the same.
    for (const one of [...segments, this.#catalog]) this.#trouble.guard('close', () => one.close());
    this.#trouble.guard('close', () => this.#lock.release());
  }

  #takeBatch(): CatalogBatch {
    for (const { number, octets, linkType } of this.#open.values())
      this.#builder.segment(number, octets, linkType);
    return this.#builder.take(this.#dropped, this.droppedByDisk);
  }

  /** Packs and writes the open block, if it has packets, and tells the index's builder. */
  #flush(): void {
    const { block, filled } = this.#filling;
    if (block.count === 0) return;
    let segment = this.#open.get(block.linkType);
    let stored: StoredBlock;
    try {
      const { rotateOctets = Number.POSITIVE_INFINITY } = this.#options;
      if (segment === undefined || segment.octets >= rotateOctets)
        segment = this.#nextSegment(block.linkType);
      stored = segment.append(block.octets, filled);
      this.#trouble.note('write', null);
    } catch (error) {
      this.droppedByDisk += block.count;
      this.#filling.clear();
      this.#trouble.note('write', error as Error);
      return;
    }
    this.#unsynced.add(segment);
    this.#builder.add(segment.number, stored, filled, block);
    this.#filling.clear();
  }

  #nextSegment(linkType: number): SegmentWriter {
    const next = SegmentWriter.create(this.#dir, this.#segments, this.#codec, linkType);
    const last = this.#open.get(linkType);
    if (last !== undefined) {
      this.#builder.segment(last.number, last.octets, linkType);
      this.#unsynced.add(last);
    }
    this.#open.set(linkType, next);
    this.#segments++;
    this.#unsynced.add(next);
    return next;
  }

  #isOpen(segment: SegmentWriter): boolean {
    return this.#open.get(segment.linkType) === segment;
  }

  /** Tells the index what was synced. On an error it is kept, and the next turn tries again before anything newer. */
  #commit(): void {
    if (!this.#trouble.guard('index', () => this.#catalog.commit(this.#uncommitted!))) return;
    this.#uncommitted = undefined;
    this.#trouble.note('index', null);
  }
}
