import type { CaptureNs, MonotonicMs } from '../time.ts';
import type { LostCause } from './outcome.ts';
import type { RecordedSession } from './recorded.ts';

export type SessionPhase =
  | 'waiting'
  | 'connecting'
  | 'rebuilding'
  | 'ready'
  | 'busy'
  | 'closing'
  /** Without connection, until it is time to try another. */
  | 'disconnected'
  | 'over';

/** One copy of a recorded session, as the engine sees it, whatever protocol it speaks. */
export interface ReplayedSession {
  readonly recorded: RecordedSession;
  readonly copy: number;
  readonly state: SessionPhase;
  /** Whether `open` was called. */
  readonly begun: boolean;
  /** Since when it is in a state that the engine has no patience with for ever. */
  readonly busySince: MonotonicMs;
  /** Connects. */
  open(): void;
  /** Sends what is due. To be called when a command, an answer or the end was read, and when it is time. */
  advance(): void;
  /** What is due when has changed: looks again. */
  retime(): void;
  /** Ordinal of the first of its commands, as far as they were read, that it is not done with; Infinity: of none. */
  readonly openFrom: number;
  /** How long the answer under way may take: `leastMs`, or `factor` times the recorded one. */
  patienceMs(leastMs: number, factor: number): number;
  /** The run is being stopped: the command under way may finish, no other begins. */
  stop(): void;
  /** When what is next to send was recorded; undefined: nothing is left of what was read. */
  readonly behindSince: CaptureNs | undefined;
  /** It is too far behind a live source, and to end; the rest, and what comes of it, is lost. */
  shed(): void;
  /** Ends at once, by RST. */
  cut(cause: LostCause): void;
  /** The connection, or its login, takes too long. */
  giveUpConnecting(): void;
}
