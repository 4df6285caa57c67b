/** The client of `record --snapshot-from`: asks the recorded server for its sessions, and never holds up the recording. */
import { join } from 'node:path';
import type { ServerIdentity } from '../archive/server-identity.ts';
import { SnapshotWriter } from '../archive/snapshot-writer.ts';
import { SNAPSHOT_INTERVAL_MS, SNAPSHOTS_FILE, type Snapshot } from '../archive/snapshots.ts';
import type { ServerKey } from '../mysql/auth/plugin.ts';
import { ServerConnection } from '../server/connection.ts';
import { troubleText } from '../server/trouble.ts';
import type { CaptureNs } from '../time.ts';
import { askSessions } from './queries.ts';
import { nameOfServer, type SnapshotServer } from './server.ts';

/** A server that has not answered all by then is asked again in the next turn. */
const ASK_LIMIT_MS = 30_000;

/** mysql2 holds an answer whole. Those of a busy server, 100,000 statements, have some tens of MiB. */
const MOST_ANSWER_OCTETS = 64 * 1024 ** 2;

/** A server that was started again says another start by more than this. */
const SAME_START_MS = 5_000;

export interface SnapshotterOptions {
  server: SnapshotServer;
  password: string | undefined;
  serverKey: ServerKey | undefined;
  /** The archive's folder. */
  dir: string;
  /** What its times are: those of the sessions that it is about. */
  now: () => CaptureNs;
  /** Told once for each spell of trouble, and when the server answers again. */
  onNotice: (message: string) => void;
}

/** Takes a snapshot at once, and one each interval, on a connection of its own that it keeps. */
export class Snapshotter {
  /** Snapshots written. */
  count = 0;
  readonly #options: SnapshotterOptions;
  readonly #timer: NodeJS.Timeout;
  readonly #path: string;
  #connection: ServerConnection | undefined;
  #writer: SnapshotWriter | undefined;
  /** The turn under way … */
  #turn: Promise<void> | undefined;
  /** … and what breaks off its asking. */
  #breakOff: ((error: Error) => void) | undefined;
  #stopped = false;
  /** Trouble that was told and has not gone away. */
  #silent = false;
  #unwritten = false;
  readonly #lacksTold = new Set<string>();
  /** When the server was started, as it was first told: uptimes are whole seconds, and would be another start each time. */
  #startedMs: number | undefined;

  private constructor(options: SnapshotterOptions) {
    this.#options = options;
    this.#path = join(options.dir, SNAPSHOTS_FILE);
    this.#timer = setInterval(() => this.#next(), SNAPSHOT_INTERVAL_MS);
    this.#next();
  }

  /** Never throws: what goes wrong is told by `onNotice`. */
  static start(options: SnapshotterOptions): Snapshotter {
    return new Snapshotter(options);
  }

  /** Ends the asking where it is; resolves when the file is closed. Never rejects. */
  async stop(): Promise<void> {
    this.#end();
    this.#breakOff?.(new Error('the recording ended'));
    await this.#turn;
    await this.#writer?.close().catch((error: Error) => this.#diskTrouble(error));
  }

  #end(): void {
    this.#stopped = true;
    clearInterval(this.#timer);
    this.#disconnect();
  }

  #disconnect(): void {
    this.#connection?.destroy();
    this.#connection = undefined;
  }

  /** A server slower than the interval misses a turn. */
  #next(): void {
    this.#turn ??= this.#take().finally(() => {
      this.#turn = undefined;
    });
  }

  async #take(): Promise<void> {
    const snapshot = await this.#ask();
    if (snapshot === undefined) return;
    try {
      this.#writer ??= await SnapshotWriter.create(this.#options.dir);
      if (await this.#writer.append(snapshot)) {
        this.count++;
        this.#unwritten = false;
      } else {
        this.#end();
        this.#options.onNotice(`${this.#path} has come to its limit: no more snapshots are taken`);
      }
    } catch (error) {
      this.#diskTrouble(error as Error);
    }
  }

  #diskTrouble({ message }: Error): void {
    if (this.#unwritten) return;
    this.#unwritten = true;
    this.#options.onNotice(`cannot write to ${this.#path}: ${message}; the recording goes on`);
  }

  async #ask(): Promise<Snapshot | undefined> {
    const { server, now, onNotice } = this.#options;
    let limit: NodeJS.Timeout | undefined;
    const brokenOff = new Promise<never>((_, reject) => {
      this.#breakOff = reject;
      limit = setTimeout(() => reject(new Error(`no answer in ${ASK_LIMIT_MS / 1000} s`)), ASK_LIMIT_MS);
    });
    try {
      const { sessions, server: identity, lacks } = await Promise.race([brokenOff, this.#askServer()]);
      if (this.#silent) onNotice(`${nameOfServer(server)} answers again`);
      this.#silent = false;
      this.#tellLacks(lacks);
      return { at: now(), sessions, server: identity && this.#steady(identity), lacks };
    } catch (error) {
      this.#disconnect();
      if (this.#stopped || this.#silent) return undefined;
      this.#silent = true;
      const why = troubleText(error as Error);
      onNotice(
        `cannot ask ${nameOfServer(server)} for its sessions: ${why}; the recording goes on, and asks again each minute`,
      );
      return undefined;
    } finally {
      clearTimeout(limit);
      this.#breakOff = undefined;
    }
  }

  #steady(identity: ServerIdentity): ServerIdentity {
    const { startedMs } = identity;
    const differsMs = Math.abs((startedMs ?? Number.NaN) - (this.#startedMs ?? Number.NaN));
    if (!(differsMs < SAME_START_MS)) this.#startedMs = startedMs;
    return { ...identity, startedMs: this.#startedMs };
  }

  async #askServer(): Promise<Omit<Snapshot, 'at'>> {
    // One that ended between two turns is no trouble: this turn connects anew.
    if (this.#connection?.broken === true) this.#disconnect();
    this.#connection ??= this.#connect();
    const connection = this.#connection;
    await connection.ready();
    return askSessions((sql) => connection.query(sql), this.#options.server.user);
  }

  #connect(): ServerConnection {
    const { server, password = '', serverKey } = this.#options;
    const { user, host, port } = server;
    return new ServerConnection({
      host,
      port,
      credentials: { user, password, secure: false, serverKey },
      mostAnswerOctets: MOST_ANSWER_OCTETS,
    });
  }

  #tellLacks(lacks: readonly string[]): void {
    for (const lack of lacks) {
      if (this.#lacksTold.has(lack)) continue;
      this.#lacksTold.add(lack);
      this.#options.onNotice(`the snapshots of ${nameOfServer(this.#options.server)} lack ${lack}`);
    }
  }
}
