import { decodeSessions } from '../flow/decode.ts';
import type { DecodedSessions } from '../flow/decoder.ts';
import { decodeRawSessions } from '../flow/raw.ts';
import { openAlarm } from '../net/timer.ts';
import type { Trouble } from '../replay/contact.ts';
import { Engine } from '../replay/engine.ts';
import { type FilterChoices, Filters } from '../replay/filters.ts';
import { CommandKinds } from '../replay/kinds.ts';
import type { MappingJob } from '../replay/mappings.ts';
import { OwnVoice, type VoiceJob } from '../replay/own-voice.ts';
import { poolShare } from '../replay/pool.ts';
import { RewriteRules } from '../replay/rules.ts';
import { SchemaPerCopy } from '../replay/schema-per-copy.ts';
import { Selection, type SelectionChoices, selects } from '../replay/selection.ts';
import { partOf, type Share } from '../replay/share.ts';
import type { FloodFacts } from '../report/flood.ts';
import type { GapTotals } from '../report/gaps.ts';
import { SummaryObserver } from '../report/summary.ts';
import type { StallSums, Tally } from '../report/tally.ts';
import { type CaptureNs, realClock } from '../time.ts';
import type { ClientAddresses } from '../transport/clients.ts';
import type { HostLimit, Transport, TransportStats } from '../transport/transport.ts';
import type { PacketSource, SourceStats } from '../wire/packets.ts';
import { type CheckpointJob, Checkpoints } from './checkpoint.ts';
import type { DryRun } from './dry-run.ts';
import { GapTeller } from './gaps.ts';
import { hostLimitText } from './host-limits.ts';
import type { Lines } from './output.ts';
import { ownVoiceText } from './own-voice-text.ts';
import { clientAddresses } from './replay-clients.ts';
import { type LoginJob, openLogins } from './replay-logins.ts';
import type { RulesFile } from './replay-option-values.ts';
import {
  type LiveJob,
  type LiveKeys,
  liveSource,
  openArchiveSource,
  openLiveCapture,
  openLiveKeys,
} from './replay-source.ts';
import { openTiming, type TimingJob } from './replay-timing.ts';
import { openTransport, type TransportJob } from './replay-transport.ts';
import { troubleLines } from './replay-trouble.ts';

/** Why a run ends before the recording does: somebody wants it to, or it has gone on for as long as it was to. */
export type StopCause = 'interrupted' | 'out-of-time';

/** What every share of a run is told. Plain data: it crosses to worker threads. */
export interface ReplayJob extends TransportJob {
  /** A folder, with what belongs to its packets: snapshots, keys. That of a live run has no packets. */
  archive: string;
  /** Replayed is what is captured now; undefined: the archive. */
  live?: LiveJob | undefined;
  /** Who listens on these is the server: the archive's own, so that sessions have the same ids as in its index. */
  serverPorts: readonly number[];
  /** Which recorded servers' sessions go to which target. */
  mappings: readonly MappingJob[];
  copies: number;
  speed: number;
  /** The protocol is not known: turns of octets are replayed. */
  raw?: boolean;
  /** undefined: the engine's own. */
  connectTimeoutMs: number | undefined;
  replyTimeoutMs: number | undefined;
  logins: LoginJob;
  filters: FilterChoices;
  selection: SelectionChoices;
  schemaPerCopy: string | undefined;
  rules: RulesFile | undefined;
  /** The target's numbers of connections (the buffer of ConnectionIds, or of LiveConnectionIds where it is live). */
  connections: SharedArrayBuffer;
  /** Text of a key log beside the archive's own. */
  keyLog: string | undefined;
  timing: TimingJob;
  /** Connections to each target at once, and new ones a second, of all shares; undefined: any number. */
  maxConnections: number | undefined;
  connectRate: number | undefined;
  order: 'time' | 'commit';
  /** Connections to each target kept for each user, by all shares; undefined: none are. */
  pool: number | undefined;
  pinTime: boolean;
  /** Of a mirror: whether it hears itself. */
  voice?: VoiceJob | undefined;
  /** Where it is written down how far the run has come; undefined: nowhere. */
  checkpoint?: CheckpointJob | undefined;
}

/** What of a job opens sockets: what the options tell. The rest is read of the archive, without rights. */
export type OpeningJob = TransportJob &
  Pick<ReplayJob, 'live' | 'copies' | 'speed' | 'order' | 'rules'> &
  Partial<Pick<ReplayJob, 'serverPorts'>>;

