import { PORT } from '../lab/server.ts';
import { alternate, type Contender, round, type UnitCost } from './figures.ts';
import { NULL_PORT, NullTarget } from './null-target.ts';
import { pointSelectCost } from './pointselect.ts';
import { type Bench, commandCost, type Path, tapeOf } from './replay-run.ts';
import { makeLoop } from './synthetic.ts';

const CONNECTIONS = [50, 500];
const QUERIES = 360_000;
const SHORT_QUERIES = 60_000;
const ROUNDS = 3;

const PORTS = { mariadb: PORT, null: NULL_PORT } as const;
const PATHS: readonly Path[] = ['intercept', 'local', 'socket'];

type Target = keyof typeof PORTS;

export interface ClosedLoopFigures {
  target: Target;
  connections: number;
  queries: number;
  sysbench: UnitCost;
  replay: Record<Path, ReplayFigures>;
}

interface ReplayFigures extends UnitCost {
  /** Over sysbench's: CPU a command, and commands a second. */
  cpu_ratio: number;
  rate_ratio: number;
}

/**
 * A replay at `--speed max`, its intercept included, against sysbench, on as many connections: both closed loops, on mariadbd
 * and on the null responder. The replay reads its recording and checks every answer.
 */
export async function benchClosedLoop(bench: Bench): Promise<ClosedLoopFigures[]> {
  const all: ClosedLoopFigures[] = [];
  for (const connections of CONNECTIONS) all.push(await closedLoop(bench, 'mariadb', connections));
  const responder = await NullTarget.start(bench.lab);
  for (const connections of CONNECTIONS) all.push(await closedLoop(bench, 'null', connections));
  await responder.stop();
  return all;
}

async function closedLoop(bench: Bench, target: Target, connections: number): Promise<ClosedLoopFigures> {
  const { lab, say } = bench;
  const port = PORTS[target];
  // Not from client: what target answers to the clients' addresses goes to the assistant.
  const sysbench = (queries: number) =>
    pointSelectCost(lab, 'online', lab.addresses.target, { threads: connections, queries, port });
  const replay = (path: Path, queries: number) => {
    const each = queries / connections;
    const tape = tapeOf(bench, `loop-${connections}-${each}`, (folder) =>
      makeLoop(folder, connections, each),
    );
    return commandCost(bench, { path, tape, port });
  };
  const contenders: Contender[] = [
    { name: 'sysbench', short: () => sysbench(SHORT_QUERIES), long: () => sysbench(QUERIES) },
    ...PATHS.map((path) => ({
      name: path,
      short: () => replay(path, SHORT_QUERIES),
      long: () => replay(path, QUERIES),
    })),
  ];
  const costs = await alternate(contenders, ROUNDS);
  const own = costs.get('sysbench')!;
  say(`  ${target}, ${connections} connections: sysbench ${own.total_us} µs a query, ${own.rate}/s`);
  const figures = PATHS.map((path): [Path, ReplayFigures] => {
    const cost = costs.get(path)!;
    const cpu_ratio = round(cost.total_us / own.total_us);
    const rate_ratio = round(cost.rate / own.rate);
    say(
      `    ${path}: ${cost.total_us} µs a command, ${cpu_ratio} times sysbench's; ${cost.rate}/s, ${rate_ratio} times sysbench's`,
    );
    return [path, { ...cost, cpu_ratio, rate_ratio }];
  });
  const byPath = Object.fromEntries(figures) as Record<Path, ReplayFigures>;
  return { target, connections, queries: QUERIES, sysbench: own, replay: byPath };
}
