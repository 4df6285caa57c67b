/** From segments to an index, whole: the way that repairs and `mytape verify` go, with the recorder's own code. */
import { readdirSync } from 'node:fs';
import { MytapeError } from '../../errors.ts';
import { importSegments } from '../check/damage.ts';
import type { Known } from '../check/known.ts';
import {
  cutFrom,
  damageOf,
  goneFrom,
  type Loss,
  repairNotes,
  type Span,
  totalLost,
} from '../check/losses.ts';
import { type Codec, makeCodec } from '../codec.ts';
import { segmentPath } from '../segment.ts';
import { type Mends, SegmentScan } from '../segment-scan.ts';
import type { CatalogWriter } from './catalog-writer.ts';
import { IndexBuilder } from './index-builder.ts';

/** Blocks whose rows are kept in memory before they go to the index. */
const BATCH_BLOCKS = 4096;

/** What came of reading all segments. */
export interface Built {
  scans: readonly SegmentScan[];
  losses: readonly Loss[];
  packets: number;
}

export interface BuildOptions {
  mends: Mends;
  /** Called now and then with the octets of segments that were read. */
  onProgress?: (octets: number) => void;
}

/** Reads all segments into the index `target`, which is new. */
export function buildIndex(dir: string, known: Known, target: CatalogWriter, options: BuildOptions): Built {
  const { linkType, originSec, serverPorts, limits, dropped, droppedByDisk } = known.archive;
  const codec = codecOf(known.archive.codec, dir);
  const builder = new IndexBuilder(serverPorts, limits);
  const scans = segmentNumbers(dir, codec).map(
    (number) =>
      // Each with a codec of its own, because several are read by turns.
      new SegmentScan(dir, number, makeCodec(codec.name)!, {
        originSec,
        known: known.blocks.get(number) ?? [],
        linkType: known.segments.get(number)?.linkType ?? linkType,
        knownOctets: known.segments.get(number)?.octets,
        mends: options.mends,
      }),
  );
  const ends = new Map<SegmentScan, Span>();
  const losses: Loss[] = [];
  let octets = 0;
  const build = () => {
    for (const gap of known.gaps) builder.gap(gap);
    for (const scan of inOrder(scans)) {
      const { item } = scan;
      if (item?.type === 'damaged') {
        losses.push(damageOf(item.row, scan.number, ends.get(scan)));
        if (item.row !== undefined) builder.keep({ ...item.row, segment: scan.number });
      } else if (item !== undefined) {
        const { firstAt, lastAt } = builder.add(scan.number, item.scanned, item.scanned.length, scan.block);
        const end = ends.get(scan);
        if (end === undefined) ends.set(scan, { first: firstAt, last: lastAt });
        else end.last = lastAt;
        octets += item.scanned.stored;
      }
      if (builder.waiting < BATCH_BLOCKS) continue;
      target.commit(builder.take(dropped, droppedByDisk));
      options.onProgress?.(octets);
    }
    for (const scan of scans) {
      losses.push(...cutFrom(scan, scans, ends, known.archive.complete));
      builder.segment(scan.number, scan.octets, scan.linkType);
    }
    for (const [segment, rows] of known.blocks)
      if (segment >= scans.length) losses.push(goneFrom(segment, rows));
    const { lost, cut } = totalLost(known, scans, losses);
    builder.lostByDamage = lost;
    builder.cutPackets = cut;
    const { endedMs, complete, partial } = known.archive;
    const repaired = repairNotes(known, scans, losses, builder.index.packets, codec).join('; ');
    target.commit(builder.take(dropped, droppedByDisk), { endedMs, complete, repaired, partial });
  };
  try {
    target.transaction(build);
  } finally {
    for (const scan of scans) scan.close();
  }
  return { scans, losses, packets: builder.index.packets };
}

/**
 * Goes through the blocks of all segments in the order of capture; yields the scan that has the next at hand. Segments of one
 * link type follow one another; those of different ones were written side by side, see `isBefore`.
 */
function* inOrder(scans: readonly SegmentScan[]): Generator<SegmentScan> {
  const waiting = new Map<number, SegmentScan[]>();
  for (const scan of scans) {
    scan.open();
    const chain = waiting.get(scan.linkType);
    if (chain === undefined) waiting.set(scan.linkType, [scan]);
    else chain.push(scan);
  }
  const chains = [...waiting.values()];
  while (true) {
    let next: SegmentScan | undefined;
    for (const chain of chains) {
      while (chain.length > 0 && !chain[0].begin()) chain.shift();
      if (chain.length > 0 && (next === undefined || chain[0].isBefore(next))) next = chain[0];
    }
    if (next === undefined) return;
    yield next;
    next.advance();
  }
}

/** The codec that an archive's index names. Throws `bad-archive`. */
export function codecOf(name: string, dir: string): Codec {
  const codec = makeCodec(name);
  if (codec !== undefined) return codec;
  throw new MytapeError('bad-archive', `${dir} is packed with ${name}, which this mytape cannot unpack`);
}

/** Numbers of the segments there are, which must go up from 0 without a hole. */
function segmentNumbers(dir: string, codec: Codec): number[] {
  const suffix = `.pcap${codec.extension}`;
  const numbers = readdirSync(dir)
    .filter((name) => /^\d{6,}\./.test(name) && name.endsWith(suffix))
    .map((name) => Number.parseInt(name, 10))
    .sort((a, b) => a - b);
  for (const [i, number] of numbers.entries()) {
    if (number === i) continue;
    throw new MytapeError(
      'bad-archive',
      `${segmentPath(dir, i, codec)} is missing, so the index cannot be made anew (put it back; or make a new archive of the others: ` +
        `${importSegments(dir)})`,
    );
  }
  return numbers;
}
