import { CLIENT, has } from '../../mysql/capabilities.ts';
import { COM, type Command, EXPECT, expectOf } from '../../mysql/command.ts';
import { Login, type LoginDone, type LoginStep } from '../../mysql/login.ts';
import { HOST_IS_BLOCKED, sameRefusal, saysUnavailable } from '../../mysql/login-errors.ts';
import { HEADER_OCTETS, MARK, STATUS } from '../../mysql/packet.ts';
import { queryPacket } from '../../mysql/query-attributes.ts';
import type { Reply } from '../../mysql/reply.ts';
import { isRolledBack } from '../../mysql/rolled-back.ts';
import type { CaptureNs, MonotonicMs } from '../../time.ts';
import { loginHint } from '../../transport/login-remedies.ts';
import { type CloseCause, type Connection, isHostLimit } from '../../transport/transport.ts';
import type { LoginPlan } from '../accounts/logins.ts';
import type { SchemaRemap } from '../accounts/remap.ts';
import type { Stage } from '../engine/contact.ts';
import type { LostCause } from '../outcome.ts';
import type { Borrower, Lease } from '../pool/connection.ts';
import type { LateRead, RecordedSession } from '../recorded.ts';
import type { SessionPhase } from '../replayed-session.ts';
import { connectHint, isNoRoom, loginLostBy, lostBy, RETRIED, wasOfTheMoment } from './ends.ts';
import { endOfFile, filePackets } from './file-packets.ts';
import { Fitting } from './fitting.ts';
import type {
  GatedSession,
  InFlight,
  SessionGate,
  SessionHost,
  SessionLedger,
  SessionSchedule,
  SessionTarget,
} from './host.ts';
import type { Pinned, Pins } from './pins.ts';
import { Recovery } from './recovery.ts';
import { commandWithSchemas, isSendable } from './rewrite.ts';
import { Script } from './script.ts';
import { adoptedState, learn, learnRecorded, type SessionFacts, SessionState } from './session-state.ts';
import { namesStatement, type Statements } from './statements.ts';
import { beginUserChange, type ChangeUnderWay } from './user-change.ts';

/** Another thread may open what a KILL waits for: it looks again after so long. */
const LOOK_AGAIN_MS = 2;

const ROLLBACK = Buffer.from('ROLLBACK');

/**
 * One copy of a recorded session: logs in, sends its commands in order, each when it is due and the one before it was
 * answered, and ends as the recorded one did. Where the target ends its connection earlier, it goes on with another: what
 * was under way is lost, what the session had set up is set up again.
 */
export class SessionReplay implements GatedSession, Borrower {
  readonly recorded: RecordedSession;
  readonly copy: number;
  state: SessionPhase = 'waiting';
  /** Whether `open` was called. */
  begun = false;
  /** Since when the command under way waits for its answer. */
  busySince: MonotonicMs = 0;
  readonly #schedule: SessionSchedule;
  readonly #target: SessionTarget;
  readonly #gate: SessionGate;
  readonly #ledger: SessionLedger;
  readonly #script: Script;
  #plan: LoginPlan;
  #facts: SessionFacts;
  readonly #joinedLate: boolean;
  /** Names that only this copy has. */
  readonly #schemas: SchemaRemap | undefined;
  #connection: (Connection & Partial<Lease>) | undefined;
  #login: Login | undefined;
  /** What the target told on login, or, since, on a COM_CHANGE_USER; undefined: it has not let us in. */
  #done: LoginDone | undefined;
  #fitting: Fitting | undefined;
  #change: ChangeUnderWay | undefined;
  /** The recorded session changed to a user whose password is not known: what its commands would do nobody knows either. */
  #isSomebodyElse = false;
  /** The sequence id of a request for a file that was not answered yet, else -1. */
  #fileAsked = -1;
  /** Files that the command under way was given. */
  #filesSent = 0;
  /** A file that the target asked for was not to be had. */
  #fileMissing = false;
  #pinned: Pinned | undefined;
  /** Answers still to come to commands of ours. */
  #pins = 0;
  /** Whether its login succeeded once. */
  #opened = false;
  /** What a connection of its own must be given again; undefined: nothing. */
  #state: SessionState | undefined;
  #inTransaction = false;
  /** From the end of a connection until a command was answered on the next. */
  #recovery: Recovery | undefined;
  /** What the connection under way has failed by, where its end does not say so, and it may be tried again. */
  #failedBy: LostCause | undefined;
  /** The error that said so, where there was no room. */
  #noRoomBy = 0;
  /** Since when its KILL waits for the connection that it names. */
  #killSince: MonotonicMs | undefined;
  /** Our ROLLBACK is under way in the place of that command. */
  #rollsBack = false;
  /** Its next command is due, and waits for something else. */
  #isHeld = false;
  #connectAt: MonotonicMs = 0;
  #quit = false;
  /** An end of the connection that may be that of the recorded one, which was not read yet. */
  #heldEnd: { how: CloseCause; detail: string | undefined; until: MonotonicMs } | undefined;

