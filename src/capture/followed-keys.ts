/** A key log that grows while sessions are captured: clients write their keys as they connect. */
import { closeSync, fstatSync, openSync, readSync, type Stats, statSync } from 'node:fs';
import { MytapeError } from '../errors.ts';
import type { MonotonicMs } from '../time.ts';
import { KeyLog, type SessionSecrets } from '../tls/key-log.ts';
import type { SecretSource } from '../tls/stream.ts';

/** A session's packets are held for so long until its keys are there. */
export const KEYS_MS = 2_000;

/** What is read of a log that was there before: keys of sessions whose handshakes are under way. */
const TAIL_OCTETS = 1024 * 1024;
/** Keys that are remembered: a session needs its own once. */
const MOST_SESSIONS = 50_000;
const READ_OCTETS = 64 * 1024;
/** A log is looked at no more often than this, ms: many sessions may wait at once. */
const LOOK_MS = 5;

export interface FollowedKeysOptions {
  path: string;
  now: () => MonotonicMs;
  /** The keys of a session have not come in time. */
  onMissing: () => void;
}

/** Follows the file through being cut off, and replaced by another of its name. */
export class FollowedKeys implements SecretSource {
  readonly #options: FollowedKeysOptions;
  readonly #log = new KeyLog(MOST_SESSIONS);
  /** Sessions that wait, by their randoms: since when. */
  readonly #waiting = new Map<string, MonotonicMs>();
  readonly #piece = Buffer.alloc(READ_OCTETS);
  #fd: number;
  /** How far the file was read. */
  #offset: number;
  /** The beginning of a line whose end is not written yet. */
  #begun = '';
  #lookedAt: MonotonicMs = Number.NEGATIVE_INFINITY;

  /** Throws `bad-file` where the file can't be opened. */
  constructor(options: FollowedKeysOptions) {
    this.#options = options;
    const { path } = options;
    try {
      this.#fd = openSync(path, 'r');
    } catch (cause) {
      const hint =
        (cause as NodeJS.ErrnoException).code === 'ENOENT'
          ? `create it so that the clients can write to it: touch ${path}`
          : 'name the file that the clients write through SSLKEYLOGFILE, or Node through --tls-keylog';
      throw new MytapeError(
        'bad-file',
        `cannot read the key log ${path}: ${(cause as Error).message} (${hint})`,
        {
          cause,
        },
      );
    }
    const stats = fstatSync(this.#fd);
    if (!stats.isFile()) {
      closeSync(this.#fd);
      throw new MytapeError(
        'bad-file',
        `cannot follow the key log ${path}: it is not a regular file (name the file that the clients write to)`,
      );
    }
    this.#offset = Math.max(0, stats.size - TAIL_OCTETS);
  }

  /** Whether a session waits for its keys: the file is to be looked at soon. */
  get awaited(): boolean {
    return this.#waiting.size > 0;
  }

  of(random: string): SessionSecrets | undefined {
    const now = this.#options.now();
    if (now - this.#lookedAt >= LOOK_MS) {
      this.#lookedAt = now;
      this.#read();
    }
    return this.#log.of(random);
  }

  mayCome(random: string): boolean {
    const now = this.#options.now();
    const since = this.#waiting.get(random);
    if (since === undefined) this.#waiting.set(random, now);
    else if (now - since >= KEYS_MS) {
      this.#options.onMissing();
      return false;
    }
    return true;
  }

  settled(random: string): void {
    this.#waiting.delete(random);
  }

  close(): void {
    closeSync(this.#fd);
  }

  #read(): void {
    const { size } = fstatSync(this.#fd);
    if (size < this.#offset) this.#begin();
    this.#readOn();
    // Another file has its name: rotated.
    const own = fstatSync(this.#fd);
    const named = statSync(this.#options.path, { throwIfNoEntry: false });
    if (named === undefined || isSame(named, own)) return;
    try {
      const fd = openSync(this.#options.path, 'r');
      closeSync(this.#fd);
      this.#fd = fd;
    } catch {
      // Not ours to read: keys that come there are missing, which is reported.
      return;
    }
    this.#begin();
    this.#readOn();
  }

  #begin(): void {
    this.#offset = 0;
    this.#begun = '';
  }

  #readOn(): void {
    for (;;) {
      const read = readSync(this.#fd, this.#piece, 0, READ_OCTETS, this.#offset);
      if (read === 0) return;
      this.#offset += read;
      const text = this.#begun + this.#piece.toString('latin1', 0, read);
      const end = text.lastIndexOf('\n') + 1;
      // No line of a key log is as long.
      this.#begun = text.length - end > READ_OCTETS ? '' : text.slice(end);
      this.#log.add(text.slice(0, end));
    }
  }
}

function isSame(one: Stats, other: Stats): boolean {
  return one.dev === other.dev && one.ino === other.ino;
}
