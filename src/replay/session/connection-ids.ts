/**
 * Recorded connection ids to those of the replay, for KILL. In memory that the worker threads of a run share: the one that
 * replays a KILL need not be the one that has the connection it means.
 */

import type { CaptureNs } from '../../time.ts';

/** A run whose table would be larger has none. */
const MOST_OCTETS = 64 * 1024 * 1024;

/** What the memory begins with. */
const SESSIONS = 0;
const COPIES = 1;
const BUCKETS = 2;
const HEAD_WORDS = 3;
const WORD_OCTETS = 4;

/** No session, no connection. Sessions are stored plus 1; servers give no connection the id 0. */
const NONE = 0;

/** In the place of a target's id: the connection is still to be opened. */
export const AWAITED = 0xffff_ffff;

/** Times are kept in whole ms. */
export function tableMs(at: CaptureNs): number {
  return Math.floor(at / 1e6) >>> 0;
}

export class ConnectionIds {
  /** What another thread's `of` is to be given. */
  readonly buffer: SharedArrayBuffer;
  readonly #copies: number;
  /** The recorded id of each session, */
  readonly #recorded: Uint32Array;
  /** the recorded server that gave it, */
  readonly #servers: Uint32Array;
  /** when the session began, */
  readonly #began: Uint32Array;
  /** the next session in the list of its bucket, */
  readonly #next: Uint32Array;
  /** the first of each bucket's list, */
  readonly #buckets: Uint32Array;
  /** and the target's id of each session's copies, NONE while that has no connection, AWAITED before it has its first. */
  readonly #open: Uint32Array;

  private constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    const head = new Uint32Array(buffer, 0, HEAD_WORDS);
    const sessions = head[SESSIONS];
    this.#copies = head[COPIES];
    let at = HEAD_WORDS * WORD_OCTETS;
    const words = (length: number) => {
      const array = new Uint32Array(buffer, at, length);
      at += array.byteLength;
      return array;
    };
    this.#recorded = words(sessions);
    this.#servers = words(sessions);
    this.#began = words(sessions);
    this.#next = words(sessions);
    this.#buckets = words(head[BUCKETS]);
    this.#open = words(sessions * this.#copies);
  }

  /** For a run of so many sessions, with ids (SessionMeta) from 0, and copies of each. Where that is too many, not `available`. */
  static create(sessions: number, copies: number): ConnectionIds {
    const buckets = 2 ** Math.ceil(Math.log2(sessions + 1));
    const octets = (HEAD_WORDS + sessions * (4 + copies) + buckets) * WORD_OCTETS;
    const isAvailable = octets <= MOST_OCTETS;
    const buffer = new SharedArrayBuffer(isAvailable ? octets : HEAD_WORDS * WORD_OCTETS);
    if (isAvailable) new Uint32Array(buffer).set([sessions, copies, buckets]);
    return new ConnectionIds(buffer);
  }

  /** The same table, in another thread. */
  static of(buffer: SharedArrayBuffer): ConnectionIds {
    return new ConnectionIds(buffer);
  }

  /** Whether there is a table: without, nothing is ever found. */
  get available(): boolean {
    return this.#buckets.length > 0;
  }

  /**
   * The recorded server `server`, a number (Destination), gave `session` this id; 0: not known. May be told again, by each
   * thread that has one of its copies.
   */
  recorded(session: number, connectionId: number, server = 0): void {
    if (connectionId === NONE || session >= this.#recorded.length) return;
    if (Atomics.compareExchange(this.#recorded, session, NONE, connectionId) !== NONE) return;
    Atomics.store(this.#servers, session, server);
    const bucket = this.#bucketOf(connectionId);
    for (let first = Atomics.load(this.#buckets, bucket); ; ) {
      Atomics.store(this.#next, session, first);
      const found = Atomics.compareExchange(this.#buckets, bucket, first, session + 1);
      if (found === first) return;
      first = found;
    }
  }

  /** A copy is to have a connection, of a session that was recorded as in `recorded`, and began at this moment. */
  awaited(session: number, copy: number, at: CaptureNs): void {
    if (!this.#has(session, copy)) return;
    Atomics.store(this.#began, session, tableMs(at));
    this.opened(session, copy, AWAITED);
  }

  /** A copy has a connection, to which the target gave this id. */
  opened(session: number, copy: number, targetId: number): void {
    if (this.#has(session, copy)) Atomics.store(this.#open, session * this.#copies + copy, targetId);
  }

  /** It has it no more. */
  closed(session: number, copy: number): void {
    this.opened(session, copy, NONE);
  }

  /**
   * The target's id of the connection that, in this copy, stands for the recorded one: of the newest session that had this
   * id from `server` and is open now (a server that was restarted counts anew), whatever was `_at` the recorded moment. undefined
   * where there is none.
   */
  find(connectionId: number, copy: number, server = 0, _at?: CaptureNs): number | undefined {
    let newest = NONE;
    let targetId = NONE;
    for (const session of this.#sessionsOf(connectionId, copy, server)) {
      const open = Atomics.load(this.#open, (session - 1) * this.#copies + copy);
      if (session < newest || open === NONE || open === AWAITED) continue;
      newest = session;
      targetId = open;
    }
    return targetId === NONE ? undefined : targetId;
  }

  /** Whether such a connection, of a session that had begun by `at`, is still to be opened. */
  isAwaited(connectionId: number, copy: number, server: number, at: CaptureNs): boolean {
    for (const session of this.#sessionsOf(connectionId, copy, server)) {
      const open = Atomics.load(this.#open, (session - 1) * this.#copies + copy);
      if (open === AWAITED && Atomics.load(this.#began, session - 1) <= tableMs(at)) return true;
    }
    return false;
  }

  /** Sessions, plus 1, that were recorded with this id. */
  *#sessionsOf(connectionId: number, copy: number, server: number): Iterable<number> {
    if (!this.available || copy >= this.#copies) return;
    let session = Atomics.load(this.#buckets, this.#bucketOf(connectionId));
    for (; session !== NONE; session = Atomics.load(this.#next, session - 1)) {
      if (Atomics.load(this.#recorded, session - 1) !== connectionId) continue;
      if (Atomics.load(this.#servers, session - 1) === server) yield session;
    }
  }

  #has(session: number, copy: number): boolean {
    return session < this.#recorded.length && copy < this.#copies;
  }

  #bucketOf(connectionId: number): number {
    return (Math.imul(connectionId, 0x9e37_79b1) >>> 7) & (this.#buckets.length - 1);
  }
}
