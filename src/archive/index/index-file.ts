/** Opens the file of an archive's index, which somebody may have damaged, or made to harm whoever opens it. */
import { closeSync, existsSync, mkdtempSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { MytapeError } from '../../errors.ts';
import { OPEN, openRegular } from '../../files.ts';
import { DamagedIndex, damagedIndex, lostIndex, shown, withoutIndex } from '../check/damage.ts';
import { columnsOf, FORMAT_VERSION, OLDEST_VERSION, TABLE_NAMES, type TableName } from './columns.ts';
import { APPLICATION_ID } from './schema.ts';

export const INDEX_FILE = 'index.db';

/** What SQLite puts beside the index. */
export const INDEX_FILES: readonly string[] = ['', '-wal', '-shm', '-journal'].map(
  (suffix) => INDEX_FILE + suffix,
);

const MAGIC = 'SQLite format 3\0';

/** The head of the file (SQLite's documentation: Database File Format, 1.3) up to the format's version for readers, which says WAL mode. */
const HEAD_OCTETS = 20;
const READ_VERSION = 19;
const WAL_VERSION = 2;

/** What is copied at once. */
const COPY_OCTETS = 1 << 20;

/** Objects of a schema that are looked at; ours has fewer. */
const MOST_OBJECTS = 64;

/** The table that archives may lack which were made before clocks were looked at. */
const MAY_LACK: TableName = 'clock_steps';

export interface IndexFile {
  db: Database.Database;
  version: number;
  /** Tables there are. */
  tables: ReadonlySet<string>;
}

/**
 * Opens the index of the archive in `dir` for reading, and leaves no file behind: a reader of SQLite's WAL mode makes an index.db-shm and an
 * index.db-wal, which only a writer takes away. Throws `bad-archive` where it is none, or has another schema than its version's. */
export function openIndexFile(dir: string): IndexFile {
  const path = join(dir, INDEX_FILE);
  const isWal = checkHead(dir, path);
  let db: Database.Database | undefined;
  try {
    db = isWal ? openWal(dir, path) : new Database(path, { readonly: true, fileMustExist: true });
    harden(db);
    const applicationId = db.pragma('application_id', { simple: true });
    if (applicationId !== APPLICATION_ID) {
      throw new MytapeError('bad-archive', `${path} is not a mytape index (${withoutIndex(dir)})`);
    }
    const version = db.pragma('user_version', { simple: true }) as number;
    if (version < OLDEST_VERSION || version > FORMAT_VERSION) {
      throw new MytapeError(
        'bad-archive',
        `${dir} has format ${version}, this mytape reads formats ${OLDEST_VERSION} to ${FORMAT_VERSION} ` +
          `(use the mytape that recorded it; if it was this one, the index is damaged, and ${withoutIndex(dir)})`,
      );
    }
    return { db, version, tables: checkSchema(dir, db, version) };
  } catch (error) {
    db?.close();
    const explained = explain(dir, error);
    throw explained instanceof DamagedIndex ? lostIndex(dir, explained.what, error) : explained;
  }
}

/** Whether the index of the archive in `dir` is in WAL mode: it is being recorded, or its recorder could not put it in order. */
export function isInWal(dir: string): boolean {
  return checkHead(dir, join(dir, INDEX_FILE));
}

/**
 * Folds the log of an index that is ours into it, and leaves one plain file. While somebody reads it, or the disk is full, it stays as it
 * is, which is as good.
 */
export function settleFile(dir: string): void {
  let db: Database.Database | undefined;
  try {
    db = new Database(join(dir, INDEX_FILE), { fileMustExist: true, timeout: 0 });
    settle(db);
  } finally {
    db?.close();
  }
}

/** The same, of one that is open. */
export function settle(db: Database.Database): void {
  db.pragma('busy_timeout = 0');
  try {
    db.pragma('wal_checkpoint(TRUNCATE)');
    db.pragma('journal_mode = DELETE');
  } catch (error) {
    if (!(error instanceof Database.SqliteError && /^SQLITE_(BUSY|FULL)/.test(error.code))) throw error;
  }
}

/** Where someone is at work in the folder, as SQLite has it; else, or where that needs a folder that can be written, a copy. */
function openWal(dir: string, path: string): Database.Database {
  if (existsSync(`${path}-shm`)) {
    let db: Database.Database | undefined;
    try {
      db = new Database(path, { readonly: true, fileMustExist: true });
      db.pragma('schema_version');
      return db;
    } catch (error) {
      db?.close();
      if (!(error instanceof Database.SqliteError && /^SQLITE_(CANTOPEN|READONLY)/.test(error.code)))
        throw error;
    }
  }
  return openCopy(dir, path);
}

/** Opens a copy of an index in WAL mode, with what stands in its log, in files that have no name any more. Throws 'disk'. */
function openCopy(dir: string, path: string): Database.Database {
  let folder: string | undefined;
  try {
    folder = mkdtempSync(join(tmpdir(), 'mytape-index-'));
    for (const suffix of ['', '-wal'])
      if (existsSync(path + suffix)) copyRegular(path + suffix, join(folder, INDEX_FILE + suffix));
    const db = new Database(join(folder, INDEX_FILE), { fileMustExist: true });
    // What it writes from now on would have no name.
    db.pragma('journal_mode = DELETE');
    db.pragma('query_only = ON');
    return db;
  } catch (cause) {
    if (cause instanceof Database.SqliteError && !/^SQLITE_(FULL|IOERR)/.test(cause.code)) throw cause;
    throw new MytapeError(
      'disk',
      `cannot copy the index of ${dir} to ${tmpdir()} to read it there: ${(cause as Error).message} ` +
        '(make room there, or set another folder: TMPDIR=FOLDER)',
      { cause },
    );
  } finally {
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  }
}

function copyRegular(from: string, to: string): void {
  const source = openRegular(from, OPEN.read);
  try {
    const target = openRegular(to, OPEN.createNew);
    try {
      const piece = new Uint8Array(COPY_OCTETS);
      for (let octets = 1; octets > 0; ) {
        octets = readSync(source, piece);
        for (let done = 0; done < octets; ) done += writeSync(target, piece, done, octets - done);
      }
    } finally {
      closeSync(target);
    }
  } finally {
    closeSync(source);
  }
}

/** What follows from an error of SQLite's for whoever opened the archive. */
export function explain(dir: string, cause: unknown): unknown {
  if (!(cause instanceof Database.SqliteError)) return cause;
  const { code, message } = cause;
  if (code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB' || code === 'SQLITE_ERROR')
    return damagedIndex(dir, message, cause);
  return new MytapeError('bad-archive', `cannot read the index of ${dir}: ${message}`, { cause });
}

/** Nothing in the schema runs by itself, and damaged pages are noticed when they are read. */
export function harden(db: Database.Database): void {
  db.pragma('trusted_schema = OFF');
  db.pragma('cell_size_check = ON');
}

/** Looks at the file before SQLite does, which would follow a link and wait for a FIFO. Returns whether the file is in WAL mode. */
function checkHead(dir: string, path: string): boolean {
  let fd: number;
  try {
    fd = openRegular(path, OPEN.read);
  } catch (cause) {
    throw new MytapeError('bad-archive', `cannot read ${path}: ${(cause as Error).message}`, { cause });
  }
  try {
    const head = Buffer.alloc(HEAD_OCTETS);
    readSync(fd, head, 0, HEAD_OCTETS, 0);
    if (head.toString('latin1', 0, MAGIC.length) !== MAGIC)
      throw new MytapeError(
        'bad-archive',
        `cannot read the index of ${dir}: ${path} is not a SQLite database (${withoutIndex(dir)})`,
      );
    return head[READ_VERSION] === WAL_VERSION;
  } finally {
    closeSync(fd);
  }
}

/** The schema must be that of its version: another table, a view, a trigger, a generated column may be a trap. */
function checkSchema(dir: string, db: Database.Database, version: number): Set<string> {
  const objects = db.prepare(`SELECT type, name FROM sqlite_master LIMIT ${MOST_OBJECTS}`).raw().all() as [
    unknown,
    unknown,
  ][];
  for (const [type, name] of objects) {
    const isOurs = TABLE_NAMES.some((table) => table === name && columnsOf(table, version).length > 0);
    if (type !== 'table' || !isOurs)
      throw damagedIndex(
        dir,
        `it has the ${shown(type)} ${shown(name)}, which format ${version} does not have`,
      );
  }
  const tables = new Set(objects.map(([, name]) => name as string));
  for (const table of TABLE_NAMES) {
    if (tables.has(table)) checkColumns(dir, db, table, version);
    else if (columnsOf(table, version).length === 0) continue;
    else if (table !== MAY_LACK || version >= FORMAT_VERSION)
      throw damagedIndex(dir, `it has no table ${table}`);
  }
  return tables;
}

function checkColumns(dir: string, db: Database.Database, table: TableName, version: number): void {
  const found = db.prepare('SELECT name, type, "notnull", pk, hidden FROM pragma_table_xinfo(?)').raw();
  const rows = found.all(table) as [string, string, number, number, number][];
  const expected = new Map(columnsOf(table, version).map((column) => [column.name, column]));
  for (const [name, type, notNull, key, hidden] of rows) {
    const column = expected.get(name);
    if (column === undefined)
      throw damagedIndex(
        dir,
        `table ${table} has a column ${shown(name)}, which format ${version} does not have`,
      );
    const isRight = type === column.type && key > 0 === (column.isKey ?? false) && hidden === 0;
    if (!isRight || (!column.isKey && notNull !== Number(!column.isNullable)))
      throw damagedIndex(dir, `column ${name} of table ${table} is not declared as in format ${version}`);
    expected.delete(name);
  }
  for (const name of expected.keys()) throw damagedIndex(dir, `table ${table} has no column ${name}`);
}
