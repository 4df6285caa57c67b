/** What is left of a run to resume: run.json says what was asked for, the checkpoints how far each share came. */
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { MytapeError } from '../errors.ts';
import { hasCopy, type Share } from '../replay/share.ts';
import type { CaptureNs } from '../time.ts';
import { isCheckpointFile, readShareLeft, type ShareLeft } from './checkpoint.ts';

/** run.json. */
export interface RunFile {
  /** Words of the command line behind the verb. No password is ever among them. */
  args: string[];
  /** What paths in them are relative to. */
  cwd: string;
  /** How often it was resumed. */
  resumed: number;
  /** It came to its end: nothing is left to resume. */
  completed: boolean;
}

const runFileIn = (folder: string) => join(folder, 'run.json');

export function writeRunFile(folder: string, file: RunFile): void {
  const path = runFileIn(folder);
  writeFileSync(`${path}.tmp`, `${JSON.stringify(file, null, 2)}\n`, { mode: 0o600 });
  renameSync(`${path}.tmp`, path);
}

export function readRunFile(folder: string): RunFile {
  const path = runFileIn(folder);
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as RunFile;
  } catch (cause) {
    const what = `${folder} has no run to resume: ${(cause as Error).message}`;
    throw new MytapeError('bad-file', `${what} (name the folder of a replay, its --out)`, { cause });
  }
}

/** Whether a run that nobody has resumed yet was stopped or killed in `folder`; or is under way. */
export function isInterrupted(folder: string): boolean {
  return existsSync(runFileIn(folder)) && !readRunFile(folder).completed;
}

/** A run begins in `folder`, or goes on there. What another run left there is gone. */
export function beginRunFile(folder: string, args: string[], isResumed: boolean): RunFile {
  const before = isResumed ? readRunFile(folder) : undefined;
  const file =
    before === undefined
      ? { args, cwd: process.cwd(), resumed: 0, completed: false }
      : { ...before, resumed: before.resumed + 1 };
  if (before === undefined) removeCheckpoints(folder);
  writeRunFile(folder, file);
  return file;
}

/** Nobody goes on from here. */
export function removeCheckpoints(folder: string): void {
  for (const name of readdirSync(folder)) if (isCheckpointFile(name)) rmSync(join(folder, name));
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
  const { args, cwd, completed } = readRunFile(run);
  if (completed)
    throw new MytapeError('usage', `the run in ${folder} came to its end: nothing is left to resume`);
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
  /** Times that all of the recording was replayed. */
  pass: number;
  elapsedMs: number;
  /** Whether anything of this session was not begun. */
  isLeft(session: number): boolean;
}

export function readRunLeft(folder: string, shares: readonly Share[], copies: number): RunLeft {
  const left = shares.map((share) => readShareLeft(folder, share.index, copies));
  const pass = Math.min(...left.map((one) => one.pass));
  const hasBegun = ({ done, pass: reached }: ShareLeft, session: number, copy: number) =>
    reached > pass || done.isCounted(session) || done.wasBegun(session, copy);
  return {
    pass,
    elapsedMs: Math.max(...left.map((one) => one.elapsedMs)),
    isLeft(session) {
      for (let copy = 0; copy < copies; copy++) {
        const share = shares.findIndex((one) => hasCopy(one, session, copy));
        if (!hasBegun(left[share], session, copy)) return true;
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
