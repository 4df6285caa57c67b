import type { DecodedSessions } from '../flow/decoder.ts';
import type { RecordedRequest } from '../flow/events.ts';
import { openAlarm } from '../net/timer.ts';
import { SchemaPerCopy } from '../replay/accounts/schema-per-copy.ts';
import { CommandKinds } from '../replay/choice/command-kinds.ts';
import { Filters } from '../replay/choice/filters.ts';
import { RewriteRules } from '../replay/choice/rules.ts';
import { Selection, selects } from '../replay/choice/selection.ts';
import type { Trouble } from '../replay/engine/contact.ts';
import { Engine } from '../replay/engine/engine.ts';
import { OwnVoice } from '../replay/own-voice.ts';
import { poolShare } from '../replay/pool/pool.ts';
import { protocolOf } from '../replay/protocol.ts';
import { partOf, type Share } from '../replay/share.ts';
import { SummaryObserver } from '../report/counter.ts';
import { GapTeller } from '../report/gap-teller.ts';
import type { Lines } from '../report/output.ts';
import { realClock } from '../time.ts';
import type { ClientAddresses } from '../transport/clients.ts';
import type { HostLimit, Transport } from '../transport/transport.ts';
import type { PacketSource } from '../wire/packets.ts';
import { Checkpoints } from './checkpoint/checkpoint.ts';
import { clientAddresses } from './clients.ts';
import type { DryRun } from './dry/watch.ts';
import { hostLimitText } from './host-limits.ts';
import type { Anchor, OpeningJob, Progress, ReplayJob, ShareResult, Steering, StopCause } from './job.ts';
import { openLogins } from './logins.ts';
import { ownVoiceText } from './own-voice-text.ts';
import { type LiveKeys, liveSource, openArchiveSource, openLiveCapture, openLiveKeys } from './source.ts';
import { openTiming } from './timing.ts';
import { openTransport } from './transport.ts';
import { troubleLines } from './trouble.ts';

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
  #decoded: DecodedSessions<RecordedRequest> | undefined;
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
    const { copies, serverPorts, targets, connectTimeoutMs, replyTimeoutMs, pool, pinTime } = this.#job;
    const protocol = protocolOf(this.#job.protocol);
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
        protocol,
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
      this.#decoded = protocol.decode(source.packets, {
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
