import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Percentiles } from '../../src/report/percentiles.ts';
import { Background } from '../lab/background.ts';
import { PORT } from '../lab/server.ts';
import { CLI, RELAY_PORT, type ReplaySummary } from '../lab/tape.ts';
import { cpuMs } from './cpu.ts';
import { round } from './figures.ts';
import { NULL_PORT, NullTarget } from './null-target.ts';
import { type PointSelects, pointSelectCost } from './pointselect.ts';
import { type Bench, interceptFor, mustBeWhole, type ReplayJob } from './replay-run.ts';

const JOB: PointSelects = { threads: 64, queries: 60_000 };

/** What is left to send when the clients are done. */
const REST_MS = 3_000;

const VARIANTS = [
  { name: 'one', args: [] },
  { name: 'two_threads', args: ['-C', '2'] },
  { name: 'ten_copies', args: ['-C', '2', '-n', '10'] },
] as const;

interface MirrorFigures {
  copies: number;
  /** Of the mirror's process, for each command of the clients'. */
  cpu_us_a_command: number;
  /** The same over what the server used for it. */
  cpu_of_servers: number;
  /** sysbench's queries a second, as a part of those without a mirror. */
  throughput: number;
  /** Within which sysbench had nineteen of twenty answers, without a mirror and with it. */
  p95_ms: { without: number; with: number };
  lateness_ms: Percentiles;
  dropped: number;
}

/**
 * What `mytape mirror` costs the host that it runs on: its own CPU, and what sysbench loses by it. Here all hosts share the same
 * cores, so that sysbench loses by the intercept and the target, too: on hosts of their own it is less.
 */
export async function benchMirror(bench: Bench): Promise<Record<string, MirrorFigures>> {
  const { lab, say } = bench;
  const online = lab.addresses.online;
  const serverPid = lab.server('online').pid;
  const alone = () => pointSelectCost(lab, 'client', online, JOB);
  await alone();
  const target = await NullTarget.start(lab);
  const job: ReplayJob = { path: 'intercept', tape: '', port: NULL_PORT };
  const intercept = await interceptFor(bench, job);
  const figures: Record<string, MirrorFigures> = {};
  try {
    for (const { name, args } of VARIANTS) {
      // One before and one after, so that the machine's mood is in both.
      const before = await alone();
      const out = join(lab.runFolder, `mirror-${name}`);
      const mirror = await startMirror(bench, [...args, '--out', out]);
      const cpuBefore = cpuMs(mirror.pid);
      const serverBefore = cpuMs(serverPid);
      const during = await alone();
      const server = cpuMs(serverPid) - serverBefore;
      await new Promise((resolve) => setTimeout(resolve, REST_MS));
      const cpu = cpuMs(mirror.pid) - cpuBefore;
      await mirror.stop();
      const after = await alone();
      const summary = JSON.parse(readFileSync(join(out, 'summary.json'), 'utf8')) as ReplaySummary;
      mustBeWhole(summary);
      const { captured, copies, lateness_ms } = summary;
      figures[name] = {
        copies,
        cpu_us_a_command: round((cpu * 1000) / captured.commands),
        cpu_of_servers: round(cpu / server),
        throughput: round((before.elapsedMs + after.elapsedMs) / 2 / during.elapsedMs),
        p95_ms: { without: round((before.p95Ms + after.p95Ms) / 2), with: during.p95Ms },
        lateness_ms,
        dropped: captured.dropped,
      };
      const { cpu_us_a_command, cpu_of_servers, throughput, p95_ms } = figures[name];
      say(
        `  ${['mirror', ...args].join(' ')}: ${cpu_us_a_command} µs of CPU a command of the clients' (${cpu_of_servers} times the server's), ` +
          `sysbench at ${throughput} of its throughput, its p95 ${p95_ms.with} ms instead of ${p95_ms.without}, ` +
          `${lateness_ms.p50} ms late (p50), ${lateness_ms.p99} (p99), ${captured.dropped} packets dropped`,
      );
    }
  } finally {
    await intercept?.stop();
    await target.stop();
  }
  return figures;
}

function startMirror({ lab, files }: Bench, args: readonly string[]): Promise<Background> {
  const { target, assistant } = lab.addresses;
  const way = ['-x', `${PORT}-${target}:${NULL_PORT}`, '-s', `${assistant}:${RELAY_PORT}`];
  // A responder that knows no statement cannot say whether it is a live server.
  const rest = ['--key-file', files.key, '--users', files.users, '--allow-live-target'];
  const command = [process.execPath, CLI, 'mirror', ...way, ...rest, ...args];
  return Background.start(lab, 'online', command, /mirroring on/);
}
