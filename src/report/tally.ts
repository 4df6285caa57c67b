import { createRequire } from 'node:module';
import type { Histogram } from 'hdr-histogram-js';
import type { Divergence } from '../replay/outcome.ts';
import { type Causes, isCauses, isCount, isRecord, sumOf } from './causes.ts';
import type { ErrorExample } from './unrecorded.ts';

let loaded: typeof import('hdr-histogram-js') | undefined;

/** Loaded when something is counted: it takes as long as all the rest of a verb's start that counts nothing. */
function hdr(): typeof import('hdr-histogram-js') {
  loaded ??= createRequire(import.meta.url)('hdr-histogram-js') as typeof import('hdr-histogram-js');
  return loaded;
}

/** Histograms count microseconds up to an hour, to three digits. */
const HIGHEST_US = 3_600_000_000;

/** Of the users whose password is not known, so many are named. */
export const MAX_USERS_NAMED = 5;

/** How often something stood still, how long in all, and at most. */
export interface StallSums {
  count: number;
  ms: number;
  longestMs: number;
}

export function noStalls(): StallSums {
  return { count: 0, ms: 0, longestMs: 0 };
}

/** Of those who saw the same stalls, the one that saw most of them. */
export function worstStalls(each: readonly StallSums[]): StallSums {
  return each.reduce((worst, one) => (one.ms > worst.ms ? one : worst), noStalls());
}

/** It stood still for `ms`. */
export function addStall(stalls: StallSums, ms: number): void {
  stalls.count++;
  stalls.ms += ms;
  stalls.longestMs = Math.max(stalls.longestMs, ms);
}

/** Those of one time and of another. */
export function addStalls(a: StallSums, b: StallSums): StallSums {
  return { count: a.count + b.count, ms: a.ms + b.ms, longestMs: Math.max(a.longestMs, b.longestMs) };
}

/** What one observer counted of its share of a run. Plain data, so that threads can hand it over. */
export interface Tally {
  /** Recorded sessions and commands. */
  sessions: number;
  commands: number;
  /** How much the capture holds of the sessions whose ends were read. */
  coverage: Causes;
  scheduledSessions: number;
  opened: number;
  completed: number;
  /** Of them, whose login had been refused; of those, for want of room, by error; sessions older than the recording; and sessions open at `--from`. */
  refused: number;
  refusedForRoom: Causes;
  adopted: number;
  openAtFrom: number;
  /** Connections in place of ones that ended early, commands that set them up, and what could not be. */
  reconnected: number;
  rebuildCommands: number;
  stateLost: Causes;
  lostSessions: Causes;
  skippedSessions: Causes;
  /** Some of the users whose password is not known. */
  unknownUsers: string[];
  /** What the target said of the first session lost by each cause. */
  details: Record<string, string>;
  answered: number;
  sentAndLost: number;
  /** Connections that the target turned away for want of room, by error; how long sessions waited to be let in. */
  turnedAway: Causes;
  admissionWait: string;
  /** Commands that went before commits that they were to wait for, and how long commands were held for commits. */
  released: number;
  holds: string;
  /** Of kept connections: made, given to sessions, and cleaned by either; how often one was waited for … */
  pool: { connections: number; sessions: number; resets: number; changes: number; waited: number };
  lost: Causes;
  skipped: Causes;
  /** The most that a command fell behind the recording, waiting for the target, ms. */
  maxSlipMs: number;
  /** … and the most for our own fault; how often this process stood still, how long in all, and at most. */
  maxOursMs: number;
  stalls: StallSums;
  divergence: Record<Divergence, number>;
  /** Answers that are an error which was not recorded, by its number; and what the first of each number was. */
  unrecorded: Causes;
  examples: Record<string, ErrorExample>;
  /** Histograms of microseconds, encoded. */
  lateness: string;
  /** … and for how long. */
  poolWait: string;
  recorded: string;
  replayed: string;
}

