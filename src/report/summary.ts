import type { Histogram } from 'hdr-histogram-js';
import type { Coverage, SessionMeta } from '../flow/events.ts';
import type { Command } from '../mysql/command.ts';
import { saysNoRoom } from '../mysql/login-errors.ts';
import type { Divergence, LostCause, Observer, Outcome } from '../replay/outcome.ts';
import type { PoolEvent } from '../replay/pool/connection.ts';
import type { StateLost } from '../replay/session/session-state.ts';
import type { HostLimit, TransportStats } from '../transport/transport.ts';
import { emptyAccounts } from './accounts.ts';
import { byCoverage } from './coverage.ts';
import { packetsLost } from './losses.ts';
import type { RecordingFacts } from './recording.ts';
import { type Replayed, replayedOf } from './replayed.ts';
import {
  addCause,
  addStall,
  byName,
  decodeHistogram,
  encodeHistogram,
  histogram,
  MAX_USERS_NAMED,
  noStalls,
  recordMs,
  type StallSums,
  type Tally,
  totalOf,
} from './tally.ts';
import {
  exampleOf,
  hasRoomFor,
  type UnrecordedErrors,
  unrecordedError,
  unrecordedErrors,
} from './unrecorded.ts';
import { type Verdict, verdictOf } from './verdict.ts';

export interface Percentiles {
  p50: number;
  p99: number;
  max: number;
}

export interface Stalls {
  count: number;
  seconds: number;
  longest_s: number;
}

export interface SpeedChange {
  /** Behind the run's beginning. */
  at_s: number;
  speed: number | 'max' | 'paused';
}

/** Sessions that were picked by their numbers. */
export interface Picked {
  /** `1/2`. */
  share?: string;
  /** From 0 to 1. */
  sample?: number;
  sessions: number;
  /** All sessions that the mappings take. */
  of: number;
  /** Their numbers, as --sessions takes them; left out where there are more than 10,000. */
  ids?: string;
}

/**
 * summary.json. It adds up: captured × copies = scheduled + skipped; scheduled = answered + lost for commands,
 * = completed + lost for sessions. `skipped` and `lost` count copies, too.
 */
