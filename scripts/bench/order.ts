import { join } from 'node:path';
import type { Percentiles } from '../../src/report/percentiles.ts';
import type { Summary } from '../../src/report/summary.ts';
import { makeStart, recordWorkload, resetTarget } from '../lab/path.ts';
import { PORT } from '../lab/server.ts';
import { loadTables, runSysbench, type SysbenchJob } from '../lab/workload.ts';
import { median, round } from './figures.ts';
import { ROWS } from './pointselect.ts';
import { type Bench, cpuOf, mustBeWhole, runReplay } from './replay-run.ts';

/** Ten seconds of 6,000 commands each, which a recording on the same cores bears. */
const JOB: SysbenchJob = { mode: 'prepared', threads: 8, transactions: 3_000, rate: 300 };
const ROUNDS = 3;

const ORDERS = ['time', 'commit'] as const;
type Order = (typeof ORDERS)[number];

export interface OrderFigures {
  commands: number;
  time: OrderRun;
  commit: OrderRun;
  /** Commands a second by commit over those by time. */
  rate_ratio: number;
}

/** Medians of the runs. */
interface OrderRun {
  /** Answers unlike the recorded ones: errors, numbers of rows, contents. */
  different: number;
  rate: number;
  /** CPU of the replay and its intercept. */
  us_a_command: number;
  held: number;
  released: number;
  held_ms: Percentiles;
}

interface Run {
  summary: Summary;
  us: number;
}

/** sysbench read-write, recorded, replayed as fast as it goes onto what was there when it began: by time and by commit, in turns. */
export async function benchOrder(bench: Bench): Promise<OrderFigures> {
  const { lab, say } = bench;
  // The bench's own is replaced by one with as many rows, which the parts after this one find.
  await lab.server('online').sql('DROP TABLE sbtest.sbtest1');
  await loadTables(lab, ROWS);
  const start = await makeStart(lab);
  const archive = join(lab.runFolder, 'order.tape');
  const recorded = await recordWorkload(lab, archive, () => runSysbench(lab, JOB, ROWS));
  const { dropped } = recorded.summary;
  if (dropped > 0)
    throw new Error(`the recording lost ${dropped} packets: the machine is too busy for this part`);
  const runs: Record<Order, Run[]> = { time: [], commit: [] };
  for (let i = 0; i < ROUNDS; i++) {
    for (const order of ORDERS) {
      await resetTarget(lab, start);
      const job = { path: 'intercept', tape: archive, port: PORT, extra: ['--order', order] } as const;
      const { summary, replayMs, interceptMs } = await runReplay(bench, job);
      mustBeWhole(summary);
      const cpu = Object.values(cpuOf(job, replayMs, interceptMs)).reduce((a, b) => a + b);
      runs[order].push({ summary, us: (cpu * 1000) / summary.commands.answered });
    }
  }
  const [time, commit] = ORDERS.map((order) => orderRun(runs[order]));
  const { commands } = recorded.summary;
  for (const [i, run] of [time, commit].entries()) {
    const { different, rate, us_a_command, held, released, held_ms } = run;
    say(
      `  by ${ORDERS[i]}: ${different} of ${commands} answers unlike the recorded ones; ${rate} commands/s, ${us_a_command} µs a command, start included; ` +
        `${held} held (${held_ms.p50} ms p50, ${held_ms.p99} p99), ${released} released`,
    );
  }
  return { commands, time, commit, rate_ratio: round(commit.rate / time.rate) };
}

function orderRun(runs: readonly Run[]): OrderRun {
  const of = (each: (summary: Summary) => number) => median(runs.map(({ summary }) => each(summary)));
  const heldMs = (which: keyof Percentiles) =>
    round(
      of(({ order }) => order.held_ms[which]),
      3,
    );
  return {
    different: of(({ divergence: { error, rows, data } }) => error + rows + data),
    rate: Math.round(of(({ qps }) => qps)),
    us_a_command: round(median(runs.map(({ us }) => us))),
    held: of(({ order }) => order.held),
    released: of(({ order }) => order.released),
    held_ms: { p50: heldMs('p50'), p99: heldMs('p99'), max: heldMs('max') },
  };
}
