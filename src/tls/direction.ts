import { HandshakeMessages, MESSAGE } from './messages.ts';
import type { Protection } from './protection.ts';
import { CONTENT, findRecord, MAX_RECORD_OCTETS, RECORD_HEADER_OCTETS, RecordAssembler } from './records.ts';

/** What one direction may hold while it waits for the other. */
const MAX_HELD_OCTETS = 1024 * 1024;
const MAX_HELD_PIECES = 4096;

/** Sequence numbers that are tried for a record that stands behind missing octets … */
const SEARCH_RECORDS = 4096;
/** … and tries (each costs no more than opening a record of 16 KiB) until one direction is given up. */
const MAX_TRIES = 4 * SEARCH_RECORDS;

export interface DirectionSink {
  /** Application data: [from, to), of one record; valid during the call. */
  plain(octets: Uint8Array, from: number, to: number): void;
  /** The body of a ClientHello or ServerHello, valid during the call. */
  hello(type: number, body: Uint8Array): void;
  /** These octets cannot be what they should be. */
  broken(): void;
}

/**
 * One direction of a session: its records, opened in order, by keys that change where the protocol says so.
 *
 * After octets were missed the number of the next record is not known. It is searched: where something stands that looks
 * like a record's header, the record is tried with all the numbers that the missing octets have room for (SEARCH_RECORDS
 * at most), under the keys in force and under those that come after them. Its tag says which is right. What fits none is dropped.
 */
export class Direction {
  /** Records have to wait for the other direction's hello. */
  waiting: boolean;
  readonly #sink: DirectionSink;
  readonly #records = new RecordAssembler();
  readonly #messages: HandshakeMessages;
  /** Undefined: nothing is encrypted yet. */
  #keys: Protection | undefined;
  /** Keys that are known and come next, in order. */
  #ahead: Protection[] = [];
  /** The next record's, under `#keys`. */
  #sequence = 0;
  #isTls13 = false;
  /** The record under way is the last under its keys. */
  #rekey = false;
  /** Octets were missed, and the next record's number is searched. */
  #lost = false;
  /** Octets since the beginning of record `#sequence`, those that were missed and those that made no sense. */
  #missed = 0;
  /** Of a gap it is not known how long it was: `#missed` is the least that it can be. */
  #boundless = false;
  #tries = 0;
  /** What waits: octets, or a gap's number of them. */
  #held: (Uint8Array | number)[] = [];
  #heldOctets = 0;
  #stopped = false;

  constructor(waiting: boolean, sink: DirectionSink) {
    this.waiting = waiting;
    this.#sink = sink;
    this.#messages = new HandshakeMessages((type, body, length) => this.#message(type, body, length));
  }

  get heldOctets(): number {
    return this.#heldOctets + this.#records.heldOctets + this.#messages.heldOctets;
  }

  /** The hellos are through: these keys come, one after the other. */
  negotiated(isTls13: boolean, keys: Protection[]): void {
    this.#isTls13 = isTls13;
    this.#ahead.push(...keys);
  }

  /** The direction's next octets. Copies what has to wait. */
  feed(octets: Uint8Array, from: number, to: number): void {
    for (let p = from; p < to && !this.#stopped; ) {
      if (this.waiting) {
        this.#hold(new Uint8Array(octets.subarray(p, to)), to - p);
        return;
      }
      if (this.#lost && this.#records.heldOctets === 0) {
        const found = findRecord(octets, p, to);
        this.#missed += (found < 0 ? to : found) - p;
        if (found < 0) return;
        p = found;
      }
      const records = this.#records;
      p = records.take(octets, p, to);
      if (records.whole) this.#record(records.octets, records.start, records.end);
      else if (records.malformed) this.#sink.broken();
    }
  }

