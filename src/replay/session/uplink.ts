import { type Command, expectOf } from '../../mysql/command.ts';
import { Login, type LoginDone, type LoginStep } from '../../mysql/login.ts';
import { HOST_IS_BLOCKED, sameRefusal, saysUnavailable } from '../../mysql/login-errors.ts';
import type { Reply } from '../../mysql/reply.ts';
import type { MonotonicMs } from '../../time.ts';
import { loginHint } from '../../transport/login-remedies.ts';
import { type CloseCause, type Connection, isHostLimit } from '../../transport/transport.ts';
import type { LoginPlan } from '../accounts/logins.ts';
import type { Stage } from '../engine/contact.ts';
import type { LostCause } from '../outcome.ts';
import type { Lease } from '../pool/connection.ts';
import type { ReplayedSession, SessionPhase } from '../replayed-session.ts';
import { CommandAdapter } from './command-adapter.ts';
import { connectHint, isNoRoom, loginLostBy, lostBy, wasOfTheMoment } from './connection-loss.ts';
import type { PoolClient, SessionHost, SessionLedger, SessionSchedule, SessionTarget } from './host.ts';
import { Recovery } from './recovery.ts';
import type { Script } from './script.ts';
import type { RebuildStep, StateLost } from './session-state.ts';

/** The session, as its uplink sees it, which sets its state until it is `ready`. */
export interface UplinkSession extends ReplayedSession {
  begun: boolean;
  state: SessionPhase;
  busySince: MonotonicMs;
  /** What its connection is to be sent before its commands. `isFirst`: it had none so far; what of it cannot be given is added to `lost`. */
  rebuildSteps(isFirst: boolean, lost: Set<StateLost>): readonly RebuildStep[];
  /** The connection is set up: commands go, or go on. */
  ready(): void;
  /** Within an answer: as `ConnectionHandler` has it. */
  packet(octets: Uint8Array): void;
  reply(reply: Reply, receivedAt: MonotonicMs): void;
  /** The connection has ended, having come as far as `stage`: so has the session, or it is to `tryAgain`. */
  disconnected(cause: CloseCause, stage: Stage, detail: string | undefined): void;
}

/**
 * A MySQL session's way to its target: connects, or borrows of the pool, logs in, sets up what the session had, and, where a
 * connection ends before its session, waits and makes another.
 */
export class Uplink implements PoolClient {
  readonly session: UplinkSession;
  /** As whom it logs in. */
  plan: LoginPlan;
  /** undefined: there is none. */
  connection: (Connection & Partial<Lease>) | undefined;
  /** What the target told on login, or, since, on a COM_CHANGE_USER; undefined: it has not let us in. */
  done: LoginDone | undefined;
  /** Makes commands fit for the connection, once logged in. */
  adapter: CommandAdapter | undefined;
  readonly #joinedLate: boolean;
  readonly #script: Script<Command>;
  readonly #schedule: SessionSchedule;
  readonly #target: SessionTarget;
  readonly #ledger: SessionLedger;
  #connectAt: MonotonicMs = 0;
  #login: Login | undefined;
  /** Whether its login succeeded once. */
  #opened = false;
  /** From the end of a connection until a command was answered on the next. */
  #recovery: Recovery | undefined;
  /** What the connection under way has failed by, where its end does not say so, and it may be tried again. */
  #failedBy: LostCause | undefined;
  /** The error that said so, where there was no room. */
  #noRoomBy = 0;
  /** An end of the connection that may be that of the recorded one, which was not read yet. */
  #heldEnd: { how: CloseCause; detail: string | undefined; until: MonotonicMs } | undefined;

  constructor(
    session: UplinkSession,
    script: Script<Command>,
    plan: LoginPlan,
    { schedule, target, ledger }: SessionHost,
  ) {
    this.session = session;
    this.plan = plan;
    this.#joinedLate = plan.adoption !== undefined;
    this.#script = script;
    this.#schedule = schedule;
    this.#target = target;
    this.#ledger = ledger;
  }

  /** Connects, or waits for its turn in the pool, which opens it again. */
  open(): void {
    const { session } = this;
    const { pool } = this.#target;
    const kept = pool?.take(this);
    if (pool !== undefined && kept === undefined) return;
    session.begun = true;
    session.state = 'connecting';
    this.#failedBy = undefined;
    this.#connectAt = this.#schedule.now();
    session.busySince = this.#connectAt;
    this.connection = kept ?? this.#target.connect(session, this);
    if (kept?.ready !== undefined) this.lent(kept.ready);
  }

