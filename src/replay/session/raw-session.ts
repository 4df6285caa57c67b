import type { Turn } from '../../flow/raw-dialogue.ts';
import { EXPECT } from '../../mysql/command.ts';
import { NO_REPLY, type Reply } from '../../mysql/reply.ts';
import type { MonotonicMs } from '../../time.ts';
import {
  type CloseCause,
  type Connection,
  type ConnectionHandler,
  isHostLimit,
} from '../../transport/transport.ts';
import { joinHashes } from '../../wire/octet-hash.ts';
import type { LostCause } from '../outcome.ts';
import type { RecordedSession } from '../recorded.ts';
import type { ReplayedSession, SessionPhase } from '../replayed-session.ts';
import { connectHint, lostBy, RETRIED } from './connection-loss.ts';
import type { InFlight, SessionHost, SessionLedger, SessionSchedule, SessionTarget } from './host.ts';
import { Recovery } from './recovery.ts';
import { Script } from './script.ts';

/** An answer that is shorter than the recorded one is over after so long a silence, or twice the longest in the recorded one. */
const QUIET_MS = 200;
const QUIET_FACTOR = 2;

/**
 * One copy of a recorded session of which no protocol is known: sends its turns in order, each when it is due and the
 * answer to the one before it is there, and ends as the recorded one did.
 *
 * An answer is there when as many octets came as were recorded, or fewer and no more for a while. A turn that the server
 * did not answer is not waited for; what the target says to it all the same counts to the next answer. A connection that
 * ends early is the session's end: what it had said before nobody can say again.
 */
export class RawSession implements ReplayedSession, ConnectionHandler {
  readonly recorded: RecordedSession;
  readonly copy: number;
  state: SessionPhase = 'waiting';
  begun = false;
  busySince: MonotonicMs = 0;
  readonly #schedule: SessionSchedule;
  readonly #target: SessionTarget;
  readonly #ledger: SessionLedger;
  /** Its current turn stays after the answer is there until the next one goes: more may come to it. */
  readonly #script: Script<Turn>;
  #connection: Connection | undefined;
  #connectAt: MonotonicMs = 0;
  #opened = false;
  /** Of a connection that did not come about. */
  #recovery: Recovery | undefined;
  #gaveUp = false;
  /** What the connection ended by, where it stood. */
  #endedBy: CloseCause | undefined;
  /** What the target has said since the last answer that is over. */
  #octets = 0;
  #hash = 0;
  #lastAt: MonotonicMs = 0;

  constructor(recorded: RecordedSession, copy: number, { schedule, target, ledger }: SessionHost) {
    this.recorded = recorded;
    this.copy = copy;
    this.#schedule = schedule;
    this.#target = target;
    this.#ledger = ledger;
    this.#script = new Script<Turn>(this, schedule, ledger);
  }

  open(): void {
    this.begun = true;
    this.state = 'connecting';
    this.#connectAt = this.#schedule.now();
    this.busySince = this.#connectAt;
    this.#connection = this.#target.connect(this, this);
  }

