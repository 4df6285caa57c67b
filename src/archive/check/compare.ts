/** The index of an archive against the one that its segments make: names each row that is wrong. */
import { unpackBlocks } from '../block-list.ts';
import type { Catalog } from '../index/catalog.ts';
import type { TableName } from '../index/columns.ts';
import { explain } from '../index/index-file.ts';
import { DamagedIndex, shown } from './damage.ts';

/** One thing that is wrong. */
export interface Finding {
  /** Of the index; undefined: it is in a segment, or in the file as such. */
  table?: TableName;
  /** A file that is no part of index or segments, and that nothing can make again: `servers.json`. */
  file?: string;
  /** Of the row: `id 17`. */
  key?: string;
  column?: string;
  /** What the index says there, and what is true. */
  says?: unknown;
  is?: unknown;
  /** The whole of it, for people. */
  what: string;
}

/** Tables whose rows have one key, and follow from the segments. */
const COMPARED = ['segments', 'blocks', 'sessions', 'clock_steps'] as const;

/** What of the archive's row follows from the segments. */
const TOTALS = new Set([
  ...['packets', 'octets', 'sessions', 'commands', 'uncounted', 'copies', 'flooded', 'flooded_data'],
  ...['segments', 'blocks', 'block_octets', 'clock_steps'],
]);

/** Blocks of a list that are shown. */
const MOST_BLOCKS = 20;

/** Rows that are not there, or should not be, are named up to so many of a table: there may be millions. */
const MOST_OF_TABLE = 1000;

export class Comparison {
  readonly #dir: string;
  readonly #says: Catalog;
  readonly #is: Catalog;
  readonly #find: (finding: Finding) => void;

  /** `says`: the archive's index; `is`: what its segments make. */
  constructor(dir: string, says: Catalog, is: Catalog, find: (finding: Finding) => void) {
    this.#dir = dir;
    this.#says = says;
    this.#is = is;
    this.#find = find;
  }

  /** Compares all rows. */
  compare(): void {
    this.#archive();
    for (const table of COMPARED) {
      this.#rows(table);
      this.#surplus(table);
    }
    this.#lists();
  }

  /** Looks at each row by itself. */
  checkSums(): void {
    for (const table of [...COMPARED, 'session_blocks'] as const) {
      const rows = this.#says.tables[table];
      this.#attempt(table, () => {
        for (const said of this.#says.rawRows(table)) {
          const what = rows.wrong(said);
          if (what !== undefined) this.#find({ table, key: rows.keyOf(said), what });
        }
      });
    }
  }

  #archive(): void {
    // What is wrong with the row as such was reported before.
    const says = this.#says.archiveAnyhow(() => {}) as unknown as Record<string, unknown>;
    const is = this.#is.archive() as unknown as Record<string, unknown>;
    for (const { name, field } of this.#says.tables.archive.columns)
      if (TOTALS.has(name) && says[field] !== is[field])
        this.#differs('archive', undefined, name, says[field], is[field]);
  }

  /** Each row that there should be. */
  #rows(table: (typeof COMPARED)[number]): void {
    const rows = this.#says.tables[table];
    const all = this.#is.tables[table];
    // Older formats lack some.
    const places = rows.columns.map((column) => all.columns.indexOf(column));
    let missing = 0;
    for (const right of this.#is.rawRows(table)) {
      const key = all.keyOf(right);
      const said = this.#attempt(table, () => this.#says.rawRow(table, right[0] as number));
      if (said === undefined) {
        if (missing++ < MOST_OF_TABLE)
          this.#find({ table, key, what: `${all.nameOf(right)}: the row is missing` });
        continue;
      }
      let isSame = true;
      for (const [i, column] of rows.columns.entries()) {
        const found = right[places[i]];
        if (column.name === 'sum' || said[i] === found) continue;
        isSame = false;
        this.#differs(table, key, column.name, said[i], found);
      }
      const wrong = isSame ? rows.wrong(said) : undefined;
      if (wrong !== undefined) this.#find({ table, key, column: 'sum', what: wrong });
    }
  }

  /** Rows that no packet in the segments accounts for. */
  #surplus(table: (typeof COMPARED)[number]): void {
    const rows = this.#says.tables[table];
    let told = 0;
    let last = -1;
    this.#attempt(table, () => {
      for (const said of this.#says.rawRows(table)) {
        const [key] = said as [number];
        if (key > last && this.#is.rawRow(table, key) !== undefined) {
          last = key;
          continue;
        }
        this.#find({
          table,
          key: rows.keyOf(said),
          what: `${rows.nameOf(said)}: no packet in the segments accounts for this row`,
        });
        if (++told >= MOST_OF_TABLE) return;
      }
    });
  }

  /** Lists of blocks are cut into rows as it came: what counts is what a session's name in all. */
  #lists(): void {
    for (const [id] of this.#is.rawRows('sessions')) {
      const session = id as number;
      const right = blocksOf(this.#is, session);
      const said = this.#attempt('session_blocks', () => blocksOf(this.#says, session));
      if (said === undefined) continue;
      const key = `session ${session}`;
      const [a, b] = [said.blocks, right.blocks].map((blocks) => blocks.join(' '));
      if (said.wrong !== undefined) this.#find({ table: 'session_blocks', key, what: said.wrong });
      else if (a !== b) {
        const [says, is] = [said.blocks, right.blocks].map((blocks) =>
          blocks.slice(0, MOST_BLOCKS).join(' '),
        );
        this.#differs('session_blocks', key, 'blocks', says, is);
      }
    }
  }

  #differs(table: TableName, key: string | undefined, column: string, says: unknown, is: unknown): void {
    const where = key === undefined ? `table ${table}` : `table ${table}, ${key}`;
    const what = `${where}: ${column} is ${shown(says)}, and should be ${shown(is)}`;
    this.#find({ table, ...(key !== undefined && { key }), column, says, is, what });
  }

  /** SQLite may find only now that pages are damaged. */
  #attempt<T>(table: TableName, work: () => T): T | undefined {
    try {
      return work();
    } catch (error) {
      const explained = explain(this.#dir, error);
      if (!(explained instanceof DamagedIndex)) throw explained;
      this.#find({ table, what: `table ${table}: ${explained.what}` });
      return undefined;
    }
  }
}

/** The blocks that a session's lists name; `wrong`: the first of them that is none. */
function blocksOf(catalog: Catalog, session: number): { blocks: number[]; wrong: string | undefined } {
  const blocks: number[] = [];
  const rows = catalog.tables.session_blocks;
  for (const values of catalog.rawLists(session)) {
    const wrong = rows.wrong(values);
    if (wrong !== undefined) return { blocks, wrong };
    const { firstBlock, blocks: list } = rows.row(values);
    if (!unpackBlocks(firstBlock, list, (block) => blocks.push(block)))
      return { blocks, wrong: `${rows.nameOf(values)}: blocks is not a list of blocks` };
  }
  return { blocks, wrong: undefined };
}
