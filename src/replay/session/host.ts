/** What surrounds a session: what it asks of its engine, and tells it. */
import type { Command } from '../../mysql/command.ts';
import type { Reply } from '../../mysql/reply.ts';
import type { CaptureNs, MonotonicMs } from '../../time.ts';
import type { LostCause } from '../outcome.ts';
import type { ReplayedSession } from '../replayed-session.ts';

/** A command under way on one copy. */
export interface InFlight {
  command: Command;
  paced: MonotonicMs;
  due: MonotonicMs;
  sent: MonotonicMs;
  /** How much of sent - paced is our doing, ms. */
  oursMs: number;
  /** What holds its text: the command, or the COM_STMT_PREPARE of the statement that it executes, where known. */
  text: Command;
}

/** When things are due. */
export interface SessionSchedule {
  now(): MonotonicMs;
  /** When the scheduled moment `at` is due for this copy; Infinity while the run is paused. */
  due(at: CaptureNs, copy: number): MonotonicMs;
  /** When what comes `thinkNs` of the recording after `since` is due; Infinity while the run is paused. */
  dueAfter(since: MonotonicMs, thinkNs: number): MonotonicMs;
  /** Whether a session that is late goes on at once; else its think times are kept. */
  readonly catchesUp: boolean;
  /** When the last pause ended: what waited for that is not late. */
  readonly resumedAt: MonotonicMs;
  /** How long this process has stood still so far, ms. */
  readonly stalledMs: number;
  /** How much later than the target's the recorded end of a connection may be read, ms. */
  readonly skewMs: number;
  /** Calls `session.advance` at `due`. */
  wakeAt(due: MonotonicMs, session: ReplayedSession): void;
}

/** What became of a session and its commands. */
export interface SessionLedger {
  answered(session: ReplayedSession, inFlight: InFlight, reply: Reply | undefined, at: MonotonicMs): void;
  lost(session: ReplayedSession, command: Command, cause: LostCause, sent: boolean): void;
  skipped(session: ReplayedSession, command: Command, cause: string): void;
  /** This copy is through with the command at `position`. */
  letGo(session: ReplayedSession, position: number): void;
  /** Over: `cause` is undefined where it ran to its end. */
  over(session: ReplayedSession, cause: LostCause | undefined, detail?: string): void;
}
