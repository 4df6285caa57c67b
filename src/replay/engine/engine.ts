import type { FlowEvent, RecordedRequest, SessionMeta } from '../../flow/events.ts';
import type { Command } from '../../mysql/command.ts';
import type { CaptureNs, MonotonicMs } from '../../time.ts';
import type { Transport } from '../../transport/transport.ts';
import type { LoginPlan } from '../accounts/logins.ts';
import type { LostCause, Observer } from '../outcome.ts';
import { MYSQL, type Protocol } from '../protocol.ts';
import type { RecordedSession } from '../recorded.ts';
import type { ReplayedSession } from '../replayed-session.ts';
import type { SessionHost } from '../session/host.ts';
import { Pins } from '../session/pins.ts';
import type { SessionReplay } from '../session/session.ts';
import { hasCopy, type Share, WHOLE } from '../share.ts';
import { Answers } from './answers.ts';
import { Gate } from './gate.ts';
import { Intake, type IntakeOwner } from './intake.ts';
import { Ledger } from './ledger.ts';
import { furthestBehind } from './live.ts';
import { Observers } from './observers.ts';
import { CONNECT_TIMEOUT_MS, type EngineOptions, REPLY_TIMEOUT_MS } from './options.ts';
import { ReadAhead } from './read-ahead.ts';
import { Schedule, type ScheduleOwner } from './schedule.ts';
import { Debt, StallWatch } from './stalls.ts';
import { starvers } from './starvation.ts';
import { Target } from './target.ts';

/** An answer may take REPLY_TIMEOUT_MS, or as many times as long as the recorded one, whichever is more. */
const REPLY_TIMEOUT_FACTOR = 20;

/** How long the end of a connection may take, ms, where an answer may not take less: a server may talk for ever after COM_QUIT. */
const CLOSE_TIMEOUT_MS = 60_000;

const SWEEP_MS = 1_000;

/** A time in which nothing is due is a rest from so much on, ms. */
const LEAST_REST_MS = 5_000;

/** A time in which nothing is due, because nothing was recorded. */
export interface Rest {
  until: MonotonicMs;
  /** What was recorded when it ends; undefined where times are not as recorded. */
  at: CaptureNs | undefined;
}

/**
 * Replays what a decoder tells (FlowEvents) onto a transport: N copies of each session, each paced from one anchor,
 * every command accounted for to the observers. Of several engines that share a run, exactly one tells of each
 * recorded session and command as such.
 */
export class Engine implements IntakeOwner, ScheduleOwner {
  readonly #options: EngineOptions;
  readonly #protocol: Protocol;
  readonly #transport: Transport;
  readonly #share: Share;
  readonly #observers: Observers;
  readonly #schedule: Schedule;
  readonly #intake: Intake;
  readonly #ahead: ReadAhead;
  readonly #answers: Answers;
  readonly #ledger: Ledger;
  /** By their numbers. */
  readonly #targets: readonly Target[];
  /** What sessions of each are handed. */
  readonly #hosts: readonly SessionHost[];
  readonly #connectTimeoutMs: number;
  readonly #replyTimeoutMs: number;
  readonly #closeTimeoutMs: number;
  /** How much of what is read too late is the target's doing. */
  readonly #backlog = new Debt(0);
  #isOver = false;

