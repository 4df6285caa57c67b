/** What is left of a run to resume: run.json says what was asked for, the checkpoints how far each share came. */
import { existsSync, lstatSync, readdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { MytapeError, withRemedy } from '../../errors.ts';
import { checkGivenUp, ourUsers, syncFolder } from '../../files.ts';
import { relyOnCaller } from '../../net/host/run-as.ts';
import { hasCopy, type Share } from '../../replay/share.ts';
import { isCount, isRecord } from '../../report/causes.ts';
import type { CaptureNs } from '../../time.ts';
import type { CheckpointJob } from '../job.ts';
import { writeDurably } from './durable.ts';
import { checkpointPath, isCheckpointFile, isRunId } from './file.ts';
import { readShareLeft, type ShareLeft } from './left.ts';
import { removeStage } from './log-stage.ts';
import { readSealed, seal } from './sealed.ts';

/** By which a recording is known again. One that was still being made has more packets later. */
export interface RecordingIdentity {
  startedMs: number;
  originSec: number;
  packets: number;
}

/** How a run was started. */
export interface RunStart {
  /** Words of the command line behind the verb. No password is ever among them. */
  args: string[];
  recording: RecordingIdentity;
}

/** run.json. */
export interface RunFile extends RunStart {
  /** 32 hexadecimal digits, which the run's checkpoints and logs have, too. */
  id: string;
  /** What paths in `args` are relative to. */
  cwd: string;
  /** How often it was resumed. */
  resumed: number;
  /** It came to its end: nothing is left to resume. */
  completed: boolean;
}

const RUN_FILE = 'run.json';
const runFileIn = (folder: string) => join(folder, RUN_FILE);

export function writeRunFile(folder: string, file: RunFile): void {
  const path = runFileIn(folder);
  try {
    writeDurably(path, seal(file, 2));
  } catch (cause) {
    throw new MytapeError('disk', `cannot write ${path}: ${withRemedy(cause)}`, { cause });
  }
}

/** `owners`: of these users only, as the file that was opened says; default: of any. */
export function readRunFile(folder: string, owners: readonly number[] = []): RunFile {
  const path = runFileIn(folder);
  if (!existsSync(path))
    throw new MytapeError(
      'bad-file',
      `${folder} has no run to resume: there is no ${path} (name the folder of a replay, its --out; a run that ended while it waited for --start-at has sent nothing: start it again)`,
    );
  try {
    const file = readSealed(path, owners);
    if (!isRunFile(file)) throw new Error('it is damaged: it holds no run');
    return file;
  } catch (cause) {
    const what = `cannot read ${path}: ${(cause as Error).message}: how the run was started is not known`;
    throw new MytapeError('bad-file', `${what} (set the target's data back, and begin it anew)`, { cause });
  }
}

function isRunFile(held: unknown): held is RunFile {
  if (!isRecord(held)) return false;
  const { id, args, recording, cwd, resumed, completed } = held;
  const { startedMs, originSec, packets } = isRecord(recording) ? recording : {};
  if (!isCount(startedMs) || !isCount(originSec) || !isCount(packets)) return false;
  const areWords = Array.isArray(args) && args.every((word) => typeof word === 'string');
  return (
    isRunId(id) && areWords && typeof cwd === 'string' && isCount(resumed) && typeof completed === 'boolean'
  );
}

/** Whether a run that nobody has resumed yet was stopped or killed in `folder`; or is under way. */
export function isInterrupted(folder: string): boolean {
  return existsSync(runFileIn(folder)) && !readRunFile(folder).completed;
}

/**
 * A run begins to send, or goes on to: from now on there is something to resume. What another run left in the folder is gone. Throws where the recording is not the one that the run
 * began with: its sessions have other numbers.
 */
export function beginRunFile({ folder, run, resume }: CheckpointJob, { args, recording }: RunStart): RunFile {
  if (!resume) {
    removeCheckpoints(folder);
    const file = { id: run, args, recording, cwd: process.cwd(), resumed: 0, completed: false };
    writeRunFile(folder, file);
    return file;
  }
  const before = readRunFile(folder);
  refuseCompleted(folder, before);
  const { startedMs, originSec, packets } = before.recording;
  if (recording.startedMs !== startedMs || recording.originSec !== originSec || recording.packets < packets) {
    throw new MytapeError(
      'bad-archive',
      `the archive is not the one that the run in ${folder} began with: it was made anew since (put the old one back, or begin a new run)`,
    );
  }
  const file = { ...before, resumed: before.resumed + 1 };
  writeRunFile(folder, file);
  return file;
}

function refuseCompleted(folder: string, { completed }: RunFile): void {
  if (completed)
    throw new MytapeError('usage', `the run in ${folder} came to its end: nothing is left to resume`);
}

/** Its words are typed in our name. Throws where somebody else could have written them. */
function refuseForeign(path: string): void {
  relyOnCaller();
  const owners = ourUsers();
  const { uid } = lstatSync(path, { throwIfNoEntry: false }) ?? {};
  if (uid === undefined || owners.length === 0 || owners.includes(uid)) return;
  throw new MytapeError(
    'bad-file',
    `${path} belongs to user ${uid}, who could have changed what is to be resumed: resume it as that user ` +
      `(with CAP_NET_RAW: setpriv --reuid ${uid} --init-groups --inh-caps +net_raw --ambient-caps +net_raw mytape replay --resume …)`,
  );
}

/** The run came to its end: nothing is left to resume, and where that can't be written down, nothing that could be. */
export function endRunFile(folder: string, file: RunFile): void {
  try {
    writeRunFile(folder, { ...file, completed: true });
    removeCheckpoints(folder);
    removeStage(file.id);
  } catch {
    removeRun(folder);
  }
}

/** Whether all `shares` of the run in `folder` have checkpoints: one that could not be written is gone. */
export function canBeResumed(folder: string, shares: number): boolean {
  return Array.from({ length: shares }, (_, share) => checkpointPath(folder, share)).every((path) =>
    existsSync(path),
  );
}

/** A new run has this folder, and has sent nothing yet. */
export function removeRun(folder: string): void {
  try {
    removeStage(readRunFile(folder).id);
  } catch {
    // There was none, or nobody knows which.
  }
  removeCheckpoints(folder, (name) => name === RUN_FILE);
}

/** Nobody goes on from here. */
function removeCheckpoints(folder: string, isToo = (_name: string) => false): void {
  try {
    for (const name of readdirSync(folder))
      if (isCheckpointFile(name) || isToo(name)) rmSync(join(folder, name));
    syncFolder(folder);
  } catch (cause) {
    throw new MytapeError(
      'disk',
      `cannot remove what an earlier run left in ${folder}: ${(cause as Error).message}`,
      { cause },
    );
  }
}

/**
 * The words that a process was started with; of `replay --resume RUN` those that the run was started with, in the folder
 * that they were said in. Throws where that run cannot be resumed.
 */
export function resumedArgs(argv: readonly string[]): string[] {
  const [node, script, verb, ...words] = argv;
  const at = words.findIndex((word) => word === '--resume' || word.startsWith('--resume='));
  if (verb !== 'replay' || at < 0) return [...argv];
  const isOneWord = words[at] !== '--resume';
  const folder = isOneWord ? words[at].slice('--resume='.length) : words[at + 1];
  if (folder === undefined || words.length > (isOneWord ? 1 : 2)) {
    throw new MytapeError(
      'usage',
      'say mytape replay --resume RUN and nothing else: all the rest is as the run was started with',
    );
  }
  const run = resolve(folder);
  refuseForeign(runFileIn(run));
  const file = readRunFile(run, ourUsers());
  refuseCompleted(folder, file);
  const { args, cwd } = file;
  try {
    process.chdir(cwd);
  } catch (cause) {
    throw new MytapeError(
      'bad-file',
      `cannot go to ${cwd}, where the run was started: ${(cause as Error).message}`,
      { cause },
    );
  }
  return [node, script, verb, ...args, '--out', run, '--resume', run];
}

/** How far the shares of an interrupted run came. */
export interface RunLeft {
  /** Its id. */
  run: string;
  /** Times that all of the recording was replayed. */
  pass: number;
  elapsedMs: number;
  /** Whether anything of this session was not begun. */
  isLeft(session: number): boolean;
}

export function readRunLeft(folder: string, shares: readonly Share[], copies: number): RunLeft {
  checkGivenUp(folder);
  const { id: run } = readRunFile(folder);
  const left = shares.map(({ index: share }) => readShareLeft({ folder, run, share, copies }));
  const pass = Math.min(...left.map(({ file }) => file.pass));
  const isDone = ({ file, done }: ShareLeft, session: number, copy: number) =>
    file.pass > pass || done.isCounted(session) || done.lostBy(session, copy) !== undefined;
  return {
    run,
    pass,
    elapsedMs: Math.max(...left.map(({ file }) => file.elapsedMs)),
    isLeft(session) {
      for (let copy = 0; copy < copies; copy++) {
        const share = shares.findIndex((one) => hasCopy(one, session, copy));
        if (!isDone(left[share], session, copy)) return true;
      }
      return false;
    },
  };
}

/** When the first of `sessions` began that are left; undefined: none is. */
export function firstLeft(
  sessions: Iterable<{ id: number; firstAt: CaptureNs }>,
  { isLeft }: RunLeft,
): CaptureNs | undefined {
  let first: CaptureNs | undefined;
  for (const { id, firstAt } of sessions) {
    if (first !== undefined && firstAt >= first) continue;
    if (isLeft(id)) first = firstAt;
  }
  return first;
}
