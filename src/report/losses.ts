/** Packets that a capture saw go by and does not have, by cause. */
import { addCause, type Causes } from './causes.ts';

/** What a capture counts of its losses, in the names that archives and rings have for them. */
export interface CountedLosses {
  /** Packets that the kernel's ring had no room for. */
  dropped: number;
  /** Packets that the disk of the archive had no room for; undefined: nothing was written to one. */
  droppedByDisk?: number | undefined;
  /** Packets that the archive had and has no more, or can't read any more; undefined: there is no archive. */
  lostByDamage?: number | undefined;
}

/** `kernel`, `disk`, `damage`: only the causes that occur. Their sum is all that was lost. */
export function packetsLost({ dropped, droppedByDisk = 0, lostByDamage = 0 }: CountedLosses): Causes {
  const lost: Causes = {};
  addCause(lost, 'kernel', dropped);
  addCause(lost, 'disk', droppedByDisk);
  addCause(lost, 'damage', lostByDamage);
  return lost;
}

const OF_A_RECORDING: Readonly<Record<string, (packets: string) => string>> = {
  kernel: (packets) =>
    `the recording lost ${packets} while it was made: the kernel had no room for them (record again, with a larger --buffer)`,
  disk: (packets) =>
    `the recording lost ${packets} while it was made: its disk was full, and sessions that were open then have gaps ` +
    '(free room on the disk, and record again)',
  damage: (packets) =>
    `the archive lost ${packets} or more after it was recorded: its segments were damaged or cut, and sessions of that time have gaps ` +
    '(mytape verify names them; replay an undamaged copy of the archive, or record again)',
};

/** A sentence for each cause of what an archive lost: what, and what to do. */
export function lossesOfRecording(lost: Causes): string[] {
  return Object.entries(lost).map(([cause, n]) => OF_A_RECORDING[cause](packets(n)));
}

/** The same of a capture that is replayed while it is made. */
export function lossesOfCapture(lost: Causes): string[] {
  return Object.values(lost).map(
    (n) =>
      `the capture lost ${packets(n)}: what they held is not on the target (try: a larger --buffer, more -C)`,
  );
}

function packets(n: number): string {
  return n === 1 ? '1 packet' : `${n} packets`;
}
