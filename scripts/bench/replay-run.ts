import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { EXIT } from '../../src/errors.ts';
import { Background } from '../lab/background.ts';
import type { Lab } from '../lab/lab.ts';
import { PORT } from '../lab/server.ts';
import {
  CLI,
  RELAY_PORT,
  type ReplayFiles,
  type ReplayPath,
  type ReplaySummary,
  replayHost,
} from '../lab/tape.ts';
import { cpuMs, timed } from './cpu.ts';
import type { Cost } from './figures.ts';

/** A run that lost something is a result, too. */
const CODES = [EXIT.done, EXIT.invalidRun];

/** What the parts of the bench share. */
export interface Bench {
  lab: Lab;
  files: ReplayFiles;
  say(text: string): void;
}

/** The recording `name`, made on first use. */
export function tapeOf({ lab }: Bench, name: string, make: (folder: string) => void): string {
  const folder = join(lab.runFolder, `${name}.tape`);
  if (!existsSync(folder)) make(folder);
  return folder;
}

/** Of the lab's ways to the target, those that are measured. */
export type Path = Extract<ReplayPath, 'intercept' | 'local' | 'socket'>;

/** Packets of our own. */
export type PacketPath = Exclude<Path, 'socket'>;

export interface ReplayJob {
  path: Path;
  tape: string;
  /** On host target: PORT is mariadbd, NULL_PORT the null responder. */
  port: number;
  /** Where the bench has links of its own (direct-links.ts); default: all by the bridge. */
  way?: { target: string; answers: string };
  /** More of the command line; `--speed max` unless it says another speed. */
  extra?: readonly string[];
}

export interface ReplayResult {
  summary: ReplaySummary;
  replayMs: number;
  /** 0 where there is none. */
  interceptMs: number;
}

export function replayCommand({ lab, files }: Bench, job: ReplayJob): string[] {
  const answers = {
    intercept: ['-s', `${lab.addresses.assistant}:${RELAY_PORT}`, '--key-file', files.key],
    local: ['--local'],
    socket: ['--transport', 'socket'],
  }[job.path];
  const { extra = [] } = job;
  const speed = extra.includes('--speed') ? [] : ['--speed', 'max'];
  const target = `${PORT}-${job.way?.target ?? lab.addresses.target}:${job.port}`;
  // Null responders know no statement, and could not say whether they are live servers.
  const rest = ['--users', files.users, '--allow-live-target', '--out', join(lab.runFolder, 'out'), '--json'];
  return [process.execPath, CLI, 'replay', job.tape, '-x', target, ...answers, ...rest, ...speed, ...extra];
}

/** An intercept of the assistant's own for answers from `port`; undefined where the replay needs none. */
export async function interceptFor({ lab, files }: Bench, job: ReplayJob): Promise<Background | undefined> {
  if (job.path !== 'intercept') return undefined;
  const relay = `${lab.addresses.assistant}:${RELAY_PORT}`;
  const where = ['-i', job.way?.answers ?? 'eth0', '-F', `tcp and src port ${job.port}`, '-p', relay];
  const command = [process.execPath, CLI, 'intercept', ...where, '--key-file', files.key];
  return Background.start(lab, 'assistant', command, /listening/i);
}

/** Replays once, with an intercept of its own where the path has one. The summary says whether anything was lost. */
export async function runReplay(bench: Bench, job: ReplayJob): Promise<ReplayResult> {
  const intercept = await interceptFor(bench, job);
  try {
    const before = intercept === undefined ? 0 : cpuMs(intercept.pid);
    const replay = await timed(bench.lab, replayHost(job.path), replayCommand(bench, job), {}, CODES);
    const interceptMs = intercept === undefined ? 0 : cpuMs(intercept.pid) - before;
    const summary = JSON.parse(replay.stdout) as ReplaySummary;
    return { summary, replayMs: replay.cpuMs, interceptMs };
  } finally {
    await intercept?.stop();
  }
}

/** What commands cost. Throws where one was lost: what is missing costs nothing. */
export async function commandCost(bench: Bench, job: ReplayJob): Promise<Cost> {
  const { summary, replayMs, interceptMs } = await runReplay(bench, job);
  mustBeWhole(summary);
  return {
    units: summary.commands.answered,
    cpuMs: cpuOf(job, replayMs, interceptMs),
    elapsedMs: summary.elapsed_s * 1000,
  };
}

export function mustBeWhole(summary: ReplaySummary): void {
  const { scheduled, answered } = summary.commands;
  if (answered !== scheduled)
    throw new Error(`${scheduled - answered} commands were lost: ${summary.reasons.join('; ')}`);
}

export function cpuOf(job: ReplayJob, replayMs: number, interceptMs: number): Record<string, number> {
  return job.path === 'intercept' ? { replay: replayMs, intercept: interceptMs } : { replay: replayMs };
}
