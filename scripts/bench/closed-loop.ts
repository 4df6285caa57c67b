import { PORT } from '../lab/server.ts';
import { alternate, type Contender, round, type UnitCost } from './figures.ts';
import { pointSelectCost } from './pointselect.ts';
import { type Bench, commandCost, type Path, tapeOf } from './replay-run.ts';
import { makeLoop } from './synthetic.ts';

const CONNECTIONS = [50, 500];
const QUERIES = 360_000;
const SHORT_QUERIES = 60_000;
const ROUNDS = 3;

export interface ClosedLoopFigures {
  connections: number;
  queries: number;
  sysbench: UnitCost;
  intercept: UnitCost;
  local: UnitCost;
  /** CPU a command over sysbench's. */
  intercept_ratio: number;
  local_ratio: number;
}

/**
 * CPU of a replay a command, intercept included, against sysbench's own a query, on the same mariadbd: both closed loops on as
 * many connections. The replay reads its recording and checks every answer.
 */
export async function benchClosedLoop(bench: Bench): Promise<ClosedLoopFigures[]> {
  const { lab, say } = bench;
  const all: ClosedLoopFigures[] = [];
  for (const connections of CONNECTIONS) {
    const queries = QUERIES / connections;
    // Not from client: what target answers to the clients' addresses goes to the assistant.
    const sysbench = (n: number) =>
      pointSelectCost(lab, 'online', lab.addresses.target, {
        threads: connections,
        queries: n * connections,
      });
    const replay = (path: Path, n: number) => {
      const tape = tapeOf(bench, `loop-${connections}-${n}`, (folder) => makeLoop(folder, connections, n));
      return commandCost(bench, { path, tape, port: PORT });
    };
    const contenders: Contender[] = [
      { name: 'sysbench', short: () => sysbench(SHORT_QUERIES / connections), long: () => sysbench(queries) },
      ...(['intercept', 'local'] as const).map((path) => ({
        name: path,
        short: () => replay(path, SHORT_QUERIES / connections),
        long: () => replay(path, queries),
      })),
    ];
    const costs = await alternate(contenders, ROUNDS);
    const figures = {
      connections,
      queries: QUERIES,
      sysbench: costs.get('sysbench')!,
      intercept: costs.get('intercept')!,
      local: costs.get('local')!,
    };
    const ratio = (cost: UnitCost) => round(cost.total_us / figures.sysbench.total_us);
    all.push({ ...figures, intercept_ratio: ratio(figures.intercept), local_ratio: ratio(figures.local) });
    say(
      `  ${connections} connections: sysbench ${figures.sysbench.total_us} µs a query, ${figures.sysbench.rate}/s`,
    );
    for (const path of ['intercept', 'local'] as const) {
      const cost = figures[path];
      say(`    ${path}: ${cost.total_us} µs a command, ${ratio(cost)} times sysbench's; ${cost.rate}/s`);
    }
  }
  return all;
}
