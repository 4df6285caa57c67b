/** What is left of a share whose run was interrupted: its checkpoint, and what its log adds. */
import { MytapeError } from '../errors.ts';
import { BEGIN_ANEW, bootId, type CheckpointFile, logPath, readCheckpoint } from './checkpoint-file.ts';
import { type LogFound, type LogId, readLog } from './checkpoint-log.ts';
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

/** Writes nothing. Throws `bad-file` where the run can't be resumed. */
export function readShareLeft({ folder, run, share, copies }: ShareOfRun, boot = bootId()): ShareLeft {
  const file = readCheckpoint(folder, share, run);
  const log = { run, share, pass: file.pass };
  const path = logPath(folder, share, file.pass);
  const done = new LoggedSessions(copies);
  const found = readAnyhow(path, log, done);
  const what = doubtOf(found, file, boot);
  if (what !== undefined && file.horizon >= 0) done.unknown(file.horizon);
  return { file, log, logPath: path, logOctets: found.octets, done, doubt: what && `${path} ${what}` };
}

function readAnyhow(path: string, log: LogId, done: LoggedSessions): LogFound {
  try {
    return readLog(path, log, done);
  } catch (cause) {
    throw new MytapeError('bad-file', `cannot read ${path}: ${(cause as Error).message}: ${BEGIN_ANEW}`, {
      cause,
    });
  }
}

/** Continues the log's name. */
function doubtOf({ octets, size, damage }: LogFound, file: CheckpointFile, boot: string): string | undefined {
  if (damage !== undefined) return `is damaged at octet ${octets}: ${damage}`;
  if (octets < file.logOctets)
    return `ends at octet ${size}, and its checkpoint names ${file.logOctets} octets`;
  // What was written and not synced is still there where nothing but the process has ended.
  if (file.boot !== '' && file.boot === boot) return undefined;
  return 'may lack its last records: this host was restarted since, or another one made them';
}