  constructor(recorded: RecordedSession, copy: number, plan: LoginPlan, host: SessionHost) {
    this.recorded = recorded;
    this.copy = copy;
    this.#plan = plan;
    const { meta } = recorded;
    this.#facts = plan.recorded === meta.login ? meta : { ...meta, login: plan.recorded };
    this.#joinedLate = plan.adoption !== undefined;
    this.#schedule = host.schedule;
    this.#target = host.target;
    this.#gate = host.gate;
    this.#ledger = host.ledger;
    this.#schemas = host.target.schemasOf(copy);
    this.#script = new Script(this, host.schedule, host.ledger);
  }

  /** Connects. */
  open(): void {
    const { pool } = this.#target;
    const kept = pool?.take(this);
    // It waits its turn, and will be told to open again.
    if (pool !== undefined && kept === undefined) return;
    this.begun = true;
    this.state = 'connecting';
    this.#failedBy = undefined;
    this.#connectAt = this.#schedule.now();
    this.busySince = this.#connectAt;
    this.#connection = kept ?? this.#target.connect(this, this);
    if (kept?.ready !== undefined) this.lent(kept.ready);
  }

  /** Production refused the login: that is for a connection of its own. */
  get account(): string | undefined {
    return this.recorded.meta.refused === undefined ? this.#plan.user : undefined;
  }

  get plan(): LoginPlan {
    return this.#plan;
  }

