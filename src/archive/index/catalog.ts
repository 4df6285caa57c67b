/**
 * The archive's index: a SQLite database that says what the segments hold. docs/archive-format.md has the schema's
 * meaning, column by column. What is read is checked, row by row: an index may be damaged, or made by somebody else.
 */

import type Database from 'better-sqlite3';
import { checkGivenUp } from '../../files.ts';
import type { ClockStep } from '../../flow/clock.ts';
import type { CaptureGap } from '../../wire/packets.ts';
import { unpackBlocks } from '../block-list.ts';
import { DamagedIndex, damagedIndex, lostIndex } from '../check/damage.ts';
import { SUMS_SINCE, type TableName } from './columns.ts';
import { explain, type IndexFile, openIndexFile } from './index-file.ts';
import { checkSums, mostRows, wrongArchive } from './index-sums.ts';
import type { RowTable } from './row-table.ts';
import type { BlockRow, SegmentRow, SessionBlocksRow, SessionRow } from './rows.ts';
import { type ArchiveFacts, factsOf, Tables } from './tables.ts';

/** Rows of a table that are read at once, so that no statement stays open while others want the database. */
const PAGE = 1000;

export class Catalog {
  readonly #db: Database.Database;
  readonly #dir: string;
  /** The index's format: older where it is only read. */
  readonly #version: number;
  readonly #tables: Tables;
  /** Those that there are. */
  readonly #names: ReadonlySet<string>;
  /** Statements by their SQL. */
  readonly #statements = new Map<string, Database.Statement>();

  constructor(dir: string, { db, version, tables }: IndexFile) {
    this.#dir = dir;
    this.#db = db;
    this.#version = version;
    this.#tables = new Tables(version);
    this.#names = tables;
  }

  /** Opens an index for reading. Throws `bad-archive` where it is none of a known format. */
  static open(dir: string): Catalog {
    checkGivenUp(dir);
    return new Catalog(dir, openIndexFile(dir));
  }

