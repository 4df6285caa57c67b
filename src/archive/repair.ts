/**
 * Mends an archive whose recorder was killed, or lost its power: cuts torn tails, ends the segments, and makes the index
 * anew from them. Anew and whole, because a session's counts can't be carried on from the middle, and because so there
 * is one way from packets to index, the recorder's own.
 */
import { closeSync, openSync, readdirSync } from 'node:fs';
import { basename } from 'node:path';
import { MytapeError } from '../errors.ts';
import { makeBlock } from '../wire/packets.ts';
import { PCAP_RECORD_OCTETS, readPcapRecords } from '../wire/pcap.ts';
import type { Catalog } from './catalog.ts';
import { type Codec, MAX_BLOCK_OCTETS } from './codec.ts';
import { IndexBuilder } from './index-builder.ts';
import { mendSegment, type ScannedBlock, scanSegment, segmentPath } from './segment.ts';

/** Blocks whose rows are kept in memory before they go to the index. */
const BATCH_BLOCKS = 4096;

/** Repairs the archive in `dir`, whose lock the caller holds; answers what was done, for people. */
export function repairArchive(dir: string, catalog: Catalog, codec: Codec): string {
  const { linkType, originSec, serverPorts, dropped, droppedByDisk, packets } = catalog.archive();
  const builder = new IndexBuilder(serverPorts);
  const block = makeBlock(new Uint8Array(0), MAX_BLOCK_OCTETS / PCAP_RECORD_OCTETS, linkType);
  const format = { littleEndian: true, unitNs: 1, linkType };
  const notes: string[] = [];
  let unreadable = 0;
  const numbers = segmentNumbers(dir, codec);
  // Everything that the index knew, before it forgets it.
  const known = numbers.map((number) => new Map(catalog.blocksOfSegment(number).map((b) => [b.offset, b])));
  catalog.transaction(() => {
    catalog.clear();
    for (const [i, number] of numbers.entries()) {
      const path = segmentPath(dir, number, codec);
      const takeBlock = (scanned: ScannedBlock): boolean => {
        block.octets = scanned.octets;
        block.view = new DataView(scanned.octets.buffer);
        block.count = 0;
        if (readPcapRecords(block, 0, scanned.length, format, originSec) !== scanned.length) return false;
        builder.add(number, scanned, scanned.length, block);
        if (builder.waiting >= BATCH_BLOCKS) catalog.commit(builder.take(dropped, droppedByDisk));
        return true;
      };
      const nextKnown = (offset: number, fileOctets: number): number | undefined => {
        const row = known[i].get(offset);
        if (row === undefined || offset + row.stored > fileOctets) return undefined;
        builder.keep(row);
        unreadable++;
        return offset + row.stored;
      };
      const fd = openSync(path, 'r+');
      try {
        const end = scanSegment(fd, codec, linkType, takeBlock, nextKnown);
        const whole = end.end + codec.end.length;
        if (!end.headWhole || end.answer !== 'end' || end.octets !== whole) {
          mendSegment(fd, codec, linkType, end);
          const cut = Math.max(0, end.octets - end.end);
          notes.push(`${basename(path)}: cut ${cut} octets behind the last whole block, and ended it`);
        }
        builder.segment(number, whole);
      } finally {
        closeSync(fd);
      }
    }
    if (unreadable > 0) notes.push(`${unreadable} blocks are damaged and were left as they are`);
    notes.push(`indexed anew: ${builder.index.packets} packets, of which the index knew ${packets}`);
    const end = { endedMs: null, complete: false, repaired: notes.join('; ') };
    catalog.commit(builder.take(dropped, droppedByDisk), end);
  });
  return notes.join('; ');
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
