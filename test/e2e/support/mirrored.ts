/** Traffic on online, and a mirror of it on target. */
import assert from 'node:assert/strict';
import { Background } from '../../../scripts/lab/background.ts';
import { type Counts, connectionsLeft, countsOf, difference } from '../../../scripts/lab/compare.ts';
import type { Host } from '../../../scripts/lab/network.ts';
import { PORT, USERS } from '../../../scripts/lab/server.ts';
import { CLI } from '../../../scripts/lab/tape.ts';
import type { Summary } from '../../../src/report/summary.ts';
import { assertAddsUp, readSummary, type TestBed } from './path.ts';

/** How long the target may take for what is left when the clients are done. */
const REST_MS = 60_000;

export interface MirrorPlan {
  copies?: number;
  /** More of the command line: how the target is reached, `-C`. */
  args: readonly string[];
  workload: () => Promise<unknown>;
}

export interface Mirrored {
  summary: Summary;
  online: Counts;
  target: Counts;
  stderr: string;
  code: number;
}

/** The command line of a mirror on online, which may ask online for snapshots, too; `args` may say another mapping by `-x`. */
export function mirrorArguments(bed: TestBed, args: readonly string[]): string[] {
  const x = args.includes('-x') ? [] : ['-x', `${PORT}-${bed.lab.addresses.target}:${PORT}`];
  const logins = new Set([bed.target, bed.online].flatMap(({ brand }) => brand.loginOptions));
  return [...x, '--users', bed.files.users, ...logins, ...args];
}

/** Starts a mirror on online; resolves when it captures. */
export function startMirror(bed: TestBed, args: readonly string[]): Promise<Background> {
  const command = [process.execPath, CLI, 'mirror', ...mirrorArguments(bed, args)];
  return Background.start(bed.lab, 'online', command, /mirroring on/);
}

/** Mirrors a workload, and stops when nobody is on the target any more. */
export async function mirrored(bed: TestBed, { copies = 1, args, workload }: MirrorPlan): Promise<Mirrored> {
  const out = bed.fresh('mirror');
  const mirror = await startMirror(bed, [...args, '-n', String(copies), '--out', out]);
  const [onlineBefore, targetBefore] = await Promise.all([countsOf(bed.online), countsOf(bed.target)]);
  await workload();
  const online = difference(await countsOf(bed.online), onlineBefore);
  await connectionsLeft(bed.target, REST_MS);
  const { code, stderr } = await mirror.stop();
  await bed.assertNobodyOnTarget();
  const target = difference(await countsOf(bed.target), targetBefore);
  return { summary: readSummary(out), online, target, stderr, code };
}

/** Every command that the clients made was made on the target, by every copy, and nothing else. */
export function assertMirrored({ summary, online, target, stderr }: Mirrored): void {
  const { copies, captured, commands, sessions } = summary;
  const expected = Object.fromEntries(Object.entries(online).map(([name, count]) => [name, count * copies]));
  assert.deepEqual(
    { dropped: captured.dropped, lost: commands.lost, skipped: commands.skipped, target },
    { dropped: 0, lost: {}, skipped: {}, target: expected },
    stderr,
  );
  assert.equal(captured.sessions, online.Connections);
  assert.equal(sessions.completed, online.Connections * copies);
  assertAddsUp(summary);
}

/** sysbench read-write as fast as it goes, to whichever address of online, on the tables of the lab. */
export async function sysbench(
  bed: TestBed,
  job: { from?: Host; to?: string; threads: number; transactions: number; prepared?: boolean },
): Promise<string> {
  const { from = 'client', to = bed.lab.addresses.online, threads, transactions, prepared } = job;
  const result = await bed.lab.run(from, 'sysbench', [
    'oltp_read_write',
    `--mysql-host=${to}`,
    `--mysql-port=${PORT}`,
    '--mysql-user=app',
    `--mysql-password=${USERS.app}`,
    '--mysql-db=sbtest',
    '--tables=2',
    '--table-size=2000',
    '--rand-type=uniform',
    `--db-ps-mode=${prepared ? 'auto' : 'disable'}`,
    `--threads=${threads}`,
    `--events=${transactions}`,
    '--time=0',
    'run',
  ]);
  assert.equal(result.code, 0, result.stdout + result.stderr);
  return result.stdout;
}
