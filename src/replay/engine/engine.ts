import type { FlowEvent, SessionMeta } from '../../flow/events.ts';
import type { Command } from '../../mysql/command.ts';
import type { Reply } from '../../mysql/reply.ts';
import { isRolledBack } from '../../mysql/rolled-back.ts';
import type { CaptureNs, MonotonicMs } from '../../time.ts';
import type {
  CloseCause,
  Connection,
  ConnectionHandler,
  HostLimit,
  Transport,
} from '../../transport/transport.ts';
import { type LoginPlan, Logins } from '../accounts/logins.ts';
import type { LostCause, Observer, Outcome } from '../outcome.ts';
import type { PoolEvent } from '../pool/connection.ts';
import { Pool, type PoolOwner } from '../pool/pool.ts';
import type { RecordedSession } from '../recorded.ts';
import type { ReplayedSession } from '../replayed-session.ts';
import type { InFlight } from '../session/host.ts';
import { Pins } from '../session/pins.ts';
import { RawSession } from '../session/raw-session.ts';
import { remappedPacket } from '../session/rewrite.ts';
import { type SessionOwner, SessionReplay } from '../session/session.ts';
import type { StateLost } from '../session/session-state.ts';
import { hasCopy, type Share, WHOLE } from '../share.ts';
import type { TargetSide } from '../target-side.ts';
import { Admission } from './admission.ts';
import { Answers } from './answers.ts';
import { CommitOrder } from './commit-order.ts';
import { Contact, type Stage } from './contact.ts';
import { Intake, type IntakeOwner } from './intake.ts';
import { furthestBehind } from './live.ts';
import { Observers } from './observers.ts';
import { CONNECT_TIMEOUT_MS, type EngineOptions, REPLY_TIMEOUT_MS } from './options.ts';
import { ReadAhead } from './read-ahead.ts';
import { Schedule, type ScheduleOwner } from './schedule.ts';
import { Debt, StallWatch } from './stalls.ts';
import { starvers } from './starvation.ts';

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
export class Engine implements SessionOwner, PoolOwner<SessionReplay>, IntakeOwner, ScheduleOwner {
  readonly schedule: Schedule;
  readonly #options: EngineOptions;
  readonly #transport: Transport;
  readonly #observers: Observers;
  readonly #answers: Answers;
  readonly #share: Share;
  readonly #intake: Intake;
  readonly #ahead: ReadAhead;
  readonly #live = new Set<ReplayedSession>();
  /** Of them, those that are logged in, or were. */
  readonly #opened = new Set<ReplayedSession>();
  readonly #pins: Pins | undefined;
  /** By number of the target. */
  readonly #sides: readonly TargetSide[];
  readonly connectTimeoutMs: number;
  readonly #replyTimeoutMs: number;
  readonly #closeTimeoutMs: number;
  /** How much of what is read too late is the target's doing. */
  readonly #backlog = new Debt(0);
  #wakeEnd: (() => void) | undefined;
  #stopped = false;
  #isOver = false;
  /** It was stopped because its time was over: what is not begun is skipped. */
  #outOfTime = false;

  constructor(options: EngineOptions, transport: Transport, observers: readonly Observer[]) {
    this.#options = options;
    this.#transport = transport;
    this.#observers = new Observers(observers);
    this.#answers = new Answers(this.#observers, options.raw !== true);
    this.#share = options.share ?? WHOLE;
    if (options.pinTime !== undefined) this.#pins = new Pins(options.pinTime.originSec);
    this.connectTimeoutMs = options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS;
    this.#replyTimeoutMs = options.replyTimeoutMs ?? REPLY_TIMEOUT_MS;
    this.#closeTimeoutMs = Math.min(CLOSE_TIMEOUT_MS, this.#replyTimeoutMs);
    this.schedule = new Schedule(options, this);
    this.#intake = new Intake(options, this.#share, this.#observers, this);
    const isSpread = (options.timing?.spreadMs ?? 0) > 0;
    const kind = options.live !== undefined ? 'live' : isSpread ? 'spread' : 'archive';
    this.#ahead = new ReadAhead(kind, this.schedule);
    const { targets = 1 } = options;
    this.#sides = Array.from({ length: targets }, (_, index) => this.#makeSide(index));
  }

