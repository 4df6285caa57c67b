/**
 * Who may write an archive: one process at a time. The lock is the kernel's and so dies with its process, whatever
 * killed it. Taken through SQLite, which locks files on every platform, where Node itself can't.
 */
import { closeSync, constants, existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { openRegular, whyNotRegular } from '../files.ts';

export const LOCK_FILE = 'recording.lock';

/** Errors that say nothing of who may write there. */
const IS_TROUBLE = /^(ENOSPC|EDQUOT|EMFILE|ENFILE|EIO|SQLITE_FULL|SQLITE_IOERR.*)$/;

export class ArchiveLock {
  readonly #db: Database.Database;
  readonly #path: string;

  private constructor(db: Database.Database, path: string) {
    this.#db = db;
    this.#path = path;
  }

  /**
   * Makes the lock's file, named `file`, so the folder must be ours (ours.ts). `busy`: another process writes the archive. `denied`: the
   * folder can't be written to. Throws where its disk is full or failing, or no more files may be opened.
   */
  static take(dir: string, file = LOCK_FILE): ArchiveLock | 'busy' | 'denied' {
    const path = join(dir, file);
    const wasThere = existsSync(path);
    let db: Database.Database | undefined;
    try {
      // SQLite would follow a link, and make a file that all may read.
      closeSync(openRegular(path, constants.O_RDWR | constants.O_CREAT));
      db = new Database(path, { timeout: 0 });
      // An exclusive transaction that writes nothing: the file stays empty, the lock is held until `release`.
      db.exec('BEGIN EXCLUSIVE');
      return new ArchiveLock(db, path);
    } catch (error) {
      db?.close();
      if (isBusy(error)) return 'busy';
      if (!IS_TROUBLE.test((error as { code?: string }).code ?? '')) return 'denied';
      if (!wasThere) rmSync(path, { force: true });
      throw error;
    }
  }

  /** Whether another process writes the archive in `dir`, which may be anybody's: writes nothing. */
  static isHeld(dir: string): boolean {
    const path = join(dir, LOCK_FILE);
    if (whyNotRegular(path) !== undefined) return false;
    let db: Database.Database | undefined;
    try {
      db = new Database(path, { readonly: true, fileMustExist: true, timeout: 0 });
      db.pragma('schema_version');
      return false;
    } catch (error) {
      return isBusy(error);
    } finally {
      db?.close();
    }
  }

  release(): void {
    try {
      rmSync(this.#path, { force: true });
    } finally {
      this.#db.close();
    }
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Database.SqliteError && error.code === 'SQLITE_BUSY';
}
