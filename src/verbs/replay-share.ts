import { readKeys } from '../archive/keys.ts';
import { openArchive } from '../archive/reader.ts';
import { type DecodeOptions, decodeSessions } from '../flow/decode.ts';
import { ConnectionIds } from '../replay/connection-ids.ts';
import type { Trouble } from '../replay/contact.ts';
import { Engine } from '../replay/engine.ts';
import { type FilterChoices, Filters } from '../replay/filters.ts';
import { hasAny, type Share } from '../replay/share.ts';
import { SummaryObserver } from '../report/summary.ts';
import type { Tally } from '../report/tally.ts';
import { type CaptureNs, realClock } from '../time.ts';
import { KeyLog } from '../tls/key-log.ts';
import { TlsStream } from '../tls/stream.ts';
import type { Transport, TransportStats } from '../transport/transport.ts';
import { type LoginJob, openLogins } from './replay-logins.ts';
import { openTransport, type TransportJob } from './replay-transport.ts';
import { troubleText } from './replay-trouble.ts';

/** What every share of a run is told. Plain data: it crosses to worker threads. */
export interface ReplayJob extends TransportJob {
  archive: string;
  recordedPort: number;
  copies: number;
  speed: number;
  /** undefined: the engine's own. */
  connectTimeoutMs: number | undefined;
  replyTimeoutMs: number | undefined;
  logins: LoginJob;
  filters: FilterChoices;
  /** The target's numbers of connections (ConnectionIds.buffer). */
  connections: SharedArrayBuffer;
  /** Text of a key log beside the archive's own. */
  keyLog: string | undefined;
  pinTime: boolean;
}

/** What is recorded `at` is due `epochMs`, ms since 1970 by the main thread's clock: the same for every share. */
export interface Anchor {
  at: CaptureNs;
  epochMs: number;
}

export interface Progress {
  answered: number;
  lost: number;
  /** Sessions open now. */
  open: number;
  /** Connections in the place of others so far. */
  reconnected: number;
}

/** What became of a share. Plain data. */
export interface ShareResult {
  tally: Tally;
  transport: TransportStats;
  /** Why the recording could not be read to its end, if it could not. */
  unread: string | undefined;
}

/** How TLS is read; undefined: no keys are known. */
function openTls({ archive, keyLog }: ReplayJob): DecodeOptions['openTls'] {
  const keys = readKeys(archive) ?? new KeyLog();
  if (keyLog !== undefined) keys.add(keyLog);
  return keys.size === 0 ? undefined : (plain) => new TlsStream(keys, plain);
}

/** One share of a replay, in the thread that made it: an engine over the archive, with a transport of its own. */
export class ReplayShare {
  readonly #job: ReplayJob;
  readonly #share: Share;
  readonly #transport: Transport;
  readonly #observer: SummaryObserver;
  readonly #say: (line: string) => void;
  #engine: Engine | undefined;
  #stopped = false;

  private constructor(job: ReplayJob, share: Share, transport: Transport, say: (line: string) => void) {
    this.#say = say;
    this.#job = job;
    this.#share = share;
    this.#transport = transport;
    this.#observer = new SummaryObserver(job.copies, Number.isFinite(job.speed));
  }

  /** Makes everything ready to send. Throws where the transport cannot be had. */
  static async open(job: ReplayJob, share: Share, say: (line: string) => void): Promise<ReplayShare> {
    return new ReplayShare(job, share, await openTransport(job, share, say), say);
  }

  get progress(): Progress {
    const { answeredCommands, lostCommands, openedSessions, overSessions, reconnectedSessions } =
      this.#observer;
    return {
      answered: answeredCommands,
      lost: lostCommands,
      open: openedSessions - overSessions,
      reconnected: reconnectedSessions,
    };
  }

  /** Replays to the end, and frees everything. */
  async run(anchor: Anchor): Promise<ShareResult> {
    const { copies, speed, recordedPort, connectTimeoutMs, replyTimeoutMs, pinTime } = this.#job;
    const share = this.#share;
    const archive = openArchive(this.#job.archive);
    const source = archive.packets();
    const engine = new Engine(
      {
        copies,
        speed,
        clock: realClock,
        connectTimeoutMs,
        replyTimeoutMs,
        filters: new Filters(this.#job.filters),
        ...openLogins(this.#job.logins, this.#job.archive),
        connections: ConnectionIds.of(this.#job.connections),
        pinTime: pinTime ? { originSec: source.originSec } : undefined,
        share,
        anchor: { at: anchor.at, now: anchor.epochMs - performance.timeOrigin },
      },
      this.#transport,
      [this.#observer, { trouble: (trouble) => this.#tellTrouble(trouble) }],
    );
    this.#engine = engine;
    if (this.#stopped) engine.stop();
    let unread: string | undefined;
    try {
      await engine.run(
        decodeSessions(source, {
          serverPorts: new Set([recordedPort]),
          wants: (id) => hasAny(share, id, copies),
          openTls: openTls(this.#job),
        }),
      );
    } catch (error) {
      unread = (error as Error).message;
      engine.cut();
    } finally {
      source.close();
      await this.#transport.close();
      archive.close();
    }
    return { tally: this.#observer.tally, transport: this.#transport.stats(), unread };
  }

  /** All threads have the same target: one of them tells. */
  #tellTrouble(trouble: Trouble): void {
    if (this.#share.index === 0) this.#say(troubleText(trouble, this.#job));
  }

  /** What is under way finishes; nothing else begins. */
  stop(): void {
    this.#stopped = true;
    this.#engine?.stop();
  }

  cut(): void {
    this.#stopped = true;
    this.#engine?.cut();
  }

  /** Frees what `open` made, where `run` is not to be called. */
  close(): Promise<void> {
    return this.#transport.close();
  }
}
