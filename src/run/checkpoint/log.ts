/**
 * The log of one share in one pass of a run: which copies of which sessions were begun and opened, and which sessions are closed. A record
 * is written before the target can hear of what it says.
 *
 * All numbers are little-endian. A header names the run, the share and the pass. A record has a head of 16 octets: session, what, length of
 * its body, and a check of these 12; where it has a body, that and its check (4 octets) follow. Checks are xxHash (32 bits), mixed with the
 * header's and the record's place, so that no record is taken for one that stood elsewhere.
 */
import { closeSync, fdatasync, fdatasyncSync, fstatSync, ftruncateSync, readSync, write } from 'node:fs';
import { basename, dirname } from 'node:path';
import { promisify } from 'node:util';
import { xxh32 } from '../../archive/xxh32.ts';
import { OPEN, openRegular, writeWhole } from '../../files.ts';
import { type Accounts, packAccounts, unpackAccounts } from '../../report/accounts.ts';
import { LogStage, type Piece, removeStaged } from './log-stage.ts';

const syncLater = promisify(fdatasync);
const writeLater = promisify(write);

/** Which log it is. */
export interface LogId {
  /** 32 hexadecimal digits. */
  run: string;
  share: number;
  pass: number;
}

const MAGIC = 'mytape\x01\n';
const RUN = 8;
const SHARE = 24;
const PASS = 28;
export const HEADER_OCTETS = 32;

const SESSION = 0;
const WHAT = 4;
const LENGTH = 8;
const CHECK = 12;
const HEAD_OCTETS = 16;
const BODY_CHECK_OCTETS = 4;
/** Far more than accounts take. */
const MOST_BODY_OCTETS = 1 << 16;

/** In `what`: the number of a copy that was begun; with this bit, of one that was opened. */
const OPENED = 0x8000_0000;
/** `session` is a horizon: copies up to it that no earlier record names may have been begun. */
const UNKNOWN = 0xffff_fffe;
/** The session's accounts follow. */
const CLOSED = 0xffff_ffff;

/** Takes the records of a log, in order. Each returns what is wrong with it; undefined: nothing is. */
export interface LogVisitor {
  begun(session: number, copy: number): string | undefined;
  opened(session: number, copy: number): string | undefined;
  unknown(horizon: number): string | undefined;
  closed(session: number, accounts: Accounts): string | undefined;
}

/** How much of a log could be read. */
export interface LogFound {
  size: number;
  /** What is whole, from its beginning. */
  octets: number;
  /** What is wrong with what follows; undefined: nothing follows, or a record that was being written when its writer was killed. */
  damage: string | undefined;
}

/** Reads as far as the log is whole. Throws UnsafeFileError, or the system's errors, where it can't be read. */
export function readLog(path: string, id: LogId, visitor: LogVisitor): LogFound {
  const fd = openRegular(path, OPEN.read);
  try {
    const { size } = fstatSync(fd);
    const octets = new Window(fd, size);
    const header = headerOf(id);
    if (octets.need(0, HEADER_OCTETS) === undefined)
      return { size, octets: 0, damage: 'the header is cut off' };
    if (!header.equals(octets.octets.subarray(0, HEADER_OCTETS)))
      return { size, octets: 0, damage: 'this is not the header of this log' };
    const salt = saltOf(header);
    for (let end = HEADER_OCTETS; ; ) {
      const next = readRecord(octets, end, salt, visitor);
      if (typeof next !== 'number') return { size, octets: end, damage: next };
      end = next;
    }
  } finally {
    closeSync(fd);
  }
}

