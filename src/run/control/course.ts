/** When a replay begins and ends, and how often the recording is replayed. */

export interface Course {
  /** Infinity: until somebody ends it; undefined: nobody said, and once. */
  loops: number | undefined;
  /** Ends as if the recording ended there; undefined: with the recording. */
  forMs: number | undefined;
  /** Ms since 1970; undefined: at once. */
  startMs: number | undefined;
}

export const ONCE: Course = { loops: undefined, forMs: undefined, startMs: undefined };

/** A timer of Node's that is told to wait longer fires at once. */
const MAX_TIMER_MS = 0x7fffffff;

/** Calls `act` at `epochMs`, however far that is. Returns what calls it off. */
export function callAt(epochMs: number, now: () => number, act: () => void): () => void {
  let timer: NodeJS.Timeout;
  const wait = () => {
    const ms = epochMs - now();
    timer = ms <= 0 ? setTimeout(act, 0) : setTimeout(wait, Math.min(ms, MAX_TIMER_MS));
  };
  wait();
  return () => clearTimeout(timer);
}
