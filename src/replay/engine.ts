import type { CloseHow, FlowEvent, SessionMeta } from '../flow/events.ts';
import { Pacer } from '../flow/pacer.ts';
import { copyOffset, SessionTimes, type Timetable } from '../flow/timetable.ts';
import { COM, type Command, EXPECT, type LocalFile } from '../mysql/command.ts';
import type { Reply } from '../mysql/reply.ts';
import { type Alarm, openPlainAlarm } from '../net/timer.ts';
import type { CaptureNs, Clock, MonotonicMs } from '../time.ts';
import type { CloseCause, Connection, ConnectionHandler, Transport } from '../transport/transport.ts';
import { Admission } from './admission.ts';
import { CommitOrder } from './commit-order.ts';
import { notComparable } from './comparable.ts';
import { Contact, type Stage } from './contact.ts';
import { EarlySession } from './early.ts';
import type { Filters } from './filters.ts';
import { DueHeap } from './heap.ts';
import type { CommandKinds } from './kinds.ts';
import {
  CLOCK_SET_MS,
  furthestBehind,
  LIVE_COMMANDS,
  LIVE_HARD,
  LIVE_SKEW_MS,
  type LiveSource,
} from './live.ts';
import type { ConnectionTable } from './live-connection-ids.ts';
import { type LoginPlan, Logins } from './logins.ts';
import { divergenceOf, type LostCause, type Observer, type Outcome } from './outcome.ts';
import { Pins } from './pins.ts';
import { Pool, type PoolOwner } from './pool.ts';
import type { PoolEvent } from './pool-connection.ts';
import { RawSession } from './raw-session.ts';
import { RecordedSession } from './recorded.ts';
import type { SchemaRemap } from './remap.ts';
import type { ReplayedSession } from './replayed-session.ts';
import type { Done } from './resume.ts';
import { look, remappedPacket, rewrittenPacket } from './rewrite.ts';
import type { RewriteRules } from './rules.ts';
import type { SchemaPerCopy } from './schema-per-copy.ts';
import type { Selection } from './selection.ts';
import { type InFlight, type SessionOwner, SessionReplay } from './session.ts';
import type { StateLost } from './session-state.ts';
import { counts, hasCopy, type Share, WHOLE } from './share.ts';
import { sqlAt } from './sql.ts';
import { starvers } from './starvation.ts';

/** How far ahead of what is due the recording is read, ms of the replay's own time. */
const READ_AHEAD_MS = 2_000;

/** Bounds on what is read and not yet sent by every copy: memory stays flat however slow the target is. */
const MAX_BUFFERED_COMMANDS = 20_000;
/** … of copies that are spread over time: the first is through with a command long before the last. */
const MAX_SPREAD_COMMANDS = 500_000;
const MAX_BUFFERED_OCTETS = 128 << 20;

/** An answer may take as long as this, or as this many times the recorded one, whichever is more. */
export const REPLY_TIMEOUT_MS = 300_000;
const REPLY_TIMEOUT_FACTOR = 20;

/** How long a connection with its login may take, ms … */
export const CONNECT_TIMEOUT_MS = 60_000;

/** … and the end of one. */
const CLOSE_TIMEOUT_MS = 60_000;

const SWEEP_MS = 1_000;

/** From one alarm to the next at least: what is due in between goes together, because to be woken costs more than to send. */
const WAKES_APART_MS = 0.1;

/** When things are due, where that is not as recorded. */
export interface Timing {
  /** Scaled connect and think times, idle stretches cut; undefined: none of it. */
  timetable?: Timetable | undefined;
  /** A session that is late goes on at once, until it is back on time; else it thinks as long as it was recorded to. Default true. */
  catchUp?: boolean | undefined;
  /** The copies begin spread over so much of the replay's own time. */
  spreadMs?: number | undefined;
}

/** The part of the recording to replay. */
export interface Window {
  /** Sessions that are open then are set up as they were. */
  from?: CaptureNs | undefined;
  /** The recording ends there, for this run. */
  to?: CaptureNs | undefined;
}

