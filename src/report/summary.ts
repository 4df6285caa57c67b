import type { Coverage } from '../flow/events.ts';
import type { Divergence } from '../replay/outcome.ts';
import { byName, totalOf } from './causes.ts';
import { byCoverage } from './coverage.ts';
import { packetsLost } from './losses.ts';
import { type Percentiles, percentiles, round } from './percentiles.ts';
import type { RecordingFacts } from './recording.ts';
import { type Replayed, replayedOf } from './replayed.ts';
import type { Picked, RunFacts, SpeedChange } from './run-facts.ts';
import { decodeHistogram, type StallSums, type Tally } from './tally.ts';
import { type UnrecordedErrors, unrecordedErrors } from './unrecorded.ts';
import { type Verdict, verdictOf } from './verdict.ts';

export interface Stalls {
  count: number;
  seconds: number;
  longest_s: number;
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
