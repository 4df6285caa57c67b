import { MytapeError, withRemedy } from '../errors.ts';
import type { ClockStep } from '../flow/clock.ts';
import type { CaptureGap, PacketSource } from '../wire/packets.ts';
import { repairArchive } from './check/repair.ts';
import { codecOf } from './index/build-index.ts';
import { Catalog } from './index/catalog.ts';
import { isInWal, settleFile } from './index/index-file.ts';
import type { ArchiveRow, CatalogEnd, SessionRow, Totals } from './index/rows.ts';
import { ArchiveLock } from './lock.ts';
import { checkFiles, whyNotOurs } from './ours.ts';
import { ArchivePackets, type PacketSelection } from './packets.ts';

export type { SessionRow } from './index/rows.ts';
export type { BlockDamage, PacketSelection } from './packets.ts';

/** What an archive says of itself. */
export interface ArchiveInfo extends ArchiveRow, Totals, CatalogEnd {
  dir: string;
  /** Files, and their octets. */
  segments: number;
  storedOctets: number;
  /** Being recorded at this moment: what can be read is what was durable when it was opened. */
  live: boolean;
  /** What `openArchive` mended just now (as `repaired` says for ever after). */
  repairedNow: boolean;
  /** Why it was not mended, though it should be; undefined: there was no need. */
  notRepaired: string | undefined;
}

export interface Archive {
  readonly info: ArchiveInfo;
  /** In order of their ids. */
  sessions(): Iterable<SessionRow>;
  session(id: number): SessionRow | undefined;
  /** Where the clock that stamped the packets was set, as far as is known, in order. All times but captured stamps are without these steps. */
  clockSteps(): ClockStep[];
  /** When nothing could be captured, because the interface was down, in order. */
  gaps(): CaptureGap[];
  /**
   * The packets in capture order, at times without the steps of the clock, unless captured ones are asked for. Reads only the blocks that the selection needs. A block that is not what the index
   * says rejects with `bad-archive`, naming segment and offset, or is left out (`onDamage`).
   */
  packets(selection?: PacketSelection): PacketSource;
  /** Numbers of the blocks that have packets of this session, ascending. */
  blocks(session: SessionRow): number[];
  /** Link types that these sessions' packets have, default all packets; the archive's own where there are none. */
  linkTypes(sessions?: Iterable<number>): number[];
  /** Ends nothing that `packets` handed out: those have descriptors of their own, but read the index. */
  close(): void;
}

/**
 * Opens the archive in `dir`. One that was not closed by its recorder is repaired first, if nobody is recording it and it is ours
 * (ours.ts); else it is read as far as its index goes. Throws `bad-archive`: no archive, a file that is not regular, an index that is
 * damaged.
 */
export function openArchive(dir: string): Archive {
  checkFiles(dir);
  const repair = repairIfNeeded(dir);
  if (!repair.live) settleIndex(dir);
  const catalog = Catalog.open(dir);
  try {
    catalog.checkSums();
    return new OpenArchive(dir, catalog, repair);
  } catch (error) {
    catalog.close();
    throw error;
  }
}

/** Puts the index of an archive that is ours in order where its recorder could not, since somebody read it: no log is beside it then. */
function settleIndex(dir: string): void {
  if (!isInWal(dir) || whyNotOurs(dir) !== undefined) return;
  const lock = takeLock(dir);
  // It can be read as it is.
  if (!(lock instanceof ArchiveLock)) return;
  try {
    settleFile(dir);
  } finally {
    lock.release();
  }
}

/** What became of an archive that its recorder may have left unclosed. */
export interface RepairState {
  live: boolean;
  repairedNow: boolean;
  notRepaired: string | undefined;
}

/** Repairs the archive in `dir` where that is needed and may be done. Throws `bad-archive`. */
export function repairIfNeeded(dir: string): RepairState {
  const state: RepairState = { live: false, repairedNow: false, notRepaired: undefined };
  if (!needsRepair(dir)) return state;
  state.notRepaired = whyNotOurs(dir);
  if (state.notRepaired !== undefined) return { ...state, live: ArchiveLock.isHeld(dir) };
  const lock = takeLock(dir);
  if (!(lock instanceof ArchiveLock))
    return lock.isBusy ? { ...state, live: true } : { ...state, notRepaired: lock.why };
  try {
    // Somebody else may have done it while we waited for the lock.
    if (needsRepair(dir)) {
      explained(dir, () => repairArchive(dir, { mends: 'always' }));
      state.repairedNow = true;
    }
    return state;
  } finally {
    lock.release();
  }
}