export interface EngineOptions {
  copies: number;
  /** Infinity: as fast as the target takes it. */
  speed: number;
  clock: Clock;
  timing?: Timing | undefined;
  window?: Window | undefined;
  /** What wakes the engine: calls `fire` when it is time. Default: a timer of Node's. */
  openAlarm?: ((fire: () => void) => Alarm) | undefined;
  /** The recording is of a service of which no protocol is known (decodeRawSessions): nobody logs in, and answers come in parts. */
  raw?: boolean | undefined;
  /** Who the recorded users are on the target. */
  logins: Logins;
  /** Which connections of the target are in the place of the recorded ones, as KILL names them; undefined: none is known. */
  connections?: ConnectionTable | undefined;
  /** The source is live: it does not wait, and whole sessions are shed where the target is too slow. Default: it waits. */
  live?: LiveSource | undefined;
  /** Which recorded sessions run; undefined: all. */
  filters?: Filters | undefined;
  /** Which of their commands are sent, and by which copies; undefined: all. */
  selection?: Selection | undefined;
  /** Statements that are sent with another text: that is the one that `selection` looks at. */
  rules?: RewriteRules | undefined;
  /** Schemas that have other names on the target. */
  remapSchema?: SchemaRemap | undefined;
  /** Each copy has schemas of its own, named by those that `remapSchema` gives. */
  schemaPerCopy?: SchemaPerCopy | undefined;
  /** Connections at once, and new ones a second; undefined: any number. */
  maxConnections?: number | undefined;
  connectRate?: number | undefined;
  /** What tells commits, to go in their order; a share then has whole copies. Default: in the order of time alone. */
  orderBy?: CommandKinds | undefined;
  /** What need not be done, as the run before came so far; undefined: there was none. */
  done?: Done | undefined;
  /** Sessions have so many connections of each user of the target one after the other; undefined: each has its own. */
  pool?: number | undefined;
  /** Statements are told the time, insert ids and random seeds: `originSec` is that of the recording. */
  pinTime?: { originSec: number } | undefined;
  /** Default CONNECT_TIMEOUT_MS. */
  connectTimeoutMs?: number | undefined;
  /** Default REPLY_TIMEOUT_MS. */
  replyTimeoutMs?: number | undefined;
  /** What this engine has of the run; default: all. */
  share?: Share;
  /** What is recorded `at` is due `now`: the same for every share of a run. Default: the first session, when it is read. */
  anchor?: { at: CaptureNs; now: MonotonicMs };
}

/** Where a session begins in the replayed part of the recording; `early`: what it had by then. */
interface Beginning {
  at: CaptureNs;
  loggedInAt: CaptureNs;
  early?: EarlySession | undefined;
}

/** Whether an answer that differs need not have. */
function isComparable({ command, text }: Outcome): boolean {
  return command.com !== COM.processInfo && notComparable(text.packet, sqlAt(text.packet)) === undefined;
}

/**
 * Replays what a decoder tells (FlowEvents) onto a transport: N copies of each session, each paced from one anchor,
 * every command accounted for to the observers. Of several engines that share a run, exactly one tells of each
 * recorded session and command as such.
 */
export class Engine implements SessionOwner, PoolOwner<SessionReplay> {
  readonly #options: EngineOptions;
  readonly #transport: Transport;
  readonly #observers: readonly Observer[];
  readonly #share: Share;
  readonly #recorded = new Map<number, RecordedSession>();
  /** Recorded sessions of which no copy runs. */
  readonly #skipped = new Map<number, string>();
  /** Those that began before the window, and have not reached it. */
  readonly #early = new Map<number, EarlySession>();
  #windowBegun: boolean;
  readonly #live = new Set<ReplayedSession>();
  readonly #due = new DueHeap<ReplayedSession>();
  readonly #pins: Pins | undefined;
  readonly pool: Pool<SessionReplay> | undefined;
  readonly #admission: Admission;
  readonly #order: CommitOrder | undefined;
  readonly #contact = new Contact();
  readonly #connectTimeoutMs: number;
  readonly #replyTimeoutMs: number;
  /** How much later than copy 0 each copy is due, ms. */
  readonly #offsets: Float64Array;
  readonly #mostCommands: number;
  readonly #alarm: Alarm;
  #pacer: Pacer | undefined;
  #alarmDue = Number.POSITIVE_INFINITY;
  #wokeAt: MonotonicMs = Number.NEGATIVE_INFINITY;
  /** When the pause ended that was last; what waited for that is not late. */
  #resumedAt: MonotonicMs = Number.NEGATIVE_INFINITY;
  /** The latest scheduled moment of which a command was sent. */
  #sentTo: CaptureNs = 0;
  #bufferedCommands = 0;
  #bufferedOctets = 0;
  #wakeReader: (() => void) | undefined;
  /** Up to where the reader has read, while it waits. */
  #readerAt: CaptureNs = 0;
  #wakeEnd: (() => void) | undefined;
  #stopped = false;
  /** It was stopped because its time was over: what is not begun is skipped. */
  #outOfTime = false;