export interface Summary {
  captured: {
    packets: number;
    /** Packets that were lost, and of them by cause: `kernel`, `disk`, `damage`. Only the causes that occur. */
    dropped: number;
    dropped_by: Record<string, number>;
    /** Times in which its interface was down, and how long they were together; left out where there were none. */
    gaps?: { count: number; seconds: number };
    /** Packets of connections beyond those that are kept, and those of them with data; left out where there were none. */
    flood?: { packets: number; with_data: number };
    /** Why the archive does not hold all that was to be imported; left out where it does. */
    partial?: string;
    sessions: number;
    commands: number;
    /** How much the capture holds of the sessions whose ends were read: only the values that occur. */
    coverage: Partial<Record<Coverage, number>>;
  };
  sessions: {
    scheduled: number;
    opened: number;
    completed: number;
    lost: number;
    lost_by: Record<string, number>;
    skipped: Record<string, number>;
    /** Of the completed: whose login production had refused, as they were replayed, too … */
    refused: number;
    /** … and of those, for want of room, by production's error, whatever the target said. */
    refused_for_room: Record<string, number>;
    /** Of the opened: began before the recording, and were set up by what is known of them. */
    adopted: number;
    /** Of the opened: began before the moment of --from, and were set up as they were then. */
    open_at_from: number;
    /** How often one went on with another connection, because its own had ended. Each of those … */
    reconnected: number;
    /** … and of those that were open already was set up by commands that are not the recording's and that nothing else counts … */
    rebuild_commands: number;
    /** … and lacks what these could not: how often each kind was missing. */
    state_lost: Record<string, number>;
  };
  commands: {
    scheduled: number;
    sent: number;
    answered: number;
    lost: Record<string, number>;
    skipped: Record<string, number>;
  };
  /**
   * Sessions that waited for a place, or for the rate of new connections, and how long; connections that the target turned
   * away for want of room, by error: all of these were tried again.
   */
  admission: { waited: number; wait_ms: Percentiles; turned_away: Record<string, number> };
  /** With --order commit: commands that were held for a commit, and how long; `released`: that went before it, lest all stand. */
  order: { by: 'time' | 'commit'; held: number; held_ms: Percentiles; released: number };
  /** With --pool: connections made, how often a session was given one, what cleaned them in between, and the waits for one. */
  pool?: {
    connections: number;
    sessions: number;
    resets: number;
    changes: number;
    waited: number;
    wait_ms: Percentiles;
  };
  lateness_ms: Percentiles;
  /** The most that a command went out behind the recording: waiting for the target, and for the replay host's own fault. */
  behind_ms: { target: number; host: number };
  /** How often the replay host stood still (its process was stopped, or blocked), how long in all, and at most: of the thread that did most. */
  stalls: Stalls;
  /** How often the disk of its folder took no writes; left out where it always did. */
  disk_stalls?: Stalls;
  latency_ms: { recorded: Percentiles; replayed: Percentiles };
  divergence: Record<Divergence, number>;
  /** Which recorded servers' sessions went where: `10.0.0.5:3307 -> 10.1.0.5:3307`. Those of others are skipped, other-server. */
  mappings?: string[];
  /** With --sample or --share: which sessions those are. */
  picked?: Picked;
  copies: number;
  /** live: each command when it was seen. */
  speed: number | 'max' | 'live';
  /** What it was changed to while it ran, if it was. */
  speed_changes?: SpeedChange[];
  /** How often the recording was replayed, where that was to be more than once. */
  loops?: number;
  /** How often the run was interrupted, and resumed. */
  resumed?: number;
  elapsed_s: number;
  qps: number;
  packets: { out: number; in: number; retransmitted: number; capture_dropped: number };
  /** Answers that are an error which was not recorded, by its number. */
  errors: UnrecordedErrors;
  replayed: Replayed;
  verdict: Verdict;
  reasons: string[];
}

export interface RunFacts extends RecordingFacts {
  packets: number;
  copies: number;
  speed: number;
  elapsedMs: number;
  transport: TransportStats;
  /** As in the summary; undefined: not known. */
  mappings?: readonly string[] | undefined;
  picked?: Picked | undefined;
  orderBy?: 'time' | 'commit' | undefined;
  /** Sessions had kept connections. */
  pooled?: boolean | undefined;
  interrupted: boolean;
  speedChanges?: readonly SpeedChange[] | undefined;
  /** undefined: it was to be replayed once. */
  loops?: number | undefined;
  resumed?: number | undefined;
  /** It was captured while it was replayed. */
  live?: boolean;
  /** Why the recording could not be read to its end, if it could not. */
  unread?: string | undefined;
  /** How often the disk of the run's folder took no writes, which the run did not wait for; undefined: it was not looked at. */
  disk?: StallSums | undefined;
  /** The recording was not read to its end: the run was stopped, or its time was over. */
  endedEarly?: boolean;
  /** The least part of what was chosen that a run must have replayed, of 1; undefined: DEFAULT_MIN_REPLAYED. */
  minReplayed?: number | undefined;
  /** How a mirror knew that its target leads back to the server that is mirrored; undefined: it does not, as far as was seen. */
  ownVoice?: string | undefined;
}

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

function stallsOf({ count, ms, longestMs }: StallSums): Stalls {
  return { count, seconds: round(ms / 1000), longest_s: round(longestMs / 1000) };
}

function shortfalls({
  gaps,
  flood,
  partial,
}: RecordingFacts): Pick<Summary['captured'], 'gaps' | 'flood' | 'partial'> {
  return {
    ...(gaps === undefined || gaps.gaps === 0
      ? {}
      : { gaps: { count: gaps.gaps, seconds: round(gaps.gapMs / 1000) } }),
    ...(flood === undefined || flood.flooded === 0
      ? {}
      : { flood: { packets: flood.flooded, with_data: flood.floodedData } }),
    ...(partial === undefined ? {} : { partial }),
  };
}

