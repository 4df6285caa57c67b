import type { SessionMeta } from '../flow/events.ts';
import type { Command } from '../mysql/command.ts';
import { saysNoRoom } from '../mysql/login-errors.ts';
import type { Divergence, LostCause, Observer, Outcome } from '../replay/outcome.ts';
import type { PoolEvent } from '../replay/pool/connection.ts';
import type { StateLost } from '../replay/session/session-state.ts';
import type { HostLimit } from '../transport/transport.ts';
import { emptyAccounts } from './accounts.ts';
import { addCause, totalOf } from './causes.ts';
import {
  addStall,
  encodeHistogram,
  histogram,
  MAX_USERS_NAMED,
  noStalls,
  recordMs,
  type Tally,
} from './tally.ts';
import { exampleOf, hasRoomFor, unrecordedError } from './unrecorded.ts';

/** Watches one share of a run and counts. */
export class SummaryObserver implements Observer {
  readonly #copies: number;
  /** The commands have times to keep, unlike at `--speed max`. */
  timed: boolean;
  readonly #counted: Omit<
    Tally,
    'unknownUsers' | 'lateness' | 'admissionWait' | 'holds' | 'poolWait' | 'recorded' | 'replayed'
  > = {
    ...emptyAccounts(),
    details: {},
    turnedAway: {},
    released: 0,
    pool: { connections: 0, sessions: 0, resets: 0, changes: 0, waited: 0 },
    maxSlipMs: 0,
    maxOursMs: 0,
    stalls: noStalls(),
    examples: {},
  };
  readonly #unknownUsers = new Set<string>();
  readonly #lateness = histogram();
  readonly #admissionWait = histogram();
  readonly #holds = histogram();
  readonly #poolWait = histogram();
  readonly #recorded = histogram();
  readonly #replayed = histogram();

  /** `timed`: the commands had times to keep, unlike at `--speed max`. */
  constructor(copies: number, timed: boolean) {
    this.#copies = copies;
    this.timed = timed;
  }

  /** What was counted so far; a copy. */
  get tally(): Tally {
    return {
      ...structuredClone(this.#counted),
      unknownUsers: [...this.#unknownUsers].slice(0, MAX_USERS_NAMED),
      lateness: encodeHistogram(this.#lateness),
      admissionWait: encodeHistogram(this.#admissionWait),
      holds: encodeHistogram(this.#holds),
      poolWait: encodeHistogram(this.#poolWait),
      recorded: encodeHistogram(this.#recorded),
      replayed: encodeHistogram(this.#replayed),
    };
  }

  /** Commands answered so far, of all copies. */
  get answeredCommands(): number {
    return this.#counted.answered;
  }

  get lostCommands(): number {
    return totalOf(this.#counted.lost);
  }

  get reconnectedSessions(): number {
    return this.#counted.reconnected;
  }

  captured(): void {
    this.#counted.commands++;
  }

  covered({ coverage }: SessionMeta): void {
    if (coverage !== undefined) addCause(this.#counted.coverage, coverage);
  }

  scheduled(_session: SessionMeta, copy: number): void {
    if (copy === 0) this.#counted.sessions++;
    this.#counted.scheduledSessions++;
  }

  unscheduled(_session: SessionMeta, _copy: number, cause: string): void {
    this.#counted.scheduledSessions--;
    addCause(this.#counted.skippedSessions, cause);
  }

  opened(): void {
    this.#counted.opened++;
  }

  completed({ refused }: SessionMeta): void {
    this.#counted.completed++;
    if (refused === undefined) return;
    this.#counted.refused++;
    if (saysNoRoom(refused)) addCause(this.#counted.refusedForRoom, String(refused));
  }

  adopted(
    _session: SessionMeta,
    _copy: number,
    lost: ReadonlySet<StateLost>,
    commands: number,
    before: 'recording' | 'window',
  ): void {
    this.#counted[before === 'recording' ? 'adopted' : 'openAtFrom']++;
    this.#setUp(lost, commands);
  }

  reconnected(_session: SessionMeta, _copy: number, lost: ReadonlySet<StateLost>, commands: number): void {
    this.#counted.reconnected++;
    this.#setUp(lost, commands);
  }

  waited(_session: SessionMeta, _copy: number, waitedMs: number): void {
    recordMs(this.#admissionWait, waitedMs);
  }

  turnedAway(_session: SessionMeta, _copy: number, by: number | HostLimit): void {
    addCause(this.#counted.turnedAway, String(by));
  }

  held(ms: number): void {
    recordMs(this.#holds, ms);
  }

  released(): void {
    this.#counted.released++;
  }

  pooled(event: PoolEvent): void {
    const { pool } = this.#counted;
    if (event === 'connection') pool.connections++;
    else if (event === 'reset') pool.resets++;
    else pool.changes++;
  }

  lent(waitedMs: number | undefined): void {
    const { pool } = this.#counted;
    pool.sessions++;
    if (waitedMs === undefined) return;
    pool.waited++;
    recordMs(this.#poolWait, waitedMs);
  }

  stalled(ms: number): void {
    addStall(this.#counted.stalls, ms);
  }

  pinRefused(): void {
    addCause(this.#counted.stateLost, 'pinned-time');
  }

  #setUp(lost: ReadonlySet<StateLost>, commands: number): void {
    this.#counted.rebuildCommands += commands;
    for (const kind of lost) addCause(this.#counted.stateLost, kind);
  }

  sessionLost(_session: SessionMeta, _copy: number, cause: LostCause, detail?: string): void {
    const { lostSessions, details } = this.#counted;
    addCause(lostSessions, cause);
    if (detail !== undefined) details[cause] ??= detail;
  }

  sessionSkipped(session: SessionMeta, cause: string, commands: number): void {
    if (cause === 'unknown-user' && session.login !== undefined) this.#unknownUsers.add(session.login.user);
    this.#counted.sessions++;
    addCause(this.#counted.skippedSessions, cause, this.#copies);
    this.unreadable(session, cause, commands);
  }

  unreadable(_session: SessionMeta, cause: string, commands: number): void {
    this.#counted.commands += commands;
    addCause(this.#counted.skipped, cause, commands * this.#copies);
  }

  answered(outcome: Outcome, divergence: Divergence): void {
    const { command, reply, paced, due, sent, oursMs, answered } = outcome;
    const counted = this.#counted;
    counted.answered++;
    if (this.timed) {
      recordMs(this.#lateness, sent - due);
      counted.maxSlipMs = Math.max(counted.maxSlipMs, due - paced - oursMs);
      counted.maxOursMs = Math.max(counted.maxOursMs, oursMs);
    }
    if (reply === undefined) {
      counted.divergence.none++;
      return;
    }
    counted.divergence[divergence]++;
    const errno = unrecordedError(outcome, divergence);
    if (errno !== undefined) {
      addCause(counted.unrecorded, String(errno));
      if (counted.examples[errno] === undefined && hasRoomFor(counted.examples))
        counted.examples[errno] = exampleOf(outcome);
    }
    recordMs(this.#replayed, answered - sent);
    if (command.reply !== undefined) recordMs(this.#recorded, (command.reply.at - command.at) / 1e6);
  }

  lost(_session: SessionMeta, _copy: number, _command: Command, cause: LostCause, sent: boolean): void {
    addCause(this.#counted.lost, cause);
    if (sent) this.#counted.sentAndLost++;
  }

  skipped(_session: SessionMeta, _command: Command, cause: string, copies: number): void {
    addCause(this.#counted.skipped, cause, copies);
  }
}
