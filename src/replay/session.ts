import { COM, type Command, EXPECT, expectOf } from '../mysql/command.ts';
import { Login } from '../mysql/login.ts';
import { STATUS } from '../mysql/packet.ts';
import type { Reply } from '../mysql/reply.ts';
import type { MonotonicMs } from '../time.ts';
import type { CloseCause, Connection, ConnectionHandler } from '../transport/transport.ts';
import type { Stage } from './contact.ts';
import { connectHint, loginLostBy, lostBy, RETRIED, RETRIED_LOGINS } from './ends.ts';
import type { LostCause } from './outcome.ts';
import type { RecordedSession } from './recorded.ts';
import { Recovery } from './recovery.ts';
import { skipCauseOf } from './rewrite.ts';
import { learn, learnRecorded, SessionState, type StateLost } from './session-state.ts';
import { namesStatement } from './statements.ts';

/** Rolls the transaction back; after any other error it goes on. */
const DEADLOCK = 1213;

/** A command under way on one copy. */
export interface InFlight {
  command: Command;
  paced: MonotonicMs;
  due: MonotonicMs;
  sent: MonotonicMs;
}

/** What a copy asks of the engine, and tells it. */
export interface SessionOwner {
  now(): MonotonicMs;
  /** When the recorded moment `at` is due. */
  due(at: number): MonotonicMs;
  /** Wake me (`advance`) at `due`. */
  wakeAt(due: MonotonicMs, session: SessionReplay): void;
  connect(session: SessionReplay): Connection;
  /** The target took a connection; its login may begin. */
  accepted(): void;
  opened(session: SessionReplay, connectMs: number): void;
  /** A connection ended before its session. Answers until when to try again: -Infinity where not to. */
  failed(session: SessionReplay, cause: CloseCause, stage: Stage): MonotonicMs;
  /** It goes on, on another connection, set up by `commands` commands of ours, without `lost`. */
  reconnected(session: SessionReplay, lost: ReadonlySet<StateLost>, commands: number): void;
  answered(session: SessionReplay, inFlight: InFlight, reply: Reply | undefined, at: MonotonicMs): void;
  lost(session: SessionReplay, command: Command, cause: LostCause, sent: boolean): void;
  skipped(session: SessionReplay, command: Command, cause: string): void;
  /** This copy is through with the command at `position`. */
  letGo(session: SessionReplay, position: number): void;
  /** Over: `cause` is undefined where it ran to its end. */
  over(session: SessionReplay, cause: LostCause | undefined, detail?: string): void;
}

/** `over` has two faces: with #lostCause set, commands still to come are lost, too. */
type State =
  | 'waiting'
  | 'connecting'
  | 'rebuilding'
  | 'ready'
  | 'busy'
  | 'closing'
  /** Without connection, until it is time to try another. */
  | 'disconnected'
  | 'over';

/**
 * One copy of a recorded session: logs in, sends its commands in order, each when it is due and the one before it was
 * answered, and ends as the recorded one did. Where the target ends its connection earlier, it goes on with another: what
 * was under way is lost, what the session had set up is set up again.
 */
export class SessionReplay implements ConnectionHandler {
  readonly recorded: RecordedSession;
  readonly copy: number;
  readonly password: string;
  state: State = 'waiting';
  /** Whether `open` was called. */
  begun = false;
  /** Since when the command under way waits for its answer. */
  busySince: MonotonicMs = 0;
  readonly #owner: SessionOwner;
  #connection: Connection | undefined;
  #login: Login | undefined;
  /** Whether its login succeeded once. */
  #opened = false;
  /** What a connection of its own must be given again; undefined: nothing. */
  #state: SessionState | undefined;
  #inTransaction = false;
  /** From the end of a connection until a command was answered on the next. */
  #recovery: Recovery | undefined;
  /** What the connection under way has failed by, where its end does not say so, and it may be tried again. */
  #failedBy: LostCause | undefined;
  /** Position of the next command to send. */
  #next = 0;
  #current: InFlight | undefined;
  /** Commands without an answer, sent since the last answer: known to have arrived when the next answer comes. */
  #unanswered: InFlight[] = [];
  /** Since when the next command could have gone. */
  #readyAt: MonotonicMs = 0;
  #connectAt: MonotonicMs = 0;
  #wakeDue: MonotonicMs = -1;
  #quit = false;
  #stopping = false;
  #lostCause: LostCause | undefined;
  #lostDetail: string | undefined;