/** What is recorded `at` is due `epochMs`, ms since 1970 by the main thread's clock: the same for every share. */
export interface Anchor {
  at: CaptureNs;
  epochMs: number;
  /** How often the recording was replayed before. */
  pass: number;
}

/** Something else from `epochMs` on, which is the same for every share. */
export interface Steering {
  /** Infinity: as fast as the target takes it. */
  speed?: number;
  paused?: boolean;
  epochMs: number;
}

export interface Progress {
  answered: number;
  lost: number;
  /** Sessions open now. */
  open: number;
  /** Connections in the place of others so far. */
  reconnected: number;
  /** The latest scheduled moment of which a command was sent. */
  sentTo: CaptureNs;
  /** Nothing is due before, ms since 1970; 0: something is under way, Infinity: nothing is left. */
  restsUntilMs: number;
  /** What was recorded then, where that is known. */
  restsTo: CaptureNs | undefined;
  /** Packets that a live run has captured so far. */
  captured: number;
}

/** What became of a share. Plain data. */
export interface ShareResult {
  tally: Tally;
  transport: TransportStats;
  /** Why the recording could not be read to its end, if it could not. */
  unread: string | undefined;
  /** Packets of blocks of the archive that can't be read. */
  damagedPackets: number;
  /** How often the disk of the run's folder took no writes. */
  disk: StallSums | undefined;
  /** Rules of `--rewrite` that no statement matched. */
  unusedRules: string[];
  /** What a live run captured; undefined: it was none. */
  captured: (SourceStats & FloodFacts & { gaps: GapTotals }) | undefined;
}

/** Returns what tells which part of the time since it was last called this thread was at work, of 1. */
function loadSinceLast(): () => number {
  let before = performance.eventLoopUtilization();
  return () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, before);
    before = now;
    return utilization;
  };
}

/** One share of a replay, in the thread that made it: an engine over the archive, with a transport of its own. */
export class ReplayShare {
  /** Since `prepare`. */
  #job!: ReplayJob;
  /** Of each target. */
  readonly #clients: readonly ClientAddresses[];
  readonly #share: Share;
  readonly #transport: Transport;
  readonly #observer: SummaryObserver;
  readonly #say: (lines: Lines) => void;
  /** It is a dry run. */
  #dry: DryRun | undefined;
  #checkpoints: Checkpoints | undefined;
  readonly #rules: RewriteRules | undefined;
  #engine: Engine | undefined;
  #speed: number;
  #paused = false;
  #stopped: StopCause | undefined;
  #unread: string | undefined;
  readonly #capture: PacketSource | undefined;
  /** Of a live run. */
  #gaps: GapTeller | undefined;
  /** Of a live run. */
  #keys: LiveKeys | undefined;
  #decoded: DecodedSessions | undefined;
  readonly #toldLimits = new Set<HostLimit>();
  /** In the passes before this one. */
  #damagedPackets = 0;

  private constructor(
    job: OpeningJob,
    share: Share,
    clients: readonly ClientAddresses[],
    transport: Transport,
    capture: PacketSource | undefined,
    say: (lines: Lines) => void,
  ) {
    this.#capture = capture;
    this.#say = say;
    this.#clients = clients;
    // What waits for commits has to see those of its copy.
    this.#share = job.order === 'commit' ? { ...share, byCopy: true } : share;
    this.#transport = transport;
    if (job.rules !== undefined) this.#rules = RewriteRules.parse(job.rules.text, job.rules.file);
    this.#speed = job.speed;
    this.#observer = new SummaryObserver(job.copies, Number.isFinite(job.speed));
  }

  /** Makes everything ready to send; a live run captures from now on. Throws where the transport, or the capture, cannot be had. */
  static async open(
    job: OpeningJob,
    share: Share,
    say: (lines: Lines) => void,
    dry?: DryRun,
  ): Promise<ReplayShare> {
    const clients = job.targets.map((to) => clientAddresses(to.clients, to.target.family));
    const transport = dry?.transport ?? (await openTransport(job, share, say, clients));
    let keys: LiveKeys | undefined;
    try {
      const { live } = job;
      // All threads capture on one interface: one of them tells.
      const gaps =
        live && new GapTeller(live.iface, live.originSec, (line) => share.index === 0 && say(line));
      keys = live && openLiveKeys(live, say);
      const capture = live && (await openLiveCapture(live, job, share, (gap, isUp) => gaps?.take(gap, isUp)));
      const made = new ReplayShare(job, share, clients, transport, capture, say);
      made.#gaps = gaps;
      made.#keys = keys;
      made.#dry = dry;
      return made;
    } catch (error) {
      keys?.close();
      await transport.close();
      throw error;
    }
  }

