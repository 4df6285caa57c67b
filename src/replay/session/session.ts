import { CLIENT, has } from '../../mysql/capabilities.ts';
import { COM, type Command, EXPECT } from '../../mysql/command.ts';
import { HEADER_OCTETS, MARK } from '../../mysql/packet.ts';
import { queryPacket } from '../../mysql/query-attributes.ts';
import type { Reply } from '../../mysql/reply.ts';
import { isRolledBack } from '../../mysql/rolled-back.ts';
import type { CaptureNs, MonotonicMs } from '../../time.ts';
import type { CloseCause, Connection } from '../../transport/transport.ts';
import type { LoginPlan } from '../accounts/logins.ts';
import type { SchemaRemap } from '../accounts/remap.ts';
import type { Stage } from '../engine/contact.ts';
import type { LostCause } from '../outcome.ts';
import type { LateRead, RecordedSession } from '../recorded.ts';
import type { SessionPhase } from '../replayed-session.ts';
import { lostBy, RETRIED } from './connection-loss.ts';
import { FileReply } from './file-reply.ts';
import { Holdings } from './holdings.ts';
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
import { commandWithSchemas } from './rewrite.ts';
import { Script } from './script.ts';
import type { RebuildStep, StateLost } from './session-state.ts';
import { namesStatement } from './statements.ts';
import { Uplink, type UplinkSession } from './uplink.ts';
import { UserChanges } from './user-change.ts';

/** Another thread may open what a KILL waits for: it looks again after so long. */
const LOOK_AGAIN_MS = 2;

const ROLLBACK = Buffer.from('ROLLBACK');

/**
 * One copy of a recorded session: logs in, sends its commands in order, each when it is due and the one before it was
 * answered, and ends as the recorded one did. Where the target ends its connection earlier, it goes on with another: what
 * was under way is lost, what the session had set up is set up again.
 */
export class SessionReplay implements GatedSession, UplinkSession {
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
  readonly #script: Script<Command>;
  readonly #uplink: Uplink;
  readonly #holdings: Holdings;
  readonly #users: UserChanges;
  /** Names that only this copy has. */
  readonly #schemas: SchemaRemap | undefined;
  /** The files that the target asks for in the answer under way. */
  #file: FileReply | undefined;
  #pinned: Pinned | undefined;
  /** Answers still to come to commands of ours. */
  #injected = 0;
  /** Since when its KILL waits for the connection that it names. */
  #killSince: MonotonicMs | undefined;
  /** Our ROLLBACK is under way in the place of that command. */
  #rollsBack = false;
  /** Its next command is due, and waits for something else. */
  #isHeld = false;
  /** COM_QUIT was sent. */
  #hasQuit = false;

  constructor(recorded: RecordedSession, copy: number, plan: LoginPlan, host: SessionHost) {
    this.recorded = recorded;
    this.copy = copy;
    this.#schedule = host.schedule;
    this.#target = host.target;
    this.#gate = host.gate;
    this.#ledger = host.ledger;
    this.#schemas = host.target.schemasOf(copy);
    this.#script = new Script<Command>(this, host.schedule, host.ledger);
    this.#uplink = new Uplink(this, this.#script, plan, host);
    this.#users = new UserChanges(this.#uplink, host.target, this.#schemas);
    const { meta } = recorded;
    this.#holdings = new Holdings(plan.recorded === meta.login ? meta : { ...meta, login: plan.recorded });
  }

  /** Connects. */
  open(): void {
    this.#uplink.open();
  }