  advance(): void {
    if (this.state === 'disconnected') {
      if (this.#endedBy === undefined) this.#tryAgain(this.#recovery as Recovery);
      else this.#endAsRecorded(this.#endedBy);
    }
    const script = this.#script;
    if (this.state === 'busy') this.#checkAnswer();
    while (this.state === 'ready') {
      if (script.stopping !== undefined) {
        this.#finish();
        return;
      }
      const { command } = script;
      if (command === undefined) {
        this.#closeIfDue();
        return;
      }
      const { due } = script;
      const now = this.#schedule.now();
      if (due > now) {
        script.wakeAt(due, now);
        return;
      }
      this.#send(command, due, now);
    }
    if (this.state === 'over' && script.lostCause !== undefined) script.loseRest(script.lostCause);
  }

  retime(): void {
    this.#script.retime();
    this.advance();
  }

  get openFrom(): number {
    return this.#script.openFrom;
  }

  patienceMs(leastMs: number, factor: number): number {
    const command = this.#script.current?.command;
    // How long the recorded server took, or whether it said anything, is not known yet.
    if (command?.reply === undefined) return Number.POSITIVE_INFINITY;
    return Math.max(leastMs, (factor * (command.reply.at - command.at)) / 1e6);
  }

  stop(): void {
    this.#script.stopping = 'interrupted';
    if (this.state === 'waiting' || this.state === 'disconnected') this.#end('interrupted');
    else if (this.state === 'connecting') this.cut('interrupted');
    else this.advance();
  }

  get behindSince(): number | undefined {
    return this.#script.behindSince;
  }

  /** Half a conversation has no better end. */
  shed(): void {
    this.cut('shed');
  }

  cut(cause: LostCause): void {
    if (this.state === 'over') return;
    if (this.state === 'ready') this.#settle();
    this.#script.lostCause ??= cause;
    if (this.#connection === undefined) this.#end(cause);
    else this.#connection.abort();
  }

  giveUpConnecting(): void {
    this.#gaveUp = true;
    this.#connection?.abort();
  }

  // ConnectionHandler

  established(): void {
    const now = this.#schedule.now();
    this.#opened = true;
    this.#recovery = undefined;
    this.#script.lostDetail = undefined;
    this.#target.accepted();
    this.#ledger.opened(this, now - this.#connectAt);
    this.#script.readyAt = now;
    this.state = 'ready';
    this.advance();
  }

  /** Packets are MySQL's. */
  packet(): void {}

  /** A part of an answer. */
  reply({ octets, hash }: Reply, receivedAt: MonotonicMs): void {
    this.#octets += octets;
    this.#hash = joinHashes(this.#hash, hash, octets);
    this.#lastAt = receivedAt;
    if (this.state === 'busy') this.advance();
  }

  closed(how: CloseCause, detail?: string): void {
    if (this.state === 'over') return;
    if (detail !== undefined) this.#script.lostDetail = detail;
    this.#connection = undefined;
    if (!this.#opened) this.#failed(this.#gaveUp ? 'timeout' : how);
    else if (this.#script.lostCause !== undefined) this.#end(this.#script.lostCause, how === 'fin');
    else if (this.state === 'closing') this.#closedInTurn(how);
    else {
      if (this.state === 'ready') this.#settle();
      this.#endedBy = how;
      this.state = 'disconnected';
      this.#endAsRecorded(how);
    }
  }

  /** The connection did not come about: tries another, where there is hope. */
  #failed(cause: CloseCause): void {
    this.#gaveUp = false;
    const lost = this.#script.lostCause ?? lostBy(cause, 'syn');
    if (this.#script.lostCause !== undefined || !RETRIED.has(cause)) {
      this.#end(lost);
      return;
    }
    if (isHostLimit(cause)) {
      if (!this.#target.turnedAway(this, cause)) this.#end(cause);
      else {
        this.begun = false;
        this.state = 'waiting';
      }
      return;
    }
    this.#script.lostDetail = connectHint(cause, 'syn') ?? this.#script.lostDetail;
    const until = this.#target.failed(cause, 'syn');
    const now = this.#schedule.now();
    this.#recovery ??= new Recovery(now);
    if (!this.#recovery.tryAgain(now, until, this.recorded.meta.id + this.copy)) {
      this.#end(lost);
      return;
    }
    this.state = 'disconnected';
    this.#script.wakeAt(this.#recovery.retryAt, now);
  }

  #tryAgain(recovery: Recovery): void {
    const now = this.#schedule.now();
    if (recovery.isTimeAt(now)) this.#target.again(this);
    else if (recovery.retryAt < Number.POSITIVE_INFINITY) this.#script.wakeAt(recovery.retryAt, now);
  }

  /** The target has ended the connection: so did the recorded one, or the rest is lost. What of that is not read yet will tell. */
  #endAsRecorded(cause: CloseCause): void {
    const script = this.#script;
    const lost = lostBy(cause, 'commands');
    const { current } = script;
    if (current !== undefined) {
      if (!script.isAnswerKnown(current.command)) return;
      const { reply } = current.command;
      if (reply === undefined) this.#leaveUnanswered(current);
      // What comes in order to an end is an answer, however short it is.
      else if (this.#octets >= reply.octets || (this.#octets > 0 && cause === 'fin')) this.#settle();
      else {
        this.#end(lost);
        return;
      }
    }
    const { close } = this.recorded;
    if (script.command !== undefined) this.#end(lost, cause === 'fin');
    else if (close !== undefined) {
      const asRecorded = cause === 'fin' || (cause === 'reset' && close.how === 'rst');
      this.#end(asRecorded ? undefined : lost, asRecorded);
    }
  }

  /** Its end was asked for. */
  #closedInTurn(how: CloseCause): void {
    // Our own RST is an end where the recorded one was, and theirs where all is answered.
    const inOrder = how === 'fin' || how === 'aborted' || (how === 'reset' && this.#script.isConfirmed);
    this.#end(inOrder ? undefined : lostBy(how, 'commands'), inOrder);
  }

  #send(command: Turn, paced: MonotonicMs, now: MonotonicMs): void {
    const script = this.#script;
    const connection = this.#connection as Connection;
    this.#settle();
    const late = script.pass();
    if (command.packet.length === 0 && !command.isLast) {
      // The server speaks first: nothing of ours can be late.
      const { readyAt: at } = script;
      script.current = { command, paced: at, due: at, sent: at, oursMs: 0, text: command };
    } else script.current = script.begin(command, command, paced, now, late);
    this.state = 'busy';
    this.busySince = now;
    if (command.packet.length > 0) connection.write(command.packet, EXPECT.result);
    if (command.isLast) connection.end();
    // Sending may show that the connection is gone.
    if (this.state === 'busy') this.#checkAnswer();
  }

  /** Whether the answer to the current turn is there: if so, the next one may go. */
  #checkAnswer(): void {
    const script = this.#script;
    const current = script.current as InFlight<Turn>;
    if (!script.isAnswerKnown(current.command)) return;
    const { reply } = current.command;
    if (reply === undefined) {
      this.#leaveUnanswered(current);
      script.readyAt = current.sent;
    } else {
      if (this.#octets < reply.octets && !this.#isQuiet(reply.pauseMs)) return;
      script.readyAt = Math.max(current.sent, this.#lastAt);
    }
    this.state = 'ready';
  }

  /** Whether the answer has begun, and nothing of it came for long; `pauseMs` is the recorded one's longest silence. */
  #isQuiet(pauseMs: number): boolean {
    if (this.#octets === 0) return false;
    const quietAt = this.#lastAt + Math.max(QUIET_MS, QUIET_FACTOR * pauseMs);
    const now = this.#schedule.now();
    if (now >= quietAt) return true;
    this.#script.wakeAt(quietAt, now);
    return false;
  }

  /** The recorded server did not answer `current`: nobody waits for an answer to it. */
  #leaveUnanswered(current: InFlight<Turn>): void {
    this.#script.current = undefined;
    this.#script.sentUnanswered(current);
  }

  /** The answer that is there is over: what comes from here on belongs to the next. */
  #settle(): void {
    const script = this.#script;
    const { current } = script;
    if (current === undefined) return;
    script.current = undefined;
    script.confirm();
    const hash = this.#hash;
    const reply = { ...NO_REPLY, octets: this.#octets, hash, hashUnordered: hash };
    this.#ledger.answered(this, current, reply, Math.max(current.sent, script.readyAt));
    this.#octets = 0;
    this.#hash = 0;
  }

  #closeIfDue(): void {
    const due = this.#script.closeDue;
    if (due === undefined) return;
    const now = this.#schedule.now();
    if (due > now) {
      this.#script.wakeAt(due, now);
      return;
    }
    this.#settle();
    this.state = 'closing';
    this.busySince = now;
    if (this.recorded.close?.how === 'rst') this.#connection?.abort();
    else this.#connection?.end();
  }

  /** The run is stopped: closes in order, but as a session that is lost. */
  #finish(): void {
    this.#settle();
    this.#script.lostCause = 'interrupted';
    this.state = 'closing';
    this.busySince = this.#schedule.now();
    this.#connection?.end();
  }

  /** `arrived`: the target has closed in order, and so has read all that was sent. */
  #end(cause: LostCause | undefined, arrived = false): void {
    this.state = 'over';
    if (arrived) this.#script.confirm();
    this.#script.end(cause);
  }
}
