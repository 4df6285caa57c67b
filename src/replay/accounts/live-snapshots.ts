import { closeSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { SNAPSHOTS_FILE, type SnapshotSession, Snapshots } from '../../archive/snapshots.ts';
import { OPEN, openRegular } from '../../files.ts';
import type { CaptureNs } from '../../time.ts';

const NEWLINE = 0x0a;

/** Snapshots that are still being taken: reads on in their file whenever it is asked. */
export class SnapshotFollower {
  readonly #path: string;
  readonly #snapshots = new Snapshots();
  #fd = -1;
  /** Up to where the file was read. */
  #at = 0;
  /** A line in it that is damaged: what is behind it means nothing. */
  #damaged = false;

  /** `dir`: the folder that the snapshots are written to. */
  constructor(dir: string) {
    this.#path = join(dir, SNAPSHOTS_FILE);
  }

  /** As Snapshots has it, of what is known by now. */
  find(client: string, clientPort: number, at: CaptureNs): SnapshotSession | undefined {
    this.#readOn();
    return this.#snapshots.find(client, clientPort, at);
  }

  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }

  #readOn(): void {
    if (this.#fd < 0 && !this.#open()) return;
    const whole = this.#newLines();
    let from = 0;
    while (from < whole.length && !this.#damaged) {
      const end = whole.indexOf(NEWLINE, from);
      this.#damaged = !this.#snapshots.add(whole.subarray(from, end));
      from = end + 1;
    }
  }

  /** There is no file before the first snapshot. */
  #open(): boolean {
    try {
      this.#fd = openRegular(this.#path, OPEN.read);
      return true;
    } catch {
      return false;
    }
  }

  /** Whole lines that were written since. */
  #newLines(): Buffer {
    const parts: Buffer[] = [];
    let at = this.#at;
    for (;;) {
      const part = Buffer.alloc(1 << 16);
      const got = readSync(this.#fd, part, 0, part.length, at);
      if (got === 0) break;
      parts.push(part.subarray(0, got));
      at += got;
    }
    const read = Buffer.concat(parts);
    const whole = read.subarray(0, read.lastIndexOf(NEWLINE) + 1);
    this.#at += whole.length;
    return whole;
  }
}
