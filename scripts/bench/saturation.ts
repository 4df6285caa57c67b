import { type DirectWay, directLinks } from './direct-links.ts';
import { alternate, round, type UnitCost } from './figures.ts';
import { NULL_PORT, type NullCounts, NullTarget } from './null-target.ts';
import { type Bench, commandCost, type PacketPath, type Path, type ReplayJob, tapeOf } from './replay-run.ts';
import { makeLoop } from './synthetic.ts';

const COMMANDS = 450_000;
const SHORT = 50_000;
const ROUNDS = 3;

/** 500 connections: as ten copies of 50 recorded sessions, and as 500 recorded sessions, each command decoded for itself. */
const LOADS = [
  { sessions: 50, copies: 10 },
  { sessions: 500, copies: 1 },
];

export interface SaturationFigures {
  sessions: number;
  copies: number;
  commands: number;
  intercept: UnitCost;
  local: UnitCost;
}

/** The responder itself, over all runs. */
export interface ResponderFigures extends NullCounts {
  /** CPU a command, what its frames make the kernel do at their other end included. */
  us: number;
}

/** Replays a closed loop of `commands` commands onto the null responder, by the bridge or by `way`. */
export function loopOnNull(
  bench: Bench,
  path: Path,
  load: { sessions: number; copies: number; commands: number },
  extra: readonly string[] = [],
  way?: DirectWay,
) {
  const { sessions, copies, commands } = load;
  const queries = Math.max(1, Math.round(commands / sessions / copies));
  const tape = tapeOf(bench, `loop-${sessions}-${queries}`, (folder) => makeLoop(folder, sessions, queries));
  const job: ReplayJob = { path, tape, port: NULL_PORT, extra: ['-n', String(copies), ...extra] };
  return commandCost(bench, way === undefined ? job : { ...job, way });
}

/** Where a replay saturates that nobody holds back: commands a second, and CPU a command. */
export async function benchSaturation(
  bench: Bench,
): Promise<{ loads: SaturationFigures[]; responder: ResponderFigures }> {
  const { ways, responder: way } = await directLinks(bench.lab);
  const responder = await NullTarget.start(bench.lab, way);
  const loads: SaturationFigures[] = [];
  for (const load of LOADS) {
    const contender = (path: PacketPath) => ({
      name: path,
      short: () => loopOnNull(bench, path, { ...load, commands: SHORT }, [], ways[path]),
      long: () => loopOnNull(bench, path, { ...load, commands: COMMANDS }, [], ways[path]),
    });
    const costs = await alternate([contender('intercept'), contender('local')], ROUNDS);
    const figures = {
      ...load,
      commands: COMMANDS,
      intercept: costs.get('intercept')!,
      local: costs.get('local')!,
    };
    loads.push(figures);
    bench.say(`  ${load.sessions} sessions × ${load.copies}:`);
    for (const path of ['intercept', 'local'] as const) {
      const { rate, total_us, us, cores } = figures[path];
      bench.say(
        `    ${path}: ${rate} commands/s, ${total_us} µs a command ${JSON.stringify(us)}, cores ${JSON.stringify(cores)}`,
      );
    }
  }
  const { cpuMs } = responder;
  const counts = await responder.stop();
  const us = round((cpuMs * 1000) / counts.commands);
  bench.say(`  the responder: ${us} µs a command`);
  return { loads, responder: { ...counts, us } };
}