  constructor(options: EngineOptions, transport: Transport, observers: readonly Observer[]) {
    this.#options = options;
    this.#protocol = options.protocol ?? MYSQL;
    this.#transport = transport;
    this.#share = options.share ?? WHOLE;
    this.#connectTimeoutMs = options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS;
    this.#replyTimeoutMs = options.replyTimeoutMs ?? REPLY_TIMEOUT_MS;
    this.#closeTimeoutMs = Math.min(CLOSE_TIMEOUT_MS, this.#replyTimeoutMs);
    this.#observers = new Observers(observers);
    this.#schedule = new Schedule(options, this);
    this.#intake = new Intake(options, this.#share, this.#observers, this);
    const isSpread = (options.timing?.spreadMs ?? 0) > 0;
    const kind = options.live !== undefined ? 'live' : isSpread ? 'spread' : 'archive';
    this.#ahead = new ReadAhead(kind, this.#schedule);
    this.#answers = new Answers(this.#observers, this.#protocol);
    this.#targets = this.#makeTargets();
    this.#ledger = new Ledger({
      options,
      schedule: this.#schedule,
      observers: this.#observers,
      answers: this.#answers,
      ahead: this.#ahead,
      targets: this.#targets,
    });
    this.#hosts = this.#targets.map((target) => this.#hostOf(target));
  }

  #makeTargets(): Target[] {
    const { targets = 1, pinTime } = this.#options;
    const context = {
      options: this.#options,
      share: this.#share,
      transport: this.#transport,
      schedule: this.#schedule,
      observers: this.#observers,
      pins: pinTime && new Pins(pinTime.originSec),
      sweepMs: SWEEP_MS,
    };
    return Array.from({ length: targets }, (_, index) => new Target(index, context));
  }

  #hostOf(target: Target): SessionHost {
    const { connections } = this.#options;
    const gate = new Gate(target.order, this.#schedule, connections, this.#connectTimeoutMs);
    return { schedule: this.#schedule, target, gate, ledger: this.#ledger };
  }

  /** Resolves when every session that was begun is over. Rejects where the recording cannot be read. */
  async run(events: AsyncIterable<readonly FlowEvent<RecordedRequest>[]>): Promise<void> {
    const schedule = this.#schedule;
    const sweep = setInterval(() => this.#sweep(), SWEEP_MS);
    const stalls = new StallWatch({
      now: () => schedule.now(),
      load: this.#options.load,
      isFull: () => this.#ahead.isFull,
      stalled: (ms) => this.#observers.stalled(ms),
    });
    schedule.stalls = stalls;
    try {
      for await (const batch of events) {
        // Stopped while this batch was awaited: what it would begin, nobody would end.
        if (schedule.isStopped) break;
        schedule.begins(batch[0].session.at);
        // A session that does not catch up is due when it is: it has nothing of an earlier backlog.
        if (!schedule.catchesUp) this.#backlog.forgive();
        if (!this.#intake.take(batch)) break;
        this.#transport.flush();
        const last = batch.at(-1);
        if (last !== undefined) await this.#room(last.at);
        if (schedule.isStopped) break;
      }
      this.#intake.finish();
      this.#transport.flush();
      await this.#ledger.allOver();
      await this.#leavePools();
    } finally {
      clearInterval(sweep);
      stalls.close();
      schedule.close();
      this.#isOver = true;
    }
    for (const recorded of this.#intake.recorded) this.#answers.missed(recorded);
  }

  /**
   * Ends the run early: what is under way may finish. The rest is lost as interrupted, or, as if the recording ended here,
   * skipped as out-of-time. Returns how long what is under way may take at most, ms; then its time-out ends it.
   */
  stop(cause: 'interrupted' | 'out-of-time' = 'interrupted'): number {
    this.#ledger.isOutOfTime ||= cause === 'out-of-time' && !this.#schedule.isStopped;
    this.#schedule.stop();
    this.#ahead.stop();
    for (const session of [...this.#ledger.live]) session.stop();
    this.#transport.flush();
    return this.#longestMs();
  }

  #longestMs(): number {
    const now = this.#schedule.now();
    let longest = 0;
    for (const session of this.#ledger.live) {
      const ms = this.#patienceMs(session) - (now - session.busySince);
      if (Number.isFinite(ms)) longest = Math.max(longest, ms);
    }
    return longest;
  }

  /** Sessions that have begun their commands, and are not over. */
  get openSessions(): number {
    return this.#ledger.openSessions;
  }

  /** The latest scheduled moment of which a command was sent. */
  get sentTo(): CaptureNs {
    return this.#schedule.sentTo;
  }

  /** Nothing is under way, and nothing is due, until when? undefined: something is, or nothing is left. */
  get rest(): Rest | undefined {
    const schedule = this.#schedule;
    const until = Math.min(schedule.nextDue, this.#nextWith(this.#ahead.nextReadDue));
    const isShort = until - schedule.now() < LEAST_REST_MS;
    if (until === Infinity || isShort || schedule.isStopped || schedule.isPaused) return undefined;
    for (const { state } of this.#ledger.live) if (state !== 'waiting' && state !== 'ready') return undefined;
    return { until, at: schedule.momentAt(until) };
  }

  /** Every session that was read is over, and nothing more is to be read. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** From `now` on: the same for every share of a run. Infinity: as fast as the target takes it. */
  setSpeed(speed: number, now = this.#schedule.now()): void {
    this.#schedule.setSpeed(speed, now);
    for (const target of this.#targets) target.asRecorded = !Number.isFinite(speed);
    this.#schedule.retime();
  }

  /** No command is sent, no session begins, until `resume`. */
  pause(now = this.#schedule.now()): void {
    this.#schedule.pause(now);
    this.#schedule.retime();
  }

  resume(now = this.#schedule.now()): void {
    if (!this.#schedule.isPaused) return;
    this.#schedule.resume(now);
    for (const { pool } of this.#targets) pool?.resume();
    this.#schedule.retime();
  }

  /** Ends the run at once, by RST. */
  cut(): void {
    this.#ledger.isOutOfTime = false;
    this.#schedule.stop();
    this.#ahead.stop();
    for (const session of [...this.#ledger.live]) session.cut('interrupted');
    for (const { pool } of this.#targets) pool?.cut();
    this.#transport.flush();
  }

  // IntakeOwner

  refuses(session: SessionMeta, target: number): string | undefined {
    const refusal = this.#targets[target].refuses(session);
    if (refusal !== undefined) return refusal;
    return this.#options.live === undefined || this.#ahead.hasRoom ? undefined : 'shed';
  }

  windowBegins(from: CaptureNs): void {
    this.#schedule.windowBegins(from);
  }

  begin(recorded: RecordedSession<ReplayedSession>, plan: LoginPlan | undefined): void {
    const { copies, connections } = this.#options;
    const { meta, destination } = recorded;
    const target = this.#targets[destination.target];
    const host = this.#hosts[destination.target];
    for (let copy = 0; copy < copies; copy++) {
      if (!hasCopy(this.#share, meta.id, copy)) continue;
      const session = this.#protocol.session(recorded, copy, plan, host);
      recorded.copies.push(session);
      this.#ledger.live.add(session);
      connections?.recorded(meta.id, meta.connectionId, destination.server);
      connections?.awaited(meta.id, copy, meta.at);
      this.#observers.scheduled(meta, copy);
    }
    for (const session of recorded.copies) {
      const cause = this.#lostBefore(session);
      if (cause !== undefined) {
        this.#tellOpenedBefore(session);
        session.cut(cause);
      } else {
        target.began(session);
        target.admit(session);
      }
    }
    target.letIn();
  }

  read(recorded: RecordedSession<ReplayedSession>, request: RecordedRequest): void {
    const { orderBy } = this.#options;
    const { order } = this.#targets[recorded.destination.target];
    if (order !== undefined && orderBy !== undefined) {
      const command = request as Command;
      const writes = orderBy.of(recorded.meta, command) === 'write';
      const mayEnd = orderBy.mayEnd(recorded.meta, command);
      order.read(command, writes, mayEnd, recorded.copies as SessionReplay[]);
    }
    this.#ahead.add(request);
    const schedule = this.#schedule;
    const lateMs = schedule.now() - schedule.due(recorded.scheduledAt(recorded.end - 1), 0);
    const heldMs = this.#backlog.of(lateMs, schedule.stalls?.heldMs ?? 0);
    if (lateMs > 0 && schedule.isTimed) recorded.readLate({ heldMs, oursMs: lateMs - heldMs });
    for (const copy of recorded.copies) copy.advance();
  }

  replied(recorded: RecordedSession<ReplayedSession>, request: RecordedRequest): void {
    const { meta } = recorded;
    recorded.repliedTo = request.ordinal;
    this.#answers.recorded(request, recorded);
    this.#ahead.addFile(recorded, request);
    const { orderBy } = this.#options;
    const { order } = this.#targets[recorded.destination.target];
    if (order !== undefined && orderBy !== undefined) {
      const command = request as Command;
      const ended = { commits: orderBy.commits(meta, command), endedAt: orderBy.endedAt(meta, command) };
      order.replied(command, ended, recorded.copies as SessionReplay[], this.#schedule.now());
    }
    if (!recorded.awaitsReply) return;
    recorded.awaitsReply = false;
    for (const copy of recorded.copies) copy.advance();
  }

  missed(recorded: RecordedSession<ReplayedSession>): void {
    recorded.missed();
    this.#answers.missed(recorded);
    for (const copy of recorded.copies) copy.advance();
  }

  ended(recorded: RecordedSession<ReplayedSession>): void {
    this.#answers.missed(recorded);
    this.#observers.ended(recorded.meta, recorded.close?.at);
    const target = this.#targets[recorded.destination.target];
    for (const copy of recorded.copies) {
      if (this.#lostBefore(copy) === undefined) target.ended(copy.copy);
      copy.advance();
    }
  }

  /** What it was lost by in the run that this one goes on with; undefined: it is left to do. */
  #lostBefore({ recorded, copy }: ReplayedSession): LostCause | undefined {
    return this.#options.done?.lostBy(recorded.meta.id, copy);
  }

  #tellOpenedBefore({ recorded, copy }: ReplayedSession): void {
    if (this.#options.done?.wasOpened(recorded.meta.id, copy) !== true) return;
    this.#observers.opened(recorded.meta, copy, 0);
  }

  // When to read on.

  /** A live source is not made to wait. */
  #room(at: CaptureNs): Promise<void> | undefined {
    if (!this.#intake.windowBegun) return undefined;
    if (this.#options.live === undefined) return this.#ahead.room(at);
    this.#shed();
    return undefined;
  }

  /** Ends whole sessions, those furthest behind first, where far too much is waiting to be sent, until there is room. */
  #shed(): void {
    if (!this.#ahead.isFarTooMuch) return;
    for (const session of furthestBehind(this.#ledger.live)) {
      session.shed();
      if (this.#ahead.hasRoom) break;
    }
    this.#transport.flush();
  }

  async #leavePools(): Promise<void> {
    const left = this.#targets.map(({ pool }) => pool?.close());
    this.#transport.flush();
    await Promise.all(left);
  }

  // ScheduleOwner

  get nextAt(): MonotonicMs {
    return this.#nextWith(this.#ahead.nextDue);
  }

  due(session: ReplayedSession): void {
    if (session.state === 'waiting') this.#targets[session.recorded.destination.target].admit(session);
    else session.advance();
  }

  retimed(session: ReplayedSession): void {
    if (session.state === 'waiting') this.#targets[session.recorded.destination.target].admit(session);
    else session.retime();
  }

  woken(now: MonotonicMs): void {
    for (const { order } of this.#targets) order?.release(now);
    for (const target of this.#targets) target.letIn();
    this.#ahead.wake();
    this.#transport.flush();
  }

  /** The soonest that something is to be done that no session waits for; `readAt`: about reading. */
  #nextWith(readAt: MonotonicMs): MonotonicMs {
    let next = readAt;
    for (const { nextAt } of this.#targets) next = Math.min(next, nextAt);
    return next;
  }

  // What takes too long.

  #sweep(): void {
    const now = this.#schedule.now();
    const { live } = this.#options;
    if (live !== undefined) this.#schedule.follow(live);
    const sessions = this.#ledger.live;
    for (const session of [...sessions]) {
      if (now - session.busySince <= this.#patienceMs(session)) continue;
      if (session.state === 'connecting') session.giveUpConnecting();
      else session.cut('timeout');
    }
    if (this.#isStuck)
      for (const session of starvers(sessions, this.#ahead.mostCommands / 2)) session.cut('no-place');
    for (const target of this.#targets) target.sweep(this.#closeTimeoutMs);
    this.#transport.flush();
  }

  /** Nothing can be read, nothing is due, and somebody waits for a place. */
  get #isStuck(): boolean {
    if (!this.#ahead.isFull || this.#schedule.isPaused || this.#schedule.nextDue !== Infinity) return false;
    return (
      this.#targets.some(({ isFull }) => isFull) &&
      this.#targets.every(({ heldUntil }) => heldUntil === Infinity)
    );
  }

  /** How long `session` may be in the state that it is in, ms. */
  #patienceMs(session: ReplayedSession): number {
    switch (session.state) {
      case 'busy':
      case 'rebuilding':
        return session.patienceMs(this.#replyTimeoutMs, REPLY_TIMEOUT_FACTOR);
      case 'connecting':
        return this.#connectTimeoutMs;
      case 'closing':
        return this.#closeTimeoutMs;
      default:
        return Number.POSITIVE_INFINITY;
    }
  }
}
