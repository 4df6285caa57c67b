/**
 * The log of one share of a run: which copies of which sessions were begun, and which sessions are closed. A record is
 * written before the target can hear of what it tells. Records (little-endian): session, then copy, or CLOSED; behind
 * CLOSED, the length of what the session's closing adds to the accounts, and that (packAccounts). A record that was cut off is none.
 */
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import type { Done } from '../replay/resume.ts';
import {
  type Accounts,
  addAccounts,
  emptyAccounts,
  packAccounts,
  unpackAccounts,
} from '../report/checkpoint.ts';

const SESSION = 0;
const WHAT = 4;
const RECORD_OCTETS = 8;
const LENGTH = 8;
const CLOSED_OCTETS = 12;

/** In the place of a copy. */
const CLOSED = 0xffff_ffff;

/** Which of many small numbers; grows with the largest. */
class NumberBits {
  #octets = new Uint8Array(64);

  has(n: number): boolean {
    return (this.#octets[Math.floor(n / 8)] & (1 << (n % 8))) !== 0;
  }

  add(n: number): void {
    const at = Math.floor(n / 8);
    if (at >= this.#octets.length) {
      const larger = new Uint8Array(Math.max(at + 1, this.#octets.length * 2));
      larger.set(this.#octets);
      this.#octets = larger;
    }
    this.#octets[at] |= 1 << (n % 8);
  }

  *[Symbol.iterator](): IterableIterator<number> {
    for (let n = 0; n < this.#octets.length * 8; n++) if (this.has(n)) yield n;
  }
}

/** What a log tells. */
export class LoggedSessions implements Done {
  readonly #copies: number;
  readonly #begun = new NumberBits();
  readonly #counted = new NumberBits();
  /** What the closed sessions add that were not told of as counted. */
  readonly accounts = emptyAccounts();

  constructor(copies: number) {
    this.#copies = copies;
  }

  /** `countedOctets`: so much of the log is in the accounts of somebody else. Throws where there is no such file. */
  static read(path: string, copies: number, countedOctets: number): LoggedSessions {
    const logged = new LoggedSessions(copies);
    const octets = readFileSync(path);
    const view = new DataView(octets.buffer, octets.byteOffset, octets.length);
    let at = 0;
    while (at + RECORD_OCTETS <= octets.length) {
      const session = view.getUint32(at + SESSION, true);
      const what = view.getUint32(at + WHAT, true);
      if (what !== CLOSED) {
        logged.#begun.add(session * copies + what);
        at += RECORD_OCTETS;
        continue;
      }
      const end =
        at + CLOSED_OCTETS + (at + CLOSED_OCTETS > octets.length ? 0 : view.getUint32(at + LENGTH, true));
      if (end > octets.length) break;
      if (at >= countedOctets)
        addAccounts(logged.accounts, unpackAccounts(octets.toString('utf8', at + CLOSED_OCTETS, end)));
      logged.#counted.add(session);
      at = end;
    }
    return logged;
  }

  isCounted(session: number): boolean {
    return this.#counted.has(session);
  }

  wasBegun(session: number, copy: number): boolean {
    return this.#begun.has(session * this.#copies + copy);
  }

  /** Tells the copy. Answers false where it was told before. */
  begin(session: number, copy: number): boolean {
    const n = session * this.#copies + copy;
    if (this.#begun.has(n)) return false;
    this.#begun.add(n);
    return true;
  }

  /** Writes it all to `log`: the sessions that are counted, then what of the others was begun. Answers the octets of the first. */
  writeTo(log: SessionLog): number {
    for (const session of this.#counted) log.closed(session, undefined);
    const { octets } = log;
    for (const n of this.#begun) {
      const session = Math.floor(n / this.#copies);
      if (!this.isCounted(session)) log.begun(session, n % this.#copies);
    }
    return octets;
  }
}

/** Makes the file, or empties it. */
export class SessionLog {
  readonly #fd: number;
  readonly #record = new DataView(new ArrayBuffer(RECORD_OCTETS));
  /** Written so far. */
  octets = 0;

  constructor(path: string) {
    this.#fd = openSync(path, 'w', 0o600);
  }

  begun(session: number, copy: number): void {
    this.#record.setUint32(SESSION, session, true);
    this.#record.setUint32(WHAT, copy, true);
    this.#write(this.#record);
  }

  /** `accounts`: what it adds; undefined: that is counted already. */
  closed(session: number, accounts: Accounts | undefined): void {
    const text = accounts === undefined ? '' : packAccounts(accounts);
    const record = Buffer.alloc(CLOSED_OCTETS + Buffer.byteLength(text));
    record.writeUInt32LE(session, SESSION);
    record.writeUInt32LE(CLOSED, WHAT);
    record.writeUInt32LE(record.length - CLOSED_OCTETS, LENGTH);
    record.write(text, CLOSED_OCTETS);
    this.#write(record);
  }

  close(): void {
    closeSync(this.#fd);
  }

  #write(record: NodeJS.ArrayBufferView): void {
    writeSync(this.#fd, record);
    this.octets += record.byteLength;
  }
}
