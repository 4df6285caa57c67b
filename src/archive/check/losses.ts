/** What damage cost an archive: found when its segments are read whole, and said in `repaired`. */
import { basename } from 'node:path';
import type { CaptureNs } from '../../time.ts';
import type { Codec } from '../codec.ts';
import type { BlockRow } from '../index/rows.ts';
import { segmentPath } from '../segment.ts';
import type { SegmentScan } from '../segment-scan.ts';
import type { Known } from './known.ts';

/** Packets that were in a segment once. */
export interface Loss {
  segment: number;
  /** Undefined: not known. */
  packets: number | undefined;
  /** Between these times; -Infinity, Infinity: from its beginning, to its end. */
  from: CaptureNs;
  to: CaptureNs;
  /** `damaged`: they are there, and can't be read. `cut`: they are not there. */
  what: 'damaged' | 'cut';
}

/** Times of a segment's first and last block. */
export interface Span {
  first: CaptureNs;
  last: CaptureNs;
}

/** What is lost at the end of a segment: nothing, where a recorder that died was still writing it (`wasClosed`: none did). */
export function cutFrom(
  scan: SegmentScan,
  scans: readonly SegmentScan[],
  ends: ReadonlyMap<SegmentScan, Span>,
  wasClosed: boolean,
): Loss[] {
  const { torn, number: segment } = scan;
  if (torn === undefined) return [];
  if (torn.gone.length > 0) return [goneFrom(segment, torn.gone)];
  if (scan.isUpToKnown) return [];
  const later = scans.find(
    (other) => other.number > segment && other.linkType === scan.linkType && ends.has(other),
  );
  if (later === undefined && !wasClosed) return [];
  const from = ends.get(scan)?.last ?? Number.NEGATIVE_INFINITY;
  const to = later === undefined ? Number.POSITIVE_INFINITY : ends.get(later)!.first;
  return [{ segment, packets: undefined, from, to, what: 'cut' }];
}

/** What is lost with a block that can't be read, after `before` of its segment. */
export function damageOf(row: BlockRow | undefined, segment: number, before: Span | undefined): Loss {
  if (row !== undefined)
    return { segment, packets: row.packets, from: row.firstAt, to: row.lastAt, what: 'damaged' };
  const from = before?.last ?? Number.NEGATIVE_INFINITY;
  return { segment, packets: undefined, from, to: Number.POSITIVE_INFINITY, what: 'damaged' };
}

/** What is lost with the blocks `rows` of a segment, which are not there any more. */
export function goneFrom(segment: number, rows: readonly BlockRow[]): Loss {
  const loss: Loss = { segment, packets: 0, from: rows[0].firstAt, to: rows[0].lastAt, what: 'cut' };
  for (const { packets, firstAt, lastAt } of rows) {
    loss.packets! += packets;
    loss.from = Math.min(loss.from, firstAt);
    loss.to = Math.max(loss.to, lastAt);
  }
  return loss;
}

/** What is lost in all; `cut`: of that, what the next who reads the segments won't find lost again. */
export function totalLost(
  known: Known,
  scans: readonly SegmentScan[],
  losses: readonly Loss[],
): { lost: number; cut: number } {
  let cut = known.archive.cutPackets;
  let shown = 0;
  for (const { segment, packets, what } of losses) {
    const isGone = what === 'cut' && (packets !== undefined || scans[segment]?.mended);
    if (isGone) cut += packets ?? 1;
    else shown += packets ?? 1;
  }
  return { lost: cut + shown, cut };
}

/** Notes of one kind that are kept: an archive may have a million damaged blocks. */
const MOST_NOTES = 20;

/** Characters of what earlier repairs did that are kept. */
const MOST_EARLIER = 4096;

/** What a repair did and found, for people. */
export function repairNotes(
  known: Known,
  scans: readonly SegmentScan[],
  losses: readonly Loss[],
  packets: number,
  codec: Codec,
): string[] {
  const { originSec, packets: knownPackets, repaired } = known.archive;
  const notes = repaired === null ? [] : [repaired.slice(0, MOST_EARLIER)];
  const nameOf = (segment: number) => basename(segmentPath('', segment, codec));
  const say = (lines: readonly string[], rest: string) => {
    notes.push(...lines.slice(0, MOST_NOTES));
    if (lines.length > MOST_NOTES) notes.push(`${lines.length - MOST_NOTES} more ${rest}`);
  };
  const mended = scans.flatMap(({ number, torn, headWhole, mended }) => [
    ...(headWhole || !mended ? [] : [`${nameOf(number)}: wrote its head anew`]),
    ...(torn && mended
      ? [`${nameOf(number)}: cut ${torn.octets} octets after the last whole block, and ended it`]
      : []),
  ]);
  say(mended, 'segments were mended');
  say(
    losses.map((loss) => `${nameOf(loss.segment)}: ${describeLoss(loss, originSec)}`),
    'losses',
  );
  say(
    known.doubts.map(({ what }) => `the old index was damaged: ${what}`),
    'rows of it',
  );
  notes.push(`indexed anew: ${packets} packets, of which the index knew ${knownPackets}`);
  return notes;
}

/** What of the lines of `repairNotes` tells of packets that are in no segment any more: no one who reads the segments finds them lost again. */
export function cutsOf({ repaired, cutPackets }: { repaired: string | null; cutPackets: number }): string[] {
  if (cutPackets === 0) return [];
  const cuts = (repaired ?? '').split('; ').filter((line) => line.includes(': lost ') && line.endsWith(GONE));
  return cuts.length > 0 ? cuts : [`lost ${cutPackets} packets or more: they ${GONE}`];
}

const GONE = 'are not in the file any more';

/** `lost 17 packets from … to …: they are damaged`. */
export function describeLoss({ packets, from, to, what }: Loss, originSec: number): string {
  const time = (at: CaptureNs) => new Date(originSec * 1000 + at / 1e6).toISOString();
  const count = packets === undefined ? 'packets whose number is not known, all' : `${packets} packets`;
  const span = [
    Number.isFinite(from) ? `from ${time(from)}` : 'from its beginning',
    Number.isFinite(to) ? `to ${time(to)}` : 'to its end',
  ].join(' ');
  return `lost ${count} ${span}: they ${what === 'cut' ? GONE : 'are damaged'}`;
}
