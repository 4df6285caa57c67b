/** Writes an archive's index, which has one writer: a recorder, or whoever makes it anew. */
import { closeSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { OPEN, openRegular } from '../../files.ts';
import { Catalog } from './catalog.ts';
import { FORMAT_VERSION, TABLE_NAMES } from './columns.ts';
import { harden, INDEX_FILE, settle } from './index-file.ts';
import type { RowTable } from './row-table.ts';
import type { ArchiveRow, CatalogBatch, CatalogEnd } from './rows.ts';
import { APPLICATION_ID, SCHEMA } from './schema.ts';
import { type ArchiveFacts, emptyArchive, type StoredArchive, Tables } from './tables.ts';

/** SQLite's name for a temporary database, whose file it removes when it has opened it. */
const TEMPORARY = '';

export interface CreateOptions {
  /** Name of the file. */
  file?: string;
  /** For an index that is thrown away if it is not finished: no journal, and nothing waits for the disk. */
  isDraft?: boolean;
}

export class CatalogWriter {
  readonly #dir: string;
  readonly #db: Database.Database;
  readonly #tables: Tables;
  /** The archive's row as it was written last. */
  #written: StoredArchive;

  private constructor(dir: string, db: Database.Database, tables: Tables, row: StoredArchive) {
    this.#dir = dir;
    this.#db = db;
    this.#tables = tables;
    this.#written = row;
  }

  /**
   * Makes the index of a new archive; on return it is on the disk. `partial`: what is said of the archive unless a later
   * `commit` takes it back.
   */
  static create(
    dir: string,
    archive: ArchiveRow,
    partial: string | null,
    { file = INDEX_FILE, isDraft = false }: CreateOptions = {},
  ): CatalogWriter {
    const path = join(dir, file);
    // SQLite gives its -wal and -shm files the permissions of the database.
    closeSync(openRegular(path, OPEN.createNew));
    return CatalogWriter.#fill(dir, path, archive, partial, isDraft);
  }

  /**
   * Makes an index like that of `archive`, without packets, in a file without a name in the folder for temporary files: nothing is left of it,
   * however this process ends. Errors name `dir`.
   */
  static createTemporary(dir: string, archive: ArchiveFacts): CatalogWriter {
    return CatalogWriter.#fill(dir, TEMPORARY, archive, archive.partial, true);
  }

  static #fill(
    dir: string,
    path: string,
    archive: ArchiveRow,
    partial: string | null,
    isDraft: boolean,
  ): CatalogWriter {
    const db = new Database(path);
    try {
      harden(db);
      db.pragma(`journal_mode = ${isDraft ? 'OFF' : 'WAL'}`);
      // Power cuts may take the newest transactions, which a repair makes again; they never harm the database.
      db.pragma(`synchronous = ${isDraft ? 'OFF' : 'NORMAL'}`);
      const tables = new Tables(FORMAT_VERSION);
      const row = emptyArchive(archive, partial);
      db.transaction(() => {
        db.exec(SCHEMA);
        db.pragma(`application_id = ${APPLICATION_ID}`);
        db.pragma(`user_version = ${FORMAT_VERSION}`);
        db.prepare(tables.archive.insert).run(tables.archive.store(row));
      })();
      if (!isDraft) db.pragma('wal_checkpoint(TRUNCATE)');
      return new CatalogWriter(dir, db, tables, row);
    } catch (error) {
      db.close();
      throw error;
    }
  }

  /** Puts a batch in, whole or not at all. Throws SQLite's errors (a full disk). */
  commit(batch: CatalogBatch, end?: CatalogEnd): void {
    const row = { ...this.#written, ...batch.totals, ...end };
    this.transaction(() => {
      this.#put(batch);
      this.#writeArchive(row);
    });
    this.#written = row;
  }

  /** Says how many packets were lost, of what was committed last: that needs next to no room. */
  commitLosses(dropped: number, droppedByDisk: number): void {
    const row = { ...this.#written, dropped, droppedByDisk };
    this.transaction(() => this.#writeArchive(row));
    this.#written = row;
  }

  /** Runs `work` as one transaction; nests. */
  transaction(work: () => void): void {
    this.#db.transaction(work)();
  }

  /**
   * Folds the write-ahead log into the database and leaves one plain file, which a read-only folder can serve too. While
   * somebody else reads the index, or the disk is full, it stays in its two files, which is as good but needs a folder that
   * can be written to.
   */
  settle(): void {
    settle(this.#db);
  }

  /** What was written so far. Valid until `close`. */
  reader(): Catalog {
    return new Catalog(this.#dir, { db: this.#db, version: FORMAT_VERSION, tables: new Set(TABLE_NAMES) });
  }

  close(): void {
    this.#db.close();
  }

  #writeArchive(row: StoredArchive): void {
    this.#db.prepare(this.#tables.archive.update).run(this.#tables.archive.store(row));
  }

  #put(batch: CatalogBatch): void {
    const put = <Row extends object>(table: RowTable<Row>, rows: readonly Row[]) => {
      const statement = this.#db.prepare(table.insert);
      for (const row of rows) statement.run(table.store(row));
    };
    put(this.#tables.segments, batch.segments);
    put(this.#tables.blocks, batch.blocks);
    put(this.#tables.sessions, batch.sessions);
    put(this.#tables.session_blocks, batch.sessionBlocks);
    put(this.#tables.clock_steps, batch.clockSteps);
    put(
      this.#tables.gaps,
      batch.gaps.map(({ fromAt, toAt }) => ({ fromAt, toAt: toAt ?? null })),
    );
  }
}