  constructor(options: EngineOptions, transport: Transport, observers: readonly Observer[]) {
    this.#options = options;
    this.#transport = transport;
    this.#observers = observers;
    this.#share = options.share ?? WHOLE;
    if (options.pool !== undefined) this.pool = new Pool<SessionReplay>(options.pool, this);
    if (options.pinTime !== undefined) this.#pins = new Pins(options.pinTime.originSec);
    this.#connectTimeoutMs = options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS;
    this.#replyTimeoutMs = options.replyTimeoutMs ?? REPLY_TIMEOUT_MS;
    this.#alarm = (options.openAlarm ?? openPlainAlarm)(() => this.#wake());
    this.#windowBegun = options.window?.from === undefined;
    const spreadMs = options.timing?.spreadMs ?? 0;
    this.#offsets = Float64Array.from({ length: options.copies }, (_, copy) => copyOffset(copy, spreadMs));
    this.#mostCommands = options.live === undefined ? MAX_BUFFERED_COMMANDS : LIVE_COMMANDS;
    if (spreadMs > 0) this.#mostCommands = MAX_SPREAD_COMMANDS;
    const { copies, speed, maxConnections, connectRate } = options;
    this.#admission = new Admission({
      copies,
      asRecorded: !Number.isFinite(speed),
      mostOpen: maxConnections,
      perSecond: connectRate,
      seed: this.#share.index,
    });
    if (options.orderBy !== undefined) this.#order = new CommitOrder(copies, this, this.#share);
    if (options.anchor !== undefined)
      this.#pacer = new Pacer(options.speed, options.anchor.at, options.anchor.now);
  }

  /** Resolves when every session that was begun is over. Rejects where the recording cannot be read. */
  async run(events: AsyncIterable<readonly FlowEvent[]>): Promise<void> {
    const sweep = setInterval(() => this.#sweep(), SWEEP_MS);
    try {
      for await (const batch of events) {
        // Stopped while this batch was awaited: what it would begin, nobody would end.
        if (this.#stopped) break;
        if (!this.#takeAll(batch)) break;
        this.#transport.flush();
        const last = batch.at(-1);
        if (last !== undefined) await this.#room(last.at);
        if (this.#stopped) break;
      }
      for (const { meta } of this.#early.values()) this.#tellSkipped(meta, 'out-of-window');
      this.#transport.flush();
      await this.#allOver();
      await this.#leavePool();
    } finally {
      clearInterval(sweep);
      this.#alarm.close();
    }
    for (const recorded of this.#recorded.values()) this.#tellParked(recorded);
  }

  /**
   * Ends the run early: what is under way may finish. The rest is lost as interrupted, or, as if the recording ended here,
   * skipped as out-of-time.
   */
  stop(cause: 'interrupted' | 'out-of-time' = 'interrupted'): void {
    this.#outOfTime ||= cause === 'out-of-time' && !this.#stopped;
    this.#stopped = true;
    this.#wakeReader?.();
    for (const session of [...this.#live]) session.stop();
    this.#transport.flush();
  }

  /** The latest scheduled moment of which a command was sent. */
  get sentTo(): CaptureNs {
    return this.#sentTo;
  }

  /** From `now` on: the same for every share of a run. Infinity: as fast as the target takes it. */
  setSpeed(speed: number, now = this.now()): void {
    this.#pacer?.setSpeed(speed, now, this.#sentTo);
    this.#admission.asRecorded = !Number.isFinite(speed);
    this.#retime();
  }

  /** No command is sent, no session begins, until `resume`. */
  pause(now = this.now()): void {
    this.#pacer?.pause(now, this.#sentTo);
    this.#retime();
  }

  resume(now = this.now()): void {
    if (this.#pacer?.paused !== true) return;
    this.#resumedAt = now;
    this.#pacer.resume(this.#resumedAt);
    this.#retime();
  }

  /** Ends the run at once, by RST. */
  cut(): void {
    this.#stopped = true;
    this.#outOfTime = false;
    this.#wakeReader?.();
    for (const session of [...this.#live]) session.cut('interrupted');
    this.pool?.cut();
    this.#transport.flush();
  }

  // SessionOwner

  get logins(): Logins {
    return this.#options.logins;
  }

  own(command: Command, copy: number): Command {
    const { schemaPerCopy } = this.#options;
    if (schemaPerCopy === undefined) return command;
    const packet = remappedPacket(command, schemaPerCopy.of(copy));
    // Its recorded answer may come to be known later: what is not its own it has from the recorded one.
    return packet === command.packet ? command : Object.create(command, { packet: { value: packet } });
  }

  schemaName(schema: string | undefined, copy: number): string | undefined {
    const { logins, schemaPerCopy } = this.#options;
    const name = logins.schema(schema);
    return name === undefined ? name : (schemaPerCopy?.of(copy).name(name) ?? name);
  }

  get pins(): Pins | undefined {
    return this.#pins;
  }

  pinRefused({ recorded, copy }: ReplayedSession): void {
    for (const observer of this.#observers) observer.pinRefused?.(recorded.meta, copy);
  }

  get tls(): boolean {
    return this.#transport.tls === true;
  }

  numbered({ recorded, copy }: ReplayedSession, connectionId: number | undefined): void {
    const { connections } = this.#options;
    if (connectionId === undefined) connections?.closed(recorded.meta.id, copy);
    else {
      connections?.recorded(recorded.meta.id, recorded.meta.connectionId);
      connections?.opened(recorded.meta.id, copy, connectionId);
    }
  }

  connectionOf(connectionId: number, copy: number): number | undefined {
    return this.#options.connections?.find(connectionId, copy);
  }

  now(): MonotonicMs {
    return this.#options.clock.now();
  }

  due(at: CaptureNs, copy: number): MonotonicMs {
    const pacer = this.#pacer as Pacer;
    return pacer.paused ? Number.POSITIVE_INFINITY : pacer.due(at) + this.#offsets[copy];
  }

  dueBehind(since: MonotonicMs, thinkNs: number): MonotonicMs {
    const pacer = this.#pacer as Pacer;
    return pacer.paused ? Number.POSITIVE_INFINITY : since + pacer.spanMs(thinkNs);
  }

  get catchesUp(): boolean {
    return this.#options.timing?.catchUp !== false;
  }

  get resumedAt(): MonotonicMs {
    return this.#resumedAt;
  }

  get skewMs(): number {
    return this.#options.live === undefined ? 0 : LIVE_SKEW_MS;
  }

  wakeAt(due: MonotonicMs, session: ReplayedSession): void {
    this.#due.push(due, session);
    this.#arm();
  }

  connect(session: ReplayedSession): Connection {
    for (const observer of this.#observers) observer.begun?.(session.recorded.meta, session.copy);
    return this.dial(session, session);
  }

  // PoolOwner

  dial({ recorded, copy }: ReplayedSession, handler: ConnectionHandler): Connection {
    const { client } = recorded.meta;
    this.#contact.tried(this.now(), client.text);
    return this.#transport.connect({ client, copy }, handler);
  }

  lending({ recorded, copy }: SessionReplay, waitedMs: number | undefined): void {
    for (const observer of this.#observers) {
      observer.begun?.(recorded.meta, copy);
      observer.lent?.(waitedMs);
    }
  }

  pooled(event: PoolEvent): void {
    for (const observer of this.#observers) observer.pooled?.(event);
  }

  // SessionOwner, again

  accepted(): void {
    this.#contact.accepted();
  }

  greeted(): void {
    this.#contact.greeted();
  }

  failed(_session: ReplayedSession, cause: CloseCause, stage: Stage): MonotonicMs {
    const until = this.#contact.failed(this.now(), cause, stage);
    this.#tellTrouble();
    return until;
  }

  again(session: ReplayedSession): void {
    this.#admission.again(session);
    this.#letIn();
  }

  turnedAway(session: ReplayedSession, errno: number): boolean {
    const mayWait = this.#admission.turnedAway(session, this.now());
    if (mayWait)
      for (const observer of this.#observers)
        observer.turnedAway?.(session.recorded.meta, session.copy, errno);
    this.#arm();
    return mayWait;
  }

  waitsForAnswer(command: Command): boolean {
    return this.#order?.waitsForAnswer(command) === true;
  }

  freeAt(session: SessionReplay, command: Command): MonotonicMs {
    const freeAt = this.#order?.freeAt(session, command, this.now()) ?? Number.NEGATIVE_INFINITY;
    if (freeAt === Infinity) this.#arm();
    return freeAt;
  }

  reconnected(session: ReplayedSession, lost: ReadonlySet<StateLost>, commands: number): void {
    this.#contact.reached();
    this.#admission.opened(session);
    for (const observer of this.#observers)
      observer.reconnected?.(session.recorded.meta, session.copy, lost, commands);
  }

  adopted(session: ReplayedSession, lost: ReadonlySet<StateLost>, commands: number): void {
    for (const observer of this.#observers)
      observer.adopted?.(session.recorded.meta, session.copy, lost, commands);
  }

  opened(session: ReplayedSession, connectMs: number): void {
    this.#contact.reached();
    const waitedMs = this.#admission.opened(session);
    if (waitedMs > 0)
      for (const observer of this.#observers)
        observer.waited?.(session.recorded.meta, session.copy, waitedMs);
    for (const observer of this.#observers) observer.opened?.(session.recorded.meta, session.copy, connectMs);
  }

  answered(
    session: ReplayedSession,
    inFlight: InFlight,
    reply: Reply | undefined,
    answered: MonotonicMs,
  ): void {
    this.#contact.reached();
    this.#order?.done(session, this.now());
    const { command, text, paced, due, sent } = inFlight;
    const { meta, close, parked, repliedTo } = session.recorded;
    const outcome: Outcome = {
      session: meta,
      copy: session.copy,
      command,
      text,
      paced,
      due,
      sent,
      answered,
      reply,
    };
    const mayCome = close === undefined && command.ordinal > repliedTo && !this.#stopped;
    if (reply !== undefined && command.reply === undefined && mayCome) {
      const before = parked.get(command);
      if (before === undefined) parked.set(command, [outcome]);
      else before.push(outcome);
      return;
    }
    this.#tell(outcome);
  }

  lost(session: ReplayedSession, command: Command, cause: LostCause, sent: boolean): void {
    const { meta } = session.recorded;
    if (this.#outOfTime && cause === 'interrupted' && !sent) this.skipped(session, command, 'out-of-time');
    else for (const observer of this.#observers) observer.lost?.(meta, session.copy, command, cause, sent);
    this.#order?.done(session, this.now());
  }

  // HoldWatcher

  held(ms: number): void {
    for (const observer of this.#observers) observer.held?.(ms);
  }

  released(): void {
    for (const observer of this.#observers) observer.released?.();
  }

  // SessionOwner

  skipped(session: ReplayedSession, command: Command, cause: string): void {
    for (const observer of this.#observers) observer.skipped?.(session.recorded.meta, command, cause, 1);
    this.#order?.done(session, this.now());
  }

  letGo(session: ReplayedSession, position: number): void {
    const { recorded } = session;
    const command = recorded.at(position);
    if (command === undefined) return;
    const at = recorded.scheduledAt(position);
    if (at > this.#sentTo) this.#sentTo = at;
    if (!recorded.letGo(position)) return;
    const wasFull = !this.#hasRoom();
    this.#bufferedCommands--;
    this.#bufferedOctets -= command.packet.length;
    if (recorded.countedFiles?.delete(command) === true) this.#bufferedOctets -= command.file?.octets ?? 0;
    if (wasFull && this.#hasRoom()) this.#wakeReader?.();
  }

  over(session: ReplayedSession, cause: LostCause | undefined, detail?: string): void {
    const { meta } = session.recorded;
    const isOutOfTime = this.#outOfTime && cause === 'interrupted';
    for (const observer of this.#observers) {
      if (isOutOfTime && !session.begun) observer.unscheduled?.(meta, session.copy, 'out-of-time');
      else if (cause === undefined || isOutOfTime) observer.completed?.(meta, session.copy);
      else observer.sessionLost?.(meta, session.copy, cause, detail);
    }
    if (cause === 'host-blocked') {
      this.#contact.blocked();
      this.#tellTrouble();
    }
    this.#live.delete(session);
    // Once stopped, no place is given to the next: it would connect only to be cut.
    this.#order?.left(session);
    if (!this.#stopped) {
      this.#admission.left(session, this.now());
      this.#letIn();
    }
    if (this.#live.size === 0) this.#wakeEnd?.();
  }

  // What was read.

  /** Answers false where the window has ended with it. */
  #takeAll(batch: readonly FlowEvent[]): boolean {
    const { from, to } = this.#options.window ?? {};
    for (const event of batch) {
      if (to !== undefined && event.at >= to) {
        this.#closeAll(to);
        return false;
      }
      if (!this.#windowBegun && event.at >= (from as CaptureNs)) this.#beginWindow(from as CaptureNs);
      this.#take(event);
    }
    return true;
  }

  /** The part of the recording to replay begins: with the sessions that are open. */
  #beginWindow(from: CaptureNs): void {
    this.#windowBegun = true;
    // What comes before was read for a while.
    const { anchor } = this.#options;
    const { speed = this.#options.speed, paused = false } = this.#pacer ?? {};
    const now = Math.max(this.now(), anchor?.now ?? 0);
    this.#pacer = new Pacer(speed, Math.max(from, anchor?.at ?? from), now);
    if (paused) this.#pacer.pause(now);
    for (const early of this.#early.values()) {
      if (this.#isCounted(early.meta)) continue;
      if (early.isKnown) this.#schedule(early.meta, early.plan, { at: from, loggedInAt: from, early });
      else this.#tellSkipped(early.meta, 'out-of-window');
    }
    this.#early.clear();
  }

  /** The recording ends for this run: so do all sessions that are open. */
  #closeAll(at: CaptureNs): void {
    for (const recorded of [...this.#recorded.values()]) this.#close(recorded, 'cut', at);
  }

  #take(event: FlowEvent): void {
    const { session } = event;
    if (this.#pacer === undefined) this.#pacer = new Pacer(this.#options.speed, session.at, this.now());
    // What comes before the window is counted anew by each run.
    if (this.#windowBegun && this.#isCounted(session)) return;
    switch (event.type) {
      case 'open':
        this.#begin(session, event.at);
        break;
      case 'command':
        this.#command(session, event.command);
        break;
      case 'reply':
        this.#replied(session, event.command);
        break;
      case 'lost': {
        const lossy = this.#recorded.get(session.id);
        if (lossy !== undefined) this.#missed(lossy);
        if (!counts(this.#share, session.id)) break;
        for (const observer of this.#observers) observer.unreadable?.(session, event.cause, event.commands);
        break;
      }
      case 'skip':
        if (!counts(this.#share, session.id)) break;
        for (const observer of this.#observers)
          observer.sessionSkipped?.(session, event.cause, event.commands);
        break;
      case 'close': {
        this.#skipped.delete(session.id);
        if (this.#early.delete(session.id)) this.#tellSkipped(session, 'out-of-window');
        const recorded = this.#recorded.get(session.id);
        if (recorded !== undefined) this.#close(recorded, event.how, event.at);
        break;
      }
    }
  }

  #close(recorded: RecordedSession, how: CloseHow, at: CaptureNs): void {
    this.#recorded.delete(recorded.meta.id);
    recorded.closed(how, at);
    this.#options.orderBy?.closed(recorded.meta);
    this.#options.selection?.closed(recorded.meta);
    this.#tellParked(recorded);
    for (const observer of this.#observers) observer.ended?.(recorded.meta);
    for (const copy of recorded.copies) {
      if (!this.#wasBegun(copy)) this.#admission.ended(copy.copy);
      copy.advance();
    }
  }

  /** No copy of it runs. */
  #tellSkipped(meta: SessionMeta, cause: string): void {
    this.#skipped.set(meta.id, cause);
    if (!counts(this.#share, meta.id)) return;
    for (const observer of this.#observers) observer.sessionSkipped?.(meta, cause, 0);
  }

  #begin(meta: SessionMeta, loggedInAt: CaptureNs): void {
    const { logins, filters, live, raw } = this.#options;
    // Where no protocol is known nobody logs in.
    const plan = filters?.has(meta) === false ? 'filtered' : raw === true ? undefined : logins.plan(meta);
    let cause = typeof plan === 'string' ? plan : this.#transport.refuses({ client: meta.client, copy: 0 });
    if (live !== undefined && !this.#hasRoom()) cause ??= 'shed';
    // What it had said before nobody can say again.
    if (plan === undefined && !this.#windowBegun) cause ??= 'out-of-window';
    if (typeof plan === 'string' || cause !== undefined) {
      this.#tellSkipped(meta, cause as string);
      return;
    }
    if (plan === undefined) {
      this.#schedule(meta, plan, { at: meta.at, loggedInAt });
      return;
    }
    // What it logs in with, where that was not captured.
    meta.login = plan.recorded;
    if (plan.adoption !== undefined) meta.capabilities = plan.recorded.capabilities;
    if (this.#windowBegun) this.#schedule(meta, plan, { at: meta.at, loggedInAt });
    else this.#early.set(meta.id, this.#earlySession(meta, plan));
  }

  /** How a copy logs in. */
  #planOf(plan: LoginPlan, copy: number): LoginPlan {
    const { schemaPerCopy } = this.#options;
    return schemaPerCopy === undefined ? plan : Logins.renamed(plan, schemaPerCopy.of(copy));
  }

  #earlySession(meta: SessionMeta, plan: LoginPlan): EarlySession {
    const { schemaPerCopy, copies } = this.#options;
    if (schemaPerCopy === undefined) return new EarlySession(meta, plan);
    const plans = Array.from({ length: copies }, (_, copy) => this.#planOf(plan, copy));
    return new EarlySession(meta, plan, plans, (command, copy) => this.own(command, copy));
  }

  /** `plan`: undefined where no protocol is known. */
  #schedule(meta: SessionMeta, plan: LoginPlan | undefined, begin: Beginning): void {
    const { copies, timing } = this.#options;
    const { timetable } = timing ?? {};
    const { at, loggedInAt, early } = begin;
    const times = timetable === undefined ? undefined : new SessionTimes(timetable, at, loggedInAt);
    const recorded = new RecordedSession(meta, timetable?.openAt(at) ?? at, times, early);
    this.#recorded.set(meta.id, recorded);
    for (let copy = 0; copy < copies; copy++) {
      if (!hasCopy(this.#share, meta.id, copy)) continue;
      const session =
        plan === undefined
          ? new RawSession(recorded, copy, this)
          : new SessionReplay(recorded, copy, this.#planOf(plan, copy), this);
      recorded.copies.push(session);
      this.#live.add(session);
      for (const observer of this.#observers) observer.scheduled?.(meta, copy);
    }
    for (const session of recorded.copies) {
      if (this.#wasBegun(session)) session.stop();
      else {
        this.#admission.began(session);
        this.#admitOrWait(session);
      }
    }
    this.#letIn();
  }

  #isCounted({ id }: SessionMeta): boolean {
    return this.#options.done?.isCounted(id) === true;
  }

  /** By the run that this one goes on with, which was interrupted meanwhile: it is lost. */
  #wasBegun({ recorded, copy }: ReplayedSession): boolean {
    return this.#options.done?.wasBegun(recorded.meta.id, copy) === true;
  }

  #admitOrWait(session: ReplayedSession): void {
    const due = this.due(session.recorded.openAt, session.copy);
    if (due > this.now()) this.wakeAt(due, session);
    else this.#admission.admit(session, due, this.now());
  }

  /** Opens whoever may connect now. */
  #letIn(): void {
    if (this.#pacer?.paused !== true) this.#admission.letIn(this.now());
    this.#arm();
  }

  #command(meta: SessionMeta, command: Command): void {
    const counted = counts(this.#share, meta.id);
    if (counted) for (const observer of this.#observers) observer.captured?.(meta, command);
    const early = this.#early.get(meta.id);
    const recorded = this.#recorded.get(meta.id);
    let cause = this.#skipped.get(meta.id);
    if (early !== undefined || recorded !== undefined) {
      const { rules, orderBy } = this.#options;
      if (rules !== undefined) command.packet = rewrittenPacket(command, rules);
      orderBy?.of(meta, command);
      const unselected = this.#unselected(meta, command);
      if (early === undefined) cause ??= look(command) ?? unselected;
      else {
        cause ??= 'out-of-window';
        // No session is to be set up by what would not have been sent.
        command.onlyFirst ??= unselected;
        if (command.expect === EXPECT.none && command.onlyFirst === undefined) early.learn(command);
      }
    }
    if (cause !== undefined || recorded === undefined) {
      if (!counted) return;
      for (const observer of this.#observers) {
        observer.skipped?.(meta, command, cause as string, this.#options.copies);
      }
      return;
    }
    const { remapSchema } = this.#options;
    if (remapSchema !== undefined) command.packet = remappedPacket(command, remapSchema);
    recorded.add(command, recorded.copies.length);
    this.#order?.read(command, this.#options.orderBy?.of(meta, command) === 'write');
    this.#bufferedCommands++;
    this.#bufferedOctets += command.packet.length;
    for (const copy of recorded.copies) copy.advance();
  }

  /** Why no copy sends it, by the choice of the run; notes where only the first does. */
  #unselected(meta: SessionMeta, command: Command): string | undefined {
    const verdict = this.#options.selection?.select(meta, command);
    if (verdict === undefined) return undefined;
    if (verdict.copies === 'all') return verdict.cause;
    command.onlyFirst = verdict.cause;
    return undefined;
  }

  #replied(meta: SessionMeta, command: Command): void {
    const recorded = this.#recorded.get(meta.id);
    const early = recorded === undefined ? this.#early.get(meta.id) : undefined;
    if (early !== undefined) {
      this.#options.orderBy?.replied(meta, command);
      this.#options.selection?.replied(meta, command);
      if (command.onlyFirst === undefined) early.learn(command);
    }
    if (recorded === undefined) return;
    this.#options.selection?.replied(meta, command);
    const { parked } = recorded;
    recorded.repliedTo = command.ordinal;
    // Answers come in the order of their commands: those that are still missing before this one do not come.
    if (parked.size > 0) {
      for (const [waiting, outcomes] of parked) {
        if (waiting.ordinal > command.ordinal) break;
        parked.delete(waiting);
        for (const outcome of outcomes) this.#tell(outcome);
      }
    }
    if (command.file !== undefined) this.#bufferFile(recorded, command, command.file);
    const commits = this.#options.orderBy?.commits(meta, command) === true;
    this.#order?.replied(command, commits, recorded.copies as SessionReplay[], this.now());
    if (!recorded.awaitsReply) return;
    recorded.awaitsReply = false;
    for (const copy of recorded.copies) copy.advance();
  }

  /** Recorded answers were missed: of the commands so far none comes any more that is not there. */
  #missed(recorded: RecordedSession): void {
    recorded.missed();
    this.#tellParked(recorded);
    for (const copy of recorded.copies) copy.advance();
  }

  /** A file counts as what is read ahead as long as its command does. */
  #bufferFile(recorded: RecordedSession, command: Command, { octets }: LocalFile): void {
    if (!recorded.holds(command)) return;
    recorded.countedFiles ??= new Set();
    recorded.countedFiles.add(command);
    this.#bufferedOctets += octets;
  }

  /** The recorded answers that these waited for never came. */
  #tellParked({ parked }: RecordedSession): void {
    for (const outcomes of parked.values()) {
      for (const outcome of outcomes) this.#tell(outcome);
    }
    parked.clear();
  }

  /** Tells observers of `outcome`, now that the recorded answer is known, or known not to come. */
  #tell(outcome: Outcome): void {
    let divergence = divergenceOf(outcome.command.reply, outcome.reply);
    const differs = divergence === 'data' || divergence === 'rows';
    if (differs && this.#options.raw !== true && !isComparable(outcome)) divergence = 'not-comparable';
    for (const observer of this.#observers) observer.answered?.(outcome, divergence);
  }

  // When to read on.

  #hasRoom(): boolean {
    return this.#bufferedCommands < this.#mostCommands && this.#bufferedOctets < MAX_BUFFERED_OCTETS;
  }

  /** Ends whole sessions, those furthest behind first, where far too much is waiting to be sent, until there is room. */
  #shed(): void {
    const isTooMuch =
      this.#bufferedCommands >= LIVE_HARD * this.#mostCommands ||
      this.#bufferedOctets >= LIVE_HARD * MAX_BUFFERED_OCTETS;
    if (!isTooMuch) return;
    for (const session of furthestBehind(this.#live)) {
      session.shed();
      if (this.#hasRoom()) break;
    }
    this.#transport.flush();
  }

  /** The wall clock, which captures are stamped by, may be set while they run. */
  #followClock(live: LiveSource): void {
    const at = live.now();
    const now = this.now();
    if (this.#pacer === undefined || Math.abs(this.#pacer.due(at) - now) < CLOCK_SET_MS) return;
    this.#pacer = new Pacer(1, at, now);
    this.#retime();
  }

  /** Waits until there is room, and until what was recorded `at` is not far ahead. A live source is not made to wait. */
  #room(at: CaptureNs): Promise<void> | undefined {
    if (!this.#windowBegun) return undefined;
    if (this.#options.live !== undefined) {
      this.#shed();
      return undefined;
    }
    this.#readerAt = at;
    if (this.#hasRoom() && this.#readerDue <= this.now()) return undefined;
    return new Promise((resolve) => {
      this.#wakeReader = () => {
        if (!this.#stopped && !(this.#hasRoom() && this.#readerDue <= this.now())) {
          this.#arm();
          return;
        }
        this.#wakeReader = undefined;
        resolve();
      };
      this.#arm();
    });
  }

  /** When the reader is to go on. */
  get #readerDue(): MonotonicMs {
    const soonest = this.#options.timing?.timetable?.soonest(this.#readerAt) ?? this.#readerAt;
    return this.due(soonest, 0) - READ_AHEAD_MS;
  }

  #leavePool(): Promise<void> | undefined {
    const left = this.pool?.close();
    this.#transport.flush();
    return left;
  }

  #allOver(): Promise<void> | undefined {
    if (this.#live.size === 0) return undefined;
    return new Promise((resolve) => {
      this.#wakeEnd = resolve;
    });
  }

  // Time.

  #arm(): void {
    // A reader that waits for room is woken by `letGo`, at no time of its own.
    const readerDue = this.#wakeReader === undefined || !this.#hasRoom() ? Infinity : this.#readerDue;
    const next = Math.min(this.#due.nextDue, readerDue, this.#admittedAt, this.#order?.nextAt ?? Infinity);
    if (next >= this.#alarmDue || next === Infinity) return;
    this.#alarmDue = next;
    this.#alarm.set(Math.max(next, this.#wokeAt + WAKES_APART_MS) - this.now());
  }

  #wake(): void {
    this.#alarmDue = Number.POSITIVE_INFINITY;
    const now = this.now();
    this.#wokeAt = now;
    while (this.#due.nextDue <= now) this.#goOn(this.#due.pop());
    this.#order?.release(now);
    this.#letIn();
    if (this.#wakeReader !== undefined && this.#hasRoom() && this.#readerDue <= now) this.#wakeReader();
    this.#transport.flush();
    this.#arm();
  }

  /** It is time for `session`, or may be. */
  #goOn(session: ReplayedSession): void {
    if (session.state === 'waiting') this.#admitOrWait(session);
    else session.advance();
  }

  /** Nothing can be read, nothing is due, and somebody waits for a place. */
  get #isStuck(): boolean {
    if (this.#wakeReader === undefined || this.#hasRoom() || this.#pacer?.paused === true) return false;
    const isHeld = this.#order !== undefined && this.#order.nextAt !== Infinity;
    const isFull = this.#admission.isFull || this.pool?.isFull === true;
    return isFull && this.#due.nextDue === Infinity && !isHeld;
  }

  /** When somebody may be let in by the time alone. */
  get #admittedAt(): MonotonicMs {
    return this.#pacer?.paused === true ? Number.POSITIVE_INFINITY : this.#admission.nextAt;
  }

  /** What was due when is not any more: all that wait look again. */
  #retime(): void {
    this.#alarm.clear();
    this.#alarmDue = Number.POSITIVE_INFINITY;
    for (const session of this.#due.drain()) {
      if (session.state === 'waiting') this.#admitOrWait(session);
      else session.retime();
    }
    this.#letIn();
    this.#wakeReader?.();
    this.#transport.flush();
    this.#arm();
  }

  #sweep(): void {
    const now = this.now();
    const { live } = this.#options;
    if (live !== undefined) this.#followClock(live);
    for (const session of [...this.#live]) {
      if (now - session.busySince <= this.#patienceMs(session)) continue;
      if (session.state === 'connecting') session.giveUpConnecting();
      else session.cut('timeout');
    }
    if (this.#isStuck)
      for (const session of starvers(this.#live, this.#mostCommands / 2)) session.cut('no-place');
    this.pool?.sweep(CLOSE_TIMEOUT_MS);
    this.#tellTrouble();
    this.#transport.flush();
  }

  /** How long `session` may be in the state that it is in. */
  #patienceMs(session: ReplayedSession): number {
    switch (session.state) {
      case 'busy':
      case 'rebuilding':
        return session.patienceMs(this.#replyTimeoutMs, REPLY_TIMEOUT_FACTOR);
      case 'connecting':
        return this.#connectTimeoutMs;
      case 'closing':
        return CLOSE_TIMEOUT_MS;
      default:
        return Number.POSITIVE_INFINITY;
    }
  }

  #tellTrouble(): void {
    const trouble = this.#contact.trouble(this.now());
    if (trouble === undefined) return;
    for (const observer of this.#observers) observer.trouble?.(trouble);
  }
}
