import Database from 'better-sqlite3';
import type { CaptureGap } from '../wire/packets.ts';
import type { ArchiveFacts, Catalog } from './catalog.ts';
import type { BlockRow } from './rows.ts';

/** What an index knows that its segments don't, or not any more. */
export interface Known {
  archive: ArchiveFacts;
  linkTypes: Map<number, number>;
  /** Rows of blocks by segment. */
  blocks: Map<number, BlockRow[]>;
  gaps: CaptureGap[];
  /** Rows that were wrong, and what of that, for people. */
  doubts: string[];
}

/** Gathers what the index in `catalog` knows, right rows only. Throws `bad-archive` where its archive's row can't be read. */
export function gather(catalog: Catalog): Known {
  const doubts: string[] = [];
  const known: Known = {
    archive: catalog.archiveAnyhow((what) => doubts.push(what)),
    linkTypes: new Map(),
    blocks: new Map(),
    gaps: [],
    doubts,
  };
  const { segments, blocks, gaps } = catalog.tables;
  const each = (table: 'segments' | 'blocks' | 'gaps', take: (values: unknown[]) => void) => {
    try {
      for (const values of catalog.rawRows(table)) {
        const wrong = catalog.tables[table].wrong(values);
        if (wrong === undefined) take(values);
        else doubts.push(wrong);
      }
    } catch (error) {
      if (!(error instanceof Database.SqliteError)) throw error;
      doubts.push(`table ${table}: ${error.message}`);
    }
  };
  each('segments', (values) => {
    const { number, linkType } = segments.row(values);
    known.linkTypes.set(number, linkType);
  });
  each('blocks', (values) => {
    const row = blocks.row(values);
    const list = known.blocks.get(row.segment);
    if (list === undefined) known.blocks.set(row.segment, [row]);
    else list.push(row);
  });
  each('gaps', (values) => {
    const { fromAt, toAt } = gaps.row(values);
    known.gaps.push({ fromAt, toAt: toAt ?? undefined });
  });
  return known;
}
