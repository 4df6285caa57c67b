import { setTimeout as sleep } from 'node:timers/promises';
import { EXIT } from '../../src/errors.ts';
import { collect } from '../lab/lab.ts';
import { type ReplaySummary, replayHost } from '../lab/tape.ts';
import { statusOctets } from './cpu.ts';
import { median, round } from './figures.ts';
import { NULL_PORT, NullTarget } from './null-target.ts';
import { type Bench, type ReplayJob, replayCommand, tapeOf } from './replay-run.ts';
import { type IdlePlan, makeIdle } from './synthetic.ts';

const CONNECTIONS = 50_000;
const COPIES = 100;
const PLAN: IdlePlan = { openedSec: 8, askSec: 13, endSec: 18 };
/** The process's own start, and logins that come a little late. */
const SETTLE_MS = 2_500;
const LOOK_MS = 250;

export interface MemoryFigures {
  recorded_sessions: number;
  copies: number;
  /** Opened by the summary's word, and lost. */
  opened: number;
  lost: number;
  /** How late they opened: where that is more than a few seconds, not all were open when looked at. */
  lateness_p99_ms: number;
  /** Resident set while all are open and idle, its peak over the whole run, MB (10^6 octets). */
  rss_mb: number;
  peak_mb: number;
  /** Resident set over that of the smallest run, by connection; undefined for that run itself. */
  octets_each?: number;
}

async function run(bench: Bench, sessions: number, copies: number): Promise<MemoryFigures> {
  const tape = tapeOf(bench, `idle-${sessions}`, (folder) => makeIdle(folder, sessions, PLAN));
  const job: ReplayJob = {
    path: 'local',
    tape,
    port: NULL_PORT,
    extra: ['--speed', '1', '-n', String(copies)],
  };
  const [program, ...args] = replayCommand(bench, job);
  const child = bench.lab.spawn(replayHost('local'), program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = collect(child);
  const resident: number[] = [];
  let peak = 0;
  let over = false;
  void ended.then(() => {
    over = true;
  });
  const begun = performance.now();
  while (!over) {
    await sleep(LOOK_MS);
    const ms = performance.now() - begun;
    try {
      const octets = statusOctets(child.pid!, 'VmRSS');
      if (ms > PLAN.openedSec * 1000 + SETTLE_MS && ms < PLAN.askSec * 1000) resident.push(octets);
      peak = Math.max(peak, statusOctets(child.pid!, 'VmHWM'));
    } catch {
      // It has ended since.
    }
  }
  const { code, stdout, stderr } = await ended;
  if (code !== EXIT.done && code !== EXIT.invalidRun)
    throw new Error(`replay: exit code ${code}\n${stdout}${stderr}`);
  const { sessions: counts, lateness_ms } = JSON.parse(stdout) as ReplaySummary;
  return {
    recorded_sessions: sessions,
    copies,
    opened: counts.opened,
    lost: counts.scheduled - counts.completed,
    lateness_p99_ms: lateness_ms.p99,
    rss_mb: round(median(resident) / 1e6, 1),
    peak_mb: round(peak / 1e6, 1),
  };
}

/**
 * Resident memory of one `--local` process that holds 50,000 connections which do nothing: as a hundred copies of 500 recorded
 * sessions, and as 50,000 recorded ones, each of which is held by the decoder as well.
 */
export async function benchMemory(bench: Bench): Promise<MemoryFigures[]> {
  const responder = await NullTarget.start(bench.lab);
  const small = await run(bench, CONNECTIONS / COPIES, 1);
  const all = [small];
  for (const [sessions, copies] of [
    [CONNECTIONS / COPIES, COPIES],
    [CONNECTIONS, 1],
  ]) {
    const figures = await run(bench, sessions, copies);
    const more = figures.opened - small.opened;
    all.push({ ...figures, octets_each: Math.round(((figures.rss_mb - small.rss_mb) * 1e6) / more) });
  }
  await responder.stop();
  for (const { recorded_sessions, copies, opened, lost, rss_mb, peak_mb, octets_each } of all) {
    bench.say(
      `  ${recorded_sessions} sessions × ${copies}: ${opened} opened, ${lost} lost, ${rss_mb} MB resident while idle (peak ${peak_mb})` +
        (octets_each === undefined ? '' : `, ${octets_each} octets a connection`),
    );
  }
  return all;
}
