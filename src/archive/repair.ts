/**
 * Mends an archive whose recorder was killed, or lost its power: cuts torn tails, ends the segments, and makes the index
 * anew from them. Anew and whole, because a session's counts can't be carried on from the middle, and because so there
 * is one way from packets to index, the recorder's own.
 */
import { readdirSync } from 'node:fs';
import { MytapeError } from '../errors.ts';
import type { Catalog } from './catalog.ts';
import { type Codec, makeCodec } from './codec.ts';
import { IndexBuilder } from './index-builder.ts';
import { segmentPath } from './segment.ts';
import { SegmentScan } from './segment-scan.ts';

/** Blocks whose rows are kept in memory before they go to the index. */
const BATCH_BLOCKS = 4096;

/** Repairs the archive in `dir`, whose lock the caller holds; answers what was done, for people. */
export function repairArchive(dir: string, catalog: Catalog, codec: Codec): string {
  const { linkType, originSec, serverPorts, limits, dropped, droppedByDisk, packets, partial } =
    catalog.archive();
  const builder = new IndexBuilder(serverPorts, limits);
  const notes: string[] = [];
  let unreadable = 0;
  const linkTypes = new Map(catalog.segments().map((segment) => [segment.number, segment.linkType]));
  const scans = segmentNumbers(dir, codec).map(
    (number) =>
      // Each with a codec of its own, because several are read by turns.
      new SegmentScan(dir, number, makeCodec(codec.name)!, {
        originSec,
        // Everything that the index knew, before it forgets it.
        known: catalog.blocksOfSegment(number),
        linkType: linkTypes.get(number) ?? linkType,
      }),
  );
  const mend = () => {
    catalog.clear();
    for (const scan of inOrder(scans)) {
      const { item } = scan;
      if (item?.type === 'damaged') {
        builder.keep(item.row);
        unreadable++;
      } else if (item !== undefined) {
        builder.add(scan.number, item.scanned, item.scanned.length, scan.block);
      }
      if (builder.waiting >= BATCH_BLOCKS) catalog.commit(builder.take(dropped, droppedByDisk));
    }
    for (const scan of scans) {
      notes.push(...scan.notes);
      builder.segment(scan.number, scan.octets, scan.linkType);
    }
    if (unreadable > 0) notes.push(`${unreadable} blocks are damaged and were left as they are`);
    notes.push(`indexed anew: ${builder.index.packets} packets, of which the index knew ${packets}`);
    const end = { endedMs: null, complete: false, repaired: notes.join('; '), partial };
    catalog.commit(builder.take(dropped, droppedByDisk), end);
  };
  try {
    catalog.transaction(mend);
  } finally {
    for (const scan of scans) scan.close();
  }
  return notes.join('; ');
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
      `${segmentPath(dir, i, codec)} is missing, so the archive cannot be repaired`,
    );
  }
  return numbers;
}
