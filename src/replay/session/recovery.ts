import type { Reply } from '../../mysql/reply.ts';
import type { MonotonicMs } from '../../time.ts';
import type { RebuildStep, StateLost } from './session-state.ts';

/** How long a session without connection tries to have another one, ms: a server's restart takes less. */
export const RECONNECT_MS = 60_000;

/** The wait before the second try, doubled with each up to the longest, ms. */
const FIRST_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 2_000;

/** Parts that a wait is spread over, by half of it, so that thousands of sessions do not knock at one moment. */
const SPREAD = 16;

/**
 * A session's way to its next connection: when to try, what to set up there, and what could not be. Kept until a command was
 * answered on that, because of targets that let everybody in and at once out again: waits go on growing then.
 */
export class Recovery {
  /** What the session had and has no more. */
  readonly lost = new Set<StateLost>();
  /** Commands of ours sent. */
  commands = 0;
  /** Infinity once it is time, until the next time. */
  retryAt: MonotonicMs = 0;
  #since: MonotonicMs;
  #over = false;
  #backoffMs = FIRST_BACKOFF_MS;
  #steps: readonly RebuildStep[] = [];
  #at = 0;

  constructor(since: MonotonicMs) {
    this.#since = since;
  }

  /** The session went on, and has lost its connection again. Nothing where it has not gone on yet. */
  beginAnew(now: MonotonicMs): void {
    if (!this.#over) return;
    this.#over = false;
    this.#since = now;
    this.lost.clear();
    this.commands = 0;
  }

  /** The session goes on. */
  end(): void {
    this.#over = true;
  }

  /** Whether it is time to try again: said once. */
  isTimeAt(now: MonotonicMs): boolean {
    if (now < this.retryAt) return false;
    this.retryAt = Number.POSITIVE_INFINITY;
    return true;
  }

  /** Sets `retryAt`, unless the session's own patience is over, or `until` is past. `seed` tells sessions apart. */
  tryAgain(now: MonotonicMs, until: MonotonicMs, seed: number): boolean {
    if (now >= Math.min(until, this.#since + RECONNECT_MS)) return false;
    this.retryAt = now + this.#backoffMs * (1 + (seed % SPREAD) / (2 * SPREAD));
    this.#backoffMs = Math.min(MAX_BACKOFF_MS, this.#backoffMs * 2);
    return true;
  }

  /** There is a connection, and this is to be set up on it. */
  begin(steps: readonly RebuildStep[]): void {
    this.#steps = steps;
    this.#at = 0;
  }

  /** What to send now; undefined: all is set up. */
  get step(): RebuildStep | undefined {
    return this.#steps[this.#at];
  }

  /** The target answered `step`. */
  answered(reply: Reply): void {
    const { statement, lost } = this.#steps[this.#at++];
    if (statement !== undefined) {
      statement.id = reply.statementId;
      statement.params = reply.params;
    }
    if (reply.kind === 'err') this.lost.add(lost);
  }
}
