import type { RecordedRequest } from '../../flow/events.ts';
import type { Command } from '../../mysql/command.ts';
import type { CaptureNs, MonotonicMs } from '../../time.ts';
import { Debt, sendTimes } from '../engine/stalls.ts';
import type { LostCause } from '../outcome.ts';
import type { LateRead, RecordedSession } from '../recorded.ts';
import type { ReplayedSession } from '../replayed-session.ts';
import type { InFlight, SessionLedger, SessionSchedule } from './host.ts';

/** What tells whether an answer may still be read. */
type Answered = RecordedRequest & Pick<Command, 'onTrial' | 'unpaired'>;

/**
 * Where one copy of a session is in its recording: which command is next and when it is due, what is under way, and what is
 * lost with the rest. The same for every protocol, whose recorded sessions consist of `Request`s.
 */
export class Script<Request extends RecordedRequest> {
  /** Position of the next command to send. */
  next = 0;
  /** The command sent last that has an answer, until that is there. */
  current: InFlight<Request> | undefined;
  /** Since when the next command could have gone. */
  readyAt: MonotonicMs = 0;
  /** Why no other command is to begin; undefined: they may. */
  stopping: 'interrupted' | 'shed' | undefined;
  /** What the session is lost by, and what the target said to it. Of one that is over, commands that are read later are lost, too. */
  lostCause: LostCause | undefined;
  lostDetail: string | undefined;
  readonly #session: ReplayedSession;
  readonly #recorded: RecordedSession;
  readonly #schedule: SessionSchedule;
  readonly #ledger: SessionLedger;
  /** Commands without an answer, sent since the last answer: known to have arrived when the next one comes. */
  #unanswered: InFlight<Request>[] = NONE;
  /** How much of what the session is behind is our doing. */
  readonly #ours: Debt;
  /** The next time that the session is woken, unless that is past. */
  #wakeDue: MonotonicMs = -1;

  constructor(session: ReplayedSession, schedule: SessionSchedule, ledger: SessionLedger) {
    this.#session = session;
    this.#recorded = session.recorded;
    this.#schedule = schedule;
    this.#ledger = ledger;
    this.#ours = new Debt(schedule.stalledMs);
  }

  /** The next command to send; undefined: none was read so far. */
  get command(): Request | undefined {
    return this.#recorded.at(this.next) as Request | undefined;
  }

  /** When that, which was read, is due. */
  get due(): MonotonicMs {
    const { next } = this;
    return this.#dueAt(this.#recorded.scheduledAt(next), this.#recorded.thinkNs(next));
  }

  /** When the end of the connection is due; undefined: it was not read yet. */
  get closeDue(): MonotonicMs | undefined {
    const { close } = this.#recorded;
    return close === undefined ? undefined : this.#dueAt(close.at, close.thinkNs);
  }

  /** Ordinal of the first command, as far as they were read, that this copy is not done with; Infinity: of none. */
  get openFrom(): number {
    return (this.current?.command ?? this.command)?.ordinal ?? Number.POSITIVE_INFINITY;
  }

  /** When what is next to send was recorded; undefined: nothing is left of what was read. */
  get behindSince(): CaptureNs | undefined {
    return this.command?.at;
  }

  /** Whether every command without an answer is known to have arrived. */
  get isConfirmed(): boolean {
    return this.#unanswered.length === 0;
  }

  /** Whether the recorded connection ended under the command that is under way, too. */
  get endsUnanswered(): boolean {
    const { close, end } = this.#recorded;
    return close !== undefined && this.next === end && this.current?.command.reply === undefined;
  }

