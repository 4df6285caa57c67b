/** The folder of a run, its --out: who may read it, and what is written there at the end. */
import { join } from 'node:path';
import { MytapeError } from '../errors.ts';
import { replaceFile } from '../files.ts';
import { makeFolderFor, type RunAs } from './run-as.ts';

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

export const summaryIn = (folder: string) => join(folder, 'summary.json');

export function writeSummary(folder: string, text: string): void {
  replaceFile(summaryIn(folder), text);
}
