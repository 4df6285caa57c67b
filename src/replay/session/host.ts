/** What a session is handed by its engine: when things are due, its target, whether it may send, and who counts what becomes of it. */
import type { RecordedRequest } from '../../flow/events.ts';
import type { Command } from '../../mysql/command.ts';
import type { Reply } from '../../mysql/reply.ts';
import type { CaptureNs, MonotonicMs } from '../../time.ts';
import type { CloseCause, Connection, ConnectionHandler, HostLimit } from '../../transport/transport.ts';
import type { Logins } from '../accounts/logins.ts';
import type { SchemaRemap } from '../accounts/remap.ts';
import type { Orderly } from '../engine/commit-order.ts';
import type { Stage } from '../engine/contact.ts';
import type { LostCause } from '../outcome.ts';
import type { Pool, Waiter } from '../pool/pool.ts';
import type { ReplayedSession } from '../replayed-session.ts';
import type { Pins } from './pins.ts';
import type { StateLost } from './session-state.ts';

/** One for each target. */
export interface SessionHost {
  readonly schedule: SessionSchedule;
  readonly target: SessionTarget;
  readonly gate: SessionGate;
  readonly ledger: SessionLedger;
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

/** What has a pool's connections for a session. */
export interface PoolClient extends Waiter {
  readonly session: ReplayedSession;
}

/** The way to the target, and what commands have to be like there. */
export interface SessionTarget {
  readonly logins: Logins;
  /** Whether logins are to ask for TLS. */
  readonly tls: boolean;
  /** Connections that sessions have one after the other; undefined: each has its own. */
  readonly pool: Pool<PoolClient> | undefined;
  /** What statements are told of the time; undefined: nothing. */
  readonly pins: Pins | undefined;
  /** The names that only this copy has for schemas; undefined: none. */
  schemasOf(copy: number): SchemaRemap | undefined;
  connect(session: ReplayedSession, handler: ConnectionHandler): Connection;
  /** It took a connection; the login may begin. */
  accepted(): void;
  /** It spoke. */
  greeted(): void;
  /** A connection ended before its session. Returns until when to try again: -Infinity where not to. */
  failed(cause: CloseCause, stage: Stage): MonotonicMs;
  /** It had no room, by that error, or this host had none. Returns whether one that was never open is to wait for its turn again. */
  turnedAway(session: ReplayedSession, by: number | HostLimit): boolean;
  /** `session` has waited for another connection for long enough: opens it when it may connect. */
  again(session: ReplayedSession): void;
  /** It gave the session's connection this number, and greeted it with `nonce`. */
  numbered(session: ReplayedSession, connectionId: number, nonce: Uint8Array): void;
  /** The connection of that number is gone. */
  unnumbered(session: ReplayedSession): void;
  /** Its number in place of that of `session`'s recorded server, as of `at`, in its copy; undefined: there is no such connection. */
  connectionOf(connectionId: number, session: ReplayedSession, at: CaptureNs): number | undefined;
}

/** A session whose commands may be held back by those of others. */
export interface GatedSession extends ReplayedSession, Orderly {
  /**
   * Whether the recorded answer to its next command has had its turn among the events of all sessions, or is known not to come. If
   * not, it is told (`advance`) when that changes.
   */
  knowsAnswer(command: Command): boolean;
}

/** Whether a command that is due may go. */
export interface SessionGate {
  /** Commits come in the recorded order: what the recorded server rolled back is rolled back, too. */
  readonly keepsOrder: boolean;
  /**
   * Since when `command`, which `session` is to send next, may go: -Infinity where nothing held it. Infinity: not yet; the session is
   * told to `advance` when it may.
   */
  freeAt(session: GatedSession, command: Command): MonotonicMs;
  /** Whether a `command` that may kill names a connection that is about to be opened, and has not waited for that for too long. */
  awaitsKilled(session: ReplayedSession, command: Command, waitedMs: number): boolean;
}

/** What became of a session and its commands. */
export interface SessionLedger {
  opened(session: ReplayedSession, connectMs: number): void;
  /** A session that was open already was given what is known of it, by `commands` commands of ours, but for `lost`. */
  adopted(
    session: ReplayedSession,
    lost: ReadonlySet<StateLost>,
    commands: number,
    before: 'recording' | 'window',
  ): void;
  /** It goes on, on another connection, set up by `commands` commands of ours, without `lost`. */
  reconnected(session: ReplayedSession, lost: ReadonlySet<StateLost>, commands: number): void;
  /** The target refused to be told the time. */
  pinRefused(session: ReplayedSession): void;
  answered(
    session: ReplayedSession,
    inFlight: InFlight<RecordedRequest>,
    reply: Reply | undefined,
    at: MonotonicMs,
  ): void;
  lost(session: ReplayedSession, command: RecordedRequest, cause: LostCause, sent: boolean): void;
  skipped(session: ReplayedSession, command: RecordedRequest, cause: string): void;
  /** This copy is through with the command at `position`. */
  letGo(session: ReplayedSession, position: number): void;
  /** Over: `cause` is undefined where it ran to its end. */
  over(session: ReplayedSession, cause: LostCause | undefined, detail?: string): void;
}

/** A command under way on one copy. */
export interface InFlight<Request extends RecordedRequest = Command> {
  command: Request;
  paced: MonotonicMs;
  due: MonotonicMs;
  sent: MonotonicMs;
  /** How much of sent - paced is our doing, ms. */
  oursMs: number;
  /** What holds its text: the command, or the COM_STMT_PREPARE of the statement that it executes, where known. */
  text: Request;
}