/**
 * Makes the index of the archive in `dir` anew. Of the segments, it mends heads and ends where nothing is lost by that. Throws `bad-archive` where it is being recorded, or
 * is not ours, or its index does not even say what was recorded.
 */
export function rebuildIndex(dir: string, onProgress: (octets: number) => void): void {
  checkFiles(dir);
  const refuse = (why: string) => {
    return new MytapeError('bad-archive', `cannot make the index of ${dir} anew: ${why}`);
  };
  const notOurs = whyNotOurs(dir);
  if (notOurs !== undefined) throw refuse(notOurs);
  const lock = takeLock(dir);
  if (!(lock instanceof ArchiveLock)) throw refuse(lock.why);
  try {
    explained(dir, () => repairArchive(dir, { mends: 'known', onProgress }));
  } finally {
    lock.release();
  }
}

/** The lock of the archive in `dir`, which is ours; or why it can't be had. */
function takeLock(dir: string): ArchiveLock | { isBusy: boolean; why: string } {
  let lock: ReturnType<typeof ArchiveLock.take>;
  try {
    lock = ArchiveLock.take(dir);
  } catch (error) {
    return { isBusy: false, why: withRemedy(error) };
  }
  if (lock === 'busy') return { isBusy: true, why: 'it is being recorded' };
  return lock === 'denied' ? { isBusy: false, why: 'its folder cannot be written to' } : lock;
}

function needsRepair(dir: string): boolean {
  const catalog = Catalog.open(dir);
  try {
    const { complete, repaired } = catalog.archive();
    return !complete && repaired === null;
  } finally {
    catalog.close();
  }
}

function explained(dir: string, repair: () => void): void {
  try {
    repair();
  } catch (error) {
    if (error instanceof MytapeError) throw error;
    throw new MytapeError('bad-archive', `cannot repair ${dir}: ${withRemedy(error)}`, { cause: error });
  }
}

class OpenArchive implements Archive {
  readonly info: ArchiveInfo;
  readonly #dir: string;
  readonly #catalog: Catalog;

  constructor(dir: string, catalog: Catalog, repair: RepairState) {
    this.#dir = dir;
    this.#catalog = catalog;
    const segments = catalog.segments();
    this.info = {
      ...catalog.archive(),
      dir,
      segments: segments.length,
      storedOctets: segments.reduce((sum, segment) => sum + segment.octets, 0),
      ...repair,
    };
    codecOf(this.info.codec, dir);
  }

  sessions(): Iterable<SessionRow> {
    return this.#catalog.sessions();
  }

  session(id: number): SessionRow | undefined {
    return this.#catalog.session(id);
  }

  clockSteps(): ClockStep[] {
    return this.#catalog.clockSteps();
  }

  gaps(): CaptureGap[] {
    return this.#catalog.gaps();
  }

  packets(selection: PacketSelection = {}): PacketSource {
    const { linkType, originSec } = this.info;
    const codec = codecOf(this.info.codec, this.#dir);
    return new ArchivePackets(this.#dir, this.#catalog, codec, linkType, originSec, selection);
  }

  blocks(session: SessionRow): number[] {
    const blocks: number[] = [];
    this.#catalog.blocksOfSession(session, (block) => blocks.push(block));
    return blocks;
  }

  linkTypes(sessions?: Iterable<number>): number[] {
    const bySegment = new Map(this.#catalog.segments().map(({ number, linkType }) => [number, linkType]));
    const used = new Set<number>();
    const add = (segment: number | undefined) => used.add(bySegment.get(segment ?? -1) ?? this.info.linkType);
    const inUse = this.#catalog.segmentsInUse();
    if (sessions === undefined) for (const segment of inUse) add(segment);
    else if (new Set(inUse.map((segment) => bySegment.get(segment))).size <= 1) add(inUse[0]);
    else {
      for (const id of sessions) {
        const row = this.#catalog.session(id);
        if (row === undefined) continue;
        this.#catalog.blocksOfSession(row, (block) => add(this.#catalog.segmentOfBlock(block)));
      }
    }
    return used.size === 0 ? [this.info.linkType] : [...used].sort((a, b) => a - b);
  }

  close(): void {
    this.#catalog.close();
    // Its recorder may have ended meanwhile, and could not, since we read.
    if (this.info.live) settleIndex(this.#dir);
  }
}