  /** Sends what is due. To be called when a command or the end was read, and when it is time. */
  advance(): void {
    if (this.#uplink.holdsEnd()) return;
    if (this.state === 'disconnected') this.#uplink.retryIfDue();
    this.#sendFile();
    const script = this.#script;
    while (this.state === 'ready') {
      if (script.stopping !== undefined) {
        this.#uplink.finish(script.stopping);
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
        if (recorded.followsLoss === true) this.#holdings.statements.lost(recorded);
        script.pass();
        this.#ledger.skipped(this, recorded, recorded.onlyFirst);
        script.thinkFrom(now);
        continue;
      }
      const command = this.#schemas === undefined ? recorded : commandWithSchemas(recorded, this.#schemas);
      if (command.followsLoss === true) this.#holdings.statements.lost(command);
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
    return this.#holdings.inTransaction;
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
    else this.#sendFile();
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
    const { connection } = this.#uplink;
    if (connection === undefined) this.#end(cause);
    else connection.abort();
  }

  /** The connection, or its login, takes too long. */
  giveUpConnecting(): void {
    this.#uplink.giveUpConnecting();
  }

  // What the uplink tells.

  rebuildSteps(isFirst: boolean, lost: Set<StateLost>): readonly RebuildStep[] {
    const { beforeWindow } = this.recorded;
    const { adoption } = this.#uplink.plan;
    if (isFirst && beforeWindow !== undefined) this.#holdings.beginFrom(beforeWindow, this.copy, lost);
    else if (isFirst && adoption !== undefined) this.#holdings.adopt(adoption);
    return this.#holdings.rebuildSteps();
  }

  ready(): void {
    this.#script.readyAt = this.#schedule.now();
    this.state = 'ready';
    this.advance();
  }

  packet(octets: Uint8Array): void {
    if (this.#users.isUnderWay) {
      const failure = this.#users.packet(octets);
      if (failure === undefined) return;
      this.#script.lostDetail = failure;
      this.cut('auth');
    }
    // A progress report may come as well.
    else if (this.state === 'busy' && octets[HEADER_OCTETS] === MARK.infile) {
      const command = this.#script.current?.command;
      if (command === undefined) return;
      this.#file ??= new FileReply(command);
      this.#file.asked(octets[HEADER_OCTETS - 1]);
      this.#sendFile();
    }
  }

  #sendFile(): void {
    const { connection } = this.#uplink;
    if (connection !== undefined) this.#file?.send(connection, this.#script);
  }

  reply(reply: Reply, receivedAt: MonotonicMs): void {
    if (this.#injected > 0) {
      this.#injected--;
      if (reply.kind === 'err') this.#ledger.pinRefused(this);
      return;
    }
    const script = this.#script;
    const inFlight = script.current;
    if (inFlight === undefined) return;
    const { adapter, connection } = this.#uplink;
    const parts = adapter?.parts;
    if (adapter !== undefined && parts !== undefined) {
      const next = parts.answered(reply);
      if (next !== undefined) {
        connection?.write(next, EXPECT.result);
        return;
      }
      reply = parts.reply;
      adapter.parts = undefined;
    }
    script.current = undefined;
    this.#uplink.proved();
    const changedTo = this.#users.answered(reply);
    if (this.#rollsBack) this.#holdings.rolledBack();
    else this.#holdings.answered(inFlight.command, reply, changedTo);
    script.confirm();
    script.readyAt = receivedAt;
    if (this.#rollsBack) this.#ledger.skipped(this, inFlight.command, 'rolled-back');
    else if (this.#file?.isMissing === true) this.#ledger.lost(this, inFlight.command, 'local-infile', true);
    else this.#ledger.answered(this, inFlight, reply, receivedAt);
    this.#file = undefined;
    this.#rollsBack = false;
    if (this.state === 'busy') {
      this.state = 'ready';
      this.advance();
    }
  }

  disconnected(cause: CloseCause, stage: Stage, detail: string | undefined): void {
    const script = this.#script;
    if (this.state === 'busy' && script.endsUnanswered && (cause === 'fin' || cause === 'reset')) {
      // Killed, say: as in the recording.
      const inFlight = script.current as InFlight;
      script.current = undefined;
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
        (cause === 'reset' && (this.#hasQuit || script.isConfirmed)));
    // An end that we cut short shows nothing of what arrived.
    if (inOrder && (cause !== 'aborted' || script.lostCause === undefined)) script.confirm();
    if (inOrder && script.lostCause === undefined) this.#end(undefined);
    else if (script.lostCause !== undefined) this.#end(script.lostCause);
    else if (this.state === 'closing' || !RETRIED.has(cause)) this.#end(lostBy(cause, stage));
    else {
      const lost = this.#uplink.tryAgain(cause, stage, detail);
      if (lost !== undefined) this.#end(lost);
      else if (stage === 'commands') this.#loseConnection(lostBy(cause, stage));
    }
  }

  /** What was under way may have been carried out or not: it is lost, and not sent again. */
  #loseConnection(cause: LostCause): void {
    const command = this.#script.current?.command;
    this.#holdings.disconnected(command, this.#users.disconnected(command), this.#uplink.lost);
    this.#file = undefined;
    this.#rollsBack = false;
    this.#injected = 0;
    this.#pinned = undefined;
    this.#script.loseUnderWay(cause);
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

  #send(command: Command, paced: MonotonicMs, now: MonotonicMs): void {
    const late = this.#script.pass();
    if (command.com === COM.quit && this.#isPooled) {
      this.#ledger.skipped(this, command, 'pooled');
      this.#uplink.leave();
      return;
    }
    const { connection, adapter } = this.#uplink;
    if (connection !== undefined && this.#gate.keepsOrder && isRolledBack(command.reply)) {
      this.#rollBack(this.#flight(command, paced, now, late), connection);
      return;
    }
    const packet = this.#adapt(command);
    if (packet === undefined || connection === undefined) {
      this.#script.thinkFrom(now);
      return;
    }
    const inFlight = this.#flight(command, paced, now, late);
    if (command.expect !== EXPECT.none) {
      this.#script.current = inFlight;
      this.state = 'busy';
      this.busySince = now;
      const { pins } = this.#target;
      const pin = pins === undefined ? undefined : this.#pin(pins, command, inFlight.text);
      if (pin !== undefined) {
        this.#injected++;
        connection.write(adapter?.injected(pin, COM.query) ?? pin, EXPECT.result);
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
    this.#hasQuit = true;
    this.state = 'closing';
    this.busySince = now;
    connection.write(packet, command.expect);
    connection.end();
  }

  #flight(command: Command, paced: MonotonicMs, now: MonotonicMs, late: LateRead | undefined): InFlight {
    return this.#script.begin(command, this.#holdings.textOf(command), paced, now, late);
  }

  /**
   * The recorded server met a deadlock, say, and rolled back: the target might not, or choose somebody else. It is told to,
   * in the place of the command; what the transaction did until then has its traces, such as used up insert ids.
   */
  #rollBack(inFlight: InFlight, connection: Connection): void {
    const { command, sent } = inFlight;
    const reset = this.#uplink.adapter?.leaveOut(command, this.#holdings.statements);
    if (reset !== undefined) {
      this.#injected++;
      connection.write(reset, EXPECT.result);
    }
    if (!this.#holdings.inTransaction) {
      this.#ledger.skipped(this, command, 'rolled-back');
      this.#script.thinkFrom(sent);
      return;
    }
    this.#script.current = inFlight;
    this.#rollsBack = true;
    this.state = 'busy';
    this.busySince = sent;
    const packet = queryPacket(ROLLBACK, has(this.recorded.meta.capabilities, CLIENT.queryAttributes));
    connection.write(this.#uplink.adapter?.injected(packet, COM.query) ?? packet, EXPECT.result);
  }

  /** Whether what `command` is to be sent with shows in its recorded answer. */
  #needsAnswer(command: Command): boolean {
    if (command.com === COM.changeUser) return true;
    if (this.#holdings.awaitsStatement(command)) return true;
    return this.#target.pins?.waits(command, this.#holdings.textOf(command)) === true;
  }

  #pin(pins: Pins, command: Command, text: Command): Uint8Array | undefined {
    if (this.#holdings.setsTime) return undefined;
    this.#pinned ??= { insertId: false };
    const inBulk = command.com === COM.stmtBulkExecute && this.#uplink.adapter?.parts === undefined;
    return pins.before(this.recorded.meta, command, text, this.#pinned, inBulk);
  }

  /** What to send for `command` to this target; undefined where it was told as skipped or lost. */
  #adapt(command: Command): Uint8Array | undefined {
    if (command.com === COM.changeUser && !this.#users.isSomebodyElse) {
      const packet = this.#users.begin(command);
      if (packet !== undefined) return packet;
    }
    if (this.#users.isSomebodyElse && command.com !== COM.quit) {
      this.#ledger.skipped(this, command, 'unknown-user');
      return undefined;
    }
    const { adapter } = this.#uplink;
    const adapted = command.mayKill
      ? adapter?.adaptKill(command, (id) => this.#target.connectionOf(id, this, command.at))
      : adapter?.adapt(command, namesStatement(command) ? this.#holdings.statements : undefined);
    if (adapted === undefined || adapted instanceof Uint8Array) return adapted;
    if ('skipped' in adapted) this.#ledger.skipped(this, command, adapted.skipped);
    else this.#ledger.lost(this, command, adapted.lost, false);
    return undefined;
  }

  #closeIfDue(): void {
    const due = this.#script.closeDue;
    if (due === undefined) return;
    const now = this.#schedule.now();
    if (due > now) {
      this.#script.wakeAt(due, now);
      return;
    }
    if (this.recorded.close?.how !== 'rst' || this.#isPooled) {
      this.#uplink.leave();
      return;
    }
    this.state = 'closing';
    this.busySince = now;
    this.#uplink.connection?.abort();
  }

  #end(cause: LostCause | undefined): void {
    this.state = 'over';
    this.#file = undefined;
    this.#uplink.drop();
    this.#script.end(cause);
  }
}