/** The tallies of all shares of a run as one. `each` has at least one. */
export function mergeTallies(each: readonly Tally[]): Tally {
  return each.reduce((sum, tally) => ({
    sessions: sum.sessions + tally.sessions,
    commands: sum.commands + tally.commands,
    coverage: sumOf(sum.coverage, tally.coverage),
    scheduledSessions: sum.scheduledSessions + tally.scheduledSessions,
    opened: sum.opened + tally.opened,
    completed: sum.completed + tally.completed,
    refused: sum.refused + tally.refused,
    refusedForRoom: sumOf(sum.refusedForRoom, tally.refusedForRoom),
    adopted: sum.adopted + tally.adopted,
    openAtFrom: sum.openAtFrom + tally.openAtFrom,
    reconnected: sum.reconnected + tally.reconnected,
    rebuildCommands: sum.rebuildCommands + tally.rebuildCommands,
    stateLost: sumOf(sum.stateLost, tally.stateLost),
    lostSessions: sumOf(sum.lostSessions, tally.lostSessions),
    skippedSessions: sumOf(sum.skippedSessions, tally.skippedSessions),
    unknownUsers: [...new Set([...sum.unknownUsers, ...tally.unknownUsers])],
    details: { ...tally.details, ...sum.details },
    answered: sum.answered + tally.answered,
    sentAndLost: sum.sentAndLost + tally.sentAndLost,
    turnedAway: sumOf(sum.turnedAway, tally.turnedAway),
    admissionWait: mergeHistograms(sum.admissionWait, tally.admissionWait),
    released: sum.released + tally.released,
    holds: mergeHistograms(sum.holds, tally.holds),
    pool: sumOf(sum.pool, tally.pool) as Tally['pool'],
    lost: sumOf(sum.lost, tally.lost),
    skipped: sumOf(sum.skipped, tally.skipped),
    maxSlipMs: Math.max(sum.maxSlipMs, tally.maxSlipMs),
    maxOursMs: Math.max(sum.maxOursMs, tally.maxOursMs),
    // What stops a process stops all its threads.
    stalls: worstStalls([sum.stalls, tally.stalls]),
    divergence: sumOf(sum.divergence, tally.divergence) as Record<Divergence, number>,
    unrecorded: sumOf(sum.unrecorded, tally.unrecorded),
    examples: { ...tally.examples, ...sum.examples },
    lateness: mergeHistograms(sum.lateness, tally.lateness),
    poolWait: mergeHistograms(sum.poolWait, tally.poolWait),
    recorded: mergeHistograms(sum.recorded, tally.recorded),
    replayed: mergeHistograms(sum.replayed, tally.replayed),
  }));
}

/** Numbers that must add up in a run (accounts.ts), in the order in which logs of runs have them. */
export const ACCOUNT_COUNTS = [
  'sessions',
  'commands',
  'scheduledSessions',
  'opened',
  'completed',
  'refused',
  'adopted',
  'openAtFrom',
  'reconnected',
  'rebuildCommands',
  'answered',
  'sentAndLost',
] as const;

/** Numbers by cause of the same kind, in that order. */
export const ACCOUNT_CAUSES = [
  'coverage',
  'refusedForRoom',
  'stateLost',
  'lostSessions',
  'skippedSessions',
  'lost',
  'skipped',
  'divergence',
  'unrecorded',
] as const;

const COUNTS = [...ACCOUNT_COUNTS, 'released'] as const;
const CAUSES = [...ACCOUNT_CAUSES, 'turnedAway', 'pool'] as const;
const HISTOGRAMS = ['lateness', 'admissionWait', 'holds', 'poolWait', 'recorded', 'replayed'] as const;

/** What is wrong with `value` as a Tally that was read from a file, by its field; undefined: nothing. */
export function tallyProblem(value: unknown): string | undefined {
  if (!isRecord(value)) return 'tally is not an object';
  const wrong = (name: string, what: string) => `tally.${name} is ${what}`;
  for (const name of COUNTS) if (!isCount(value[name])) return wrong(name, 'not a count');
  for (const name of CAUSES) if (!isCauses(value[name])) return wrong(name, 'not counts by cause');
  const { maxSlipMs, maxOursMs, stalls, unknownUsers, details, examples } = value;
  if (!isMs(maxSlipMs)) return wrong('maxSlipMs', 'not a time');
  if (!isMs(maxOursMs)) return wrong('maxOursMs', 'not a time');
  if (!isRecord(stalls) || !isCount(stalls.count) || !isMs(stalls.ms) || !isMs(stalls.longestMs))
    return wrong('stalls', 'not counts and times');
  if (!Array.isArray(unknownUsers) || !unknownUsers.every(isText))
    return wrong('unknownUsers', 'not a list of names');
  if (!isRecord(details) || !Object.values(details).every(isText)) return wrong('details', 'not texts');
  if (!isRecord(examples) || !Object.values(examples).every(isExample))
    return wrong('examples', 'not examples');
  for (const name of HISTOGRAMS) if (!isHistogram(value[name])) return wrong(name, 'not a histogram');
  return undefined;
}

/** Milliseconds that went by. */
export function isMs(value: unknown): value is number {
  return Number.isFinite(value) && (value as number) >= 0;
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function isExample(value: unknown): boolean {
  return isRecord(value) && [value.text, value.digest, value.digest_text].every(isText);
}

function isHistogram(value: unknown): boolean {
  if (!isText(value)) return false;
  try {
    decodeHistogram(value);
    return true;
  } catch {
    return false;
  }
}

/** An empty histogram of times. */
export function histogram(): Histogram {
  return hdr().build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: HIGHEST_US,
    numberOfSignificantValueDigits: 3,
  });
}

export function recordMs(into: Histogram, ms: number): void {
  into.recordValue(Math.min(HIGHEST_US, Math.max(0, Math.round(ms * 1000))));
}

export function encodeHistogram(of: Histogram): string {
  return hdr().encodeIntoCompressedBase64(of);
}

export function decodeHistogram(text: string): Histogram {
  return hdr().decodeFromCompressedBase64(text);
}

function mergeHistograms(a: string, b: string): string {
  const sum = decodeHistogram(a);
  sum.add(decodeHistogram(b));
  return encodeHistogram(sum);
}
