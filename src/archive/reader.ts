import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { MytapeError } from '../errors.ts';
import type { ClockStep } from '../flow/clock.ts';
import type { CaptureGap, PacketSource } from '../wire/packets.ts';
import { Catalog, INDEX_FILE } from './catalog.ts';
import { type Codec, makeCodec } from './codec.ts';
import { ArchiveLock } from './lock.ts';
import { ArchivePackets, type PacketSelection } from './packets.ts';
import { repairArchive } from './repair.ts';
import type { ArchiveRow, CatalogEnd, SessionRow, Totals } from './rows.ts';

export type { PacketSelection } from './packets.ts';
export type { SessionRow } from './rows.ts';

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
   * says rejects with `bad-archive`, naming segment and offset.
   */
  packets(selection?: PacketSelection): PacketSource;
  /** Link types that these sessions' packets have, default all packets; the archive's own where there are none. */
  linkTypes(sessions?: Iterable<number>): number[];
  /** Ends nothing that `packets` handed out: those have descriptors of their own, but read the index. */
  close(): void;
}

/**
 * Opens the archive in `dir`. One that was not closed by its recorder is repaired first, if nobody is recording it and
 * the folder can be written to; else it is read as far as its index goes. Throws `bad-archive`.
 */
export function openArchive(dir: string): Archive {
  if (!existsSync(dir)) throw new MytapeError('bad-archive', `there is no archive ${dir}`);
  if (!existsSync(join(dir, INDEX_FILE))) {
    throw new MytapeError('bad-archive', `${dir} is not an archive of mytape's: it has no ${INDEX_FILE}`);
  }
  let live = false;
  let repairedNow = false;
  let catalog = Catalog.open(dir, 'read');
  try {
    if (needsRepair(catalog)) {
      const lock = ArchiveLock.take(dir);
      live = lock === 'busy';
      if (lock instanceof ArchiveLock) {
        catalog.close();
        try {
          repairedNow = repairUnderLock(dir);
        } finally {
          lock.release();
        }
        catalog = Catalog.open(dir, 'read');
      }
    }
    return new OpenArchive(dir, catalog, live, repairedNow);
  } catch (error) {
    catalog.close();
    throw error;
  }
}

function needsRepair(catalog: Catalog): boolean {
  const { complete, repaired } = catalog.archive();
  return !complete && repaired === null;
}

function repairUnderLock(dir: string): boolean {
  const catalog = Catalog.open(dir, 'write');
  try {
    // Somebody else may have done it while we waited for the lock.
    if (!needsRepair(catalog)) return false;
    repairArchive(dir, catalog, codecOf(catalog, dir));
    catalog.settle();
    return true;
  } catch (error) {
    if (error instanceof MytapeError) throw error;
    const { message, code } = error as Error & { code?: string };
    const next =
      code === 'SQLITE_FULL' || code === 'ENOSPC' ? ' (make room on the disk, then try again)' : '';
    throw new MytapeError('bad-archive', `cannot repair ${dir}: ${message}${next}`, { cause: error });
  } finally {
    catalog.close();
  }
}

function codecOf(catalog: Catalog, dir: string): Codec {
  const name = catalog.archive().codec;
  const codec = makeCodec(name);
  if (codec !== undefined) return codec;
  throw new MytapeError('bad-archive', `${dir} is packed with ${name}, which this mytape cannot unpack`);
}

class OpenArchive implements Archive {
  readonly info: ArchiveInfo;
  readonly #dir: string;
  readonly #catalog: Catalog;

  constructor(dir: string, catalog: Catalog, live: boolean, repairedNow: boolean) {
    this.#dir = dir;
    this.#catalog = catalog;
    const segments = catalog.segments();
    this.info = {
      ...catalog.archive(),
      dir,
      segments: segments.length,
      storedOctets: segments.reduce((sum, segment) => sum + segment.octets, 0),
      live,
      repairedNow,
    };
    codecOf(catalog, dir);
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
    const codec = codecOf(this.#catalog, this.#dir);
    return new ArchivePackets(this.#dir, this.#catalog, codec, linkType, originSec, selection);
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
        this.#catalog.blocksOfSession(id, (block) => add(this.#catalog.segmentOfBlock(block)));
      }
    }
    return used.size === 0 ? [this.info.linkType] : [...used].sort((a, b) => a - b);
  }

  close(): void {
    this.#catalog.close();
  }
}
