/** What an archive, or a capture, lacks of what was said while it was made. */
import type { Archive } from '../archive/reader.ts';
import { type FloodFacts, floodReasons } from './flood.ts';
import { type GapTotals, gapReasons, totalsOf } from './gaps.ts';
import { type CountedLosses, lossesOfCapture, lossesOfRecording, packetsLost } from './losses.ts';

export interface RecordingFacts extends CountedLosses {
  /** Times in which the interface was down; undefined: none. */
  gaps?: GapTotals | undefined;
  flood?: FloodFacts | undefined;
  /** Why an archive does not hold all that was to be imported; undefined: it does. */
  partial?: string | undefined;
  /** Why the index of an archive that its recorder did not close is as the recorder left it; undefined: it is not. */
  notRepaired?: string | undefined;
}

/** What an archive says of itself. */
export function recordingFacts(archive: Archive): RecordingFacts & { packets: number } {
  const { packets, dropped, droppedByDisk, lostByDamage, flooded, floodedData, partial, live, notRepaired } =
    archive.info;
  return {
    packets,
    dropped,
    droppedByDisk,
    lostByDamage,
    gaps: totalsOf(archive.gaps()),
    flood: { flooded, floodedData },
    partial: partial ?? undefined,
    // One that is being recorded is not to be repaired.
    notRepaired: live ? undefined : notRepaired,
  };
}

/** Why a run of it is not a run of all that was said: a sentence each. `live`: it is a capture that is replayed while it is made. */
export function recordingReasons(facts: RecordingFacts, live: boolean): string[] {
  const { gaps, flood, partial, notRepaired } = facts;
  const lost = packetsLost(facts);
  return [
    ...(live ? lossesOfCapture(lost) : lossesOfRecording(lost)),
    ...(gaps === undefined ? [] : gapReasons(gaps, live)),
    ...(flood === undefined ? [] : floodReasons(flood)),
    ...(partial === undefined ? [] : [`the recording is partial: ${partial}`]),
    ...(notRepaired === undefined
      ? []
      : [
          `the recorder did not close the archive, and it is not repaired (${notRepaired}): packets that its index lacks were not replayed`,
        ]),
  ];
}