  /** So many octets were missed here; 0: nobody knows how many. */
  gap(octets: number): void {
    if (this.#stopped) return;
    if (this.waiting) {
      this.#hold(octets, 0);
    } else if (this.#keys === undefined && this.#ahead.length === 0) {
      // A hello was in it, and without that nothing can be opened.
      this.#sink.broken();
    } else {
      if (!this.#lost) this.#missed = 0;
      this.#lost = true;
      this.#boundless ||= octets === 0;
      this.#missed += this.#records.heldOctets + octets;
      this.#records.reset();
    }
  }

  /** Takes what waited, if it need not wait any more; whether there was something. */
  drain(): boolean {
    if (this.waiting || this.#held.length === 0) return false;
    const held = this.#held;
    this.#held = [];
    this.#heldOctets = 0;
    for (const piece of held) {
      if (typeof piece === 'number') this.gap(piece);
      else this.feed(piece, 0, piece.length);
    }
    return true;
  }

  /** Nothing more is wanted of it. */
  stop(): void {
    this.#stopped = true;
    this.#held = [];
    this.#heldOctets = 0;
    this.#records.reset();
    this.#messages.reset();
  }

  #hold(piece: Uint8Array | number, octets: number): void {
    this.#held.push(piece);
    this.#heldOctets += octets;
    if (this.#heldOctets > MAX_HELD_OCTETS || this.#held.length > MAX_HELD_PIECES) this.#sink.broken();
  }

  #record(octets: Uint8Array, start: number, end: number): void {
    if (this.#lost) {
      this.#search(octets, start, end);
      return;
    }
    const type = octets[start];
    if (this.#isTls13) {
      // Sent for the middleboxes' sake, and means nothing (RFC 8446 D.4).
      if (type === CONTENT.changeCipherSpec) return;
      // The first record of this type is the first that is encrypted.
      if (this.#keys === undefined && type === CONTENT.applicationData) this.#advance();
      // An alert of one that has no keys yet, to one that has.
      if (this.#keys !== undefined && type === CONTENT.alert) return;
    }
    if (this.#keys === undefined) {
      this.#content(type, octets, start + RECORD_HEADER_OCTETS, end);
      return;
    }
    const content = this.#keys.open(octets, start, end, this.#sequence);
    if (content === undefined) {
      this.#sink.broken();
    } else {
      this.#sequence++;
      this.#opened(type, content);
    }
  }

  #search(octets: Uint8Array, start: number, end: number): void {
    const least = Math.ceil(this.#missed / MAX_RECORD_OCTETS);
    let content = this.#keys && this.#try(this.#keys, this.#sequence, least, octets, start, end);
    // Keys that are passed over were those of what was missed.
    for (let i = 0; content === undefined && i < Math.max(1, this.#ahead.length); i++) {
      const keys = this.#ahead[i] ?? this.#keys?.updated();
      content = keys && this.#try(keys, 0, 0, octets, start, end);
      if (content === undefined) continue;
      this.#keys = keys;
      this.#ahead = this.#ahead.slice(i + 1);
    }
    if (content === undefined) {
      this.#missed += end - start;
      if (this.#tries > MAX_TRIES) this.#sink.broken();
      return;
    }
    this.#tries = 0;
    this.#missed = 0;
    this.#boundless = false;
    this.#messages.reset();
    // Where the handshake's messages begin is not known either; so from its keys to the next only a search leads.
    this.#lost = this.#isTls13 && this.#ahead.length > 0;
    this.#opened(octets[start], content);
  }

  /** Tries `first` + `least` and on; the number behind the one that fits becomes `#sequence`. */
  #try(
    keys: Protection,
    first: number,
    least: number,
    octets: Uint8Array,
    start: number,
    end: number,
  ): Buffer | undefined {
    const room = this.#boundless ? Number.POSITIVE_INFINITY : Math.floor(this.#missed / keys.minRecordOctets);
    const most = Math.min(room, least + SEARCH_RECORDS);
    for (let skipped = least; skipped <= most; skipped++) {
      this.#tries++;
      const content = keys.open(octets, start, end, first + skipped);
      if (content === undefined) continue;
      this.#sequence = first + skipped + 1;
      return content;
    }
    return undefined;
  }

  #opened(type: number, content: Buffer): void {
    if (!this.#isTls13) {
      this.#content(type, content, 0, content.length);
      return;
    }
    // RFC 8446 5.2: the content, its type, and zeros to hide its length.
    let end = content.length - 1;
    while (end >= 0 && content[end] === 0) end--;
    if (end < 0) this.#sink.broken();
    else this.#content(content[end], content, 0, end);
  }

  #content(type: number, octets: Uint8Array, from: number, to: number): void {
    switch (type) {
      case CONTENT.applicationData:
        if (this.#keys === undefined) this.#sink.broken();
        else if (to > from) this.#sink.plain(octets, from, to);
        break;
      case CONTENT.handshake:
        if (this.#lost) break;
        if (!this.#messages.take(octets, from, to)) this.#sink.broken();
        if (!this.#rekey) break;
        this.#rekey = false;
        this.#advance();
        break;
      case CONTENT.changeCipherSpec:
        this.#advance();
        break;
      // Alerts: what they end, the connection's end shows.
    }
  }

  #message(type: number, body: Uint8Array, length: number): void {
    if (type === MESSAGE.clientHello || type === MESSAGE.serverHello) {
      this.#sink.hello(type, body);
    } else if (this.#isTls13 && this.#keys !== undefined) {
      // The handshake's keys end with the Finished; application keys with each KeyUpdate, whose body is 1 octet.
      const last =
        this.#ahead.length > 0 ? type === MESSAGE.finished : type === MESSAGE.keyUpdate && length === 1;
      if (last) this.#rekey = true;
    }
  }

  /** The next keys come into force. */
  #advance(): void {
    const next = this.#ahead.shift() ?? this.#keys?.updated();
    this.#sequence = 0;
    if (next === undefined) this.#sink.broken();
    else this.#keys = next;
  }
}
