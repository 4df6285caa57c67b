/** checkpoint-SHARE.json: how far one share of a run had come, but for what its log says (log.ts). */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { MytapeError } from '../../errors.ts';
import { isCount, isRecord } from '../../report/causes.ts';
import { addStalls, isMs, mergeTallies, type Tally, tallyProblem } from '../../report/tally.ts';
import { sumStats } from '../../transport/targets.ts';
import type { TransportStats } from '../../transport/transport.ts';
import { isStage } from './log-stage.ts';
import { readSealed } from './sealed.ts';

/** What follows where the files of a run are of no use. */
export const BEGIN_ANEW = "this run can't be resumed (set the target's data back, and begin it anew)";

/** Checkpoints and logs have names of this form in the run's folder. */
const FILES = /^(checkpoint-\d+\.json|sessions-\d+\.\d+\.log(\.staged-[01]|\.broken)?)(\.later)?(\.tmp)?$/;

export function isCheckpointFile(name: string): boolean {
  return FILES.test(name);
}

/** What was counted of a share. */
export interface Counted {
  tally: Tally;
  transport: TransportStats;
}

export interface CheckpointFile extends Counted {
  /** Of the run (RunFile). */
  run: string;
  share: number;
  /** Times that the recording was replayed before. */
  pass: number;
  /** Length of the log of this pass, all of which was on the disk when this was written. */
  logOctets: number;
  /** No session with a greater number was begun before another checkpoint was on the disk; -1: none was. */
  horizon: number;
  /** Of the host (bootId). */
  boot: string;
  /** Where what the log has not on the disk is (log-stage.ts). */
  stage: string;
  /** Since the run began, without the time that it stood still. */
  elapsedMs: number;
  /**
   * What runs had counted that this one went on with, which is not in the tally. In both, what must add up (Accounts) is of the passes
   * before this one: that of this pass is in the log.
   */
  before?: Counted | undefined;
}

/** Names a run, so that no file of another is taken for one of its own. */
export function newRunId(): string {
  return randomBytes(16).toString('hex');
}

const RUN_ID = /^[0-9a-f]{32}$/;

export function isRunId(value: unknown): value is string {
  return typeof value === 'string' && RUN_ID.test(value);
}

/**
 * What changes each time that this host starts: what was written before and not synced may be gone since. '' where the system has no such
 * thing: then nobody can tell.
 */
export function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
}

export function checkpointPath(folder: string, share: number): string {
  return join(folder, `checkpoint-${share}.json`);
}

/** The log of the pass of this number. */
export function logPath(folder: string, share: number, pass: number): string {
  return join(folder, `sessions-${share}.${pass}.log`);
}

/** Throws `bad-file` where there is none of this share and run, or it is damaged. */
export function readCheckpoint(folder: string, share: number, run: string): CheckpointFile {
  const path = checkpointPath(folder, share);
  try {
    const held = readSealed(path);
    const problem = problemOf(held) ?? strangerIn(held as CheckpointFile, share, run);
    if (problem !== undefined) throw new Error(problem);
    return held as CheckpointFile;
  } catch (cause) {
    throw new MytapeError('bad-file', `cannot read ${path}: ${(cause as Error).message}: ${BEGIN_ANEW}`, {
      cause,
    });
  }
}

function problemOf(held: unknown): string | undefined {
  if (!isRecord(held)) return 'it holds no checkpoint';
  const { run, share, pass, logOctets, horizon, boot, stage, elapsedMs, before } = held;
  const wrong = (name: string) => `it is damaged: its field ${name} has another form`;
  if (!isRunId(run)) return wrong('run');
  for (const [name, value] of Object.entries({ share, pass })) if (!isNumberOfLog(value)) return wrong(name);
  if (!isCount(logOctets)) return wrong('logOctets');
  if (horizon !== -1 && !isNumberOfLog(horizon)) return wrong('horizon');
  if (typeof boot !== 'string') return wrong('boot');
  if (!isStage(stage)) return wrong('stage');
  if (!isMs(elapsedMs)) return wrong('elapsedMs');
  const inner = countedProblem(held) ?? (before === undefined ? undefined : countedProblem(before));
  return inner === undefined ? undefined : `it is damaged: its ${inner}`;
}

/** The log has 32 bits for it. */
function isNumberOfLog(value: unknown): boolean {
  return isCount(value) && value <= 0xffff_ffff;
}

function countedProblem(value: unknown): string | undefined {
  if (!isRecord(value)) return 'field before is not an object';
  const { transport } = value;
  const { packetsOut, packetsIn, retransmitted, captureDropped } = isRecord(transport) ? transport : {};
  if (![packetsOut, packetsIn, retransmitted, captureDropped].every(isCount))
    return 'field transport has another form';
  return tallyProblem(value.tally);
}

function strangerIn(held: CheckpointFile, share: number, run: string): string | undefined {
  if (held.run !== run) return 'it is of another run';
  return held.share === share ? undefined : `it is of thread ${held.share}`;
}

export function sumOfCounted(a: Counted | undefined, b: Counted): Counted {
  if (a === undefined) return { tally: b.tally, transport: b.transport };
  return {
    tally: { ...mergeTallies([a.tally, b.tally]), stalls: addStalls(a.tally.stalls, b.tally.stalls) },
    transport: sumStats([a.transport, b.transport], false),
  };
}
