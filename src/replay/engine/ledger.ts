import type { RecordedRequest } from '../../flow/events.ts';
import type { Reply } from '../../mysql/reply.ts';
import type { MonotonicMs } from '../../time.ts';
import type { LostCause, Outcome } from '../outcome.ts';
import type { ReplayedSession } from '../replayed-session.ts';
import type { InFlight, SessionLedger } from '../session/host.ts';
import type { StateLost } from '../session/session-state.ts';
import type { Answers } from './answers.ts';
import type { Observers } from './observers.ts';
import type { EngineOptions } from './options.ts';
import type { ReadAhead } from './read-ahead.ts';
import type { Schedule } from './schedule.ts';
import type { Target } from './target.ts';

/** What sessions tell of themselves reaches by it whoever has to know. */
export interface LedgerContext {
  options: EngineOptions;
  schedule: Schedule;
  observers: Observers;
  answers: Answers;
  ahead: ReadAhead;
  /** By their numbers. */
  targets: readonly Target[];
}

/** Which sessions are under way, and what becomes of them and their commands: each is counted once. */
export class Ledger implements SessionLedger {
  /** Sessions that are not over. */
  readonly live = new Set<ReplayedSession>();
  /** The run was stopped because its time was over: what is not begun is skipped. */
  isOutOfTime = false;
  readonly #options: EngineOptions;
  readonly #schedule: Schedule;
  readonly #observers: Observers;
  readonly #answers: Answers;
  readonly #ahead: ReadAhead;
  readonly #targets: readonly Target[];
  /** Of those that are live, those that are logged in, or were. */
  readonly #opened = new Set<ReplayedSession>();
  #whenEmpty: (() => void) | undefined;

  constructor({ options, schedule, observers, answers, ahead, targets }: LedgerContext) {
    this.#options = options;
    this.#schedule = schedule;
    this.#observers = observers;
    this.#answers = answers;
    this.#ahead = ahead;
    this.#targets = targets;
  }

  /** Sessions that have begun their commands, and are not over. */
  get openSessions(): number {
    return this.#opened.size;
  }

  /** Resolves when every session is over. */
  allOver(): Promise<void> {
    if (this.live.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#whenEmpty = resolve;
    });
  }

  opened(session: ReplayedSession, connectMs: number): void {
    this.#opened.add(session);
    const { meta } = session.recorded;
    const waitedMs = this.#targetOf(session).opened(session);
    if (waitedMs > 0) this.#observers.waited(meta, session.copy, waitedMs);
    this.#observers.opened(meta, session.copy, connectMs);
  }

  adopted(
    session: ReplayedSession,
    lost: ReadonlySet<StateLost>,
    commands: number,
    before: 'recording' | 'window',
  ): void {
    this.#observers.adopted(session.recorded.meta, session.copy, lost, commands, before);
  }

  reconnected(session: ReplayedSession, lost: ReadonlySet<StateLost>, commands: number): void {
    this.#targetOf(session).opened(session);
    this.#observers.reconnected(session.recorded.meta, session.copy, lost, commands);
  }

  pinRefused({ recorded, copy }: ReplayedSession): void {
    this.#observers.pinRefused(recorded.meta, copy);
  }

  answered(
    session: ReplayedSession,
    { command, text, paced, due, sent, oursMs }: InFlight<RecordedRequest>,
    reply: Reply | undefined,
    answered: MonotonicMs,
  ): void {
    const { recorded, copy } = session;
    const target = this.#targetOf(session);
    target.reached();
    target.order?.done(session, this.#schedule.now());
    const outcome: Outcome<RecordedRequest> = {
      session: recorded.meta,
      copy,
      command,
      text,
      paced,
      due,
      sent,
      oursMs,
      answered,
      reply,
    };
    this.#answers.came(outcome, recorded, !this.#schedule.isStopped);
  }

  lost(session: ReplayedSession, command: RecordedRequest, cause: LostCause, sent: boolean): void {
    const { meta } = session.recorded;
    if (this.isOutOfTime && cause === 'interrupted' && !sent)
      this.#observers.skipped(meta, command, 'out-of-time', 1);
    else this.#observers.lost(meta, session.copy, command, cause, sent);
    this.#done(session);
  }

  skipped(session: ReplayedSession, command: RecordedRequest, cause: string): void {
    this.#observers.skipped(session.recorded.meta, command, cause, 1);
    this.#done(session);
  }

  letGo({ recorded }: ReplayedSession, position: number): void {
    const command = recorded.at(position);
    if (command === undefined) return;
    this.#options.voice?.said(command.packet);
    this.#schedule.sent(recorded.scheduledAt(position));
    if (recorded.letGo(position)) this.#ahead.letGo(recorded, command);
  }

  over(session: ReplayedSession, cause: LostCause | undefined, detail?: string): void {
    const { recorded, copy } = session;
    const { meta } = recorded;
    const isOutOfTime = this.isOutOfTime && cause === 'interrupted';
    if (isOutOfTime && !session.begun) this.#observers.unscheduled(meta, copy, 'out-of-time');
    else if (cause === undefined || isOutOfTime) this.#observers.completed(meta, copy);
    else this.#observers.sessionLost(meta, copy, cause, detail);
    this.#options.connections?.closed(meta.id, copy);
    this.live.delete(session);
    this.#opened.delete(session);
    this.#targetOf(session).left(session, cause === 'host-blocked');
    if (this.live.size === 0) this.#whenEmpty?.();
  }

  #done(session: ReplayedSession): void {
    this.#targetOf(session).order?.done(session, this.#schedule.now());
  }

  #targetOf({ recorded }: ReplayedSession): Target {
    return this.#targets[recorded.destination.target];
  }
}
