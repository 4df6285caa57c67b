import { readFileSync } from 'node:fs';
import type { Lab, LabSpawnOptions, RunResult } from '../lab/lab.ts';
import type { Host } from '../lab/network.ts';

/** Clock ticks a second of /proc (proc_pid_stat(5)): 100 on every Linux that Node runs on. */
const TICKS = 100;

/** CPU time that a process has used, in user and system mode, all its threads together, ms. */
export function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The name in parentheses may hold blanks; utime and stime are fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS;
}

/** A size that /proc/PID/status (proc_pid_status(5)) says of a process, in octets. */
export function statusOctets(pid: number, name: string): number {
  const line = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(line?.[1] ?? 0) * 1024;
}

export interface Timed extends RunResult {
  cpuMs: number;
  elapsedMs: number;
}

/**
 * Runs a command on a host to its end and says what CPU time it took, start included. Fails if the command does, with another exit
 * code than those `accepted`.
 */
export async function timed(
  lab: Lab,
  host: Host,
  command: readonly string[],
  options: LabSpawnOptions = {},
  accepted: readonly number[] = [0],
): Promise<Timed> {
  const script = 'TIMEFORMAT="%R %U %S"; time "$@"';
  const result = await lab.run(host, 'bash', ['-c', script, 'bash', ...command], options);
  if (!accepted.includes(result.code)) {
    throw new Error(`${command.join(' ')}: exit code ${result.code}\n${result.stdout}${result.stderr}`);
  }
  const [real, user, system] = (result.stderr.trimEnd().split('\n').at(-1) ?? '').split(' ').map(Number);
  return { ...result, cpuMs: (user + system) * 1000, elapsedMs: real * 1000 };
}
