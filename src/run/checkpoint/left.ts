/** What is left of a share whose run was interrupted: its checkpoint, and what its log adds. */
import { basename } from 'node:path';
import { MytapeError } from '../../errors.ts';
import { BEGIN_ANEW, bootId, type CheckpointFile, logPath, readCheckpoint } from './file.ts';
import { carryOver, type LogFound, type LogId, readLog } from './log.ts';
import { NO_STAGE, staged } from './log-stage.ts';
import { LoggedSessions } from './logged-sessions.ts';

/** Which share of which run. */
export interface ShareOfRun {
  folder: string;
  run: string;
  share: number;
  copies: number;
}

export interface ShareLeft {
  file: CheckpointFile;
  log: LogId;
  logPath: string;
  /** So much of the log is whole. */
  logOctets: number;
  /** What of the recording it says is done, in the pass that the checkpoint names. */
  done: LoggedSessions;
  /** Why the log may lack records; undefined: it has all. */
  doubt: string | undefined;
}

/** Writes nothing but what the log's stage has, where it belongs. Throws `bad-file` where the run can't be resumed. */
export function readShareLeft({ folder, run, share, copies }: ShareOfRun, boot = bootId()): ShareLeft {
  const file = readCheckpoint(folder, share, run);
  const log = { run, share, pass: file.pass };
  const path = logPath(folder, share, file.pass);
  const done = new LoggedSessions(copies);
  const isSameBoot = file.boot !== '' && file.boot === boot;
  const lacking = isSameBoot ? carryStaged(folder, path, file) : undefined;
  const found = readAnyhow(path, log, done);
  const what = doubtOf(found, file, isSameBoot) ?? lacking;
  if (what !== undefined && file.horizon >= 0) done.unknown(file.horizon);
  return { file, log, logPath: path, logOctets: found.octets, done, doubt: what && `${path} ${what}` };
}

function readAnyhow(path: string, log: LogId, done: LoggedSessions): LogFound {
  try {
    return readLog(path, log, done);
  } catch (cause) {
    throw unreadable(path, cause as Error);
  }
}

function unreadable(path: string, cause: Error): MytapeError {
  return new MytapeError('bad-file', `cannot read ${path}: ${cause.message}: ${BEGIN_ANEW}`, { cause });
}

/** What is not on the disk goes there. Returns what is gone, continuing the log's name. */
function carryStaged(folder: string, path: string, { stage }: CheckpointFile): string | undefined {
  if (stage === NO_STAGE) return undefined;
  try {
    const pieces = staged(folder, stage, basename(path));
    return pieces === undefined ? `lacks its last records, which were in ${stage}` : carryOver(path, pieces);
  } catch (cause) {
    throw unreadable(path, cause as Error);
  }
}

/** Continues the log's name. */
function doubtOf(
  { octets, size, damage }: LogFound,
  file: CheckpointFile,
  isSameBoot: boolean,
): string | undefined {
  if (damage !== undefined) return `is damaged at octet ${octets}: ${damage}`;
  if (octets < file.logOctets)
    return `ends at octet ${size}, and its checkpoint names ${file.logOctets} octets`;
  // What was written and not synced is still there where nothing but the process has ended.
  if (isSameBoot) return undefined;
  return 'may lack its last records: this host was restarted since, or another one made them';
}
