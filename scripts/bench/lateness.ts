import { fileURLToPath } from 'node:url';
import { Arrivals } from './arrivals.ts';
import { timed } from './cpu.ts';
import { round } from './figures.ts';
import { NULL_PORT, NullTarget } from './null-target.ts';
import { type Bench, mustBeWhole, runReplay, tapeOf } from './replay-run.ts';
import { SyntheticTape } from './synthetic.ts';
import type { Spread } from './timer-lateness.ts';

const RATES = [1_000, 10_000, 50_000];
/** Short runs, only for what they cost: what starting costs is in the long ones, too. */
const SHORT_SEC = 2;
const LONG_SEC = 4;

const SESSIONS = 200;
/** By then all sessions of the recording have logged in. */
const OPENED_NS = 1e9;
/** Between the ends of two: all at once they would be the burst that the figures show. */
const CLOSE_STEP_NS = 2e6;

const TIMER = fileURLToPath(new URL('timer-lateness.js', import.meta.url));

/** From when a command was due to when it was sent, and what waiting for that costs. */
export interface LatenessFigures {
  /** Commands a second. */
  rate: number;
  replay: Lateness;
  /** With nothing else to do: a timer of Node's … */
  timeout: Lateness;
  /** … and the replay's own. */
  alarm: Lateness;
}

interface Lateness extends Spread {
  /** Cores kept busy. */
  cores: number;
}

interface Run {
  spread: Spread;
  cpuMs: number;
}

/** `rate` point selects a second for so long, over SESSIONS connections. */
function makePaced(folder: string, rate: number, seconds: number): void {
  const tape = new SyntheticTape(folder, SESSIONS);
  for (let i = 0; i < SESSIONS; i++) tape.open(i);
  const arrivals = new Arrivals(rate);
  for (let i = 0; i < rate * seconds; i++) {
    tape.at = Math.max(tape.at, OPENED_NS + arrivals.next());
    tape.query(i % SESSIONS);
  }
  for (let i = 0; i < SESSIONS; i++) {
    tape.at += CLOSE_STEP_NS;
    tape.close(i);
  }
  tape.end();
}

async function replay(bench: Bench, rate: number, seconds: number): Promise<Run> {
  const tape = tapeOf(bench, `paced-${rate}-${seconds}`, (folder) => makePaced(folder, rate, seconds));
  const job = { path: 'local', tape, port: NULL_PORT, extra: ['--speed', '1'] } as const;
  const { summary, replayMs } = await runReplay(bench, job);
  mustBeWhole(summary);
  const { p50, p99, max } = summary.lateness_ms;
  const us = (ms: number) => round(ms * 1000, 0);
  return { spread: { p50_us: us(p50), p99_us: us(p99), max_us: us(max) }, cpuMs: replayMs };
}

async function timer({ lab }: Bench, kind: string, rate: number, seconds: number): Promise<Run> {
  const { stdout, cpuMs } = await timed(lab, 'assistant', [
    process.execPath,
    TIMER,
    kind,
    String(rate),
    String(seconds),
  ]);
  return { spread: JSON.parse(stdout) as Spread, cpuMs };
}

/** How late commands are sent where the recording says when, beside what timers can do. */
export async function benchLateness(bench: Bench): Promise<LatenessFigures[]> {
  const responder = await NullTarget.start(bench.lab);
  const all: LatenessFigures[] = [];
  for (const rate of RATES) {
    const of = async (run: (seconds: number) => Promise<Run>): Promise<Lateness> => {
      const short = await run(SHORT_SEC);
      const long = await run(LONG_SEC);
      const cores = (long.cpuMs - short.cpuMs) / 1000 / (LONG_SEC - SHORT_SEC);
      return { ...long.spread, cores: round(cores) };
    };
    const figures = {
      rate,
      replay: await of((seconds) => replay(bench, rate, seconds)),
      timeout: await of((seconds) => timer(bench, 'timeout', rate, seconds)),
      alarm: await of((seconds) => timer(bench, 'alarm', rate, seconds)),
    };
    all.push(figures);
    bench.say(`  ${rate} commands/s:`);
    for (const who of ['replay', 'timeout', 'alarm'] as const) {
      const { p50_us, p99_us, max_us, cores } = figures[who];
      bench.say(`    ${who}: ${p50_us} / ${p99_us} / ${max_us} µs late (p50, p99, max), ${cores} cores`);
    }
  }
  await responder.stop();
  return all;
}
