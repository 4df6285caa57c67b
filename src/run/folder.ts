/** The folder of a run, its --out: who may read it, and what is written there at the end. */
import { join } from 'node:path';
import { giveReserveBack, takeReserve } from '../archive/reserve.ts';
import { MytapeError } from '../errors.ts';
import { makeFolderFor, type RunAs } from '../net/host/run-as.ts';
import { writeDurably } from './checkpoint/durable.ts';

/** Makes the folder `out` (default: named by the time) for `runAs`, or takes the one that is there. Returns its path. */
export function makeRunFolder(out: string | undefined, runAs: RunAs): string {
  const folder =
    out ?? join('runs', new Date().toISOString().slice(0, 19).replace('T', '-').replaceAll(':', ''));
  try {
    makeFolderFor(runAs, folder);
  } catch (cause) {
    throw new MytapeError(
      'bad-file',
      `cannot make the folder ${folder}: ${(cause as Error).message} (choose another: --out)`,
      { cause },
    );
  }
  return folder;
}

/** Room for the summary and run.json at the end, when other files may have filled the disk. */
const RESERVE_FILE = 'run.reserve';
const RESERVE_OCTETS = 128 * 1024;

/** Takes the room that a run's end needs in its folder. Throws where there is none. */
export function takeRunReserve(folder: string): void {
  try {
    // Left by a run that was killed.
    giveReserveBack(folder, RESERVE_FILE);
    takeReserve(folder, RESERVE_FILE, RESERVE_OCTETS);
  } catch (cause) {
    throw new MytapeError(
      'disk',
      `no room for a run in ${folder}: ${(cause as Error).message} (make room there, or choose another folder with --out)`,
      { cause },
    );
  }
}

export function giveRunReserveBack(folder: string): void {
  giveReserveBack(folder, RESERVE_FILE);
}

const summaryIn = (folder: string) => join(folder, 'summary.json');

/** Returns why summary.json can't be written, if it can't: what it was to have must be printed nonetheless. */
export function writeSummary(folder: string, text: string, isResumable: boolean): MytapeError | undefined {
  try {
    writeDurably(summaryIn(folder), text);
    return undefined;
  } catch (cause) {
    const next = isResumable
      ? ` (mend that, then: mytape replay --resume ${folder} sends nothing again, and writes it)`
      : ' (what it was to have was printed)';
    return new MytapeError('disk', `cannot write ${summaryIn(folder)}: ${(cause as Error).message}${next}`, {
      cause,
    });
  }
}