  #makeSide(index: number): TargetSide {
    const { copies, speed, maxConnections, connectRate, pool, orderBy } = this.#options;
    const admission = new Admission({
      copies,
      asRecorded: !Number.isFinite(speed),
      mostOpen: maxConnections,
      perSecond: connectRate,
      seed: this.#share.index,
    });
    return {
      index,
      admission,
      contact: new Contact(SWEEP_MS),
      pool: pool === undefined ? undefined : new Pool<SessionReplay>(pool, this, maxConnections),
      order: orderBy === undefined ? undefined : new CommitOrder(copies, this.#observers, this.#share),
    };
  }

  /** Resolves when every session that was begun is over. Rejects where the recording cannot be read. */
  async run(events: AsyncIterable<readonly FlowEvent[]>): Promise<void> {
    const sweep = setInterval(() => this.#sweep(), SWEEP_MS);
    const stalls = new StallWatch({
      now: () => this.now(),
      load: this.#options.load,
      isFull: () => this.#ahead.isFull,
      stalled: (ms) => this.#observers.stalled(ms),
    });
    this.schedule.stalls = stalls;
    try {
      for await (const batch of events) {
        // Stopped while this batch was awaited: what it would begin, nobody would end.
        if (this.#stopped) break;
        this.schedule.begins(batch[0].session.at);
        // A session that does not catch up is due when it is: it has nothing of an earlier backlog.
        if (!this.schedule.catchesUp) this.#backlog.forgive();
        if (!this.#intake.take(batch)) break;
        this.#transport.flush();
        const last = batch.at(-1);
        if (last !== undefined) await this.#room(last.at);
        if (this.#stopped) break;
      }
      this.#intake.finish();
      this.#transport.flush();
      await this.#allOver();
      await this.#leavePools();
    } finally {
      clearInterval(sweep);
      stalls.close();
      this.schedule.close();
      this.#isOver = true;
    }
    for (const recorded of this.#intake.recorded) this.#answers.missed(recorded);
  }

  /**
   * Ends the run early: what is under way may finish. The rest is lost as interrupted, or, as if the recording ended here,
   * skipped as out-of-time. Returns how long what is under way may take at most, ms; then its time-out ends it.
   */
  stop(cause: 'interrupted' | 'out-of-time' = 'interrupted'): number {
    this.#outOfTime ||= cause === 'out-of-time' && !this.#stopped;
    this.#stopped = true;
    this.#ahead.stop();
    for (const session of [...this.#live]) session.stop();
    this.#transport.flush();
    return this.#longestMs();
  }

  #longestMs(): number {
    const now = this.now();
    let longest = 0;
    for (const session of this.#live) {
      const ms = this.#patienceMs(session) - (now - session.busySince);
      if (Number.isFinite(ms)) longest = Math.max(longest, ms);
    }
    return longest;
  }

  /** Sessions that have begun their commands, and are not over. */
  get openSessions(): number {
    return this.#opened.size;
  }

  /** The latest scheduled moment of which a command was sent. */
  get sentTo(): CaptureNs {
    return this.schedule.sentTo;
  }

  /** Nothing is under way, and nothing is due, until when? undefined: something is, or nothing is left. */
  get rest(): Rest | undefined {
    const until = Math.min(this.schedule.nextDue, this.#nextWith(this.#ahead.nextReadDue));
    if (until === Infinity || until - this.now() < LEAST_REST_MS || this.#stopped || this.schedule.isPaused)
      return undefined;
    for (const { state } of this.#live) if (state !== 'waiting' && state !== 'ready') return undefined;
    return { until, at: this.schedule.momentAt(until) };
  }

  /** Every session that was read is over, and nothing more is to be read. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** From `now` on: the same for every share of a run. Infinity: as fast as the target takes it. */
  setSpeed(speed: number, now = this.now()): void {
    this.schedule.setSpeed(speed, now);
    for (const { admission } of this.#sides) admission.asRecorded = !Number.isFinite(speed);
    this.schedule.retime();
  }

  /** No command is sent, no session begins, until `resume`. */
  pause(now = this.now()): void {
    this.schedule.pause(now);
    this.schedule.retime();
  }

  resume(now = this.now()): void {
    if (!this.schedule.isPaused) return;
    this.schedule.resume(now);
    for (const { pool } of this.#sides) pool?.resume();
    this.schedule.retime();
  }

  /** Ends the run at once, by RST. */
  cut(): void {
    this.#stopped = true;
    this.#outOfTime = false;
    this.#ahead.stop();
    for (const session of [...this.#live]) session.cut('interrupted');
    for (const { pool } of this.#sides) pool?.cut();
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
    this.#observers.pinRefused(recorded.meta, copy);
  }

  get tls(): boolean {
    return this.#transport.tls === true;
  }

  numbered({ recorded, copy }: ReplayedSession, connectionId: number | undefined): void {
    const { connections } = this.#options;
    if (connectionId === undefined) connections?.closed(recorded.meta.id, copy);
    else {
      connections?.recorded(recorded.meta.id, recorded.meta.connectionId, recorded.destination.server);
      connections?.opened(recorded.meta.id, copy, connectionId);
    }
  }

  voiced(nonce: Uint8Array): void {
    this.#options.voice?.greeted(nonce);
  }

  connectionOf(connectionId: number, { recorded, copy }: ReplayedSession, at: CaptureNs): number | undefined {
    return this.#options.connections?.find(connectionId, copy, recorded.destination.server, at);
  }

  awaitsConnection(connectionId: number, { recorded, copy }: ReplayedSession, at: CaptureNs): boolean {
    const { server } = recorded.destination;
    return this.#options.connections?.isAwaited(connectionId, copy, server, at) === true;
  }

  get isPooled(): boolean {
    return this.#options.pool !== undefined;
  }

  poolOf(session: SessionReplay): Pool<SessionReplay> | undefined {
    return this.#sideOf(session).pool;
  }

  now(): MonotonicMs {
    return this.schedule.now();
  }

  connect(session: ReplayedSession): Connection {
    this.#observers.begun(session.recorded.meta, session.copy);
    return this.dial(session, session);
  }

  // PoolOwner

  get rests(): boolean {
    return this.#stopped || this.schedule.isPaused;
  }

  dial(session: ReplayedSession, handler: ConnectionHandler): Connection {
    const { recorded, copy } = session;
    const { client } = recorded.meta;
    const { contact, index: target } = this.#sideOf(session);
    contact.tried(this.now(), client.text);
    return this.#transport.connect({ client, copy, target }, handler);
  }

  lending({ recorded, copy, account }: SessionReplay, waitedMs: number | undefined): void {
    this.#observers.begun(recorded.meta, copy);
    if (account !== undefined) this.#observers.lent(waitedMs);
  }

  pooled(event: PoolEvent): void {
    this.#observers.pooled(event);
  }

  // SessionOwner, again

  accepted(session: ReplayedSession): void {
    this.#sideOf(session).contact.accepted();
  }

  greeted(session: ReplayedSession): void {
    this.#sideOf(session).contact.greeted();
  }

  failed(session: ReplayedSession, cause: CloseCause, stage: Stage): MonotonicMs {
    const until = this.#sideOf(session).contact.failed(this.now(), cause, stage);
    this.#tellTrouble();
    return until;
  }

  again(session: ReplayedSession): void {
    this.#sideOf(session).admission.again(session);
    this.#letIn();
  }

  turnedAway(session: ReplayedSession, by: number | HostLimit): boolean {
    const { admission, contact } = this.#sideOf(session);
    if (typeof by !== 'number') contact.notTried();
    const mayWait = admission.turnedAway(session, this.now());
    if (mayWait) this.#observers.turnedAway(session.recorded.meta, session.copy, by);
    this.schedule.rearm();
    return mayWait;
  }

  wasRolledBack({ recorded }: ReplayedSession, { reply }: Command): boolean {
    return this.#sides[recorded.destination.target].order !== undefined && isRolledBack(reply);
  }

  waitsForAnswer(session: ReplayedSession, command: Command): boolean {
    return this.#sideOf(session).order?.waitsForAnswer(command) === true;
  }

  freeAt(session: SessionReplay, command: Command): MonotonicMs {
    const freeAt =
      this.#sideOf(session).order?.freeAt(session, command, this.now()) ?? Number.NEGATIVE_INFINITY;
    if (freeAt === Infinity) this.schedule.rearm();
    return freeAt;
  }

  reconnected(session: ReplayedSession, lost: ReadonlySet<StateLost>, commands: number): void {
    const { contact, admission } = this.#sideOf(session);
    contact.reached();
    admission.opened(session);
    this.#observers.reconnected(session.recorded.meta, session.copy, lost, commands);
  }

  adopted(
    session: ReplayedSession,
    lost: ReadonlySet<StateLost>,
    commands: number,
    before: 'recording' | 'window',
  ): void {
    this.#observers.adopted(session.recorded.meta, session.copy, lost, commands, before);
  }

  opened(session: ReplayedSession, connectMs: number): void {
    const { contact, admission } = this.#sideOf(session);
    contact.reached();
    this.#opened.add(session);
    const waitedMs = admission.opened(session);
    if (waitedMs > 0) this.#observers.waited(session.recorded.meta, session.copy, waitedMs);
    this.#observers.opened(session.recorded.meta, session.copy, connectMs);
  }

  answered(
    session: ReplayedSession,
    inFlight: InFlight,
    reply: Reply | undefined,
    answered: MonotonicMs,
  ): void {
    const { contact, order } = this.#sideOf(session);
    contact.reached();
    order?.done(session, this.now());
    const { command, text, paced, due, sent, oursMs } = inFlight;
    const outcome: Outcome = {
      session: session.recorded.meta,
      copy: session.copy,
      command,
      text,
      paced,
      due,
      sent,
      oursMs,
      answered,
      reply,
    };
    this.#answers.came(outcome, session.recorded, !this.#stopped);
  }

  lost(session: ReplayedSession, command: Command, cause: LostCause, sent: boolean): void {
    const { meta } = session.recorded;
    if (this.#outOfTime && cause === 'interrupted' && !sent) this.skipped(session, command, 'out-of-time');
    else this.#observers.lost(meta, session.copy, command, cause, sent);
    this.#sideOf(session).order?.done(session, this.now());
  }

  skipped(session: ReplayedSession, command: Command, cause: string): void {
    this.#observers.skipped(session.recorded.meta, command, cause, 1);
    this.#sideOf(session).order?.done(session, this.now());
  }

  letGo(session: ReplayedSession, position: number): void {
    const { recorded } = session;
    const command = recorded.at(position);
    if (command === undefined) return;
    this.#options.voice?.said(command.packet);
    const at = recorded.scheduledAt(position);
    if (at > this.schedule.sentTo) this.schedule.sentTo = at;
    if (recorded.letGo(position)) this.#ahead.letGo(recorded, command);
  }

  over(session: ReplayedSession, cause: LostCause | undefined, detail?: string): void {
    const { meta } = session.recorded;
    const isOutOfTime = this.#outOfTime && cause === 'interrupted';
    if (isOutOfTime && !session.begun) this.#observers.unscheduled(meta, session.copy, 'out-of-time');
    else if (cause === undefined || isOutOfTime) this.#observers.completed(meta, session.copy);
    else this.#observers.sessionLost(meta, session.copy, cause, detail);
    if (cause === 'host-blocked') {
      this.#sideOf(session).contact.blocked();
      this.#tellTrouble();
    }
    this.#options.connections?.closed(meta.id, session.copy);
    this.#live.delete(session);
    this.#opened.delete(session);
    // Once stopped, no place is given to the next: it would connect only to be cut.
    const { order, admission } = this.#sideOf(session);
    order?.left(session);
    if (!this.#stopped) {
      admission.left(session, this.now());
      this.#letIn();
    }
    if (this.#live.size === 0) this.#wakeEnd?.();
  }

  // IntakeOwner

  refuses({ client }: SessionMeta, target: number): string | undefined {
    const { live } = this.#options;
    return (
      this.#transport.refuses({ client, copy: 0, target }) ??
      (live === undefined || this.#ahead.hasRoom ? undefined : 'shed')
    );
  }

  windowBegins(from: CaptureNs): void {
    this.schedule.windowBegins(from);
  }

  begin(recorded: RecordedSession<ReplayedSession>, plan: LoginPlan | undefined): void {
    const { copies, schemaPerCopy } = this.#options;
    const { meta } = recorded;
    for (let copy = 0; copy < copies; copy++) {
      if (!hasCopy(this.#share, meta.id, copy)) continue;
      const own = plan && schemaPerCopy && Logins.renamed(plan, schemaPerCopy.of(copy));
      const session =
        plan === undefined
          ? new RawSession(recorded, copy, this)
          : new SessionReplay(recorded, copy, own ?? plan, this);
      recorded.copies.push(session);
      this.#live.add(session);
      const { connections } = this.#options;
      connections?.recorded(meta.id, meta.connectionId, recorded.destination.server);
      connections?.awaited(meta.id, copy, meta.at);
      this.#observers.scheduled(meta, copy);
    }
    for (const session of recorded.copies) {
      const cause = this.#lostBefore(session);
      if (cause !== undefined) {
        this.#tellOpenedBefore(session);
        session.cut(cause);
      } else {
        this.#sideOf(session).admission.began(session);
        this.#admitOrWait(session);
      }
    }
    this.#letIn();
  }

  read(recorded: RecordedSession<ReplayedSession>, command: Command): void {
    const { orderBy } = this.#options;
    const { order } = this.#sides[recorded.destination.target];
    if (order !== undefined && orderBy !== undefined) {
      const writes = orderBy.of(recorded.meta, command) === 'write';
      const mayEnd = orderBy.mayEnd(recorded.meta, command);
      order.read(command, writes, mayEnd, recorded.copies as SessionReplay[]);
    }
    this.#ahead.add(command);
    const lateMs = this.now() - this.schedule.due(recorded.scheduledAt(recorded.end - 1), 0);
    const heldMs = this.#backlog.of(lateMs, this.schedule.stalls?.heldMs ?? 0);
    if (lateMs > 0 && this.schedule.isTimed) recorded.readLate({ heldMs, oursMs: lateMs - heldMs });
    for (const copy of recorded.copies) copy.advance();
  }

  replied(recorded: RecordedSession<ReplayedSession>, command: Command): void {
    const { meta } = recorded;
    recorded.repliedTo = command.ordinal;
    this.#answers.recorded(command, recorded);
    this.#ahead.addFile(recorded, command);
    const { orderBy } = this.#options;
    const { order } = this.#sides[recorded.destination.target];
    if (order !== undefined && orderBy !== undefined) {
      const ended = { commits: orderBy.commits(meta, command), endedAt: orderBy.endedAt(meta, command) };
      order.replied(command, ended, recorded.copies as SessionReplay[], this.now());
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
    for (const copy of recorded.copies) {
      if (this.#lostBefore(copy) === undefined) this.#sideOf(copy).admission.ended(copy.copy);
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

  #admitOrWait(session: ReplayedSession): void {
    const due = this.schedule.due(session.recorded.openAt, session.copy);
    if (due > this.now()) this.schedule.wakeAt(due, session);
    else this.#sideOf(session).admission.admit(session, due, this.now());
  }

  /** Opens whoever may connect now. */
  #letIn(): void {
    if (!this.schedule.isPaused) for (const { admission } of this.#sides) admission.letIn(this.now());
    this.schedule.rearm();
  }

  // When to read on.

  /** Ends whole sessions, those furthest behind first, where far too much is waiting to be sent, until there is room. */
  #shed(): void {
    if (!this.#ahead.isFarTooMuch) return;
    for (const session of furthestBehind(this.#live)) {
      session.shed();
      if (this.#ahead.hasRoom) break;
    }
    this.#transport.flush();
  }

  /** A live source is not made to wait. */
  #room(at: CaptureNs): Promise<void> | undefined {
    if (!this.#intake.windowBegun) return undefined;
    if (this.#options.live === undefined) return this.#ahead.room(at);
    this.#shed();
    return undefined;
  }

  async #leavePools(): Promise<void> {
    const left = this.#sides.map(({ pool }) => pool?.close());
    this.#transport.flush();
    await Promise.all(left);
  }

  #allOver(): Promise<void> | undefined {
    if (this.#live.size === 0) return undefined;
    return new Promise((resolve) => {
      this.#wakeEnd = resolve;
    });
  }

  // Time.

  // ScheduleOwner

  get nextAt(): MonotonicMs {
    return this.#nextWith(this.#ahead.nextDue);
  }

  due(session: ReplayedSession): void {
    if (session.state === 'waiting') this.#admitOrWait(session);
    else session.advance();
  }

  retimed(session: ReplayedSession): void {
    if (session.state === 'waiting') this.#admitOrWait(session);
    else session.retime();
  }

  woken(now: MonotonicMs): void {
    for (const { order } of this.#sides) order?.release(now);
    this.#letIn();
    this.#ahead.wake();
    this.#transport.flush();
  }

  /** The soonest that something is to be done that no session waits for; `readAt`: about reading. */
  #nextWith(readAt: MonotonicMs): MonotonicMs {
    return Math.min(readAt, this.#admittedAt, this.#heldUntil);
  }

  /** Nothing can be read, nothing is due, and somebody waits for a place. */
  get #isStuck(): boolean {
    if (!this.#ahead.isFull || this.schedule.isPaused) return false;
    const isFull = this.#sides.some(({ admission, pool }) => admission.isFull || pool?.isFull === true);
    return isFull && this.schedule.nextDue === Infinity && this.#heldUntil === Infinity;
  }

  /** When somebody may be let in by the time alone. */
  get #admittedAt(): MonotonicMs {
    let next = Number.POSITIVE_INFINITY;
    if (this.schedule.isPaused) return next;
    for (const { admission } of this.#sides) next = Math.min(next, admission.nextAt);
    return next;
  }

  /** When somebody may be released who is held for a commit. */
  get #heldUntil(): MonotonicMs {
    let next = Number.POSITIVE_INFINITY;
    for (const { order } of this.#sides) if (order !== undefined) next = Math.min(next, order.nextAt);
    return next;
  }

  #sideOf({ recorded }: ReplayedSession): TargetSide {
    return this.#sides[recorded.destination.target];
  }

  #sweep(): void {
    const now = this.now();
    const { live } = this.#options;
    if (live !== undefined) this.schedule.follow(live);
    for (const session of [...this.#live]) {
      if (now - session.busySince <= this.#patienceMs(session)) continue;
      if (session.state === 'connecting') session.giveUpConnecting();
      else session.cut('timeout');
    }
    if (this.#isStuck)
      for (const session of starvers(this.#live, this.#ahead.mostCommands / 2)) session.cut('no-place');
    for (const { pool } of this.#sides) pool?.sweep(this.#closeTimeoutMs);
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
        return this.connectTimeoutMs;
      case 'closing':
        return this.#closeTimeoutMs;
      default:
        return Number.POSITIVE_INFINITY;
    }
  }

  #tellTrouble(): void {
    for (const { contact, index } of this.#sides) {
      const trouble = contact.trouble(this.now());
      if (trouble === undefined) continue;
      this.#observers.trouble(trouble, index);
    }
  }
}
