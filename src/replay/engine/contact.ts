import type { MonotonicMs } from '../../time.ts';
import type { CloseCause } from '../../transport/transport.ts';
import { RECONNECT_MS } from '../session/recovery.ts';

/** How long nothing at all may come back before that is said, ms. A SYN is sent again after one second, and after three. */
const SILENCE_MS = 3_000;

/** Our own loop was blocked where so much more than usual lies between two looks, ms: what the target sent was not read meanwhile. */
const BLOCKED_MS = 250;

/** So many connections that fail, one after the other and none between, are the target's state and no accident. */
const FAILURES = 20;

/** What connections end by that do not come about. */
export type TroubleKind =
  /** No answer to the SYN. */
  | 'silent'
  /** The connection stands, but nobody greets. */
  | 'mute'
  | 'refused'
  /** The target, or somebody in its name, ends it before the login. */
  | 'reset'
  /** The target has blocked our host: too many handshakes with it were broken off. */
  | 'blocked';

/** How far a connection had come: SYN sent, login under way, or commands. */
export type Stage = 'syn' | 'login' | 'commands';

/** The target cannot be reached. */
export interface Trouble {
  kind: TroubleKind;
  /** Address that the last of these connections spoke from. */
  client: string;
  /** How many failed in a row; 0 where none has failed yet. */
  failures: number;
  /** Whether it could be reached before. */
  wasReached: boolean;
}

/**
 * What a run knows of whether its target is there.
 *
 * A target that nobody of this run has ever reached is tried once by each session: that it is not there shall be known at
 * once. One that was reached comes back, as a server does that is started again: sessions try again, but after
 * RECONNECT_MS in which nobody reached it each is tried once again, lest thousands wait one after the other.
 */
export class Contact {
  /** Since when the target could have answered: the first SYN, or when our own loop was last blocked. */
  #waitsSince: MonotonicMs | undefined;
  readonly #lookMs: number;
  #lookedAt: MonotonicMs | undefined;
  #client = '';
  #accepted = false;
  #greeted = false;
  #reached = false;
  #failures = 0;
  #downSince: MonotonicMs = 0;
  #lastFailure: MonotonicMs = Number.NEGATIVE_INFINITY;
  #trouble: Trouble | undefined;
  #told = false;

  /** `lookMs`: `trouble` is called so often, unless our own loop is blocked. */
  constructor(lookMs: number) {
    this.#lookMs = lookMs;
  }

  /** A SYN goes out, from `client`. */
  tried(now: MonotonicMs, client: string): void {
    this.#waitsSince ??= now;
    this.#lookedAt ??= now;
    this.#client = client;
  }

  /** What was tried did not leave this host, which had no room for it. */
  notTried(): void {
    if (!this.#accepted) this.#waitsSince = undefined;
  }

  /** The target took a connection. */
  accepted(): void {
    this.#accepted = true;
  }

  /** The target spoke: it is there, whatever comes of the login. */
  greeted(): void {
    this.#greeted = true;
  }

  /** A login succeeded, or a command was answered. */
  reached(): void {
    this.#reached = true;
    this.#failures = 0;
    this.#lastFailure = Number.NEGATIVE_INFINITY;
  }

  /** A connection ended by `cause` before its session. Returns until when to try again: -Infinity where not to. */
  failed(now: MonotonicMs, cause: CloseCause, stage: Stage): MonotonicMs {
    if (stage !== 'commands' && ++this.#failures === FAILURES) this.#is(kindOf(cause, stage));
    if (!this.#reached) return Number.NEGATIVE_INFINITY;
    if (now - this.#lastFailure > RECONNECT_MS) this.#downSince = now;
    this.#lastFailure = now;
    return this.#downSince + RECONNECT_MS;
  }

  /** The target refuses all that comes from here. */
  blocked(): void {
    this.#is('blocked');
  }

  /** What is to be told now: once in a run. */
  trouble(now: MonotonicMs): Trouble | undefined {
    if (this.#told) return undefined;
    if (this.#waitsSince !== undefined && now - this.#lookedAt! > this.#lookMs + BLOCKED_MS)
      this.#waitsSince = now;
    this.#lookedAt = now;
    const silent = this.#waitsSince !== undefined && now - this.#waitsSince >= SILENCE_MS;
    if (silent && !this.#reached && !this.#greeted && this.#failures === 0)
      this.#is(this.#accepted ? 'mute' : 'silent');
    this.#told = this.#trouble !== undefined;
    return this.#trouble;
  }

  #is(kind: TroubleKind): void {
    this.#trouble ??= {
      kind,
      client: this.#client,
      failures: this.#failures,
      wasReached: this.#reached,
    };
  }
}

function kindOf(cause: CloseCause, stage: Stage): TroubleKind {
  if (cause === 'refused') return 'refused';
  if (cause === 'timeout') return stage === 'syn' ? 'silent' : 'mute';
  return 'reset';
}
