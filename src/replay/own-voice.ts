/**
 * Whether a mirror hears itself: its target leads back to the server that is mirrored, and what it says is captured and said again.
 * Decision 0034. One for all threads of a run, in memory that they share; finding anything is final.
 */
import type { SessionMeta } from '../flow/events.ts';
import { HEADER_OCTETS } from '../mysql/packet.ts';

/** How a mirror recognized its own voice. */
export type VoiceProof = 'greeting' | 'mark' | 'statements';

const PROOFS: readonly VoiceProof[] = ['greeting', 'mark', 'statements'];

/** What an engine reports: connections, statements, and captured sessions. */
export interface Voice {
  /** A replayed connection got this nonce in its greeting. */
  greeted(nonce: Uint8Array): void;
  /** A statement, or turn, goes out: with its headers. */
  said(packet: Uint8Array): void;
  /** A captured session has logged in, or begun. */
  heardSession(session: SessionMeta): void;
  /** A captured session says this. */
  heard(session: SessionMeta, packet: Uint8Array): void;
}

/** Plain data: it crosses to worker threads. */
export interface VoiceJob {
  buffer: SharedArrayBuffer;
  /** What the mirror's own mark says, where one was sent: it is in no one else's statement. */
  mark: string;
  /** Addresses that the mirror's own statements may come from, and hardly any client's: those of targets, which may be proxies. */
  ours: readonly string[];
}

/** Statements that come back from one of these addresses, beyond chance: fewer than the hundred that would do harm. */
const MOST_RETURNED = 50;
/** They come back within this, ms. */
const RETURNED_WITHIN_MS = 1_000;
/** And so many of them within this. */
const WINDOW_MS = 10_000;

/** Octets at the beginning of a statement that its hash covers. */
const MOST_HASHED = 256;

/** A nonce is 20 octets; 8 of them are no chance. */
const NONCE_OCTETS = 8;

/** What the shared memory begins with. */
const FOUND = 0;
const RETURNED = 1;
const WINDOW_AT = 2;
const MARKED = 3;
const HEAD_WORDS = 4;

/** Three tables of entries of two words; an entry lives until another needs its place. */
const ENTRIES = 16_384;
const TABLE_WORDS = 2 * ENTRIES;
const OURS = HEAD_WORDS;
const CAPTURED = OURS + TABLE_WORDS;
const SAID = CAPTURED + TABLE_WORDS;
const WORDS = SAID + TABLE_WORDS;

export class OwnVoice implements Voice {
  readonly #words: Int32Array;
  readonly #mark: Buffer;
  /** Of the COM_QUERY that says it, and of the line where no protocol is known. */
  readonly #markOctets: readonly number[];
  readonly #ours: ReadonlySet<string>;
  readonly #now: () => number;
  readonly #onFound: (proof: VoiceProof) => void;
  #told = false;

  /** The shared memory of a run. `mark`: random, of 16 characters or more. */
  static job(mark: string, ours: Iterable<string>): VoiceJob {
    return { buffer: new SharedArrayBuffer(WORDS * Int32Array.BYTES_PER_ELEMENT), mark, ours: [...ours] };
  }

  /** The mark was sent to every target, and comes back if they lead back: clients' statements need no comparing. */
  static marked({ buffer }: VoiceJob): void {
    Atomics.store(new Int32Array(buffer), MARKED, 1);
  }

  /** How a thread of the run recognized the voice; undefined: none has heard it. */
  static found({ buffer }: VoiceJob): VoiceProof | undefined {
    return PROOFS[Atomics.load(new Int32Array(buffer), FOUND) - 1];
  }

  /** `now`: ms, the same clock in all threads; `onFound` is called once, from within one of the calls below. */
  constructor(job: VoiceJob, now: () => number, onFound: (proof: VoiceProof) => void) {
    this.#words = new Int32Array(job.buffer);
    this.#mark = Buffer.from(job.mark, 'latin1');
    this.#markOctets = [HEADER_OCTETS + 1 + markStatement(job.mark).length, markLine(job.mark).length];
    this.#ours = new Set(job.ours);
    this.#now = now;
    this.#onFound = onFound;
  }

  greeted(nonce: Uint8Array): void {
    this.#meet(nonce, OURS, CAPTURED);
    this.#tellIfFound();
  }

