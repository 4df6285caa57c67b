/** When a replay begins and ends, and how often the recording is replayed. */
import { InvalidArgumentError } from 'commander';
import { nextTime, type TimeChoice } from './options.ts';

export interface Course {
  /** Infinity: until somebody ends it; undefined: nobody said, and once. */
  loops: number | undefined;
  /** Ends as if the recording ended there; undefined: with the recording. */
  forMs: number | undefined;
  /** Ms since 1970; undefined: at once. */
  startMs: number | undefined;
}

export const ONCE: Course = { loops: undefined, forMs: undefined, startMs: undefined };

export interface CourseChoices {
  loop?: number | undefined;
  for?: number | undefined;
  startAt?: TimeChoice | undefined;
}

/** A run that is resumed goes on at once, and for as long again. */
export function planCourse(choices: CourseChoices, nowMs: number, isResumed = false): Course {
  const { loop, for: forMs, startAt } = choices;
  const startMs = startAt === undefined || isResumed ? undefined : nextTime(startAt, nowMs);
  return { loops: loop, forMs, startMs };
}

/** `3`, or `forever`. */
export function parseLoops(text: string): number {
  if (text === 'forever') return Number.POSITIVE_INFINITY;
  if (/^[1-9]\d*$/.test(text)) return Number(text);
  throw new InvalidArgumentError(`${text} is neither a whole number from 1 up nor forever.`);
}

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
