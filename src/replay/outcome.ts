import type { RecordedRequest, SessionMeta } from '../flow/events.ts';
import type { Command } from '../mysql/command.ts';
import type { Reply } from '../mysql/reply.ts';
import type { CaptureNs, MonotonicMs } from '../time.ts';
import type { HostLimit } from '../transport/transport.ts';
import type { Trouble } from './engine/contact.ts';
import type { PoolEvent } from './pool/connection.ts';
import type { StateLost } from './session/session-state.ts';

/** Why a command that should have run did not, or was not seen to. */
export type LostCause =
  /** No connection, or no other in the place of one that ended: SYNs unanswered or refused, or no free port. */
  | 'connect'
  /** The replay host had no descriptor, or no port, for its connection, for as long as such are waited for. */
  | HostLimit
  /** The target refused for want of room (1040, say), and went on to … */
  | 'too-many-connections'
  /** … blocked our host, as too many handshakes with it had been broken off … */
  | 'host-blocked'
  /** … or refused the login. */
  | 'auth'
  /** The target closed or reset the connection while the command, or long data for it, was under way. */
  | 'reset'
  /** Retransmission gave up, or no answer came for very long. */
  | 'timeout'
  /** The target's answer could not be read. */
  | 'desync'
  /** TLS with the target did not come about, or its certificate is not to be trusted. */
  | 'tls'
  /** The channel to intercept broke. */
  | 'relay'
  /** Its statement could not be prepared on the target. */
  | 'unprepared'
  /** It read a file of the client's that the capture does not hold whole. */
  | 'local-infile'
  /** The target let in whom production had refused, or refused the login for another reason. */
  | 'login-diverged'
  /** It waited for a place among the connections until nothing more could be read of those who had one. */
  | 'no-place'
  /** A live run was so far behind that whole sessions had to go. */
  | 'shed'
  /** The run was stopped first; or, where this one goes on with it, it was under way when that run ended. */
  | 'interrupted'
  /** The records that would tell whether the run that this one goes on with had begun it are gone. */
  | 'unknown-after-crash';

/** How a replayed answer differs from the recorded one: the gravest difference names it. */
export type Divergence =
  | 'none'
  /** One failed and the other did not, or they failed differently. */
  | 'error'
  /** Other numbers of rows or columns, or rows affected. */
  | 'rows'
  /** As many rows, but not the same ones. */
  | 'data'
  /** The capture does not hold the recorded answer. */
  | 'unknown'
  /** It differs because what it asks for has to: the numbers of connections. */
  | 'not-comparable';

/** What became of one command of one copy. */
export interface Outcome<Request extends RecordedRequest = Command> {
  session: SessionMeta;
  copy: number;
  command: Request;
  /** What holds its text: the command, or the COM_STMT_PREPARE of the statement that it executes, where known. */
  text: Request;
  /** When it should have gone out by the pacer alone … */
  paced: MonotonicMs;
  /** … and that, or when the answer before it had come, whichever was later. due - paced is the target's delay. */
  due: MonotonicMs;
  /** sent - due is our lateness. */
  sent: MonotonicMs;
  /** How much of sent - paced came about because this process stood still, or read too slowly, ms: not the target's delay. */
  oursMs: number;
  /** When its answer was there; for a command without answer, when it was known to have arrived. */
  answered: MonotonicMs;
  /** undefined for a command that has no answer. */
  reply: Reply | undefined;
}

