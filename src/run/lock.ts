import { join } from 'node:path';
import { ArchiveLock } from '../archive/lock.ts';
import { MytapeError, withRemedy } from '../errors.ts';
import { whyNotRegular } from '../files.ts';
import { asRunAs, nameOfUser, otherUser, type RunAs } from '../net/host/run-as.ts';

export const LOCK_FILE = 'run.lock';

/** Who carries out a run in a folder: one process at a time. Two that resumed it at once would begin the same sessions. */
export class RunLock {
  readonly #lock: ArchiveLock;

  private constructor(lock: ArchiveLock) {
    this.#lock = lock;
  }

  /** Takes it as `runAs`. Throws where another process has it, or they can't write the folder. It goes with this process, whatever ends it. */
  static take(folder: string, runAs: RunAs): RunLock {
    const why = whyNotRegular(join(folder, LOCK_FILE));
    if (why !== undefined)
      throw new MytapeError(
        'bad-file',
        `cannot lock ${join(folder, LOCK_FILE)}: ${why} (remove it, or choose another folder by --out)`,
      );
    let lock: ReturnType<typeof ArchiveLock.take>;
    try {
      lock = asRunAs(runAs, () => ArchiveLock.take(folder, LOCK_FILE));
    } catch (cause) {
      const what = `cannot lock the folder ${folder}: ${withRemedy(cause)}; or choose another with --out`;
      throw new MytapeError('disk', what, { cause });
    }
    if (lock instanceof ArchiveLock) return new RunLock(lock);
    throw lock === 'busy'
      ? new MytapeError('usage', `a run is under way in ${folder}: choose another folder by --out`)
      : new MytapeError(
          'bad-file',
          `cannot write into the folder ${folder} as ${nameOfUser(runAs)} (choose another by --out, or ${otherUser(folder, runAs)})`,
        );
  }

  release(): void {
    this.#lock.release();
  }
}
