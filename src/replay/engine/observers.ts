import type { RecordedRequest, SessionMeta } from '../../flow/events.ts';
import type { CaptureNs } from '../../time.ts';
import type { HostLimit } from '../../transport/transport.ts';
import type { Divergence, LostCause, Observer, Outcome } from '../outcome.ts';
import type { PoolEvent } from '../pool/connection.ts';
import type { StateLost } from '../session/session-state.ts';
import type { Trouble } from './contact.ts';

/** One observer that stands for all of a run's: passes on what it is told to those that want to know, in their order. */
export class Observers implements Required<Observer<RecordedRequest>> {
  readonly #all: readonly Observer<RecordedRequest>[];

  constructor(all: readonly Observer[]) {
    this.#all = all;
  }

  scheduled(session: SessionMeta, copy: number): void {
    for (const observer of this.#all) observer.scheduled?.(session, copy);
  }

  unscheduled(session: SessionMeta, copy: number, cause: string): void {
    for (const observer of this.#all) observer.unscheduled?.(session, copy, cause);
  }

  begun(session: SessionMeta, copy: number): void {
    for (const observer of this.#all) observer.begun?.(session, copy);
  }

  opened(session: SessionMeta, copy: number, connectMs: number): void {
    for (const observer of this.#all) observer.opened?.(session, copy, connectMs);
  }

  reconnected(session: SessionMeta, copy: number, lost: ReadonlySet<StateLost>, commands: number): void {
    for (const observer of this.#all) observer.reconnected?.(session, copy, lost, commands);
  }

  adopted(
    session: SessionMeta,
    copy: number,
    lost: ReadonlySet<StateLost>,
    commands: number,
    before: 'recording' | 'window',
  ): void {
    for (const observer of this.#all) observer.adopted?.(session, copy, lost, commands, before);
  }

  waited(session: SessionMeta, copy: number, waitedMs: number): void {
    for (const observer of this.#all) observer.waited?.(session, copy, waitedMs);
  }

  turnedAway(session: SessionMeta, copy: number, by: number | HostLimit): void {
    for (const observer of this.#all) observer.turnedAway?.(session, copy, by);
  }

  held(ms: number): void {
    for (const observer of this.#all) observer.held?.(ms);
  }

  released(): void {
    for (const observer of this.#all) observer.released?.();
  }

  pooled(event: PoolEvent): void {
    for (const observer of this.#all) observer.pooled?.(event);
  }

  lent(waitedMs: number | undefined): void {
    for (const observer of this.#all) observer.lent?.(waitedMs);
  }

  stalled(ms: number): void {
    for (const observer of this.#all) observer.stalled?.(ms);
  }

  pinRefused(session: SessionMeta, copy: number): void {
    for (const observer of this.#all) observer.pinRefused?.(session, copy);
  }

  trouble(trouble: Trouble, target: number): void {
    for (const observer of this.#all) observer.trouble?.(trouble, target);
  }

  completed(session: SessionMeta, copy: number): void {
    for (const observer of this.#all) observer.completed?.(session, copy);
  }

  sessionLost(session: SessionMeta, copy: number, cause: LostCause, detail?: string): void {
    for (const observer of this.#all) observer.sessionLost?.(session, copy, cause, detail);
  }

  sessionSkipped(session: SessionMeta, cause: string, commands: number): void {
    for (const observer of this.#all) observer.sessionSkipped?.(session, cause, commands);
  }

  covered(session: SessionMeta): void {
    for (const observer of this.#all) observer.covered?.(session);
  }

  ended(session: SessionMeta, at?: CaptureNs): void {
    for (const observer of this.#all) observer.ended?.(session, at);
  }

  unreadable(session: SessionMeta, cause: string, commands: number): void {
    for (const observer of this.#all) observer.unreadable?.(session, cause, commands);
  }

  answered(outcome: Outcome<RecordedRequest>, divergence: Divergence): void {
    for (const observer of this.#all) observer.answered?.(outcome, divergence);
  }

  lost(session: SessionMeta, copy: number, command: RecordedRequest, cause: LostCause, sent: boolean): void {
    for (const observer of this.#all) observer.lost?.(session, copy, command, cause, sent);
  }

  skipped(session: SessionMeta, command: RecordedRequest, cause: string, copies: number): void {
    for (const observer of this.#all) observer.skipped?.(session, command, cause, copies);
  }

  captured(session: SessionMeta, command: RecordedRequest): void {
    for (const observer of this.#all) observer.captured?.(session, command);
  }
}
