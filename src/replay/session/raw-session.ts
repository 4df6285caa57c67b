import { RAW, type Turn } from '../../flow/raw-dialogue.ts';
import { EXPECT } from '../../mysql/command.ts';
import { NO_REPLY, type Reply } from '../../mysql/reply.ts';
import type { MonotonicMs } from '../../time.ts';
import { type CloseCause, type Connection, isHostLimit } from '../../transport/transport.ts';
import { joinHashes } from '../../wire/octet-hash.ts';
import type { Schedule } from '../engine/schedule.ts';
import { Debt, sendTimes } from '../engine/stalls.ts';
import type { LostCause } from '../outcome.ts';
import type { RecordedSession } from '../recorded.ts';
import type { ReplayedSession, SessionPhase } from '../replayed-session.ts';
import { connectHint, lostBy, RETRIED } from './ends.ts';
import { Recovery } from './recovery.ts';
import type { InFlight, SessionOwner } from './session.ts';

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
export class RawSession implements ReplayedSession {
  readonly recorded: RecordedSession;
  readonly copy: number;
  state: SessionPhase = 'waiting';
  begun = false;
  busySince: MonotonicMs = 0;
  readonly #owner: SessionOwner;
  readonly #schedule: Schedule;
  #connection: Connection | undefined;
  #connectAt: MonotonicMs = 0;
  #opened = false;
  /** Of a connection that did not come about. */
  #recovery: Recovery | undefined;
  #gaveUp = false;
  /** What the connection ended by, where it stood. */
  #endedBy: CloseCause | undefined;
  /** Position of the next turn to send. */
  #next = 0;
  /** The turn sent last. It stays after its answer is there until the next one goes: more may come to it. */
  #current: InFlight | undefined;
  /** Turns sent before it that were not answered in the recording. */
  #unanswered: InFlight[] = [];
  /** What the target has said since the last answer that is over. */
  #octets = 0;
  #hash = 0;
  #lastAt: MonotonicMs = 0;
  /** When the answer was there; since then the next turn could have gone. */
  #readyAt: MonotonicMs = 0;
  /** How much of what it is behind is our doing. */
  readonly #ours: Debt;
  /** The next time that it will be woken, unless that is past. */
  #wakeDue: MonotonicMs = -1;
  #stopping = false;
  #lostCause: LostCause | undefined;
  #lostDetail: string | undefined;

  constructor(recorded: RecordedSession, copy: number, owner: SessionOwner) {
    this.recorded = recorded;
    this.copy = copy;
    this.#owner = owner;
    this.#schedule = owner.schedule;
    this.#ours = new Debt(owner.schedule.stalledMs);
  }

  open(): void {
    this.begun = true;
    this.state = 'connecting';
    this.#connectAt = this.#schedule.now();
    this.busySince = this.#connectAt;
    this.#connection = this.#owner.connect(this);
  }