  /** What the index says of the whole archive. */
  archive(): ArchiveFacts {
    return this.#archiveRow((what, isUsable) => {
      throw isUsable ? damagedIndex(this.#dir, what) : lostIndex(this.#dir, what);
    });
  }

  /** As `archive`, of a row that is wrong as far as it can be understood; `tell` has what is wrong. Throws where it can't be. */
  archiveAnyhow(tell: (what: string) => void): ArchiveFacts {
    return this.#archiveRow((what, isUsable) => {
      if (!isUsable) throw lostIndex(this.#dir, what);
      tell(what);
    });
  }

  /** Checks, in less than a second for a million sessions, that no row is missing. Throws `bad-archive`. */
  checkSums(): void {
    this.#read(() =>
      // What is counted, and what it should come to, must be of one moment.
      this.#db.transaction(() => {
        const archive = this.archive();
        const wrong = checkSums(this.#db, archive, this.segments(), this.#names, this.#version);
        if (wrong !== undefined) throw damagedIndex(this.#dir, wrong);
      })(),
    );
  }

  segments(): SegmentRow[] {
    const rows: SegmentRow[] = [];
    const archiveType = this.#version < 2 ? this.archive().linkType : undefined;
    for (const row of this.#all(this.#tables.segments)) {
      if (row.number !== rows.length)
        throw damagedIndex(this.#dir, `table segments has number ${row.number} after ${rows.length - 1}`);
      rows.push(archiveType === undefined ? row : { ...row, linkType: archiveType });
    }
    return rows;
  }

  /** The segments that have blocks, by number. */
  segmentsInUse(): number[] {
    if (this.#version >= SUMS_SINCE)
      return this.segments().flatMap(({ number, blocks }) => (blocks > 0 ? [number] : []));
    return this.#read(
      () =>
        this.#prepare('SELECT DISTINCT segment FROM (SELECT segment FROM blocks LIMIT ?) ORDER BY segment')
          .pluck()
          .all(mostRows(this.#db)) as number[],
    );
  }

  /** The segment of block `number`. */
  segmentOfBlock(number: number): number | undefined {
    return this.#get(this.#tables.blocks, 'number', number)?.segment;
  }

  /** Undefined: there is none. */
  session(id: number): SessionRow | undefined {
    const row = this.#get(this.#tables.sessions, 'id', id);
    if (row !== undefined) return row;
    if (Number.isSafeInteger(id) && id >= 0 && id < this.archive().sessions)
      throw damagedIndex(this.#dir, `table sessions has no id ${id}`);
    return undefined;
  }

  /** All sessions in order of their ids. */
  *sessions(): IterableIterator<SessionRow> {
    const { list } = this.#tables.sessions;
    const sql = `SELECT ${list} FROM sessions WHERE id >= ? ORDER BY id LIMIT ${PAGE}`;
    for (let next = 0; ; ) {
      const rows = this.#rows(this.#tables.sessions, sql, next);
      for (const row of rows) {
        if (row.id !== next) throw damagedIndex(this.#dir, `table sessions has no id ${next}`);
        next++;
        yield row;
      }
      if (rows.length < PAGE) return;
    }
  }

  /** The next blocks from `number` on, at most a page of them, without a hole. */
  blocksFrom(number: number): BlockRow[] {
    const { list } = this.#tables.blocks;
    const sql = `SELECT ${list} FROM blocks WHERE number >= ? ORDER BY number LIMIT ${PAGE}`;
    const rows = this.#rows(this.#tables.blocks, sql, number);
    for (const [i, row] of rows.entries()) {
      const hole = row.number !== number + i;
      if (hole) throw damagedIndex(this.#dir, `table blocks has no number ${number + i}`);
      if (row.firstAt > row.lastAt)
        throw damagedIndex(this.#dir, `table blocks, number ${row.number}: first_at is after last_at`);
    }
    return rows;
  }

  /** One past the last block's number. */
  blockCount(): number {
    return (
      this.#read(() =>
        Number(this.#prepare('SELECT number FROM blocks ORDER BY number DESC LIMIT 1').pluck().get() ?? -1),
      ) + 1
    );
  }

  /** Steps of the clock at packets from number `packet` on, in order. */
  clockSteps(packet = 0): ClockStep[] {
    return this.#names.has('clock_steps') ? [...this.#all(this.#tables.clock_steps, packet - 1)] : [];
  }

  /** When nothing could be captured, in order. */
  gaps(): CaptureGap[] {
    if (!this.#names.has('gaps')) return [];
    const rows = [...this.#all(this.#tables.gaps)];
    return rows.map(({ fromAt, toAt }) => ({ fromAt, toAt: toAt ?? undefined }));
  }

  /** Calls `visit` with each block of the session that has this row, ascending. */
  blocksOfSession({ id: session, blocks: least }: SessionRow, visit: (block: number) => void): void {
    const fail = (what: string): never => {
      throw damagedIndex(this.#dir, `table session_blocks, session ${session}: ${what}`);
    };
    const { list } = this.#tables.session_blocks;
    const sql = `SELECT ${list} FROM session_blocks WHERE session = ? AND first_block >= ?
      ORDER BY first_block LIMIT ${PAGE}`;
    const blocks = this.blockCount();
    let named = 0;
    let last = -1;
    const take = (block: number) => {
      if (block <= last) fail(`block ${block} is named after block ${last}`);
      if (block >= blocks) fail(`it names block ${block}, and the archive has ${blocks}`);
      last = block;
      named++;
      visit(block);
    };
    for (let rows: SessionBlocksRow[] | undefined; rows === undefined || rows.length === PAGE; ) {
      rows = this.#rows(this.#tables.session_blocks, sql, session, last + 1);
      for (const list of rows)
        if (!unpackBlocks(list.firstBlock, list.blocks, take))
          fail(`the list from block ${list.firstBlock} on is not a list of blocks`);
    }
    // Rows that are being recorded may have grown since the session's was read.
    if (this.#version >= SUMS_SINCE && named < least) fail(`${named} blocks are named of ${least}`);
  }

  /** The rows of a table, right or wrong, as SQLite has them in order of their keys; no more than the file can hold. */
  rawRows(table: TableName): IterableIterator<unknown[]> {
    if (!this.#names.has(table)) return [].values();
    const { list, columns } = this.#tables[table];
    const keys = columns.filter(({ isKey }) => isKey).map(({ name }) => name);
    const order = keys.length > 0 ? `ORDER BY ${keys.join(', ')}` : '';
    const statement = this.#db.prepare(`SELECT ${list} FROM ${table} ${order} LIMIT ?`).raw();
    return statement.iterate(mostRows(this.#db)) as IterableIterator<unknown[]>;
  }

  /** The row of a table by its key, right or wrong. Throws SQLite's errors. */
  rawRow(table: 'segments' | 'blocks' | 'sessions' | 'clock_steps', key: number): unknown[] | undefined {
    if (!this.#names.has(table)) return undefined;
    const { list, columns } = this.#tables[table];
    const statement = this.#prepare(`SELECT ${list} FROM ${table} WHERE ${columns[0].name} = ?`);
    return statement.raw().get(key) as unknown[] | undefined;
  }

  /** The rows of a session's lists, right or wrong, in order. Throws SQLite's errors. */
  rawLists(session: number): unknown[][] {
    const { list } = this.#tables.session_blocks;
    const sql = `SELECT ${list} FROM session_blocks WHERE session = ? ORDER BY first_block LIMIT ?`;
    return this.#prepare(sql).raw().all(session, this.blockCount()) as unknown[][];
  }

  /** Of the index's own format. */
  get tables(): Tables {
    return this.#tables;
  }

  /** What SQLite finds wrong with the file, at most `most` lines of it. */
  quickCheck(most: number): string[] {
    const lines = this.#read(() => this.#db.pragma(`quick_check(${most})`) as { quick_check: string }[]);
    return lines.map((line) => line.quick_check).filter((line) => line !== 'ok');
  }

  close(): void {
    this.#db.close();
  }

  #archiveRow(tell: (what: string, isUsable: boolean) => void): ArchiveFacts {
    const table = this.#tables.archive;
    let found: ReturnType<typeof wrongArchive>;
    try {
      found = wrongArchive(this.#db, table);
    } catch (error) {
      const explained = explain(this.#dir, error);
      throw explained instanceof DamagedIndex ? lostIndex(this.#dir, explained.what, error) : explained;
    }
    if (found.wrong !== undefined) tell(found.wrong, found.values !== undefined);
    return factsOf(table.row(found.values!));
  }

  #get<Row extends object>(table: RowTable<Row>, key: string, value: number): Row | undefined {
    const rows = this.#rows(table, `SELECT ${table.list} FROM ${table.name} WHERE ${key} = ?`, value);
    if (rows.length > 0 && (rows[0] as Record<string, unknown>)[key] !== value)
      throw damagedIndex(this.#dir, `table ${table.name} has another row in place of ${key} ${value}`);
    return rows[0];
  }

  /** All rows of a table with one key, which goes up, past `last`. */
  *#all<Row extends object>(table: RowTable<Row>, last = Number.NEGATIVE_INFINITY): Generator<Row> {
    const key = table.columns[0];
    const sql = `SELECT ${table.list} FROM ${table.name} WHERE ${key.name} > ? ORDER BY ${key.name} LIMIT ${PAGE}`;
    for (let before = last; ; ) {
      const rows = this.#rows(table, sql, before);
      for (const row of rows) {
        const at = (row as Record<string, unknown>)[key.field] as number;
        if (at <= before)
          throw damagedIndex(this.#dir, `table ${table.name} is out of order at ${key.name} ${at}`);
        before = at;
        yield row;
      }
      if (rows.length < PAGE) return;
    }
  }

  /** Rows that were checked. */
  #rows<Row extends object>(table: RowTable<Row>, sql: string, ...parameters: number[]): Row[] {
    const found = this.#read(
      () =>
        this.#prepare(sql)
          .raw()
          .all(...parameters) as unknown[][],
    );
    return found.map((values) => {
      const wrong = table.wrong(values);
      if (wrong !== undefined) throw damagedIndex(this.#dir, wrong);
      return table.row(values);
    });
  }

  #prepare(sql: string): Database.Statement {
    let statement = this.#statements.get(sql);
    if (statement === undefined) this.#statements.set(sql, (statement = this.#db.prepare(sql)));
    return statement;
  }

  #read<T>(query: () => T): T {
    try {
      return query();
    } catch (error) {
      throw explain(this.#dir, error);
    }
  }
}
