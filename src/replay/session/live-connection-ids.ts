/**
 * The same as connection-ids.ts for a run whose sessions nobody has counted: a table that forgets. It knows the connections
 * that are open, at most SLOTS, in memory that the threads of the run share.
 */
import type { CaptureNs } from '../../time.ts';
import { AWAITED, type ConnectionIds, tableMs } from './connection-ids.ts';

/** What an engine tells of connections, and asks. */
export type ConnectionTable = Pick<
  ConnectionIds,
  'recorded' | 'awaited' | 'opened' | 'closed' | 'find' | 'isAwaited'
>;

/** Slots that an id may be in: all of them are looked at. */
const BUCKET_SLOTS = 8;

/** Connections open at once that the table is for, where there are not too many copies. */
const SLOTS = 65_536;

const MOST_OCTETS = 64 * 1024 * 1024;

/** A slot: the recorded id, the session that has it, when that began, the recorded server that gave it, and the target's id of each copy. */
const ID = 0;
const SESSION = 1;
const SERVER = 2;
const BEGAN = 3;
const FIRST_COPY = 4;

/** What the memory begins with. */
const COPIES = 0;
const HEAD_WORDS = 1;
const WORD_OCTETS = 4;

/** No connection. Servers give none the id 0. */
const NONE = 0;

/** A session of this thread that has connections now, or is to have some. */
interface Entry {
  /** Where its slot begins; -1: there was none left in its bucket. */
  slot: number;
  copies: Set<number>;
}

export class LiveConnectionIds implements ConnectionTable {
  /** What another thread's `of` is to be given. */
  readonly buffer: SharedArrayBuffer;
  readonly #words: Uint32Array;
  readonly #copies: number;
  readonly #slotWords: number;
  readonly #buckets: number;
  /** By session; a session's copies are all in one thread. */
  readonly #entries = new Map<number, Entry>();

  private constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.#words = new Uint32Array(buffer);
    this.#copies = this.#words[COPIES];
    this.#slotWords = FIRST_COPY + this.#copies;
    this.#buckets = Math.floor((this.#words.length - HEAD_WORDS) / (this.#slotWords * BUCKET_SLOTS));
  }

  static create(copies: number): LiveConnectionIds {
    const slotOctets = (FIRST_COPY + copies) * WORD_OCTETS;
    const most = Math.floor(MOST_OCTETS / slotOctets);
    const slots = Math.max(BUCKET_SLOTS, Math.min(SLOTS, most));
    const buffer = new SharedArrayBuffer(HEAD_WORDS * WORD_OCTETS + slots * slotOctets);
    new Uint32Array(buffer)[COPIES] = copies;
    return new LiveConnectionIds(buffer);
  }

  /** The same table, in another thread. */
  static of(buffer: SharedArrayBuffer): LiveConnectionIds {
    return new LiveConnectionIds(buffer);
  }

  /** The recorded server `server` gave `session` this id; 0: not known. It is in the table from then on until its last copy is closed. */
  recorded(session: number, connectionId: number, server = 0): void {
    if (connectionId === NONE || this.#entries.has(session)) return;
    this.#entries.set(session, { slot: this.#claim(session, connectionId, server), copies: new Set() });
  }

  awaited(session: number, copy: number, at: CaptureNs): void {
    const slot = this.#entries.get(session)?.slot ?? -1;
    if (slot >= 0) Atomics.store(this.#words, slot + BEGAN, tableMs(at));
    this.opened(session, copy, AWAITED);
  }

  opened(session: number, copy: number, targetId: number): void {
    const entry = this.#entries.get(session);
    if (entry === undefined) return;
    entry.copies.add(copy);
    if (entry.slot >= 0) Atomics.store(this.#words, entry.slot + FIRST_COPY + copy, targetId);
  }

  closed(session: number, copy: number): void {
    const entry = this.#entries.get(session);
    if (entry === undefined) return;
    entry.copies.delete(copy);
    if (entry.slot >= 0) Atomics.store(this.#words, entry.slot + FIRST_COPY + copy, NONE);
    if (entry.copies.size > 0) return;
    this.#entries.delete(session);
    if (entry.slot >= 0) Atomics.store(this.#words, entry.slot + ID, NONE);
  }

  /** As ConnectionIds has it. */
  find(connectionId: number, copy: number, server = 0): number | undefined {
    const words = this.#words;
    let newest = -1;
    let targetId = NONE;
    for (const slot of this.#slotsOf(connectionId, server)) {
      const open = Atomics.load(words, slot + FIRST_COPY + copy);
      const session = Atomics.load(words, slot + SESSION);
      if (open === NONE || open === AWAITED || session <= newest) continue;
      newest = session;
      targetId = open;
    }
    return targetId === NONE ? undefined : targetId;
  }

  /** As ConnectionIds has it. */
  isAwaited(connectionId: number, copy: number, server: number, at: CaptureNs): boolean {
    const words = this.#words;
    for (const slot of this.#slotsOf(connectionId, server)) {
      const isAwaited = Atomics.load(words, slot + FIRST_COPY + copy) === AWAITED;
      if (isAwaited && Atomics.load(words, slot + BEGAN) <= tableMs(at)) return true;
    }
    return false;
  }

  *#slotsOf(connectionId: number, server: number): Iterable<number> {
    if (connectionId === NONE) return;
    const first = this.#bucketOf(connectionId);
    for (let i = 0; i < BUCKET_SLOTS; i++) {
      const slot = first + i * this.#slotWords;
      if (Atomics.load(this.#words, slot + ID) !== connectionId) continue;
      if (Atomics.load(this.#words, slot + SERVER) === server) yield slot;
    }
  }

  /** A free slot of the id's bucket, now its own; -1: there is none, and nobody will find it. */
  #claim(session: number, connectionId: number, server: number): number {
    const first = this.#bucketOf(connectionId);
    for (let i = 0; i < BUCKET_SLOTS; i++) {
      const slot = first + i * this.#slotWords;
      if (Atomics.compareExchange(this.#words, slot + ID, NONE, connectionId) !== NONE) continue;
      Atomics.store(this.#words, slot + SESSION, session);
      Atomics.store(this.#words, slot + SERVER, server);
      return slot;
    }
    return -1;
  }

  #bucketOf(connectionId: number): number {
    const bucket = (Math.imul(connectionId, 0x9e37_79b1) >>> 0) % this.#buckets;
    return HEAD_WORDS + bucket * BUCKET_SLOTS * this.#slotWords;
  }
}
