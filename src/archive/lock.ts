/**
 * Who may write an archive: one process at a time. The lock is the kernel's and so dies with its process, whatever
 * killed it. Taken through SQLite, which locks files on every platform, where Node itself can't.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';

const LOCK_FILE = 'recording.lock';

export class ArchiveLock {
  readonly #db: Database.Database;
  readonly #path: string;

  private constructor(db: Database.Database, path: string) {
    this.#db = db;
    this.#path = path;
  }

  /** `busy`: another process writes the archive. `denied`: the folder can't be written to. */
  static take(dir: string): ArchiveLock | 'busy' | 'denied' {
    const path = join(dir, LOCK_FILE);
    let db: Database.Database | undefined;
    try {
      db = new Database(path, { timeout: 0 });
      // An exclusive transaction that writes nothing: the file stays empty, the lock is held until `release`.
      db.exec('BEGIN EXCLUSIVE');
      return new ArchiveLock(db, path);
    } catch (error) {
      db?.close();
      return error instanceof Database.SqliteError && error.code === 'SQLITE_BUSY' ? 'busy' : 'denied';
    }
  }

  release(): void {
    rmSync(this.#path, { force: true });
    this.#db.close();
  }
}