  /** Sends what is due. To be called when a command or the end was read, and when it is time. */
  advance(): void {
    if (this.#holdsEnd()) return;
    if (this.state === 'disconnected') this.#retryIfDue(this.#recovery as Recovery);
    if (this.#fileAsked >= 0) this.#sendFile();
    const script = this.#script;
    while (this.state === 'ready') {
      if (script.stopping !== undefined) {
        this.#finish(script.stopping);
        return;
      }
      const recorded = script.command;
      if (recorded === undefined) {
        this.#closeIfDue();
        return;
      }
      const { due } = script;
      const now = this.#schedule.now();
      if (due > now) {
        script.wakeAt(due, now);
        return;
      }
      if (recorded.onlyFirst !== undefined && this.copy > 0) {
        if (recorded.followsLoss === true) this.#statements().lost(recorded);
        script.pass();
        this.#ledger.skipped(this, recorded, recorded.onlyFirst);
        script.thinkFrom(now);
        continue;
      }
      const command = this.#schemas === undefined ? recorded : commandWithSchemas(recorded, this.#schemas);
      if (command.followsLoss === true) this.#statements().lost(command);
      const lacksAnswer = this.#needsAnswer(command) && !script.isAnswerKnown(recorded, script.next + 1);
      const freeAt = lacksAnswer ? Number.POSITIVE_INFINITY : this.#gate.freeAt(this, recorded);
      if (freeAt === Number.POSITIVE_INFINITY) {
        this.#isHeld = true;
        return;
      }
      // What it waited for nobody knew any sooner: that is not late.
      if (this.#isHeld) script.readyAt = Math.max(script.readyAt, now);
      this.#isHeld = false;
      script.readyAt = Math.max(script.readyAt, freeAt);
      if (command.mayKill && this.#awaitsWhomItKills(command, now)) return;
      this.#send(command, due, now);
    }
    if (script.stopping === 'shed') script.loseRest('shed');
    // It failed, or was stopped: what was read since is lost with it.
    if (this.state === 'over' && script.lostCause !== undefined) script.loseRest(script.lostCause);
  }

  /** What is due when has changed: looks again. */
  retime(): void {
    this.#script.retime();
    this.advance();
  }

  /** Ordinal of the first of its commands, as far as they were read, that it is not done with; Infinity: of none. */
  get openFrom(): number {
    return this.#script.openFrom;
  }

  knowsAnswer(command: Command): boolean {
    return this.#script.isAnswerKnown(command, this.#script.next + 1, true);
  }

  get #isPooled(): boolean {
    return this.#target.pool !== undefined;
  }

  get underWay(): Command | undefined {
    return this.#script.current?.command;
  }

  get inTransaction(): boolean {
    return this.#inTransaction;
  }

  /** Whether `command` is to kill a connection that is about to be opened; looks again soon, but not for ever. */
  #awaitsWhomItKills(command: Command, now: MonotonicMs): boolean {
    this.#killSince ??= now;
    if (this.#gate.awaitsKilled(this, command, now - this.#killSince)) {
      this.#script.wakeAt(now + LOOK_AGAIN_MS, now);
      return true;
    }
    if (now > this.#killSince) this.#script.readyAt = Math.max(this.#script.readyAt, now);
    this.#killSince = undefined;
    return false;
  }

  /** How long the answer under way may take: `leastMs`, or `factor` times the recorded one. */
  patienceMs(leastMs: number, factor: number): number {
    const command = this.#script.current?.command;
    const recordedMs = command?.reply === undefined ? 0 : (command.reply.at - command.at) / 1e6;
    return Math.max(leastMs, factor * recordedMs);
  }

  /** The run is being stopped: the command under way may finish, no other begins. */
  stop(): void {
    this.#script.stopping = 'interrupted';
    if (this.state === 'waiting' || this.state === 'disconnected') this.#end('interrupted');
    else if (this.state === 'ready') this.advance();
    else if (this.state === 'connecting' || this.state === 'rebuilding') this.cut('interrupted');
    else if (this.#fileAsked >= 0) this.#sendFile();
  }

  /** When what is next to send was recorded; undefined: nothing is left of what was read. */
  get behindSince(): CaptureNs | undefined {
    return this.#script.behindSince;
  }

  /** It is too far behind a live source: the command under way may finish, then it ends in order. The rest is lost, and to come. */
  shed(): void {
    this.#script.stopping = 'shed';
    this.#script.lostCause ??= 'shed';
    this.#script.loseRest('shed');
    if (this.state === 'waiting' || this.state === 'disconnected') this.#end('shed');
    else this.advance();
  }

  /** Ends at once, by RST. */
  cut(cause: LostCause): void {
    if (this.state === 'over') return;
    this.#script.lostCause ??= cause;
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
    this.#target.accepted();
    this.#login = new Login({ ...this.#plan, tls: this.#target.tls });
  }

  secured(): void {
    if (this.#login !== undefined) this.#step(this.#login.secured());
  }

  packet(octets: Uint8Array): void {
    if (this.state === 'connecting' && this.#login !== undefined) {
      this.#target.greeted();
      this.#step(this.#login.onPacket(octets));
    } else if (this.#change !== undefined) this.#exchange(this.#change.exchange.onPacket(octets));
    // A progress report may come as well.
    else if (this.state === 'busy' && octets[HEADER_OCTETS] === MARK.infile) {
      this.#fileAsked = octets[HEADER_OCTETS - 1];
      this.#sendFile();
    }
  }

  /** The login's next step. */
  #step(step: LoginStep): void {
    switch (step.type) {
      case 'send':
        this.#connection?.writeLogin(step.octets);
        break;
      case 'tls':
        this.#connection?.writeLogin(step.octets);
        this.#connection?.startTls?.();
        break;
      case 'failed':
        this.#loginFailed(step.errno, step.message);
        break;
      case 'done':
        this.#login = undefined;
        this.#connection?.commandPhase(step.capabilities, step.extendedCapabilities);
        this.lent(step);
    }
  }

  /** The connection is logged in, by us or already. */
  lent(done: LoginDone): void {
    this.#script.lostDetail = undefined;
    this.#done = done;
    this.#fitting = new Fitting(this.recorded.meta, this.#joinedLate, done);
    this.#target.numbered(this, done.connectionId, done.nonce);
    this.#loggedIn();
  }

  #loggedIn(): void {
    const { refused } = this.recorded.meta;
    if (wasOfTheMoment(refused)) this.#leaveRefused();
    else if (refused !== undefined) {
      this.#script.lostDetail = `the target let in ${this.#plan.user}, whom production had refused by error ${refused}`;
      this.#finish('login-diverged');
    } else if (this.#opened) this.#rebuild();
    else if (this.recorded.early !== undefined) {
      this.#recovery ??= new Recovery(this.#schedule.now());
      this.#state = this.recorded.early.begin(this.copy, this.#recovery.lost);
      this.#rebuild();
    } else if (this.#plan.adoption !== undefined) {
      this.#state ??= adoptedState(this.#facts, this.#plan.adoption);
      this.#recovery ??= new Recovery(this.#schedule.now());
      this.#rebuild();
    } else {
      this.#recovery = undefined;
      this.#open();
    }
  }

  #open(): void {
    this.#opened = true;
    this.#ledger.opened(this, this.#schedule.now() - this.#connectAt);
    this.#goOn();
  }

  #loginFailed(errno: number, message: string): void {
    const { refused } = this.recorded.meta;
    const isAsRecorded = refused !== undefined && sameRefusal(errno, refused);
    if (isAsRecorded || (wasOfTheMoment(refused) && errno !== HOST_IS_BLOCKED)) {
      this.#leaveRefused();
      return;
    }
    const { user } = this.#plan;
    this.#script.lostDetail = `user ${user}: ${message}${loginHint({ errno, message, user })}`;
    // The server closes.
    if (isNoRoom(errno, message)) {
      this.#failedBy = 'too-many-connections';
      this.#noRoomBy = errno;
    } else if (saysUnavailable(errno)) this.#failedBy = 'connect';
    else
      this.#finish(
        refused === undefined || errno === HOST_IS_BLOCKED ? loginLostBy(errno) : 'login-diverged',
      );
  }

  /** It ends as it was recorded: with its login. */
  #leaveRefused(): void {
    this.state = 'closing';
    this.busySince = this.#schedule.now();
    this.#connection?.end();
  }

  /** A step of COM_CHANGE_USER, whose end its answer tells. */
  #exchange(step: LoginStep): void {
    if (step.type === 'send') this.#connection?.writeLogin(step.octets);
    else if (step.type === 'failed') {
      this.#script.lostDetail = `user ${this.#change?.plan.user}: ${step.message}`;
      this.cut('auth');
    }
  }

