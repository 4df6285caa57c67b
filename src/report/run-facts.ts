/** What a run knows of itself beside its counts. */
import type { TransportStats } from '../transport/transport.ts';
import type { RecordingFacts } from './recording.ts';
import type { StallSums } from './tally.ts';

export interface SpeedChange {
  /** Behind the run's beginning. */
  at_s: number;
  speed: number | 'max' | 'paused';
}

/** Sessions that were picked by their numbers. */
export interface Picked {
  /** `1/2`. */
  share?: string;
  /** From 0 to 1. */
  sample?: number;
  sessions: number;
  /** All sessions that the mappings take. */
  of: number;
  /** Their numbers, as --sessions takes them; left out where there are more than 10,000. */
  ids?: string;
}

export interface RunFacts extends RecordingFacts {
  packets: number;
  copies: number;
  speed: number;
  elapsedMs: number;
  transport: TransportStats;
  /** As in the summary; undefined: not known. */
  mappings?: readonly string[] | undefined;
  picked?: Picked | undefined;
  orderBy?: 'time' | 'commit' | undefined;
  /** Sessions had kept connections. */
  pooled?: boolean | undefined;
  interrupted: boolean;
  speedChanges?: readonly SpeedChange[] | undefined;
  /** undefined: it was to be replayed once. */
  loops?: number | undefined;
  resumed?: number | undefined;
  /** It was captured while it was replayed. */
  live?: boolean;
  /** Why the recording could not be read to its end, if it could not. */
  unread?: string | undefined;
  /** How often the disk of the run's folder took no writes, which the run did not wait for; undefined: it was not looked at. */
  disk?: StallSums | undefined;
  /** The recording was not read to its end: the run was stopped, or its time was over. */
  endedEarly?: boolean;
  /** The least part of what was chosen that a run must have replayed, of 1; undefined: DEFAULT_MIN_REPLAYED. */
  minReplayed?: number | undefined;
  /** How a mirror knew that its target leads back to the server that is mirrored; undefined: it does not, as far as was seen. */
  ownVoice?: string | undefined;
}