/** Where the record at `start` ends; what is wrong with it; undefined: the log ends in it, or before. */
function readRecord(
  log: Window,
  start: number,
  salt: number,
  visitor: LogVisitor,
): number | string | undefined {
  const head = log.need(start, HEAD_OCTETS);
  if (head === undefined) return undefined;
  const { view } = log;
  if (view.getUint32(head + CHECK, true) !== checkOf(view, head, CHECK, salt, start))
    return 'the sum of a record is wrong';
  const session = view.getUint32(head + SESSION, true);
  const what = view.getUint32(head + WHAT, true);
  const length = view.getUint32(head + LENGTH, true);
  const end = start + HEAD_OCTETS;
  if (what !== CLOSED) {
    if (length > 0) return 'a record of this kind has no body';
    if (what === UNKNOWN) return visitor.unknown(session) ?? end;
    return (what >= OPENED ? visitor.opened(session, what - OPENED) : visitor.begun(session, what)) ?? end;
  }
  if (length > MOST_BODY_OCTETS) return `a session's accounts of ${length} octets`;
  const body = log.need(end, length + BODY_CHECK_OCTETS);
  if (body === undefined) return undefined;
  if (view.getUint32(body + length, true) !== checkOf(view, body, length, salt, end))
    return "the sum of a session's accounts is wrong";
  const accounts = unpackAccounts(log.octets.toString('utf8', body, body + length));
  if (accounts === undefined) return "a session's accounts have another form";
  return visitor.closed(session, accounts) ?? end + length + BODY_CHECK_OCTETS;
}

/** A file, of which a part is in memory: however long it is. */
class Window {
  readonly octets = Buffer.alloc(4 * MOST_BODY_OCTETS);
  readonly view = new DataView(this.octets.buffer, this.octets.byteOffset, this.octets.length);
  readonly #fd: number;
  readonly #size: number;
  /** Where in the file it begins, and how much of it is filled. */
  #start = 0;
  #filled = 0;

  constructor(fd: number, size: number) {
    this.#fd = fd;
    this.#size = size;
  }