  constructor(recorded: RecordedSession, copy: number, password: string, owner: SessionOwner) {
    this.recorded = recorded;
    this.copy = copy;
    this.password = password;
    this.#owner = owner;
  }

  /** Connects. */
  open(): void {
    this.begun = true;
    this.state = 'connecting';
    this.#failedBy = undefined;
    this.#connectAt = this.#owner.now();
    this.busySince = this.#connectAt;
    this.#connection = this.#owner.connect(this);
  }

  /** Sends what is due. To be called when a command or the end was read, and when it is time. */
  advance(): void {
    if (this.state === 'disconnected' && this.#owner.now() >= (this.#recovery as Recovery).retryAt)
      this.open();
    while (this.state === 'ready') {
      if (this.#stopping) {
        this.#finish('interrupted');
        return;
      }
      const command = this.recorded.at(this.#next);
      if (command === undefined) {
        this.#closeIfDue();
        return;
      }
      const due = this.#owner.due(command.at);
      const now = this.#owner.now();
      if (due > now) {
        this.#wakeAt(due);
        return;
      }
      this.#send(command, due, now);
    }
    // It failed, or was stopped: what was read since is lost with it.
    if (this.state === 'over' && this.#lostCause !== undefined) this.#loseRest(this.#lostCause);
  }

  /** How long the answer under way may take: `leastMs`, or `factor` times the recorded one. */
  patienceMs(leastMs: number, factor: number): number {
    const command = this.#current?.command;
    const recordedMs = command?.reply === undefined ? 0 : (command.reply.at - command.at) / 1e6;
    return Math.max(leastMs, factor * recordedMs);
  }

  /** The run is being stopped: the command under way may finish, no other begins. */
  stop(): void {
    this.#stopping = true;
    if (this.state === 'waiting' || this.state === 'disconnected') this.#end('interrupted');
    else if (this.state === 'ready') this.advance();
    else if (this.state === 'connecting' || this.state === 'rebuilding') this.cut('interrupted');
  }

  /** Ends at once, by RST. */
  cut(cause: LostCause): void {
    if (this.state === 'over') return;
    this.#lostCause ??= cause;
    if (this.#connection === undefined) this.#end(cause);
    else this.#connection.abort();
  }

  /** The connection, or its login, takes too long. */
  giveUpConnecting(): void {
    this.#failedBy = 'timeout';
    this.#connection?.abort();
  }

  // ConnectionHandler

  established(): void {
    const { meta } = this.recorded;
    if (meta.login === undefined) throw new Error('a session without login was scheduled');
    this.#owner.accepted();
    this.#login = new Login({ recorded: meta.login, user: meta.login.user, password: this.password });
  }

  packet(octets: Uint8Array): void {
    const step = this.#login?.onPacket(octets);
    if (step === undefined || this.state !== 'connecting') return;
    if (step.type === 'send') this.#connection?.writeLogin(step.octets);
    else if (step.type === 'failed') {
      this.#lostDetail = `user ${this.recorded.meta.login?.user}: ${step.message}`;
      const cause = loginLostBy(step.errno);
      // The server closes.
      if (RETRIED_LOGINS.has(step.errno)) this.#failedBy = cause;
      else this.#finish(cause);
    } else if (step.type === 'done') {
      this.#login = undefined;
      this.#lostDetail = undefined;
      this.#connection?.commandPhase(step.capabilities, step.extendedCapabilities);
      if (this.#opened) this.#rebuild();
      else {
        this.#opened = true;
        this.#recovery = undefined;
        this.#owner.opened(this, this.#owner.now() - this.#connectAt);
        this.#goOn();
      }
    }
  }

  reply(reply: Reply, receivedAt: MonotonicMs): void {
    if (this.state === 'rebuilding') {
      this.#recovery?.answered(reply);
      this.#rebuildNext();
      return;
    }
    const inFlight = this.#current;
    if (inFlight === undefined) return;
    this.#current = undefined;
    this.#recovery = undefined;
    this.#learn(inFlight.command, reply);
    this.#confirm();
    this.#readyAt = receivedAt;
    this.#owner.answered(this, inFlight, reply, receivedAt);
    if (this.state === 'busy') {
      this.state = 'ready';
      this.advance();
    }
  }

  closed(how: CloseCause): void {
    if (this.state === 'over') return;
    const gaveUp = this.state === 'connecting' && how === 'aborted' && this.#failedBy === 'timeout';
    const cause = gaveUp ? 'timeout' : how;
    const stage = this.#stage;
    this.#connection = undefined;
    this.#login = undefined;
    // The server closed first, as the recorded one did: a little early is no loss.
    if (this.state === 'ready' && cause === 'fin' && this.#isIdleToTheEnd) this.state = 'closing';
    // A server that has read COM_QUIT, or answered all, closes in order or not; and our own RST is an end, where the
    // recorded one was.
    const inOrder =
      this.state === 'closing' &&
      (cause === 'fin' ||
        cause === 'aborted' ||
        (cause === 'reset' && (this.#quit || this.#unanswered.length === 0)));
    // An end that we cut short shows nothing of what arrived.
    if (inOrder && (cause !== 'aborted' || this.#lostCause === undefined)) this.#confirm();
    if (inOrder && this.#lostCause === undefined) this.#end(undefined);
    else if (this.#lostCause !== undefined) this.#end(this.#lostCause);
    else if (this.state === 'closing' || !RETRIED.has(cause)) this.#end(lostBy(cause, stage));
    else this.#tryAgain(cause, stage);
  }

  /** How far the connection has come. */
  get #stage(): Stage {
    if (this.state !== 'connecting') return 'commands';
    return this.#login === undefined ? 'syn' : 'login';
  }

  /** Nothing is left to send or to be answered, and the recorded session ended by FIN. */
  get #isIdleToTheEnd(): boolean {
    const { close, end } = this.recorded;
    return close?.how === 'fin' && this.#next === end && this.#unanswered.length === 0;
  }

  /** The command phase begins, or goes on. */
  #goOn(): void {
    this.#readyAt = this.#owner.now();
    this.state = 'ready';
    this.advance();
  }

  /** The connection ended before the session: waits and tries another, where there is hope. */
  #tryAgain(cause: CloseCause, stage: Stage): void {
    const owner = this.#owner;
    const until = owner.failed(this, cause, stage);
    const now = owner.now();
    const lost = this.#failedBy ?? lostBy(cause, stage);
    this.#lostDetail = connectHint(cause, stage) ?? this.#lostDetail;
    this.#recovery ??= new Recovery(now);
    this.#recovery.beginAnew(now);
    const seed = this.recorded.meta.id + this.copy;
    // One that was never open and finds no room: that the target has too little is what a run is to show.
    const noRoom = this.#failedBy === 'too-many-connections' && !this.#opened;
    if (this.#stopping || noRoom || !this.#recovery.tryAgain(now, until, seed)) {
      this.#end(lost);
      return;
    }
    if (stage === 'commands') this.#disconnected(lost, this.#recovery);
    this.state = 'disconnected';
    this.#wakeAt(this.#recovery.retryAt);
  }

  /** What was under way may have been carried out or not: it is lost, and not sent again. */
  #disconnected(cause: LostCause, { lost }: Recovery): void {
    const { meta } = this.recorded;
    if (this.#inTransaction) lost.add('transaction');
    if (this.#current !== undefined) {
      const { command } = this.#current;
      this.#state = learnRecorded(this.#state, meta, command);
      if (command.reply !== undefined) this.#noteTransaction(command, command.reply);
    }
    if (this.#inTransaction) lost.add('transaction');
    this.#inTransaction = false;
    this.#state?.disconnected(lost);
    this.#loseUnderWay(cause);
  }

  /** Sets up on a new connection what the session had on the last. */
  #rebuild(): void {
    this.state = 'rebuilding';
    this.#recovery?.begin(this.#state?.rebuildSteps() ?? []);
    this.#rebuildNext();
  }

  #rebuildNext(): void {
    const recovery = this.#recovery as Recovery;
    const { step } = recovery;
    if (step !== undefined) {
      recovery.commands++;
      this.busySince = this.#owner.now();
      this.#connection?.write(step.packet, expectOf(step.com));
      return;
    }
    recovery.end();
    this.#owner.reconnected(this, recovery.lost, recovery.commands);
    this.#goOn();
  }

  /** `command` was carried out, or failed, with `reply`. */
  #learn(command: Command, reply: Reply): void {
    if (reply.kind !== 'err' || command.com === COM.stmtPrepare)
      this.#state = learn(this.#state, this.recorded.meta, command, reply);
    this.#noteTransaction(command, reply);
  }

  #noteTransaction({ com }: Command, { kind, errno, status }: Reply): void {
    if (kind === 'err') {
      if (errno === DEADLOCK) this.#inTransaction = false;
    } else if (kind !== 'text' && com !== COM.stmtPrepare && com !== COM.fieldList) {
      this.#inTransaction = (status & STATUS.inTransaction) !== 0;
    }
  }

  #send(command: Command, paced: MonotonicMs, now: MonotonicMs): void {
    const position = this.#next++;
    this.#owner.letGo(this, position);
    // Its answer was decoded since it was scheduled, and shows a command that we cannot carry out.
    const skip = skipCauseOf(command);
    if (skip !== undefined) {
      this.#owner.skipped(this, command, skip);
      return;
    }
    let packet: Uint8Array | undefined = command.packet;
    if (namesStatement(command)) {
      this.#state ??= new SessionState(this.recorded.meta);
      const { statements } = this.#state;
      if (statements.lacksLongData(command)) {
        this.#owner.lost(this, command, 'reset', false);
        return;
      }
      packet = statements.rewrite(command);
    }
    if (packet === undefined) {
      this.#owner.lost(this, command, 'unprepared', false);
      return;
    }
    const inFlight = { command, paced, due: Math.max(paced, this.#readyAt), sent: now };
    const connection = this.#connection;
    if (command.expect !== EXPECT.none) {
      this.#current = inFlight;
      this.state = 'busy';
      this.busySince = now;
      connection?.write(packet, command.expect);
      return;
    }
    this.#unanswered.push(inFlight);
    if (command.com !== COM.quit) {
      connection?.write(packet, command.expect);
      return;
    }
    this.#quit = true;
    this.state = 'closing';
    this.busySince = now;
    connection?.write(packet, command.expect);
    connection?.end();
  }

  #closeIfDue(): void {
    const { close } = this.recorded;
    if (close === undefined) return;
    const due = this.#owner.due(close.at);
    const now = this.#owner.now();
    if (due > now) {
      this.#wakeAt(due);
      return;
    }
    this.state = 'closing';
    this.busySince = now;
    if (close.how === 'rst') this.#connection?.abort();
    else this.#connection?.end();
  }

  /** Asks to be woken; once is enough however often more of the recording is read meanwhile. */
  #wakeAt(due: MonotonicMs): void {
    if (due === this.#wakeDue) return;
    this.#wakeDue = due;
    this.#owner.wakeAt(due, this);
  }

  /** Closes in order, but as a session that is lost by `cause`. */
  #finish(cause: LostCause): void {
    this.#lostCause = cause;
    this.state = 'closing';
    this.busySince = this.#owner.now();
    this.#connection?.end();
  }

  /** What was sent without an answer to come is known to have arrived. */
  #confirm(): void {
    if (this.#unanswered.length === 0) return;
    const unanswered = this.#unanswered;
    this.#unanswered = [];
    const now = this.#owner.now();
    for (const inFlight of unanswered) this.#owner.answered(this, inFlight, undefined, now);
  }

  #end(cause: LostCause | undefined): void {
    this.state = 'over';
    this.#connection = undefined;
    this.#login = undefined;
    // Even a session that ended well loses what was recorded behind its end: the count must add up.
    const behind = cause ?? 'reset';
    this.#lostCause = behind;
    this.#loseUnderWay(behind);
    const lostSome = this.#next < this.recorded.end;
    this.#loseRest(behind);
    this.#owner.over(this, cause ?? (lostSome ? 'reset' : undefined), this.#lostDetail);
  }

  #loseUnderWay(cause: LostCause): void {
    for (const { command } of this.#unanswered) this.#owner.lost(this, command, cause, true);
    this.#unanswered = [];
    if (this.#current !== undefined) this.#owner.lost(this, this.#current.command, cause, true);
    this.#current = undefined;
  }

  #loseRest(cause: LostCause): void {
    while (this.#next < this.recorded.end) {
      const position = this.#next++;
      const command = this.recorded.at(position);
      if (command !== undefined) this.#owner.lost(this, command, cause, false);
      this.#owner.letGo(this, position);
    }
  }
}
