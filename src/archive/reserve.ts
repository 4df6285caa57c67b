/**
 * Room on the disk that is kept for the end of a recording. When other files have filled the disk, this is given back so that the last
 * transaction, which says what was lost, still goes in.
 */
import { closeSync, fsyncSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { OPEN, openRegular } from '../files.ts';

export const RESERVE_FILE = 'recording.reserve';

/** A transaction of some 500 sessions, in the log and in the index: on a full disk not much else was written since the last. */
const RESERVE_OCTETS = 256 * 1024;

/** What is written at once. */
const PIECE_OCTETS = 64 * 1024;

/** Takes the room. Throws the system's errors: then there is no file. */
export function takeReserve(dir: string, file = RESERVE_FILE, octets = RESERVE_OCTETS): void {
  const path = join(dir, file);
  const fd = openRegular(path, OPEN.createNew);
  try {
    const piece = new Uint8Array(PIECE_OCTETS);
    // Octets that no file system packs into none.
    for (let i = 0, state = 1; i < piece.length; i++) {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      piece[i] = state >>> 16;
    }
    for (let done = 0; done < octets; ) {
      const left = Math.min(piece.length, octets - done);
      done += writeSync(fd, piece, 0, left);
    }
    // Some file systems find out only now that there is no room.
    fsyncSync(fd);
  } catch (error) {
    giveReserveBack(dir, file);
    throw error;
  } finally {
    closeSync(fd);
  }
}

/** Gives the room back, where there is any and it can be: what follows must be tried either way. */
export function giveReserveBack(dir: string, file = RESERVE_FILE): void {
  try {
    rmSync(join(dir, file), { force: true });
  } catch {
    // A disk that has become read-only, say: the file takes up room, and does no harm.
  }
}
