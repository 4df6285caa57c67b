/**
 * The archive's index: a SQLite database that says what the segments hold. docs/archive-format.md has the schema's
 * meaning, column by column.
 */
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { MytapeError } from '../errors.ts';
import type { ClockStep } from '../flow/clock.ts';
import type { FlowLimits } from '../flow/flow-limits.ts';
import type { CaptureNs } from '../time.ts';
import type { CaptureGap } from '../wire/packets.ts';
import { unpackBlocks } from './block-list.ts';
import type {
  ArchiveRow,
  BlockRow,
  CatalogBatch,
  CatalogEnd,
  SegmentRow,
  SessionBlocksRow,
  SessionRow,
  Totals,
} from './rows.ts';
import { APPLICATION_ID, CLOCK_STEPS, FORMAT_VERSION, OLDEST_VERSION, SCHEMA, UPGRADES } from './schema.ts';

export const INDEX_FILE = 'index.db';

/** Rows of a table that are read at once, so that no statement stays open while others want the database. */
const PAGE = 1000;

const BLOCK_COLUMNS = `number, segment, offset, stored, octets, checksum, first_packet AS firstPacket, packets,
  first_at AS firstAt, last_at AS lastAt`;

const sessionColumns = (
  version: number,
) => `id, client, client_port AS clientPort, server, server_port AS serverPort, first_at AS firstAt,
  last_at AS lastAt, first_packet AS firstPacket, last_packet AS lastPacket, packets, client_octets AS clientOctets,
  server_octets AS serverOctets, coverage, user, schema, tls, compressed, commands,
  ${version < 3 ? "'open' AS ended" : 'ended'}`;

/** Of the archive's row, what older formats lack. */
function archiveColumns(version: number): string {
  const of2 = version < 2 ? 'NULL AS partial, 0 AS copies' : 'partial, copies';
  const of3 =
    version < 3
      ? '0 AS flooded, 0 AS floodedData, NULL AS idleNs, NULL AS halfOpenNs, NULL AS mostHalfOpen, NULL AS mostFlows'
      : 'flooded, flooded_data AS floodedData, idle_ns AS idleNs, half_open_ns AS halfOpenNs, most_half_open AS mostHalfOpen, most_flows AS mostFlows';
  return `${of2}, ${of3}`;
}

/** NULL: no limit. */
type StoredLimits = { [Limit in keyof FlowLimits]: number | null };

const toLimit = (limit: number | null) => limit ?? Number.POSITIVE_INFINITY;
const fromLimit = (limit: number) => (limit === Number.POSITIVE_INFINITY ? null : limit);

type StoredSession = Omit<SessionRow, 'tls' | 'compressed'> & { tls: number; compressed: number };

export class Catalog {
  readonly #db: Database.Database;
  readonly #dir: string;
  /** The index's format: older where it is only read. */
  readonly #version: number;

  private constructor(dir: string, db: Database.Database, version: number) {
    this.#dir = dir;
    this.#db = db;
    this.#version = version;
  }

  /**
   * Makes the index of a new archive; on return it is on the disk. `partial`: what is said of the archive unless a later
   * `commit` takes it back.
   */
  static create(dir: string, archive: ArchiveRow, partial: string | null): Catalog {
    const path = join(dir, INDEX_FILE);
    // SQLite gives its -wal and -shm files the permissions of the database.
    closeSync(openSync(path, 'wx', 0o600));
    const db = new Database(path);
    db.pragma('journal_mode = WAL');
    // Power cuts may take the newest transactions, which a repair makes again; they never harm the database.
    db.pragma('synchronous = NORMAL');
    db.transaction(() => {
      db.exec(SCHEMA);
      db.exec(CLOCK_STEPS);
      db.pragma(`application_id = ${APPLICATION_ID}`);
      db.pragma(`user_version = ${FORMAT_VERSION}`);
      db.prepare(
        `INSERT INTO archive VALUES (@codec, @linkType, @originSec, @serverPorts, @filter, @iface, @startedMs, NULL,
           0, 0, 0, 0, 0, 0, 0, 0, NULL, @partial, 0, 0, 0, @idleNs, @halfOpenNs, @mostHalfOpen, @mostFlows)`,
      ).run({
        ...archive,
        partial,
        serverPorts: JSON.stringify(archive.serverPorts),
        idleNs: fromLimit(archive.limits.idleNs),
        halfOpenNs: fromLimit(archive.limits.halfOpenNs),
        mostHalfOpen: fromLimit(archive.limits.mostHalfOpen),
        mostFlows: fromLimit(archive.limits.mostFlows),
      });
    })();
    db.pragma('wal_checkpoint(TRUNCATE)');
    return new Catalog(dir, db, FORMAT_VERSION);
  }

