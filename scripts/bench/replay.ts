import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Lab } from '../lab/lab.ts';
import {
  type ReplayFiles,
  type ReplayPath,
  type ReplaySummary,
  replayArguments,
  replayHost,
  startIntercept,
} from '../lab/tape.ts';
import { cpuMs, timed } from './cpu.ts';
import { runPointSelects } from './pointselect.ts';

const CLI = fileURLToPath(new URL('../../src/cli.js', import.meta.url));

export interface ClosedLoopFigures {
  path: ReplayPath;
  connections: number;
  commands: number;
  sysbench_us: number;
  replay_us: number;
  intercept_us: number;
  /** (replay + intercept) / sysbench. */
  ratio: number;
  sysbench_qps: number;
  replay_qps: number;
}

/**
 * CPU of a replay a command, intercept included, against sysbench's own a query on the same target: both closed loops on
 * as many connections, one right after the other. Both counts include starting, login and, for the replay, reading the
 * archive.
 */
export async function benchClosedLoop(
  lab: Lab,
  path: ReplayPath,
  archive: string,
  files: ReplayFiles,
  queries: number,
  copies: number,
): Promise<ClosedLoopFigures> {
  const connections = 50;
  const job = { threads: connections, queries: queries * copies };
  // Not from client: what target answers to the clients' addresses goes to the assistant.
  const sysbench = await runPointSelects(lab, 'online', lab.addresses.target, job);
  const intercept = path === 'intercept' ? await startIntercept(lab, files) : undefined;
  const out = join(lab.runFolder, `bench-${path}`);
  const extra = ['--speed', 'max', '-n', String(copies), '--out', out, '--json'];
  const args = replayArguments(lab, path, archive, files, extra);
  const before = intercept === undefined ? 0 : cpuMs(intercept.pid);
  const replay = await timed(lab, replayHost(path), [process.execPath, CLI, ...args]);
  const interceptMs = intercept === undefined ? 0 : cpuMs(intercept.pid) - before;
  await intercept?.stop();
  const summary = JSON.parse(replay.stdout) as ReplaySummary;
  const commands = summary.commands.answered;
  const each = (ms: number, n: number) => Math.round((ms * 1e5) / n) / 100;
  const ours = each(replay.cpuMs, commands) + each(interceptMs, commands);
  const theirs = each(sysbench.cpuMs, job.queries);
  return {
    path,
    connections: connections * copies,
    commands,
    sysbench_us: theirs,
    replay_us: each(replay.cpuMs, commands),
    intercept_us: each(interceptMs, commands),
    ratio: Math.round((ours / theirs) * 100) / 100,
    sysbench_qps: Math.round((job.queries / sysbench.elapsedMs) * 1000),
    replay_qps: summary.qps,
  };
}