  /** Wakes the session at `due`, or sooner. */
  wakeAt(due: MonotonicMs, now: MonotonicMs): void {
    if (this.#wakeDue > now && this.#wakeDue <= due) return;
    this.#wakeDue = due;
    this.#schedule.wakeAt(due, this.#session);
  }

  /** Due times have changed: nobody wakes the session any more. */
  retime(): void {
    this.#wakeDue = -1;
  }

  /** The next command is on its way, or not to be sent. Returns how much later than it was due it was read, for `begin`. */
  pass(): LateRead | undefined {
    const position = this.next++;
    const late = this.#recorded.lateAt(position);
    this.#ledger.letGo(this.#session, position);
    return late;
  }

  /** `command`, which was passed, is sent `now`. `paced`: when it was due by the pacer alone. */
  begin(
    command: Request,
    text: Request,
    paced: MonotonicMs,
    now: MonotonicMs,
    late: LateRead | undefined,
  ): InFlight<Request> {
    const times = sendTimes({ paced, readyAt: this.readyAt, now }, this.#schedule, late, this.#ours);
    return { command, ...times, text };
  }

  /** What had no answer is done with: a session that does not catch up thinks from here on. */
  thinkFrom(now: MonotonicMs): void {
    if (!this.#schedule.catchesUp) this.readyAt = now;
  }

  /** `inFlight` was sent, and has no answer. */
  sentUnanswered(inFlight: InFlight<Request>): void {
    if (this.#unanswered.length === 0) this.#unanswered = [inFlight];
    else this.#unanswered.push(inFlight);
  }

  /** What was sent without an answer to come is known to have arrived. */
  confirm(): void {
    if (this.#unanswered.length === 0) return;
    const unanswered = this.#unanswered;
    this.#unanswered = NONE;
    const now = this.#schedule.now();
    for (const inFlight of unanswered) this.#ledger.answered(this.#session, inFlight, undefined, now);
  }

  /**
   * Whether the recorded answer to `command` was read, or is known not to come: by the command after it, at position `next`,
   * or the end. If not, the session is told (`advance`) when that changes. `told`: it is to have had its turn among the events of
   * all sessions; a batch of them has its answers from the beginning.
   */
  isAnswerKnown({ reply, ordinal, onTrial, unpaired }: Answered, next = this.next, told = false): boolean {
    const recorded = this.#recorded;
    if ((reply !== undefined && !told) || recorded.close !== undefined || this.stopping !== undefined)
      return true;
    if (ordinal <= recorded.repliedTo) return true;
    // A client that pipelines has the answer after its next command.
    const mayCome = onTrial === true || (told && unpaired !== true);
    if (recorded.at(next) !== undefined && !mayCome) return true;
    recorded.awaitsReply = true;
    return false;
  }

  /** What was sent may have been carried out or not: it is lost. */
  loseUnderWay(cause: LostCause): void {
    for (const { command } of this.#unanswered) this.#ledger.lost(this.#session, command, cause, true);
    this.#unanswered = NONE;
    const command = this.current?.command;
    this.current = undefined;
    if (command !== undefined) this.#ledger.lost(this.#session, command, cause, true);
  }

  /** What was read and not sent is lost. */
  loseRest(cause: LostCause): void {
    while (this.next < this.#recorded.end) {
      const position = this.next++;
      const command = this.#recorded.at(position);
      if (command !== undefined) this.#ledger.lost(this.#session, command, cause, false);
      this.#ledger.letGo(this.#session, position);
    }
  }

  /** The session is over, whose state says so already: `cause` is undefined where it ran to its end. */
  end(cause: LostCause | undefined): void {
    // Even a session that ended well loses what was recorded after its end: the count must add up.
    const after = cause ?? 'reset';
    this.lostCause = after;
    this.loseUnderWay(after);
    const lostSome = this.next < this.#recorded.end;
    this.loseRest(after);
    this.#ledger.over(this.#session, cause ?? (lostSome ? 'reset' : undefined), this.lostDetail);
  }

  /** When what is scheduled `at` is due, `thinkNs` after the answer before it. */
  #dueAt(at: CaptureNs, thinkNs: number): MonotonicMs {
    const schedule = this.#schedule;
    return schedule.catchesUp
      ? schedule.due(at, this.#session.copy)
      : schedule.dueAfter(this.readyAt, thinkNs);
  }
}

/** Nothing is ever added to it. */
const NONE: never[] = [];
