import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import {
  MOST_FILE_OCTETS,
  SNAPSHOTS_FILE,
  SNAPSHOTS_VERSION,
  type Snapshot,
  type SnapshotSession,
  type StoredSession,
  type StoredSnapshot,
  type StoredValue,
} from './snapshots.ts';
import { summedLine } from './summed-line.ts';

/** Texts of statements that the writer knows by number; at more, it begins anew with a whole line. */
const MOST_TEXTS = 50_000;

/** Writes the snapshots of a recording. */
export class SnapshotWriter {
  readonly #file: FileHandle;
  #octets = 0;
  /** The next line forgets all before it. */
  #whole = true;
  /** The server that the file has, as JSON. */
  #server: string | undefined;
  /** The sessions that the file has, as their JSON, by id. */
  readonly #sessions = new Map<number, string>();
  readonly #texts = new Map<string, number>();

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  /** Makes the file in an archive's folder. Rejects where that cannot be done. */
  static async create(dir: string): Promise<SnapshotWriter> {
    return new SnapshotWriter(await open(join(dir, SNAPSHOTS_FILE), 'wx', 0o600));
  }

  /**
   * Writes what changed, and answers when it is durable; false where the file has come to its limit, and it was not
   * written. Rejects where the disk refuses: the file is as before, and the next line will be a whole one.
   */
  async append(snapshot: Snapshot): Promise<boolean> {
    if (this.#texts.size > MOST_TEXTS) this.#whole = true;
    const octets = Buffer.from(`${summedLine(this.#changesTo(snapshot))}\n`);
    // Until the line is durable, what the maps know is not in the file.
    this.#whole = true;
    if (this.#octets + octets.length > MOST_FILE_OCTETS) return false;
    try {
      let done = 0;
      while (done < octets.length) {
        const left = octets.length - done;
        done += (await this.#file.write(octets, done, left, this.#octets + done)).bytesWritten;
      }
      await this.#file.datasync();
    } catch (error) {
      // Best effort: a reader takes what is left for a torn line, unless a shorter line comes to stand before it.
      await this.#file.truncate(this.#octets).catch(() => {});
      throw error;
    }
    this.#octets += octets.length;
    this.#whole = false;
    return true;
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  #changesTo({ at, server, sessions, lacks }: Snapshot): StoredSnapshot {
    const whole = this.#whole;
    if (whole) {
      this.#sessions.clear();
      this.#server = undefined;
      this.#texts.clear();
    }
    const serverNow = JSON.stringify(server);
    const isOther = serverNow !== this.#server;
    this.#server = serverNow;
    const texts: string[] = [];
    const changed: StoredSession[] = [];
    const there = new Set<number>();
    for (const session of sessions) {
      there.add(session.id);
      const stored = this.#stored(session, texts);
      const json = JSON.stringify(stored);
      if (this.#sessions.get(session.id) === json) continue;
      this.#sessions.set(session.id, json);
      changed.push(stored);
    }
    const gone = [...this.#sessions.keys()].filter((id) => !there.has(id));
    for (const id of gone) this.#sessions.delete(id);
    return {
      v: SNAPSHOTS_VERSION,
      at,
      whole: whole || undefined,
      server: isOther ? server : undefined,
      texts: unlessEmpty(texts),
      sessions: unlessEmpty(changed),
      gone: unlessEmpty(gone),
      lacks: unlessEmpty(lacks),
    };
  }

  #stored(session: SnapshotSession, texts: string[]): StoredSession {
    const { id, user, host, port, schema, statements, variables, userVariables } = session;
    return {
      id,
      user,
      host,
      port,
      schema,
      statements: unlessEmpty(
        statements.map(({ id, sql }) => [id, sql === undefined ? null : this.#numberOf(sql, texts)]),
      ),
      variables: unlessEmpty(variables) as StoredSession['variables'],
      userVariables: unlessEmpty(userVariables.map(([name, value]) => [name, storedValue(value)])),
    };
  }

  /** Applications prepare the same statements on all their connections: a text is written once. */
  #numberOf(text: string, texts: string[]): number {
    const known = this.#texts.get(text);
    if (known !== undefined) return known;
    const number = this.#texts.size;
    this.#texts.set(text, number);
    texts.push(text);
    return number;
  }
}

function unlessEmpty<T extends readonly unknown[]>(list: T): T | undefined {
  return list.length > 0 ? list : undefined;
}

function storedValue(octets: Uint8Array | null): StoredValue {
  if (octets === null) return null;
  const buffer = Buffer.from(octets.buffer, octets.byteOffset, octets.length);
  const text = buffer.toString('utf8');
  return Buffer.from(text).equals(buffer) ? text : { hex: buffer.toString('hex') };
}