  heardSession({ nonce }: SessionMeta): void {
    if (nonce !== undefined) this.#meet(nonce, CAPTURED, OURS);
    this.#tellIfFound();
  }

  said(packet: Uint8Array): void {
    if (this.#compares) {
      const hash = hashOf(packet);
      const words = this.#words;
      const at = entryOf(SAID, hash);
      Atomics.store(words, at, hash);
      Atomics.store(words, at + 1, this.#stamp());
    }
    this.#tellIfFound();
  }

  heard({ client }: SessionMeta, packet: Uint8Array): void {
    // Only a statement of about the mark's length is searched: searching all of them would cost time.
    if (this.#isLongAsMark(packet.length) && includes(packet, this.#mark)) this.#find('mark');
    if (this.#compares && this.#ours.has(client.text)) this.#compare(packet);
    this.#tellIfFound();
  }

  /** Whether statements are compared: not where the mark does better, or nobody's address is a target's. */
  get #compares(): boolean {
    return this.#ours.size > 0 && Atomics.load(this.#words, MARKED) === 0;
  }

  #isLongAsMark(octets: number): boolean {
    const [query, line] = this.#markOctets;
    return (
      (octets >= query && octets <= query + MARK_SLACK) || (octets >= line && octets <= line + MARK_SLACK)
    );
  }

  /** Whether a statement from a target's address is one that we sent a moment ago. */
  #compare(packet: Uint8Array): void {
    const words = this.#words;
    const hash = hashOf(packet);
    const at = entryOf(SAID, hash);
    const now = this.#stamp();
    if (Atomics.load(words, at) !== hash) return;
    if (((now - Atomics.load(words, at + 1)) | 0) > RETURNED_WITHIN_MS) return;
    if (((now - Atomics.load(words, WINDOW_AT)) | 0) > WINDOW_MS) {
      Atomics.store(words, WINDOW_AT, now);
      Atomics.store(words, RETURNED, 0);
    }
    if (Atomics.add(words, RETURNED, 1) + 1 >= MOST_RETURNED) this.#find('statements');
  }

  /** Whichever of the two ends of one connection is seen second finds the first: each writes, then reads. */
  #meet(nonce: Uint8Array, own: number, others: number): void {
    if (nonce.length < NONCE_OCTETS) return;
    const view = new DataView(nonce.buffer, nonce.byteOffset, NONCE_OCTETS);
    const [first, second] = [view.getInt32(0), view.getInt32(4)];
    const words = this.#words;
    const place = entryOf(own, first);
    Atomics.store(words, place, first);
    Atomics.store(words, place + 1, second);
    const other = entryOf(others, first);
    const isSame = Atomics.load(words, other) === first && Atomics.load(words, other + 1) === second;
    // Empty places are zeros.
    if (isSame && (first | second) !== 0) this.#find('greeting');
  }

  #find(proof: VoiceProof): void {
    Atomics.compareExchange(this.#words, FOUND, 0, PROOFS.indexOf(proof) + 1);
  }

  /** Another thread may have found it. */
  #tellIfFound(): void {
    const found = Atomics.load(this.#words, FOUND);
    if (found === 0 || this.#told) return;
    this.#told = true;
    this.#onFound(PROOFS[found - 1]);
  }

  #stamp(): number {
    return this.#now() | 0;
  }
}

/** Where the client has query attributes, the mark's statement is longer by their count. */
const MARK_SLACK = 16;

/** A statement that says `mark`, and does nothing. */
export function markStatement(mark: string): string {
  return `SELECT '${mark}' AS mytape_mirror`;
}

/** What says `mark` where no protocol is known: a line of text. */
export function markLine(mark: string): string {
  return `${mark}\r\n`;
}

function entryOf(table: number, hash: number): number {
  return table + 2 * ((hash ^ (hash >>> 15)) & (ENTRIES - 1));
}

/** FNV-1a over the beginning, the length added. */
function hashOf(packet: Uint8Array): number {
  const end = Math.min(packet.length, MOST_HASHED);
  let hash = 0x811c_9dc5 ^ packet.length;
  for (let i = 0; i < end; i++) hash = Math.imul(hash ^ packet[i], 0x0100_0193);
  return hash | 0;
}

function includes(packet: Uint8Array, mark: Buffer): boolean {
  return Buffer.from(packet.buffer, packet.byteOffset, packet.length).includes(mark);
}
