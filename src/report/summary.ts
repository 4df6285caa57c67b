import { build, type Histogram } from 'hdr-histogram-js';
import type { SessionMeta } from '../flow/events.ts';
import type { Command } from '../mysql/command.ts';
import type { Divergence, LostCause, Observer, Outcome } from '../replay/outcome.ts';
import type { TransportStats } from '../transport/transport.ts';

/** A timed run whose commands went out later than this, for our own fault, is not what was asked for. */
const MAX_LATENESS_P99_MS = 100;

/** A timed run whose commands fell behind the recording by this much, waiting for the target, is the target's doing. */
const SERVER_BOUND_SLIP_MS = 1_000;

/** Histograms count microseconds up to an hour, to three digits. */
const HIGHEST_US = 3_600_000_000;

export interface Percentiles {
  p50: number;
  p99: number;
  max: number;
}

export type Verdict = 'valid' | 'server-bound' | 'replayer-bound' | 'invalid';

/**
 * summary.json. It adds up: captured × copies = scheduled + skipped; scheduled = answered + lost for commands,
 * = completed + lost for sessions. `skipped` and `lost` count copies, too.
 */
export interface Summary {
  captured: { packets: number; dropped: number; sessions: number; commands: number };
  sessions: {
    scheduled: number;
    opened: number;
    completed: number;
    lost: number;
    lost_by: Record<string, number>;
    skipped: Record<string, number>;
  };
  commands: {
    scheduled: number;
    sent: number;
    answered: number;
    lost: Record<string, number>;
    skipped: Record<string, number>;
  };
  lateness_ms: Percentiles;
  latency_ms: { recorded: Percentiles; replayed: Percentiles };
  divergence: Record<Divergence, number>;
  copies: number;
  speed: number | 'max';
  elapsed_s: number;
  qps: number;
  packets: { out: number; in: number; retransmitted: number; capture_dropped: number };
  verdict: Verdict;
  reasons: string[];
}

export interface RunFacts {
  packets: number;
  dropped: number;
  copies: number;
  speed: number;
  elapsedMs: number;
  transport: TransportStats;
  interrupted: boolean;
  /** Why the recording could not be read to its end, if it could not. */
  unread?: string | undefined;
}

class Counts {
  readonly #counts = new Map<string, number>();
  total = 0;

  add(cause: string, n = 1): void {
    if (n === 0) return;
    this.#counts.set(cause, (this.#counts.get(cause) ?? 0) + n);
    this.total += n;
  }

