import type { Lab } from '../lab/lab.ts';
import type { Host } from '../lab/network.ts';
import { PORT, USERS } from '../lab/server.ts';
import { type Timed, timed } from './cpu.ts';
import type { Cost } from './figures.ts';

export const ROWS = 10_000;

/** sysbench oltp_point_select as text, closed loop: the lightest query that a real client makes. */
export interface PointSelects {
  threads: number;
  queries: number;
  /** Default: mariadbd's. */
  port?: number;
}

function sysbench(server: string, rest: readonly string[], port = PORT): string[] {
  return [
    'sysbench',
    'oltp_point_select',
    `--mysql-host=${server}`,
    `--mysql-port=${port}`,
    '--mysql-user=app',
    `--mysql-password=${USERS.app}`,
    '--mysql-db=sbtest',
    '--tables=1',
    `--table-size=${ROWS}`,
    '--db-ps-mode=disable',
    '--skip-trx=on',
    ...rest,
  ];
}

export async function preparePointSelects(lab: Lab, from: Host, server: string): Promise<void> {
  await timed(lab, from, sysbench(server, ['prepare']));
}

/** Runs from host `from`, and says what it cost sysbench. */
export function runPointSelects(lab: Lab, from: Host, server: string, job: PointSelects): Promise<Timed> {
  const size = [`--threads=${job.threads}`, `--events=${job.queries}`, '--time=0'];
  return timed(lab, from, sysbench(server, [...size, 'run'], job.port));
}

/** What it cost, and how long nineteen of twenty queries took at most. */
export interface PointSelectCost extends Cost {
  p95Ms: number;
}

/** The same as a cost; times are sysbench's own word, for its queries alone. */
export async function pointSelectCost(
  lab: Lab,
  from: Host,
  server: string,
  job: PointSelects,
): Promise<PointSelectCost> {
  const { cpuMs, stdout } = await runPointSelects(lab, from, server, job);
  const said = (pattern: RegExp) => Number(pattern.exec(stdout)?.[1]);
  return {
    units: job.queries,
    cpuMs: { sysbench: cpuMs },
    elapsedMs: said(/total time:\s+([\d.]+)s/) * 1000,
    p95Ms: said(/95th percentile:\s+([\d.]+)/),
  };
}