  /** The connection, or its login, takes too long. */
  giveUpConnecting(): void {
    this.#failedBy = 'timeout';
    this.connection?.abort();
  }

  /** A command was answered: the connection is a good one. */
  proved(): void {
    this.#recovery = undefined;
  }

  /** Ends the connection in order, or gives it back. */
  leave(): void {
    const { session, connection } = this;
    session.state = 'closing';
    session.busySince = this.#schedule.now();
    const done = this.account === undefined ? undefined : this.done;
    if (connection?.giveBack === undefined || done === undefined) connection?.end();
    else connection.giveBack(done);
  }

  /** The same, as a session that is lost by `cause`. */
  finish(cause: LostCause): void {
    this.#script.lostCause = cause;
    this.leave();
  }

  // For the pool.

  get state(): SessionPhase {
    return this.session.state;
  }

  /** Production refused the login: that is for a connection of its own. */
  get account(): string | undefined {
    return this.session.recorded.meta.refused === undefined ? this.plan.user : undefined;
  }

  /** The connection is logged in, by us or already. */
  lent(done: LoginDone): void {
    this.#script.lostDetail = undefined;
    this.done = done;
    this.adapter = new CommandAdapter(this.session.recorded.meta, this.#joinedLate, done);
    this.#target.numbered(this.session, done.connectionId, done.nonce);
    this.#loggedIn();
  }

  // ConnectionHandler

  established(): void {
    this.#target.accepted();
    this.#login = new Login({ ...this.plan, tls: this.#target.tls });
  }

  secured(): void {
    if (this.#login !== undefined) this.#step(this.#login.secured());
  }

  packet(octets: Uint8Array): void {
    if (this.session.state === 'connecting' && this.#login !== undefined) {
      this.#target.greeted();
      this.#step(this.#login.onPacket(octets));
    } else this.session.packet(octets);
  }

  reply(reply: Reply, receivedAt: MonotonicMs): void {
    if (this.session.state === 'rebuilding') {
      this.#recovery?.answered(reply);
      this.#rebuildNext();
    } else this.session.reply(reply, receivedAt);
  }

  closed(how: CloseCause, detail?: string): void {
    const { state, recorded } = this.session;
    const { skewMs } = this.#schedule;
    const isEarly = (state === 'ready' || state === 'busy') && recorded.close === undefined;
    if (skewMs > 0 && isEarly && (how === 'fin' || how === 'reset')) {
      this.connection = undefined;
      const now = this.#schedule.now();
      this.#heldEnd = { how, detail, until: now + skewMs };
      this.#script.wakeAt(this.#heldEnd.until, now);
    } else this.#disconnect(how, detail);
  }

  // The login.

  #step(step: LoginStep): void {
    switch (step.type) {
      case 'send':
        this.connection?.writeLogin(step.octets);
        break;
      case 'tls':
        this.connection?.writeLogin(step.octets);
        this.connection?.startTls?.();
        break;
      case 'failed':
        this.#loginFailed(step.errno, step.message);
        break;
      case 'done':
        this.#login = undefined;
        this.connection?.commandPhase(step.capabilities, step.extendedCapabilities);
        this.lent(step);
    }
  }

  #loggedIn(): void {
    const { meta, beforeWindow } = this.session.recorded;
    const { refused } = meta;
    if (wasOfTheMoment(refused)) this.leave();
    else if (refused !== undefined) {
      this.#script.lostDetail = `the target let in ${this.plan.user}, whom production had refused by error ${refused}`;
      this.finish('login-diverged');
    } else if (this.#opened || beforeWindow !== undefined || this.plan.adoption !== undefined)
      this.#rebuild();
    else {
      this.#recovery = undefined;
      this.#open();
    }
  }

  #loginFailed(errno: number, message: string): void {
    const { refused } = this.session.recorded.meta;
    const isAsRecorded = refused !== undefined && sameRefusal(errno, refused);
    if (isAsRecorded || (wasOfTheMoment(refused) && errno !== HOST_IS_BLOCKED)) {
      // It ends as it was recorded: with its login.
      this.leave();
      return;
    }
    const { user } = this.plan;
    this.#script.lostDetail = `user ${user}: ${message}${loginHint({ errno, message, user })}`;
    // The server closes.
    if (isNoRoom(errno, message)) {
      this.#failedBy = 'too-many-connections';
      this.#noRoomBy = errno;
    } else if (saysUnavailable(errno)) this.#failedBy = 'connect';
    else
      this.finish(refused === undefined || errno === HOST_IS_BLOCKED ? loginLostBy(errno) : 'login-diverged');
  }