  toRecord(): Record<string, number> {
    return Object.fromEntries([...this.#counts].sort(([a], [b]) => (a < b ? -1 : 1)));
  }
}

/** Watches a run and adds it up. */
export class SummaryObserver implements Observer {
  readonly #copies: number;
  readonly #timed: boolean;
  #sessions = 0;
  #commands = 0;
  #scheduledSessions = 0;
  #opened = 0;
  #completed = 0;
  readonly #lostSessions = new Counts();
  readonly #unknownUsers = new Set<string>();
  /** What the target said of the first session lost by each cause. */
  readonly #details = new Map<string, string>();
  readonly #skippedSessions = new Counts();
  #answered = 0;
  readonly #lost = new Counts();
  #sentAndLost = 0;
  readonly #skipped = new Counts();
  #maxSlipMs = 0;
  readonly #divergence: Record<Divergence, number> = { error: 0, rows: 0, data: 0, none: 0, unknown: 0 };
  readonly #lateness = histogram();
  readonly #recorded = histogram();
  readonly #replayed = histogram();

  /** `timed`: the commands had times to keep, unlike at `--speed max`. */
  constructor(copies: number, timed: boolean) {
    this.#copies = copies;
    this.#timed = timed;
  }

  /** Commands answered so far, of all copies. */
  get answeredCommands(): number {
    return this.#answered;
  }

  get lostCommands(): number {
    return this.#lost.total;
  }

  get openedSessions(): number {
    return this.#opened;
  }

  get overSessions(): number {
    return this.#completed + this.#lostSessions.total;
  }

  captured(): void {
    this.#commands++;
  }

  scheduled(_session: SessionMeta, copy: number): void {
    if (copy === 0) this.#sessions++;
    this.#scheduledSessions++;
  }

  opened(): void {
    this.#opened++;
  }

  completed(): void {
    this.#completed++;
  }

  sessionLost(_session: SessionMeta, _copy: number, cause: LostCause, detail?: string): void {
    this.#lostSessions.add(cause);
    if (detail !== undefined && !this.#details.has(cause)) this.#details.set(cause, detail);
  }

  sessionSkipped(session: SessionMeta, cause: string, commands: number): void {
    if (cause === 'unknown-user' && session.login !== undefined) this.#unknownUsers.add(session.login.user);
    this.#sessions++;
    this.#skippedSessions.add(cause, this.#copies);
    this.#commands += commands;
    this.#skipped.add(cause, commands * this.#copies);
  }

  unreadable(_session: SessionMeta, cause: string, commands: number): void {
    this.#commands += commands;
    this.#skipped.add(cause, commands * this.#copies);
  }

  answered(outcome: Outcome, divergence: Divergence): void {
    const { command, reply, paced, due, sent, answered } = outcome;
    this.#answered++;
    if (this.#timed) {
      record(this.#lateness, sent - due);
      if (due - paced > this.#maxSlipMs) this.#maxSlipMs = due - paced;
    }
    if (reply === undefined) {
      this.#divergence.none++;
      return;
    }
    this.#divergence[divergence]++;
    record(this.#replayed, answered - sent);
    if (command.reply !== undefined) record(this.#recorded, (command.reply.at - command.at) / 1e6);
  }

  lost(_session: SessionMeta, _copy: number, _command: Command, cause: LostCause, sent: boolean): void {
    this.#lost.add(cause);
    if (sent) this.#sentAndLost++;
  }

  skipped(_session: SessionMeta, _command: Command, cause: string, copies: number): void {
    this.#skipped.add(cause, copies);
  }

  summary(facts: RunFacts): Summary {
    const scheduled = this.#commands * this.#copies - this.#skipped.total;
    const elapsed = facts.elapsedMs / 1000;
    const lateness = percentiles(this.#lateness);
    const { verdict, reasons } = this.#verdict(facts, scheduled, lateness);
    return {
      captured: {
        packets: facts.packets,
        dropped: facts.dropped,
        sessions: this.#sessions,
        commands: this.#commands,
      },
      sessions: {
        scheduled: this.#scheduledSessions,
        opened: this.#opened,
        completed: this.#completed,
        lost: this.#lostSessions.total,
        lost_by: this.#lostSessions.toRecord(),
        skipped: this.#skippedSessions.toRecord(),
      },
      commands: {
        scheduled,
        sent: this.#answered + this.#sentAndLost,
        answered: this.#answered,
        lost: this.#lost.toRecord(),
        skipped: this.#skipped.toRecord(),
      },
      lateness_ms: lateness,
      latency_ms: { recorded: percentiles(this.#recorded), replayed: percentiles(this.#replayed) },
      divergence: this.#divergence,
      copies: facts.copies,
      speed: Number.isFinite(facts.speed) ? facts.speed : 'max',
      elapsed_s: round(elapsed),
      qps: elapsed > 0 ? Math.round(this.#answered / elapsed) : 0,
      packets: {
        out: facts.transport.packetsOut,
        in: facts.transport.packetsIn,
        retransmitted: facts.transport.retransmitted,
        capture_dropped: facts.transport.captureDropped,
      },
      verdict,
      reasons,
    };
  }

  #verdict(
    facts: RunFacts,
    scheduled: number,
    lateness: Percentiles,
  ): { verdict: Verdict; reasons: string[] } {
    const invalid: string[] = [];
    const { captureDropped } = facts.transport;
    if (facts.unread !== undefined)
      invalid.push(`the recording could not be read to its end: ${facts.unread}`);
    if (facts.interrupted) invalid.push('the run was stopped before its end');
    if (this.#scheduledSessions === 0) {
      const unknown = [...this.#unknownUsers].slice(0, 5).join(', ');
      const why =
        unknown === '' ? '' : ` (no password is known of ${unknown}: name them in the file of --users)`;
      invalid.push(`nothing was replayed: no session could be scheduled${why}`);
    }
    if (facts.dropped > 0) invalid.push(`the recording lost ${facts.dropped} packets while it was made`);
    if (captureDropped > 0) {
      invalid.push(
        `the capture of answers lost ${captureDropped} packets: what they held was sent again, later`,
      );
    }
    for (const [cause, n] of Object.entries(this.#lost.toRecord()))
      invalid.push(`${n} commands were lost: ${cause}`);
    for (const [cause, n] of Object.entries(this.#lostSessions.toRecord())) {
      const detail = this.#details.get(cause);
      invalid.push(
        `${n} sessions were lost: ${cause}${detail === undefined ? '' : ` (the first: ${detail})`}`,
      );
    }
    if (scheduled !== this.#answered + this.#lost.total) {
      invalid.push(
        `the count does not add up: ${scheduled} commands scheduled, ${this.#answered} answered, ${this.#lost.total} lost`,
      );
    }
    if (invalid.length > 0) return { verdict: 'invalid', reasons: invalid };
    if (lateness.p99 > MAX_LATENESS_P99_MS) {
      const reason = `1 command in 100 went out ${lateness.p99} ms late or more for the replay host's own fault`;
      return { verdict: 'replayer-bound', reasons: [reason] };
    }
    if (this.#timed && this.#maxSlipMs > SERVER_BOUND_SLIP_MS) {
      const reason = `commands went out up to ${Math.round(this.#maxSlipMs)} ms behind the recording, waiting for answers`;
      return { verdict: 'server-bound', reasons: [reason] };
    }
    return { verdict: 'valid', reasons: [] };
  }
}

function histogram(): Histogram {
  return build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: HIGHEST_US,
    numberOfSignificantValueDigits: 3,
  });
}

function record(into: Histogram, ms: number): void {
  into.recordValue(Math.min(HIGHEST_US, Math.max(0, Math.round(ms * 1000))));
}

function percentiles(of: Histogram): Percentiles {
  if (of.totalCount === 0) return { p50: 0, p99: 0, max: 0 };
  return {
    p50: round(of.getValueAtPercentile(50) / 1000),
    p99: round(of.getValueAtPercentile(99) / 1000),
    max: round(of.maxValue / 1000),
  };
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