  /** Before `run`: the job that was opened, with all that the archive had to say. */
  prepare(job: ReplayJob): void {
    this.#job = job;
    // In an order that all threads have alike.
    for (const [i, { clients }] of job.targets.entries())
      if (clients.from === 'range') this.#clients[i].learn(clients.clients);
  }

  get progress(): Progress {
    const { answeredCommands, lostCommands, reconnectedSessions } = this.#observer;
    const rest = this.#engine?.rest;
    const restsUntilMs = rest === undefined ? 0 : performance.timeOrigin + rest.until;
    return {
      answered: answeredCommands,
      lost: lostCommands,
      open: this.#engine?.openSessions ?? 0,
      reconnected: reconnectedSessions,
      sentTo: this.#engine?.sentTo ?? 0,
      restsUntilMs: this.#engine?.isOver === true ? Number.POSITIVE_INFINITY : restsUntilMs,
      restsTo: rest?.at,
      captured: this.#capture?.stats().packets ?? 0,
    };
  }

  /** Replays once, to the end. Returns why the recording could not be read to its end, if it could not. */
  async run(anchor: Anchor): Promise<string | undefined> {
    this.#checkpoints ??= this.#openCheckpoints();
    const checkpoints = this.#checkpoints;
    // Before it was interrupted this share had done it, and others had not.
    if (checkpoints !== undefined && checkpoints.pass > anchor.pass) return undefined;
    const { copies, serverPorts, targets, connectTimeoutMs, replyTimeoutMs, pool, pinTime, raw } = this.#job;
    const decode = raw === true ? decodeRawSessions : decodeSessions;
    const { maxConnections, connectRate, order, selection, schemaPerCopy } = this.#job;
    const kinds = new CommandKinds();
    const share = this.#share;
    const source =
      this.#capture === undefined
        ? openArchiveSource(this.#job, share, (line) => this.#damagedPackets === 0 && this.#say(line))
        : liveSource(this.#capture, this.#job, {
            share,
            keys: this.#keys as LiveKeys,
            say: this.#say,
            onGone: (why) => {
              this.#unread = why;
            },
          });
    const engine = new Engine(
      {
        copies,
        speed: this.#speed,
        clock: realClock,
        openAlarm,
        load: loadSinceLast(),
        ...openTiming(this.#job.timing, anchor.at),
        connectTimeoutMs,
        replyTimeoutMs,
        raw,
        filters: new Filters(this.#job.filters),
        ...openLogins(this.#job.logins, source.snapshots),
        ...source.engine,
        ...(this.#dry === undefined ? {} : { connections: this.#dry.connections }),
        targets: targets.length,
        maxConnections: maxConnections && partOf(share, maxConnections),
        connectRate: connectRate && connectRate / share.of,
        orderBy: order === 'commit' ? kinds : undefined,
        selection: selects(selection) ? new Selection(selection, kinds) : undefined,
        rules: this.#rules,
        schemaPerCopy: schemaPerCopy === undefined ? undefined : new SchemaPerCopy(schemaPerCopy),
        pool: pool === undefined ? undefined : poolShare(pool, share),
        pinTime: pinTime ? { originSec: source.packets.originSec } : undefined,
        anchor: { at: anchor.at, now: anchor.epochMs - performance.timeOrigin },
        done: checkpoints?.done,
        voice: this.#voice(),
      },
      this.#transport,
      [
        this.#observer,
        {
          trouble: (trouble, target) => this.#tellTrouble(trouble, target),
          turnedAway: (_session, _copy, by) => this.#tellTurnedAway(by),
        },
        ...(checkpoints?.observers ?? []),
        ...(this.#dry === undefined ? [] : [this.#dry]),
      ],
    );
    this.#engine = engine;
    if (this.#paused) engine.pause();
    if (this.#stopped !== undefined) engine.stop(this.#stopped);
    checkpoints?.begin();
    try {
      this.#decoded = decode(source.packets, {
        ...source.decode,
        serverPorts: new Set(serverPorts),
      });
      const named = source.damaged?.named(this.#decoded) ?? this.#decoded;
      await engine.run(checkpoints?.gate(named) ?? named);
    } catch (error) {
      this.#unread = (error as Error).message;
      engine.cut();
    } finally {
      source.close();
      // Each pass finds the same.
      this.#damagedPackets = Math.max(this.#damagedPackets, source.damaged?.packets ?? 0);
    }
    if (this.#unread === undefined && this.#stopped === undefined) await checkpoints?.passed();
    return this.#unread;
  }

  /** Its files are made when the run begins, and not with the transport: by then the process may have gone on as another user. */
  #openCheckpoints(): Checkpoints | undefined {
    const { checkpoint, copies } = this.#job;
    if (checkpoint === undefined) return undefined;
    const count = () => ({ tally: this.#observer.tally, transport: this.#transport.stats() });
    return new Checkpoints(checkpoint, this.#share.index, copies, count, this.#say);
  }

  /** A mirror that hears itself ends at once: after what is being worked on, since that may begin sessions. */
  #voice(): OwnVoice | undefined {
    const { voice } = this.#job;
    if (voice === undefined) return undefined;
    return new OwnVoice(voice, Date.now, (proof) => {
      this.#say(ownVoiceText(proof));
      queueMicrotask(() => this.cut());
    });
  }

  /** What all that was run amounts to. Frees everything. */
  async end(): Promise<ShareResult> {
    await this.#transport.close();
    // Where nothing was left to run, the runs before this one have counted all of it.
    this.#checkpoints ??= this.#openCheckpoints();
    await this.#checkpoints?.close();
    return {
      tally: this.#observer.tally,
      transport: this.#transport.stats(),
      ...this.#checkpoints?.total(),
      unread: this.#unread,
      damagedPackets: this.#damagedPackets,
      disk: this.#checkpoints?.stalls,
      unusedRules: this.#rules?.unused() ?? [],
      captured: this.#captured(),
    };
  }

  #captured(): ShareResult['captured'] {
    if (this.#capture === undefined) return undefined;
    const { flooded = 0, floodedData = 0 } = this.#decoded?.counters ?? {};
    const gaps = this.#gaps?.totals ?? { gaps: 0, gapMs: 0 };
    return { ...this.#capture.stats(), flooded, floodedData, gaps };
  }

  /** All threads have the same targets: one of them tells. */
  #tellTrouble(trouble: Trouble, target: number): void {
    if (this.#share.index === 0) this.#say(troubleLines(trouble, this.#job, this.#job.targets[target]));
  }

  /** Of what this host has none of, once. */
  #tellTurnedAway(by: number | HostLimit): void {
    if (typeof by === 'number' || this.#toldLimits.has(by)) return;
    this.#toldLimits.add(by);
    this.#say(hostLimitText(by, this.#job.transport));
  }

  /** A histogram of our lateness so far, encoded. */
  get lateness(): string {
    return this.#observer.tally.lateness;
  }

  steer({ speed, paused, epochMs }: Steering): void {
    const now = epochMs - performance.timeOrigin;
    if (speed !== undefined) {
      this.#speed = speed;
      this.#observer.timed = Number.isFinite(speed);
      this.#engine?.setSpeed(speed, now);
    }
    if (paused === undefined) return;
    this.#paused = paused;
    if (paused) this.#engine?.pause(now);
    else this.#engine?.resume(now);
  }

  /**
   * What is under way finishes; nothing else begins. What comes live ends here, and is replayed to its end. Returns how long what is under
   * way may take at most, ms; undefined where that is not known, as of what came live.
   */
  stop(cause: StopCause = 'interrupted'): number | undefined {
    if (this.#capture !== undefined) {
      this.#capture.close();
      return undefined;
    }
    this.#stopped ??= cause;
    return this.#engine?.stop(cause) ?? 0;
  }

  cut(): void {
    this.#stopped ??= 'interrupted';
    this.#capture?.close();
    this.#engine?.cut();
  }

  /** Frees what `open` made, where `run` is not to be called. */
  async close(): Promise<void> {
    this.#capture?.close();
    if (this.#capture !== undefined) for await (const _ of this.#capture);
    this.#keys?.close();
    await this.#transport.close();
  }
}