  /** The target waits for a file: sends it, if it is known whole, or that there is none. */
  #sendFile(): void {
    const command = this.#script.current?.command;
    if (command === undefined) return;
    const { file } = command;
    const first = (this.#fileAsked + 1) & 255;
    const packets = file && isSendable(command) ? filePackets(file, this.#filesSent, first) : undefined;
    const isOver = packets !== undefined || file?.tooLong === true;
    if (!isOver && !this.#script.isAnswerKnown(command)) return;
    this.#fileAsked = -1;
    this.#filesSent++;
    if (packets !== undefined) this.#connection?.writeLogin(packets);
    else {
      this.#fileMissing = true;
      this.#connection?.writeLogin(endOfFile(first));
    }
  }

  reply(reply: Reply, receivedAt: MonotonicMs): void {
    if (this.state === 'rebuilding') {
      this.#recovery?.answered(reply);
      this.#rebuildNext();
      return;
    }
    if (this.#pins > 0) {
      this.#pins--;
      if (reply.kind === 'err') this.#ledger.pinRefused(this);
      return;
    }
    const inFlight = this.#script.current;
    if (inFlight === undefined) return;
    const parts = this.#fitting?.parts;
    if (this.#fitting !== undefined && parts !== undefined) {
      const next = parts.answered(reply);
      if (next !== undefined) {
        this.#connection?.write(next, EXPECT.result);
        return;
      }
      reply = parts.reply;
      this.#fitting.parts = undefined;
    }
    this.#script.current = undefined;
    this.#recovery = undefined;
    if (this.#rollsBack) this.#inTransaction = false;
    else this.#learn(inFlight.command, reply);
    this.#script.confirm();
    this.#script.readyAt = receivedAt;
    if (this.#rollsBack) this.#ledger.skipped(this, inFlight.command, 'rolled-back');
    else if (this.#fileMissing) this.#ledger.lost(this, inFlight.command, 'local-infile', true);
    else this.#ledger.answered(this, inFlight, reply, receivedAt);
    this.#fileMissing = false;
    this.#rollsBack = false;
    if (this.state === 'busy') {
      this.state = 'ready';
      this.advance();
    }
  }

  closed(how: CloseCause, detail?: string): void {
    const { skewMs } = this.#schedule;
    const isEarly = (this.state === 'ready' || this.state === 'busy') && this.recorded.close === undefined;
    if (skewMs > 0 && isEarly && (how === 'fin' || how === 'reset')) {
      this.#connection = undefined;
      this.#heldEnd = { how, detail, until: this.#schedule.now() + skewMs };
      this.#script.wakeAt(this.#heldEnd.until, this.#schedule.now());
    } else this.#disconnect(how, detail);
  }

  /** Returns whether the session goes on to wait for the recorded end. */
  #holdsEnd(): boolean {
    const held = this.#heldEnd;
    if (held === undefined || this.state === 'over') return false;
    const now = this.#schedule.now();
    if (this.recorded.close === undefined && now < held.until) {
      this.#script.wakeAt(held.until, now);
      return true;
    }
    this.#heldEnd = undefined;
    this.#disconnect(held.how, held.detail);
    return false;
  }

  /** The connection has ended. */
  #disconnect(how: CloseCause, detail: string | undefined): void {
    if (this.state === 'over') return;
    if (detail !== undefined) this.#script.lostDetail = detail;
    const gaveUp = this.state === 'connecting' && how === 'aborted' && this.#failedBy === 'timeout';
    const cause = gaveUp ? 'timeout' : how;
    const stage = this.#stage;
    this.#connection = undefined;
    this.#login = undefined;
    if (this.#done !== undefined) this.#target.unnumbered(this);
    this.#done = undefined;
    this.#fitting = undefined;
    if (this.state === 'busy' && this.#endsUnanswered && (cause === 'fin' || cause === 'reset')) {
      // Killed, say: as in the recording.
      const inFlight = this.#script.current as InFlight;
      this.#script.current = undefined;
      this.state = 'closing';
      this.#ledger.answered(this, inFlight, undefined, this.#schedule.now());
    }
    // The server closed first, as the recorded one did: a little early is no loss.
    if (this.state === 'ready' && cause === 'fin' && this.#isIdleToTheEnd) {
      this.state = 'closing';
      this.#takeQuit();
    }
    // A server that has read COM_QUIT, or answered all, closes in order or not; and our own RST is an end, where the
    // recorded one was.
    const inOrder =
      this.state === 'closing' &&
      (cause === 'fin' ||
        cause === 'aborted' ||
        (cause === 'reset' && (this.#quit || this.#script.isConfirmed)));
    // An end that we cut short shows nothing of what arrived.
    if (inOrder && (cause !== 'aborted' || this.#script.lostCause === undefined)) this.#script.confirm();
    if (inOrder && this.#script.lostCause === undefined) this.#end(undefined);
    else if (this.#script.lostCause !== undefined) this.#end(this.#script.lostCause);
    else if (this.state === 'closing' || !RETRIED.has(cause)) this.#end(lostBy(cause, stage));
    else this.#tryAgain(cause, stage, detail);
  }

  /** How far the connection has come. */
  get #stage(): Stage {
    if (this.state !== 'connecting') return 'commands';
    return this.#login === undefined ? 'syn' : 'login';
  }

  /** Nothing is left to be answered or to send but COM_QUIT, and the recorded session ended in order. */
  get #isIdleToTheEnd(): boolean {
    const { close, end } = this.recorded;
    if (close === undefined || !this.#script.isConfirmed) return false;
    return this.#script.next === end ? close.how === 'fin' : this.#quitLeft !== undefined;
  }

  /** The COM_QUIT that is all there is left to send. */
  get #quitLeft(): Command | undefined {
    const command = this.#script.next === this.recorded.end - 1 ? this.#script.command : undefined;
    return command?.com === COM.quit ? command : undefined;
  }

  /** Whom it would have been said to is gone: that is as good. */
  #takeQuit(): void {
    const command = this.#quitLeft;
    if (command === undefined) return;
    this.#script.pass();
    if (this.#isPooled) {
      this.#ledger.skipped(this, command, 'pooled');
      return;
    }
    const now = this.#schedule.now();
    this.#script.sentUnanswered({ command, paced: now, due: now, sent: now, oursMs: 0, text: command });
  }

  /** The recorded connection ended under the command that is under way, too. */
  get #endsUnanswered(): boolean {
    const { close, end } = this.recorded;
    return (
      close !== undefined && this.#script.next === end && this.#script.current?.command.reply === undefined
    );
  }

  /** The command phase begins, or goes on. */
  #goOn(): void {
    this.#script.readyAt = this.#schedule.now();
    this.state = 'ready';
    this.advance();
  }

  /** The connection ended before the session: waits and tries another, where there is hope. */
  #tryAgain(cause: CloseCause, stage: Stage, detail: string | undefined): void {
    const isOurs = isHostLimit(cause);
    const noRoomBy = isOurs ? cause : this.#failedBy === 'too-many-connections' ? this.#noRoomBy : undefined;
    if (noRoomBy !== undefined && this.#script.stopping === undefined) {
      const mayWait = this.#target.turnedAway(this, noRoomBy);
      if (!this.#opened) {
        if (!mayWait) this.#end(isOurs ? cause : 'too-many-connections');
        else {
          this.begun = false;
          this.state = 'waiting';
        }
        return;
      }
    }
    const until = isOurs ? Number.POSITIVE_INFINITY : this.#target.failed(cause, stage);
    const now = this.#schedule.now();
    const lost = this.#failedBy ?? lostBy(cause, stage);
    this.#script.lostDetail = detail ?? connectHint(cause, stage) ?? this.#script.lostDetail;
    this.#recovery ??= new Recovery(now);
    this.#recovery.beginAnew(now);
    const seed = this.recorded.meta.id + this.copy;
    if (this.#script.stopping !== undefined || !this.#recovery.tryAgain(now, until, seed)) {
      this.#end(lost);
      return;
    }
    if (stage === 'commands') this.#disconnected(lost, this.#recovery);
    this.state = 'disconnected';
    this.#script.wakeAt(this.#recovery.retryAt, now);
  }

  #retryIfDue(recovery: Recovery): void {
    const now = this.#schedule.now();
    if (recovery.isTimeAt(now)) this.#target.again(this);
    else if (recovery.retryAt < Number.POSITIVE_INFINITY) this.#script.wakeAt(recovery.retryAt, now);
  }

  /** What was under way may have been carried out or not: it is lost, and not sent again. */
  #disconnected(cause: LostCause, { lost }: Recovery): void {
    if (this.#inTransaction) lost.add('transaction');
    if (this.#script.current !== undefined) {
      const { command } = this.#script.current;
      if (command.com === COM.changeUser && command.reply?.kind === 'ok') this.#changed();
      else this.#state = learnRecorded(this.#state, this.#facts, command);
      if (command.reply !== undefined) this.#noteTransaction(command, command.reply);
    }
    if (this.#inTransaction) lost.add('transaction');
    this.#inTransaction = false;
    this.#change = undefined;
    this.#fileAsked = -1;
    this.#fileMissing = false;
    this.#rollsBack = false;
    this.#pins = 0;
    this.#pinned = undefined;
    this.#state?.disconnected(lost);
    this.#script.loseUnderWay(cause);
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
      this.busySince = this.#schedule.now();
      const packet = this.#fitting?.ours(step.packet, step.com);
      if (packet !== undefined) this.#connection?.write(packet, expectOf(step.com));
      return;
    }
    recovery.end();
    if (this.#opened) {
      this.#ledger.reconnected(this, recovery.lost, recovery.commands);
      this.#goOn();
    } else {
      const before = this.#joinedLate ? 'recording' : 'window';
      this.#ledger.adopted(this, recovery.lost, recovery.commands, before);
      this.#open();
    }
  }

  /** `command` was carried out, or failed, with `reply`. */
  #learn(command: Command, reply: Reply): void {
    const change = this.#change;
    this.#change = undefined;
    if (change !== undefined && this.#done !== undefined) {
      const { scramble, authPlugin } = change.exchange;
      // What the connection's next one begins with.
      this.#done = { ...this.#done, scramble, authPlugin };
    }
    if (change !== undefined && reply.kind === 'ok') this.#changed(change.plan);
    else if (reply.kind !== 'err' || command.com === COM.stmtPrepare)
      this.#state = learn(this.#state, this.#facts, command, reply);
    this.#noteTransaction(command, reply);
  }

  #noteTransaction({ com }: Command, reply: Reply): void {
    const { kind, status } = reply;
    if (kind === 'err') {
      if (isRolledBack(reply)) this.#inTransaction = false;
    } else if (kind !== 'text' && com !== COM.stmtPrepare && com !== COM.fieldList) {
      this.#inTransaction = (status & STATUS.inTransaction) !== 0;
    }
  }

  /** COM_CHANGE_USER succeeded: of what the session had on its connection nothing is left. */
  #changed(plan = this.#change?.plan): void {
    if (plan === undefined) return;
    this.#plan = plan;
    this.#facts = { ...this.#facts, login: plan.recorded };
    this.#state = undefined;
    this.#inTransaction = false;
  }

  #send(command: Command, paced: MonotonicMs, now: MonotonicMs): void {
    const late = this.#script.pass();
    if (command.com === COM.quit && this.#isPooled) {
      this.#ledger.skipped(this, command, 'pooled');
      this.state = 'closing';
      this.busySince = now;
      this.#leave();
      return;
    }
    const connection = this.#connection;
    if (connection !== undefined && this.#gate.keepsOrder && isRolledBack(command.reply)) {
      this.#rollBack(this.#flight(command, paced, now, late), connection);
      return;
    }
    const packet = this.#fit(command);
    if (packet === undefined || connection === undefined) {
      this.#script.thinkFrom(now);
      return;
    }
    const inFlight = this.#flight(command, paced, now, late);
    if (command.expect !== EXPECT.none) {
      this.#script.current = inFlight;
      this.#filesSent = 0;
      this.state = 'busy';
      this.busySince = now;
      const { pins } = this.#target;
      const pin = pins === undefined ? undefined : this.#pin(pins, command, inFlight.text);
      if (pin !== undefined) {
        this.#pins++;
        connection.write(this.#fitting?.ours(pin, COM.query) ?? pin, EXPECT.result);
      }
      connection.write(packet, command.expect);
      return;
    }
    this.#script.thinkFrom(now);
    this.#script.sentUnanswered(inFlight);
    if (command.com !== COM.quit) {
      connection.write(packet, command.expect);
      return;
    }
    this.#quit = true;
    this.state = 'closing';
    this.busySince = now;
    connection.write(packet, command.expect);
    connection.end();
  }

  #flight(command: Command, paced: MonotonicMs, now: MonotonicMs, late: LateRead | undefined): InFlight {
    return this.#script.begin(command, this.#textOf(command), paced, now, late);
  }

