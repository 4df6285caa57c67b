import Database from 'better-sqlite3';
import type { CaptureGap } from '../../wire/packets.ts';
import type { Catalog } from '../index/catalog.ts';
import type { TableName } from '../index/columns.ts';
import type { BlockRow, SegmentRow } from '../index/rows.ts';
import type { ArchiveFacts } from '../index/tables.ts';

/** What an index knows that its segments don't, or not any more. */
export interface Known {
  archive: ArchiveFacts;
  segments: Map<number, SegmentRow>;
  /** Rows of blocks by segment. */
  blocks: Map<number, BlockRow[]>;
  gaps: CaptureGap[];
  doubts: Doubt[];
}

/** Something in the index that is wrong. */
export interface Doubt {
  table: TableName;
  /** For people. */
  what: string;
  /** Rows of which nothing is known any more: the table can't be read past them. */
  isUnreadable?: true;
}

/** Gathers what the index in `catalog` knows, right rows only. Throws `bad-archive` where its archive's row can't be read. */
export function gather(catalog: Catalog): Known {
  const doubts: Doubt[] = [];
  const known: Known = {
    archive: catalog.archiveAnyhow((what) => doubts.push({ table: 'archive', what })),
    segments: new Map(),
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
        else doubts.push({ table, what: wrong });
      }
    } catch (error) {
      if (!(error instanceof Database.SqliteError)) throw error;
      doubts.push({ table, what: `table ${table}: ${error.message}`, isUnreadable: true });
    }
  };
  each('segments', (values) => {
    const row = segments.row(values);
    known.segments.set(row.number, row);
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
