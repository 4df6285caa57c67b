import type { Percentiles } from '../../src/report/percentiles.ts';
import type { ReplaySummary } from '../lab/tape.ts';
import { median } from './figures.ts';
import { NULL_PORT, NullTarget } from './null-target.ts';
import { type Bench, mustBeWhole, runReplay, tapeOf } from './replay-run.ts';
import { makeLoop } from './synthetic.ts';

/** Connections, and commands of each run: a few seconds. */
const LOADS = [
  { connections: 1, commands: 30_000 },
  { connections: 8, commands: 80_000 },
  { connections: 50, commands: 200_000 },
  { connections: 500, commands: 200_000 },
];
/** Queries of each connection in the short runs, whose time is taken off. */
const SHORT = 10;
const ROUNDS = 3;

export interface RelayFigures {
  connections: number;
  /** From a command sent to its answer captured, by replay's own word, its warming up included. */
  p50_us: number;
  p99_us: number;
  rate: number;
  /** From one command of a connection to its next, on average: what rate and connections come to. */
  cycle_us: number;
}

/** Batches between replay and intercept: what they cost one connection, and what they bring many. */
export async function benchRelay(bench: Bench): Promise<RelayFigures[]> {
  const responder = await NullTarget.start(bench.lab);
  const all: RelayFigures[] = [];
  const replay = async (connections: number, queries: number) => {
    const tape = tapeOf(bench, `loop-${connections}-${queries}`, (folder) => {
      makeLoop(folder, connections, queries);
    });
    const { summary } = await runReplay(bench, { path: 'intercept', tape, port: NULL_PORT });
    mustBeWhole(summary);
    return summary;
  };
  for (const { connections, commands } of LOADS) {
    const long: ReplaySummary[] = [];
    const short: ReplaySummary[] = [];
    for (let i = 0; i < ROUNDS; i++) {
      short.push(await replay(connections, SHORT));
      long.push(await replay(connections, commands / connections));
    }
    const seconds = (runs: ReplaySummary[]) => median(runs.map((run) => run.elapsed_s));
    const more = commands - SHORT * connections;
    const rate = Math.round(more / (seconds(long) - seconds(short)));
    const latencyUs = (of: (latency: Percentiles) => number) =>
      Math.round(median(long.map((run) => of(run.latency_ms.replayed))) * 1000);
    const figures = {
      connections,
      p50_us: latencyUs((latency) => latency.p50),
      p99_us: latencyUs((latency) => latency.p99),
      rate,
      cycle_us: Math.round((connections * 1e6) / rate),
    };
    all.push(figures);
    bench.say(
      `  ${connections} connections: ${rate} commands/s, latency p50 ${figures.p50_us} p99 ${figures.p99_us} µs, cycle ${figures.cycle_us} µs`,
    );
  }
  await responder.stop();
  return all;
}