  /**
   * The recorded server met a deadlock, say, and rolled back: the target might not, or choose somebody else. It is told to,
   * in the place of the command; what the transaction did until then has its traces, such as used up insert ids.
   */
  #rollBack(inFlight: InFlight, connection: Connection): void {
    const { command, sent } = inFlight;
    const reset = this.#fitting?.leaveOut(command, this.#statements());
    if (reset !== undefined) {
      this.#pins++;
      connection.write(reset, EXPECT.result);
    }
    if (!this.#inTransaction) {
      this.#ledger.skipped(this, command, 'rolled-back');
      this.#script.thinkFrom(sent);
      return;
    }
    this.#script.current = inFlight;
    this.#rollsBack = true;
    this.state = 'busy';
    this.busySince = sent;
    const packet = queryPacket(ROLLBACK, has(this.recorded.meta.capabilities, CLIENT.queryAttributes));
    connection.write(this.#fitting?.ours(packet, COM.query) ?? packet, EXPECT.result);
  }

  /** Whether what `command` is to be sent with shows in its recorded answer. */
  #needsAnswer(command: Command): boolean {
    if (command.com === COM.changeUser) return true;
    if (namesStatement(command) && this.#state?.statements.isPending(command) === true) return true;
    return this.#target.pins?.waits(command, this.#textOf(command)) === true;
  }