  /** Opens an index; one of an older format is brought up to date if it is to be written. */
  static open(dir: string, mode: 'read' | 'write'): Catalog {
    const path = join(dir, INDEX_FILE);
    let db: Database.Database | undefined;
    try {
      db = new Database(path, { readonly: mode === 'read', fileMustExist: true });
      const applicationId = db.pragma('application_id', { simple: true });
      if (applicationId !== APPLICATION_ID) {
        throw new MytapeError('bad-archive', `${path} is not an index of mytape's`);
      }
      const version = db.pragma('user_version', { simple: true }) as number;
      if (version < OLDEST_VERSION || version > FORMAT_VERSION) {
        throw new MytapeError(
          'bad-archive',
          `${dir} has format ${version}, this mytape reads formats ${OLDEST_VERSION} to ${FORMAT_VERSION} ` +
            '(use the mytape that recorded it)',
        );
      }
      if (mode === 'read') return new Catalog(dir, db, version);
      upgrade(db, version);
      return new Catalog(dir, db, FORMAT_VERSION);
    } catch (error) {
      db?.close();
      throw Catalog.#explain(dir, error);
    }
  }

  static #explain(dir: string, cause: unknown): unknown {
    if (!(cause instanceof Database.SqliteError)) return cause;
    return new MytapeError('bad-archive', `cannot read the index of ${dir}: ${cause.message}`, { cause });
  }

  archive(): ArchiveRow & Totals & CatalogEnd {
    const row = this.#read(
      () =>
        this.#db
          .prepare(
            `SELECT codec, link_type AS linkType, origin_sec AS originSec, server_ports AS serverPorts, filter, iface,
               started_ms AS startedMs, ended_ms AS endedMs, packets, octets, sessions, commands, uncounted, dropped,
               dropped_by_disk AS droppedByDisk, complete, repaired, ${archiveColumns(this.#version)}
             FROM archive`,
          )
          .get() as
          | (Omit<ArchiveRow, 'serverPorts' | 'limits'> &
              Totals &
              StoredLimits &
              Omit<CatalogEnd, 'complete'> & { serverPorts: string; complete: number })
          | undefined,
    );
    if (row === undefined) throw new MytapeError('bad-archive', `the index of ${this.#dir} is empty`);
    const { idleNs, halfOpenNs, mostHalfOpen, mostFlows, ...rest } = row;
    return {
      ...rest,
      serverPorts: JSON.parse(row.serverPorts),
      complete: row.complete !== 0,
      limits: {
        idleNs: toLimit(idleNs),
        halfOpenNs: toLimit(halfOpenNs),
        mostHalfOpen: toLimit(mostHalfOpen),
        mostFlows: toLimit(mostFlows),
      },
    };
  }

  segments(): SegmentRow[] {
    const linkType = this.#version < 2 ? '(SELECT link_type FROM archive)' : 'link_type';
    return this.#read(
      () =>
        this.#db
          .prepare(`SELECT number, octets, ${linkType} AS linkType FROM segments ORDER BY number`)
          .all() as SegmentRow[],
    );
  }

  /** The segments that have blocks, by number. */
  segmentsInUse(): number[] {
    return this.#read(
      () =>
        this.#db.prepare('SELECT DISTINCT segment FROM blocks ORDER BY segment').pluck().all() as number[],
    );
  }

  /** The segment of block `number`. */
  segmentOfBlock(number: number): number | undefined {
    return this.#read(
      () =>
        this.#db.prepare('SELECT segment FROM blocks WHERE number = ?').pluck().get(number) as
          | number
          | undefined,
    );
  }

  session(id: number): SessionRow | undefined {
    const row = this.#read(
      () =>
        this.#db.prepare(`SELECT ${sessionColumns(this.#version)} FROM sessions WHERE id = ?`).get(id) as
          | StoredSession
          | undefined,
    );
    return row && toSession(row);
  }

  /** All sessions in order of their ids. */
  *sessions(): IterableIterator<SessionRow> {
    const page = this.#db.prepare(
      `SELECT ${sessionColumns(this.#version)} FROM sessions WHERE id > ? ORDER BY id LIMIT ${PAGE}`,
    );
    for (let last = -1; ; ) {
      const rows = this.#read(() => page.all(last) as StoredSession[]);
      for (const row of rows) yield toSession(row);
      if (rows.length < PAGE) return;
      last = rows[rows.length - 1].id;
    }
  }

  /** The next blocks from `number` on whose times touch [from, to], at most a page of them. */
  blocksFrom(number: number, from: CaptureNs, to: CaptureNs): BlockRow[] {
    return this.#read(
      () =>
        this.#db
          .prepare(
            `SELECT ${BLOCK_COLUMNS} FROM blocks WHERE number >= ? AND last_at >= ? AND first_at <= ?
             ORDER BY number LIMIT ${PAGE}`,
          )
          .all(number, from, to) as BlockRow[],
    );
  }

  /** One past the last block's number. */
  blockCount(): number {
    return this.#read(
      () => this.#db.prepare('SELECT coalesce(max(number) + 1, 0) FROM blocks').pluck().get() as number,
    );
  }

  /** Steps of the clock at packets from number `packet` on, in order. */
  clockSteps(packet = 0): ClockStep[] {
    return this.#read(() => {
      const table = this.#db.prepare(
        "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'clock_steps'",
      );
      if (table.get() === undefined) return [];
      return this.#db
        .prepare(
          `SELECT packet, before_at AS beforeAt, at, jump AS jumpNs, offset FROM clock_steps WHERE packet >= ?
           ORDER BY packet`,
        )
        .all(packet) as ClockStep[];
    });
  }

  /** When nothing could be captured, in order. */
  gaps(): CaptureGap[] {
    if (this.#version < 3) return [];
    return this.#read(() => {
      const rows = this.#db
        .prepare('SELECT from_at AS fromAt, to_at AS toAt FROM gaps ORDER BY from_at')
        .all();
      return (rows as { fromAt: number; toAt: number | null }[]).map(({ fromAt, toAt }) => ({
        fromAt,
        toAt: toAt ?? undefined,
      }));
    });
  }

  /** The blocks of one segment, in order. */
  blocksOfSegment(segment: number): BlockRow[] {
    return this.#read(
      () =>
        this.#db
          .prepare(`SELECT ${BLOCK_COLUMNS} FROM blocks WHERE segment = ? ORDER BY number`)
          .all(segment) as BlockRow[],
    );
  }

  /** Calls `visit` with each block of the session. */
  blocksOfSession(session: number, visit: (block: number) => void): void {
    const rows = this.#read(
      () =>
        this.#db
          .prepare('SELECT first_block AS firstBlock, blocks FROM session_blocks WHERE session = ?')
          .all(session) as SessionBlocksRow[],
    );
    for (const row of rows) unpackBlocks(row.firstBlock, row.blocks, visit);
  }

  /** Puts a batch in, whole or not at all. Throws SQLite's errors (a full disk). */
  commit(batch: CatalogBatch, end?: CatalogEnd): void {
    this.transaction(() => {
      this.#put(batch);
      if (end === undefined) return;
      this.#db
        .prepare(
          'UPDATE archive SET ended_ms = @endedMs, complete = @complete, repaired = @repaired, partial = @partial',
        )
        .run({ ...end, complete: Number(end.complete) });
    });
  }

  /** Runs `work` as one transaction; nests. */
  transaction(work: () => void): void {
    this.#db.transaction(work)();
  }

  /** Forgets everything about the segments' contents; for making it anew. */
  clear(): void {
    this.#db.exec(
      'DELETE FROM segments; DELETE FROM blocks; DELETE FROM sessions; DELETE FROM session_blocks;',
    );
    this.#db.exec(`${CLOCK_STEPS} DELETE FROM clock_steps;`);
  }

  /**
   * Folds the write-ahead log into the database and leaves one plain file, which a read-only folder can serve too. While
   * somebody else reads the index it stays in its two files, which is as good but needs a folder that can be written to.
   */
  settle(): void {
    this.#db.pragma('busy_timeout = 0');
    try {
      this.#db.pragma('wal_checkpoint(TRUNCATE)');
      this.#db.pragma('journal_mode = DELETE');
    } catch (error) {
      if (!(error instanceof Database.SqliteError && error.code.startsWith('SQLITE_BUSY'))) throw error;
    }
  }

  close(): void {
    this.#db.close();
  }

  #put(batch: CatalogBatch): void {
    const { totals } = batch;
    this.#db
      .prepare(
        `UPDATE archive SET packets = @packets, octets = @octets, sessions = @sessions, commands = @commands,
           uncounted = @uncounted, dropped = @dropped, dropped_by_disk = @droppedByDisk, copies = @copies,
           flooded = @flooded, flooded_data = @floodedData`,
      )
      .run(totals);
    const segment = this.#db.prepare('INSERT OR REPLACE INTO segments VALUES (@number, @octets, @linkType)');
    for (const row of batch.segments) segment.run(row);
    const block = this.#db.prepare(
      `INSERT OR REPLACE INTO blocks VALUES (@number, @segment, @offset, @stored, @octets, @checksum, @firstPacket,
         @packets, @firstAt, @lastAt)`,
    );
    for (const row of batch.blocks) block.run(row);
    const session = this.#db.prepare(
      `INSERT OR REPLACE INTO sessions VALUES (@id, @client, @clientPort, @server, @serverPort, @firstAt, @lastAt,
         @firstPacket, @lastPacket, @packets, @clientOctets, @serverOctets, @coverage, @user, @schema, @tls,
         @compressed, @commands, @ended)`,
    );
    for (const row of batch.sessions) {
      session.run({ ...row, tls: Number(row.tls), compressed: Number(row.compressed) });
    }
    const list = this.#db.prepare(
      'INSERT OR REPLACE INTO session_blocks VALUES (@session, @firstBlock, @blocks)',
    );
    for (const row of batch.sessionBlocks) list.run(row);
    const gap = this.#db.prepare('INSERT OR REPLACE INTO gaps VALUES (@fromAt, @toAt)');
    for (const { fromAt, toAt } of batch.gaps) gap.run({ fromAt, toAt: toAt ?? null });
    if (batch.clockSteps.length === 0) return;
    const step = this.#db.prepare(
      'INSERT OR REPLACE INTO clock_steps VALUES (@packet, @beforeAt, @at, @jumpNs, @offset)',
    );
    for (const row of batch.clockSteps) step.run(row);
  }

  #read<T>(query: () => T): T {
    try {
      return query();
    } catch (error) {
      throw Catalog.#explain(this.#dir, error);
    }
  }
}

function upgrade(db: Database.Database, from: number): void {
  if (from === FORMAT_VERSION) return;
  db.transaction(() => {
    for (let version = from; version < FORMAT_VERSION; version++) db.exec(UPGRADES[version]);
    db.pragma(`user_version = ${FORMAT_VERSION}`);
  })();
}

function toSession(row: StoredSession): SessionRow {
  return { ...row, tls: row.tls !== 0, compressed: row.compressed !== 0 };
}