/** What a whole run amounts to. */
export function summarize(tally: Tally, facts: RunFacts): Summary {
  const scheduled = tally.commands * facts.copies - totalOf(tally.skipped);
  const elapsed = facts.elapsedMs / 1000;
  const lateness = percentiles(decodeHistogram(tally.lateness));
  const waits = decodeHistogram(tally.admissionWait);
  const holds = decodeHistogram(tally.holds);
  const replayed = replayedOf(tally, facts.copies, facts.endedEarly === true);
  const errors = unrecordedErrors(tally.unrecorded, tally.examples);
  return {
    captured: {
      packets: facts.packets,
      dropped: totalOf(packetsLost(facts)),
      dropped_by: packetsLost(facts),
      ...shortfalls(facts),
      sessions: tally.sessions,
      commands: tally.commands,
      coverage: byCoverage(tally.coverage),
    },
    sessions: {
      scheduled: tally.scheduledSessions,
      opened: tally.opened,
      completed: tally.completed,
      lost: totalOf(tally.lostSessions),
      lost_by: byName(tally.lostSessions),
      skipped: byName(tally.skippedSessions),
      refused: tally.refused,
      refused_for_room: byName(tally.refusedForRoom),
      adopted: tally.adopted,
      open_at_from: tally.openAtFrom,
      reconnected: tally.reconnected,
      rebuild_commands: tally.rebuildCommands,
      state_lost: byName(tally.stateLost),
    },
    commands: {
      scheduled,
      sent: tally.answered + tally.sentAndLost,
      answered: tally.answered,
      lost: byName(tally.lost),
      skipped: byName(tally.skipped),
    },
    admission: {
      waited: waits.totalCount,
      wait_ms: percentiles(waits),
      turned_away: byName(tally.turnedAway),
    },
    order: {
      by: facts.orderBy ?? 'time',
      held: holds.totalCount,
      held_ms: percentiles(holds),
      released: tally.released,
    },
    ...(facts.pooled === true
      ? { pool: { ...tally.pool, wait_ms: percentiles(decodeHistogram(tally.poolWait)) } }
      : {}),
    lateness_ms: lateness,
    behind_ms: { target: round(tally.maxSlipMs), host: round(tally.maxOursMs) },
    stalls: stallsOf(tally.stalls),
    ...(facts.disk === undefined || facts.disk.count === 0 ? {} : { disk_stalls: stallsOf(facts.disk) }),
    latency_ms: {
      recorded: percentiles(decodeHistogram(tally.recorded)),
      replayed: percentiles(decodeHistogram(tally.replayed)),
    },
    divergence: tally.divergence,
    ...(facts.mappings === undefined ? {} : { mappings: [...facts.mappings] }),
    ...(facts.picked === undefined ? {} : { picked: facts.picked }),
    copies: facts.copies,
    speed: facts.live === true ? 'live' : Number.isFinite(facts.speed) ? facts.speed : 'max',
    ...(facts.speedChanges === undefined || facts.speedChanges.length === 0
      ? {}
      : { speed_changes: [...facts.speedChanges] }),
    ...(facts.loops === undefined ? {} : { loops: facts.loops }),
    ...(facts.resumed === undefined ? {} : { resumed: facts.resumed }),
    elapsed_s: round(elapsed),
    qps: elapsed > 0 ? Math.round(tally.answered / elapsed) : 0,
    packets: {
      out: facts.transport.packetsOut,
      in: facts.transport.packetsIn,
      retransmitted: facts.transport.retransmitted,
      capture_dropped: facts.transport.captureDropped,
    },
    errors,
    replayed: replayed.replayed,
    ...verdictOf(tally, facts, { scheduled, lateness, replayed, errors }),
  };
}

/** Of histograms, encoded. */
export function latenessOf(each: readonly string[]): Percentiles {
  const sum = histogram();
  for (const one of each) sum.add(decodeHistogram(one));
  return percentiles(sum);
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
