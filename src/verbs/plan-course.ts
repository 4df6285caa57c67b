/** When a replay begins and ends, and how often: from its options to plain data. */
import { InvalidArgumentError } from 'commander';
import type { Course } from '../run/control/course.ts';
import { nextTime, type TimeChoice } from './options.ts';

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