/** Who watches a run. Must neither throw nor wait. One that looks at commands is for runs of MySQL. */
export interface Observer<Request extends RecordedRequest = Command> {
  scheduled?(session: SessionMeta, copy: number): void;
  /** A scheduled session is not begun after all: it counts as skipped, not as scheduled. */
  unscheduled?(session: SessionMeta, copy: number, cause: string): void;
  /** It is about to connect; said again where it connects again. */
  begun?(session: SessionMeta, copy: number): void;
  /** Its connection was made, in this run; or, with 0 ms, in the one that this goes on with, which was interrupted then. */
  opened?(session: SessionMeta, copy: number, connectMs: number): void;
  /**
   * Its connection ended before it did, and it goes on with another, set up by `commands` commands of ours. `lost`: what it
   * had on the first and could not be given again. Of a session that never goes on nothing of this is told.
   */
  reconnected?(session: SessionMeta, copy: number, lost: ReadonlySet<StateLost>, commands: number): void;
  /**
   * A session that was open already was given what is known of it, by `commands` commands of ours, but for `lost`. `before`: what it
   * began before.
   */
  adopted?(
    session: SessionMeta,
    copy: number,
    lost: ReadonlySet<StateLost>,
    commands: number,
    before: 'recording' | 'window',
  ): void;
  /** It was let in `waitedMs` behind its time: there was no place, or as many as may connect in a moment already did. */
  waited?(session: SessionMeta, copy: number, waitedMs: number): void;
  /** The target had no room, by that error, or this host had none; it is tried again. */
  turnedAway?(session: SessionMeta, copy: number, by: number | HostLimit): void;
  /** `--order commit`: a command went that was held for `ms`. */
  held?(ms: number): void;
  /** `--order commit`: a command went before all that it was to wait for. */
  released?(): void;
  /** `--pool`: what happened to one of its connections … */
  pooled?(event: PoolEvent): void;
  /** … and a session was given one, for which it had to wait for so long; undefined: it had not. */
  lent?(waitedMs: number | undefined): void;
  /** Nothing could be done for `ms`: this process was stopped, or blocked. */
  stalled?(ms: number): void;
  /** The target refused the SET of `--pin-time` before a command. */
  pinRefused?(session: SessionMeta, copy: number): void;
  /** The target of this number cannot be reached, as it seems. Once in a run for each. */
  trouble?(trouble: Trouble, target: number): void;
  /** The session ran to its end. Commands of it may be lost, where it reconnected. */
  completed?(session: SessionMeta, copy: number): void;
  /** `detail`: what the target said, where it said something. */
  sessionLost?(session: SessionMeta, copy: number, cause: LostCause, detail?: string): void;
  /** One recorded session, all its copies; `commands` of its commands were seen, but not told by `captured`. */
  sessionSkipped?(session: SessionMeta, cause: string, commands: number): void;
  /** The end of a recorded session was read: how much the capture holds of it is known. */
  covered?(session: SessionMeta): void;
  /** The end of a scheduled session was read: what is captured of it was told, what becomes of it may not be. */
  ended?(session: SessionMeta, at?: CaptureNs): void;
  /** Commands of a recorded session that the capture holds only in part: nobody can replay them. All copies. */
  unreadable?(session: SessionMeta, cause: string, commands: number): void;
  /** Each command captured ends, for each copy, as exactly one of answered, lost and skipped. */
  answered?(outcome: Outcome<Request>, divergence: Divergence): void;
  /** `sent`: it went out, but was not seen to be answered. */
  lost?(session: SessionMeta, copy: number, command: Request, cause: LostCause, sent: boolean): void;
  /** A recorded command, for so many of its copies. */
  skipped?(session: SessionMeta, command: Request, cause: string, copies: number): void;
  /** One recorded command was read. */
  captured?(session: SessionMeta, command: Request): void;
}

/** Compares an answer with the recorded one. */
export function divergenceOf(recorded: Reply | undefined, replayed: Reply | undefined): Divergence {
  if (recorded === undefined) return replayed === undefined ? 'none' : 'unknown';
  if (replayed === undefined) return 'unknown';
  if (recorded.errno !== replayed.errno || (recorded.kind === 'err') !== (replayed.kind === 'err'))
    return 'error';
  if (
    recorded.rows !== replayed.rows ||
    recorded.columns !== replayed.columns ||
    recorded.affected !== replayed.affected
  ) {
    return 'rows';
  }
  return recorded.hash === replayed.hash || recorded.hashUnordered === replayed.hashUnordered
    ? 'none'
    : 'data';
}
