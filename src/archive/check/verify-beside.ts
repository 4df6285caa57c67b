/** Checks the files beside an archive's index and segments that say who was recorded: nothing can make them again. */
import { MytapeError } from '../../errors.ts';
import { readKnownServers, SERVERS_FILE } from '../known-servers.ts';
import { readSnapshots, SNAPSHOTS_FILE } from '../snapshots.ts';
import type { Finding } from './compare.ts';

/** Calls `find` for each that is damaged. `wasClosed`: its recorder closed the archive, so no last line is torn. */
export function verifyBeside(dir: string, wasClosed: boolean, find: (finding: Finding) => void): void {
  const { note } = readKnownServers(dir);
  if (note !== undefined) find({ file: SERVERS_FILE, what: note });
  try {
    const snapshots = readSnapshots(dir);
    if (snapshots.note !== undefined && (wasClosed || snapshots.isDamaged))
      find({ file: SNAPSHOTS_FILE, what: snapshots.note });
  } catch (error) {
    if (!(error instanceof MytapeError)) throw error;
    find({ file: SNAPSHOTS_FILE, what: error.message });
  }
}