  advance(): void {
    if (this.state === 'disconnected') {
      if (this.#endedBy === undefined) this.#tryAgain(this.#recovery as Recovery);
      else this.#endAsRecorded(this.#endedBy);
    }
    if (this.state === 'busy') this.#look();
    while (this.state === 'ready') {
      if (this.#stopping) {
        this.#finish();
        return;
      }
      const command = this.recorded.at(this.#next);
      if (command === undefined) {
        this.#closeIfDue();
        return;
      }
      const due = this.#dueAt(this.recorded.scheduledAt(this.#next), this.recorded.thinkNs(this.#next));
      const now = this.#schedule.now();
      if (due > now) {
        this.#wakeAt(due, now);
        return;
      }
      this.#send(command as Turn, due, now);
    }
    if (this.state === 'over' && this.#lostCause !== undefined) this.#loseRest(this.#lostCause);
  }

  retime(): void {
    this.#wakeDue = -1;
    this.advance();
  }

  get openFrom(): number {
    return (this.#current?.command ?? this.recorded.at(this.#next))?.ordinal ?? Number.POSITIVE_INFINITY;
  }

  patienceMs(leastMs: number, factor: number): number {
    const reply = this.#current?.command.reply;
    // How long the recorded server took, or whether it said anything, is not known yet.
    if (this.#current === undefined || reply === undefined) return Number.POSITIVE_INFINITY;
    return Math.max(leastMs, (factor * (reply.at - this.#current.command.at)) / 1e6);
  }

  stop(): void {
    this.#stopping = true;
    if (this.state === 'waiting' || this.state === 'disconnected') this.#end('interrupted');
    else if (this.state === 'connecting') this.cut('interrupted');
    else this.advance();
  }

  get behindSince(): number | undefined {
    return this.recorded.at(this.#next)?.at;
  }

  /** Half a conversation has no better end. */
  shed(): void {
    this.cut('shed');
  }

  cut(cause: LostCause): void {
    if (this.state === 'over') return;
    if (this.state === 'ready') this.#settle();
    this.#lostCause ??= cause;
    if (this.#connection === undefined) this.#end(cause);
    else this.#connection.abort();
  }

  giveUpConnecting(): void {
    this.#gaveUp = true;
    this.#connection?.abort();
  }

  // ConnectionHandler

  established(): void {
    const owner = this.#owner;
    const now = this.#schedule.now();
    this.#opened = true;
    this.#recovery = undefined;
    this.#lostDetail = undefined;
    owner.accepted(this);
    owner.opened(this, now - this.#connectAt);
    this.#readyAt = now;
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
    if (detail !== undefined) this.#lostDetail = detail;
    this.#connection = undefined;
    if (!this.#opened) this.#failed(this.#gaveUp ? 'timeout' : how);
    else if (this.#lostCause !== undefined) this.#end(this.#lostCause, how === 'fin');
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
    const owner = this.#owner;
    this.#gaveUp = false;
    const lost = this.#lostCause ?? lostBy(cause, 'syn');
    if (this.#lostCause !== undefined || !RETRIED.has(cause)) {
      this.#end(lost);
      return;
    }
    if (isHostLimit(cause)) {
      if (!owner.turnedAway(this, cause)) this.#end(cause);
      else {
        this.begun = false;
        this.state = 'waiting';
      }
      return;
    }
    this.#lostDetail = connectHint(cause, 'syn') ?? this.#lostDetail;
    const until = owner.failed(this, cause, 'syn');
    const now = this.#schedule.now();
    this.#recovery ??= new Recovery(now);
    if (!this.#recovery.tryAgain(now, until, this.recorded.meta.id + this.copy)) {
      this.#end(lost);
      return;
    }
    this.state = 'disconnected';
    this.#wakeAt(this.#recovery.retryAt, now);
  }

  #tryAgain(recovery: Recovery): void {
    const now = this.#schedule.now();
    if (recovery.isTimeAt(now)) this.#owner.again(this);
    else if (recovery.retryAt < Number.POSITIVE_INFINITY) this.#wakeAt(recovery.retryAt, now);
  }

  /** The target has ended the connection: so did the recorded one, or the rest is lost. What of that is not read yet will tell. */
  #endAsRecorded(cause: CloseCause): void {
    const lost = lostBy(cause, 'commands');
    const current = this.#current;
    if (current !== undefined) {
      if (!this.#isAnswerKnown(current)) return;
      const { reply } = current.command;
      if (reply === undefined) {
        this.#current = undefined;
        this.#unanswered.push(current);
      } else if (this.#octets >= reply.octets || (this.#octets > 0 && cause === 'fin')) {
        // What comes in order to an end is an answer, however short it is.
        this.#settle();
      } else {
        this.#end(lost);
        return;
      }
    }
    const { close } = this.recorded;
    if (this.recorded.at(this.#next) !== undefined) this.#end(lost, cause === 'fin');
    else if (close !== undefined) {
      const asRecorded = cause === 'fin' || (cause === 'reset' && close.how === 'rst');
      this.#end(asRecorded ? undefined : lost, asRecorded);
    }
  }

  /** Its end was asked for. */
  #closedInTurn(how: CloseCause): void {
    // Our own RST is an end where the recorded one was, and theirs where all is answered.
    const inOrder = how === 'fin' || how === 'aborted' || (how === 'reset' && this.#unanswered.length === 0);
    this.#end(inOrder ? undefined : lostBy(how, 'commands'), inOrder);
  }

  #send(command: Turn, paced: MonotonicMs, now: MonotonicMs): void {
    const connection = this.#connection as Connection;
    this.#settle();
    const position = this.#next++;
    const late = this.recorded.lateAt(position);
    this.#owner.letGo(this, position);
    const isSilent = command.packet.length === 0 && command.com === RAW.turn;
    if (isSilent) {
      // The server speaks first: nothing of ours can be late.
      const at = this.#readyAt;
      this.#current = { command, paced: at, due: at, sent: at, oursMs: 0, text: command };
    } else {
      const times = sendTimes({ paced, readyAt: this.#readyAt, now }, this.#schedule, late, this.#ours);
      this.#current = { command, ...times, text: command };
    }
    this.state = 'busy';
    this.busySince = now;
    if (command.packet.length > 0) connection.write(command.packet, EXPECT.result);
    if (command.com === RAW.lastTurn) connection.end();
    // Sending may show that the connection is gone.
    if (this.state === 'busy') this.#look();
  }

  /** Whether the answer to the current turn is there: if so, the next one may go. */
  #look(): void {
    const current = this.#current as InFlight;
    if (!this.#isAnswerKnown(current)) return;
    const { reply } = current.command as Turn;
    if (reply === undefined) {
      this.#current = undefined;
      this.#unanswered.push(current);
      this.#readyAt = current.sent;
    } else {
      if (this.#octets < reply.octets && !this.#isQuiet(reply.pauseMs)) return;
      this.#readyAt = Math.max(current.sent, this.#lastAt);
    }
    this.state = 'ready';
  }

  /** Whether the answer has begun, and nothing of it came for long; `pauseMs` is the recorded one's longest silence. */
  #isQuiet(pauseMs: number): boolean {
    if (this.#octets === 0) return false;
    const quietAt = this.#lastAt + Math.max(QUIET_MS, QUIET_FACTOR * pauseMs);
    const now = this.#schedule.now();
    if (now >= quietAt) return true;
    this.#wakeAt(quietAt, now);
    return false;
  }

  /** Whether the recorded answer was read, or is known not to come. If not, asks to be told (`advance`). */
  #isAnswerKnown({ command: { reply, ordinal } }: InFlight): boolean {
    const { recorded } = this;
    if (reply !== undefined || recorded.close !== undefined || this.#stopping) return true;
    if (recorded.at(this.#next) !== undefined || ordinal <= recorded.repliedTo) return true;
    recorded.awaitsReply = true;
    return false;
  }

  /** The answer that is there is over: what comes from here on belongs to the next. */
  #settle(): void {
    const current = this.#current;
    if (current === undefined) return;
    this.#current = undefined;
    this.#confirm();
    const hash = this.#hash;
    const reply = { ...NO_REPLY, octets: this.#octets, hash, hashUnordered: hash };
    this.#owner.answered(this, current, reply, Math.max(current.sent, this.#readyAt));
    this.#octets = 0;
    this.#hash = 0;
  }

  /** Turns that were not answered are known to have arrived. */
  #confirm(): void {
    if (this.#unanswered.length === 0) return;
    const unanswered = this.#unanswered;
    this.#unanswered = [];
    const now = this.#schedule.now();
    for (const inFlight of unanswered) this.#owner.answered(this, inFlight, undefined, now);
  }

  /** When what is scheduled `at` is due, `thinkNs` behind the answer before it. */
  #dueAt(at: number, thinkNs: number): MonotonicMs {
    const schedule = this.#schedule;
    return schedule.catchesUp ? schedule.due(at, this.copy) : schedule.dueAfter(this.#readyAt, thinkNs);
  }

  #closeIfDue(): void {
    const { close } = this.recorded;
    if (close === undefined) return;
    const due = this.#dueAt(close.at, close.thinkNs);
    const now = this.#schedule.now();
    if (due > now) {
      this.#wakeAt(due, now);
      return;
    }
    this.#settle();
    this.state = 'closing';
    this.busySince = now;
    if (close.how === 'rst') this.#connection?.abort();
    else this.#connection?.end();
  }

  /** Asks to be woken, unless that comes sooner anyway. */
  #wakeAt(due: MonotonicMs, now: MonotonicMs): void {
    if (this.#wakeDue > now && this.#wakeDue <= due) return;
    this.#wakeDue = due;
    this.#schedule.wakeAt(due, this);
  }

  /** The run is stopped: closes in order, but as a session that is lost. */
  #finish(): void {
    this.#settle();
    this.#lostCause = 'interrupted';
    this.state = 'closing';
    this.busySince = this.#schedule.now();
    this.#connection?.end();
  }

  /** `arrived`: the target has closed in order, and so has read all that was sent. */
  #end(cause: LostCause | undefined, arrived = false): void {
    this.state = 'over';
    if (arrived) this.#confirm();
    // Even a session that ended well loses what was recorded behind its end: the count must add up.
    const behind = cause ?? 'reset';
    this.#lostCause = behind;
    for (const { command } of this.#unanswered) this.#owner.lost(this, command, behind, true);
    this.#unanswered = [];
    if (this.#current !== undefined) this.#owner.lost(this, this.#current.command, behind, true);
    this.#current = undefined;
    const lostSome = this.#next < this.recorded.end;
    this.#loseRest(behind);
    this.#owner.over(this, cause ?? (lostSome ? 'reset' : undefined), this.#lostDetail);
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
