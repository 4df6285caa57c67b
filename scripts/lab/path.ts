/** The steps of the main job, as tests and the demo take them: a start to return to, a recording, a replay that is checked. */
import { join } from 'node:path';
import type { Summary } from '../../src/report/summary.ts';
import type { Background } from './background.ts';
import {
  type Comparison,
  type Counts,
  compare,
  connectionsLeft,
  countsOf,
  difference,
  lostOf,
} from './compare.ts';
import type { Lab } from './lab.ts';
import type { ProcessRow } from './server.ts';
import { readStart, writeStart } from './start.ts';
import {
  interceptHost,
  Recording,
  type RecordSummary,
  type ReplayFiles,
  type ReplayPath,
  replay,
  startIntercept,
} from './tape.ts';

/** Copies online as it is now, and puts target in the same state. Returns where the copy is. */
export async function makeStart(lab: Lab): Promise<string> {
  const start = join(lab.runFolder, 'start');
  const [online, target] = [lab.server('online'), lab.server('target')];
  await writeStart(online, target, start);
  await readStart(online, target, start);
  return start;
}

export function resetTarget(lab: Lab, start: string): Promise<void> {
  return readStart(lab.server('online'), lab.server('target'), start);
}

export interface Recorded {
  archive: string;
  summary: RecordSummary;
  /** What the workload made online do. */
  online: Counts;
}

/** Records online while a workload runs; `extra` as on the command line. */
export async function recordWorkload(
  lab: Lab,
  archive: string,
  workload: () => Promise<unknown>,
  extra: readonly string[] = [],
): Promise<Recorded> {
  const recording = await Recording.start(lab, archive, extra);
  const before = await countsOf(lab.server('online'));
  await workload();
  const online = difference(await countsOf(lab.server('online')), before);
  return { archive, summary: await recording.stop(), online };
}

export interface ReplayPlan {
  /** Its run folder gets this name, within the lab's. */
  name: string;
  path: ReplayPath;
  copies: number;
  /** As on the command line: `1`, `4`, `max`. */
  speed: string;
  /** More of the command line. */
  extra?: readonly string[];
  /** Where the replay's own words go: kept, for the error if there is one, or to the terminal. */
  stdio?: 'pipe' | 'inherit';
  /** What is done to the intercept while the replay runs; answers the one that runs from then on. */
  meanwhile?: (intercept: Background) => Promise<Background>;
}

export interface Replayed {
  summary: Summary;
  comparison: Comparison[];
  lost: string[];
  left: ProcessRow[];
  /** All counters as expected, nothing lost, no connection left. */
  exact: boolean;
}

/** Replays onto the target as it is (see `resetTarget`) and asks the target's counters what came of it. */
export async function replayAndCompare(
  lab: Lab,
  recorded: Recorded,
  files: ReplayFiles,
  plan: ReplayPlan,
): Promise<Replayed> {
  const target = lab.server('target');
  const host = interceptHost(plan.path);
  let intercept = host === undefined ? undefined : await startIntercept(lab, files, host);
  try {
    const before = await countsOf(target);
    const out = join(lab.runFolder, plan.name);
    const extra = ['-n', String(plan.copies), '--speed', plan.speed, ...(plan.extra ?? [])];
    const running = replay(lab, plan.path, recorded.archive, files, out, extra, plan.stdio ?? 'pipe');
    // Its failure is for those who wait for it below.
    running.catch(() => {});
    if (intercept !== undefined && plan.meanwhile !== undefined) intercept = await plan.meanwhile(intercept);
    const { summary } = await running;
    const left = await connectionsLeft(target);
    const isAsked = !extra.includes('--allow-live-target');
    const counted = difference(await countsOf(target), before);
    const comparison = compare(recorded.online, counted, plan.copies, isAsked);
    const lost = lostOf(summary);
    const exact = comparison.every((row) => row.equal) && lost.length === 0 && left.length === 0;
    return { summary, comparison, lost, left, exact };
  } finally {
    await intercept?.stop();
  }
}