  /** Where in `octets` so many octets of the file from `at` are, until the next call; undefined: the file ends before. */
  need(at: number, length: number): number | undefined {
    if (at + length > this.#size) return undefined;
    if (at < this.#start || at + length > this.#start + this.#filled) {
      this.#start = at;
      this.#filled = 0;
      while (this.#filled < length) {
        const room = this.octets.length - this.#filled;
        const read = readSync(this.#fd, this.octets, this.#filled, room, at + this.#filled);
        // It was made shorter meanwhile.
        if (read === 0) return undefined;
        this.#filled += read;
      }
    }
    return at - this.#start;
  }
}

/**
 * Writes a log: each record into its stage, at once; to the disk when told, and off this thread. What the disk has is whole up to some
 * record, and the stage has all that follows. Throws the system's errors.
 */
export class SessionLog {
  readonly #path: string;
  readonly #fd: number;
  readonly #stageName: string;
  /** Since the first record. */
  #stage!: LogStage;
  readonly #salt: number;
  readonly #head = Buffer.alloc(HEAD_OCTETS);
  /** Written so far. */
  octets = 0;

  private constructor(path: string, id: LogId, stage: string, flags: number) {
    this.#path = path;
    this.#stageName = stage;
    this.#fd = openRegular(path, flags);
    this.#salt = saltOf(headerOf(id));
  }

  /** Makes the file, or empties it. `stage`: as in the checkpoint (log-stage.ts). */
  static create(path: string, id: LogId, stage: string): SessionLog {
    const log = new SessionLog(path, id, stage, OPEN.create);
    log.#writeThrough(headerOf(id));
    log.#openStage();
    return log;
  }

  /**
   * Goes on after the first `octets`, which are whole (`readLog`). `horizon`: nobody knows which sessions up to it were begun that those
   * do not name, which is written down before anything that follows is cut off; undefined: it is known of all.
   */
  static resume(
    path: string,
    id: LogId,
    stage: string,
    { octets, horizon }: { octets: number; horizon: number | undefined },
  ): SessionLog {
    const log = new SessionLog(path, id, stage, OPEN.update);
    if (octets === 0) log.#writeThrough(headerOf(id));
    else log.octets = octets;
    if (horizon !== undefined && horizon >= 0) {
      log.#writeHead(log.#head, horizon, UNKNOWN, 0);
      log.#writeThrough(log.#head);
    }
    ftruncateSync(log.#fd, log.octets);
    log.#openStage();
    return log;
  }

  #openStage(): void {
    this.#stage = new LogStage(dirname(this.#path), this.#stageName, basename(this.#path), this.octets);
  }

  begun(session: number, copy: number): void {
    this.#record(session, copy);
  }

  opened(session: number, copy: number): void {
    this.#record(session, OPENED + copy);
  }

  closed(session: number, accounts: Accounts): void {
    const text = packAccounts(accounts);
    const length = Buffer.byteLength(text);
    const record = Buffer.alloc(HEAD_OCTETS + length + BODY_CHECK_OCTETS);
    this.#writeHead(record, session, CLOSED, length);
    record.write(text, HEAD_OCTETS);
    const view = new DataView(record.buffer, record.byteOffset, record.length);
    const check = checkOf(view, HEAD_OCTETS, length, this.#salt, this.octets + HEAD_OCTETS);
    record.writeUInt32LE(check, HEAD_OCTETS + length);
    this.#write(record);
  }

  /** Resolves when all that was written so far is on the disk. One at a time, and not together with `syncNow`. */
  async sync(): Promise<void> {
    const { octets, at } = this.#stage.take(this.octets);
    for (let done = 0; done < octets.length; ) {
      const { bytesWritten } = await writeLater(this.#fd, octets, done, octets.length - done, at + done);
      done += bytesWritten;
    }
    await syncLater(this.#fd);
    this.#stage.carried();
  }

  /** As `sync`, before it returns. */
  syncNow(): void {
    const { octets, at } = this.#stage.take(this.octets);
    writeWhole(this.#fd, octets, at);
    fdatasyncSync(this.#fd);
    this.#stage.carried();
  }

  /** All of it is on the disk, or nobody is to go on from it. */
  close(): void {
    closeSync(this.#fd);
    this.#stage.close();
    removeStaged(dirname(this.#path), this.#stageName, basename(this.#path));
  }

  #record(session: number, what: number): void {
    this.#writeHead(this.#head, session, what, 0);
    this.#write(this.#head);
  }

  #writeHead(record: Buffer, session: number, what: number, length: number): void {
    record.writeUInt32LE(session, SESSION);
    record.writeUInt32LE(what, WHAT);
    record.writeUInt32LE(length, LENGTH);
    const view = new DataView(record.buffer, record.byteOffset, record.length);
    record.writeUInt32LE(checkOf(view, 0, CHECK, this.#salt, this.octets), CHECK);
  }

  #write(octets: Buffer): void {
    this.#stage.write(octets);
    this.octets += octets.length;
  }

  #writeThrough(octets: Buffer): void {
    writeWhole(this.#fd, octets, this.octets);
    this.octets += octets.length;
  }
}

/**
 * Puts what a stage had (log-stage.ts) in its places on the disk, before the log is read. Writing it again changes nothing. Returns what
 * is missing before a piece, continuing the log's name; undefined: nothing is.
 */
export function carryOver(path: string, pieces: readonly Piece[]): string | undefined {
  const fd = openRegular(path, OPEN.update);
  try {
    for (const { octets, at } of pieces) {
      const { size } = fstatSync(fd);
      if (at > size) return `lacks octets ${size} to ${at}`;
      writeWhole(fd, octets, at);
    }
    return undefined;
  } finally {
    closeSync(fd);
  }
}

function headerOf({ run, share, pass }: LogId): Buffer {
  const header = Buffer.alloc(HEADER_OCTETS);
  header.write(MAGIC, 'latin1');
  header.write(run, RUN, 'hex');
  header.writeUInt32LE(share, SHARE);
  header.writeUInt32LE(pass, PASS);
  return header;
}

function saltOf(header: Buffer): number {
  return xxh32(new DataView(header.buffer, header.byteOffset, header.length), 0, header.length);
}

/** Of the `length` octets from `from` in `view`, which are at `place` in the log. */
function checkOf(view: DataView, from: number, length: number, salt: number, place: number): number {
  return (xxh32(view, from, from + length) ^ salt ^ place) >>> 0;
}
