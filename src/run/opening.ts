/**
 * What a run opens while the process has the rights that it was started with; they are given up before this returns. An archive is read
 * after that, and a replay's target is asked after that: neither is input for root. Decision 0042.
 */
import { existsSync, rmdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { MytapeError } from '../errors.ts';
import { Guard } from '../net/guard.ts';
import { checkWritable, goOnAs, type RunAs } from '../net/host/run-as.ts';
import { sayLine } from '../report/output.ts';
import { isUnderWay } from './control/socket.ts';
import { giveRunReserveBack, makeRunFolder, takeRunReserve } from './folder.ts';
import type { OpeningJob, TargetJob } from './job.ts';
import { LOCK_FILE, RunLock } from './lock.ts';
import { openThreads, type ReplayThreads } from './threads.ts';

/** How a run opens. */
export interface OpeningFacts {
  /** As whom the run goes on once its sockets are open. */
  runAs: RunAs;
  /** Of a run that something else in this process runs beside, which has the main thread and stdout. */
  isBeside?: boolean;
  /** Called when the sockets are open and the process still has its rights. */
  opened?: (() => Promise<void>) | undefined;
}

/** What the command line says of a run's folder and threads. */
export interface OpeningChoices {
  /** undefined: a new one, under runs/. */
  out?: string | undefined;
  /** Threads. */
  channels: number;
}

/** Its sockets are open, and the process has become who it goes on as. */
export interface OpenedRun {
  /** Its folder, which can be written. */
  out: string;
  threads: ReplayThreads;
  guard: Guard | undefined;
  /** Who carries out a run in that folder. */
  lock: RunLock;
  /** It is under way: who carries it out frees all of it. */
  begun: boolean;
  /** Frees all of it, and removes a folder that was made for it, where the run is not to begin. May be called again. */
  close(): Promise<void>;
}

/** Throws where a socket can't be had, another run is under way in the folder, or the folder can't be written. */
export async function openRun(
  job: OpeningJob,
  options: OpeningChoices,
  { runAs, isBeside = false, opened }: OpeningFacts,
): Promise<OpenedRun> {
  const wasThere = options.out !== undefined && existsSync(options.out);
  const out = makeRunFolder(options.out, runAs);
  let threads: ReplayThreads | undefined;
  let guard: Guard | undefined;
  let lock: RunLock | undefined;
  const free = async () => {
    await threads?.close();
    await guard?.close();
    giveRunReserveBack(out);
    lock?.release();
    if (!wasThere) removeMade(options.out === undefined ? [out, dirname(out)] : [out]);
  };
  let freed: Promise<void> | undefined;
  const close = () => (freed ??= free());
  try {
    if (await isUnderWay(out))
      throw new MytapeError('usage', `a run is under way in ${out}: choose another folder by --out`);
    lock = RunLock.take(out, runAs);
    // Should what follows fail, it goes with the process.
    guard = await guardOf(job.targets);
    threads = await openThreads(job, options.channels, sayLine, isBeside);
    await opened?.();
    await goOnAs(runAs);
    await threads.shed();
    checkWritable(out, runAs, '--out');
    takeRunReserve(out);
    return { out, threads, guard, lock, begun: false, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The folder of a run that did not begin, where nobody else put anything in it. */
function removeMade(folders: readonly [string, ...string[]]): void {
  try {
    rmSync(join(folders[0], LOCK_FILE), { force: true });
    for (const folder of folders) rmdirSync(folder);
  } catch {
    // It holds something, or is in a folder of root's.
  }
}

/** Where we speak from this host's own address, to whichever target. */
async function guardOf(targets: readonly TargetJob[]): Promise<Guard | undefined> {
  const services = targets.flatMap(({ target, targetPort, clients }) =>
    clients.from === 'self' ? [{ target, targetPort, ...clients }] : [],
  );
  return services.length === 0 ? undefined : Guard.raise(...services);
}