  #pin(pins: Pins, command: Command, text: Command): Uint8Array | undefined {
    if (this.#state?.setsTime) return undefined;
    this.#pinned ??= { insertId: false };
    const inBulk = command.com === COM.stmtBulkExecute && this.#fitting?.parts === undefined;
    return pins.before(this.recorded.meta, command, text, this.#pinned, inBulk);
  }

  /** What holds the text that `command` executes. */
  #textOf(command: Command): Command {
    return this.#state?.statements.textOf(command) ?? command;
  }

  /** What to send for `command` to this target; undefined where it was told as skipped or lost. */
  #fit(command: Command): Uint8Array | undefined {
    if (this.#isSomebodyElse && command.com !== COM.quit) {
      this.#ledger.skipped(this, command, 'unknown-user');
      return undefined;
    }
    if (command.com === COM.changeUser) return this.#beginChange(command);
    const fitted = command.mayKill
      ? this.#fitting?.fitKill(command, (id) => this.#target.connectionOf(id, this, command.at))
      : this.#fitting?.fit(command, namesStatement(command) ? this.#statements() : undefined);
    if (fitted === undefined || fitted instanceof Uint8Array) return fitted;
    if ('skipped' in fitted) this.#ledger.skipped(this, command, fitted.skipped);
    else this.#ledger.lost(this, command, fitted.lost, false);
    return undefined;
  }

  #statements(): Statements {
    this.#state ??= new SessionState(this.#facts);
    return this.#state.statements;
  }

  #beginChange(command: Command): Uint8Array | undefined {
    const { logins, tls: secure } = this.#target;
    const done = this.#done as LoginDone;
    const schemaName = (schema: string | undefined) => {
      const name = logins.schema(schema);
      return name === undefined ? name : (this.#schemas?.name(name) ?? name);
    };
    const from = { plan: this.#plan, done, logins, schemaName, secure };
    this.#change = beginUserChange(command, this.recorded.meta, from);
    if (this.#change === undefined) {
      this.#isSomebodyElse = true;
      this.#ledger.skipped(this, command, 'unknown-user');
    }
    return this.#change?.exchange.packet;
  }

  #closeIfDue(): void {
    const due = this.#script.closeDue;
    if (due === undefined) return;
    const now = this.#schedule.now();
    if (due > now) {
      this.#script.wakeAt(due, now);
      return;
    }
    this.state = 'closing';
    this.busySince = now;
    if (this.recorded.close?.how === 'rst' && !this.#isPooled) this.#connection?.abort();
    else this.#leave();
  }

  /** Closes in order, but as a session that is lost by `cause`. */
  #finish(cause: LostCause): void {
    this.#script.lostCause = cause;
    this.state = 'closing';
    this.busySince = this.#schedule.now();
    this.#leave();
  }

  /** Ends the connection in order, or gives it back. */
  #leave(): void {
    const connection = this.#connection;
    const done = this.account === undefined ? undefined : this.#done;
    if (connection?.giveBack === undefined || done === undefined) connection?.end();
    else connection.giveBack(done);
  }

  #end(cause: LostCause | undefined): void {
    this.state = 'over';
    this.#connection = undefined;
    this.#login = undefined;
    this.#script.end(cause);
  }
}
