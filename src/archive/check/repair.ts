/**
 * Makes the index of an archive anew from its segments: where the recorder was killed or lost its power (torn tails are cut then), or
 * where the index is damaged. Anew and whole, because a session's counts can't be carried on from the middle, and because so there
 * is one way from packets to index, the recorder's own.
 */
import { closeSync, fsyncSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { OPEN, openRegular, syncFolder } from '../../files.ts';
import { type BuildOptions, buildIndex } from '../index/build-index.ts';
import { Catalog } from '../index/catalog.ts';
import { CatalogWriter } from '../index/catalog-writer.ts';
import { INDEX_FILE, INDEX_FILES } from '../index/index-file.ts';
import { giveReserveBack } from '../reserve.ts';
import { gather, type Known } from './known.ts';

/** The index that is being made; it takes the old one's place when it is whole. */
export const DRAFT_FILE = 'index.db.new';

/** Makes the index of the archive in `dir` anew. The archive is ours (ours.ts), and the caller holds its lock. */
export function repairArchive(dir: string, options: BuildOptions): void {
  const source = Catalog.open(dir);
  let known: Known;
  try {
    known = gather(source);
  } finally {
    source.close();
  }
  rmSync(join(dir, DRAFT_FILE), { force: true });
  const draft = CatalogWriter.create(dir, known.archive, known.archive.partial, {
    file: DRAFT_FILE,
    isDraft: true,
  });
  try {
    buildIndex(dir, known, draft, options);
    draft.close();
    putInPlace(dir);
    giveReserveBack(dir);
  } catch (error) {
    draft.close();
    rmSync(join(dir, DRAFT_FILE), { force: true });
    throw error;
  }
}

/** Puts the draft, which is whole, in the index's place. */
function putInPlace(dir: string): void {
  settleOld(join(dir, INDEX_FILE));
  syncDraft(join(dir, DRAFT_FILE));
  // SQLite would take them for the new index's.
  for (const name of INDEX_FILES) if (name !== INDEX_FILE) rmSync(join(dir, name), { force: true });
  renameSync(join(dir, DRAFT_FILE), join(dir, INDEX_FILE));
  syncFolder(dir);
}

/** Folds the log of the old index into it, so that it is whole without, should we be killed now. As far as it can be done. */
function settleOld(path: string): void {
  let db: Database.Database | undefined;
  try {
    db = new Database(path, { fileMustExist: true, timeout: 0 });
    db.pragma('wal_checkpoint(TRUNCATE)');
  } catch (error) {
    if (!(error instanceof Database.SqliteError)) throw error;
  } finally {
    db?.close();
  }
}

function syncDraft(path: string): void {
  const fd = openRegular(path, OPEN.update);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