  /** Sets up what the session had on its last connection, or before the part of the recording that is replayed. */
  #rebuild(): void {
    const { session } = this;
    session.state = 'rebuilding';
    this.#recovery ??= new Recovery(this.#schedule.now());
    this.#recovery.begin(session.rebuildSteps(!this.#opened, this.#recovery.lost));
    this.#rebuildNext();
  }

  #rebuildNext(): void {
    const { session } = this;
    const recovery = this.#recovery as Recovery;
    const { step } = recovery;
    if (step !== undefined) {
      recovery.commands++;
      session.busySince = this.#schedule.now();
      const packet = this.adapter?.injected(step.packet, step.com);
      if (packet !== undefined) this.connection?.write(packet, expectOf(step.com));
      return;
    }
    recovery.end();
    if (this.#opened) {
      this.#ledger.reconnected(session, recovery.lost, recovery.commands);
      session.ready();
    } else {
      const before = this.#joinedLate ? 'recording' : 'window';
      this.#ledger.adopted(session, recovery.lost, recovery.commands, before);
      this.#open();
    }
  }

  #open(): void {
    this.#opened = true;
    this.#ledger.opened(this.session, this.#schedule.now() - this.#connectAt);
    this.session.ready();
  }

  // The end of a connection.

  /** To be called before the session does anything. Returns whether it goes on to wait for its recorded end. */
  holdsEnd(): boolean {
    const held = this.#heldEnd;
    if (held === undefined || this.session.state === 'over') return false;
    const now = this.#schedule.now();
    if (this.session.recorded.close === undefined && now < held.until) {
      this.#script.wakeAt(held.until, now);
      return true;
    }
    this.#heldEnd = undefined;
    this.#disconnect(held.how, held.detail);
    return false;
  }

  #disconnect(how: CloseCause, detail: string | undefined): void {
    const { session } = this;
    if (session.state === 'over') return;
    if (detail !== undefined) this.#script.lostDetail = detail;
    const isConnecting = session.state === 'connecting';
    const gaveUp = isConnecting && how === 'aborted' && this.#failedBy === 'timeout';
    const stage = !isConnecting ? 'commands' : this.#login === undefined ? 'syn' : 'login';
    this.connection = undefined;
    this.#login = undefined;
    if (this.done !== undefined) this.#target.unnumbered(session);
    this.done = undefined;
    this.adapter = undefined;
    session.disconnected(gaveUp ? 'timeout' : how, stage, detail);
  }

  /**
   * Waits and tries another connection, where there is hope. Returns what the session is lost by where there is none.
   */
  tryAgain(cause: CloseCause, stage: Stage, detail: string | undefined): LostCause | undefined {
    const { session } = this;
    const script = this.#script;
    const isOurs = isHostLimit(cause);
    const noRoomBy = isOurs ? cause : this.#failedBy === 'too-many-connections' ? this.#noRoomBy : undefined;
    if (noRoomBy !== undefined && script.stopping === undefined) {
      const mayWait = this.#target.turnedAway(session, noRoomBy);
      if (!this.#opened) {
        if (!mayWait) return isOurs ? cause : 'too-many-connections';
        session.begun = false;
        session.state = 'waiting';
        return undefined;
      }
    }
    const until = isOurs ? Number.POSITIVE_INFINITY : this.#target.failed(cause, stage);
    const now = this.#schedule.now();
    script.lostDetail = detail ?? connectHint(cause, stage) ?? script.lostDetail;
    this.#recovery ??= new Recovery(now);
    this.#recovery.beginAnew(now);
    const seed = session.recorded.meta.id + session.copy;
    if (script.stopping !== undefined || !this.#recovery.tryAgain(now, until, seed))
      return this.#failedBy ?? lostBy(cause, stage);
    session.state = 'disconnected';
    script.wakeAt(this.#recovery.retryAt, now);
    return undefined;
  }

  /** Of a session that tries again: what it had on its last connection and cannot have on the next is to be added. */
  get lost(): Set<StateLost> {
    return (this.#recovery as Recovery).lost;
  }

  /** The session is disconnected: connects, if it is time, or waits for that. */
  retryIfDue(): void {
    const recovery = this.#recovery as Recovery;
    const now = this.#schedule.now();
    if (recovery.isTimeAt(now)) this.#target.again(this.session);
    else if (recovery.retryAt < Number.POSITIVE_INFINITY) this.#script.wakeAt(recovery.retryAt, now);
  }

  /** The session is over. */
  drop(): void {
    this.connection = undefined;
    this.#login = undefined;
  }
}
