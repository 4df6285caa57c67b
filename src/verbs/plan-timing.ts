/** A replay's options about time: which part of the recording, and when its moments are due. */
import { Option } from '@commander-js/extra-typings';
import { InvalidArgumentError } from 'commander';
import type { Archive } from '../archive/reader.ts';
import { MytapeError } from '../errors.ts';
import { FollowedClock } from '../flow/followed-clock.ts';
import { findIdle, type IdleData } from '../flow/idle.ts';
import type { Window } from '../replay/engine/options.ts';
import type { FixedMappings } from '../replay/mappings.ts';
import { CLOCK_STEP_CHOICES, type OnClockStep } from '../report/clock-steps.ts';
import { formatTime, sayLine } from '../report/output.ts';
import { mappedSessions } from '../run/mapping.ts';
import type { TimingJob } from '../run/timing.ts';
import type { CaptureNs } from '../time.ts';
import { type TimeChoice, timeIn } from './options.ts';

/** The range of time scales: from nothing left of a time to a thousand times as long. */
const MOST_SCALE = 1000;

export function parseScale(text: string): number {
  const scale = /^\d+(\.\d+)?$/.test(text) ? Number(text) : -1;
  if (scale < 0 || scale > MOST_SCALE)
    throw new InvalidArgumentError(`${text} is no factor from 0 to ${MOST_SCALE}, as in 0.5.`);
  return scale;
}

export function onClockStepOption() {
  return new Option(
    '--on-clock-step <what>',
    'where the clock that stamped the recording was set: hold takes the step out, follow keeps it and waits for a step ahead',
  )
    .choices(CLOCK_STEP_CHOICES)
    .default(CLOCK_STEP_CHOICES[0]);
}

export interface TimingChoices {
  connectTimeScale: number;
  thinkTimeScale: number;
  /** undefined: yes. */
  thinkTimeCorrect?: boolean | undefined;
  /** Ms. */
  skipIdle?: number | undefined;
  from?: TimeChoice | undefined;
  to?: TimeChoice | undefined;
  /** What becomes of steps of the recording's clock; undefined: they are taken out. */
  onClockStep?: OnClockStep | undefined;
}

/** The times of the sessions that `mappings` take. Reads the archive once where idle times are to be found. Throws 'usage' where the window has nothing of the recording. */
export async function planTiming(
  choices: TimingChoices,
  archive: Archive,
  mappings: FixedMappings,
  spreadMs: number,
): Promise<TimingJob> {
  const { skipIdle, onClockStep } = choices;
  const steps = onClockStep === 'follow' ? archive.clockSteps() : [];
  const clock = steps.length === 0 ? undefined : FollowedClock.of(steps);
  return {
    connectScale: choices.connectTimeScale,
    thinkScale: choices.thinkTimeScale,
    catchUp: choices.thinkTimeCorrect !== false,
    clock: clock?.data,
    idle: skipIdle === undefined ? undefined : await idleOf(archive, mappings, skipIdle, clock),
    spreadMs,
    window: windowOf(choices, archive, mappings),
  };
}

async function idleOf(
  archive: Archive,
  { ends }: FixedMappings,
  mostMs: number,
  clock: FollowedClock | undefined,
): Promise<IdleData> {
  // The run itself names what can't be read.
  const source = archive.packets({ onDamage: () => {} });
  try {
    const gaps = await findIdle(source, ends, mostMs * 1e6, clock);
    sayLine(
      `--skip-idle: ${gaps.count} idle stretches, ${Math.round(gaps.cutNs / 1e9)} s of the recording cut`,
    );
    return gaps.data;
  } finally {
    source.close();
  }
}

/**
 * The part of the recording from --from to --to. A time of day is the recording's own, where it has one: --from 19:33 of a recording that
 * began at 19:33:37 is its beginning.
 */
function windowOf({ from, to }: TimingChoices, archive: Archive, mappings: FixedMappings): Window {
  const { originSec } = archive.info;
  let first = Number.POSITIVE_INFINITY;
  let last = Number.NEGATIVE_INFINITY;
  for (const { firstAt, lastAt } of mappedSessions(archive.sessions(), mappings)) {
    first = Math.min(first, firstAt);
    last = Math.max(last, lastAt);
  }
  const toMs = (at: CaptureNs) => originSec * 1000 + at / 1e6;
  const toNs = (epochMs: number) => (epochMs - originSec * 1000) * 1e6;
  const span = { firstMs: toMs(first), lastMs: toMs(last) };
  const { firstMs, lastMs } = span;
  const fromMs =
    from === undefined
      ? firstMs
      : timeIn(from, span, (beginsMs, endsMs) => endsMs > firstMs && beginsMs <= lastMs);
  const beginsMs = Math.max(fromMs, firstMs);
  const toEndMs =
    to === undefined ? undefined : timeIn(to, span, (atMs) => atMs > beginsMs && atMs <= lastMs);
  const recorded = `the recording runs from ${formatTime(firstMs)} to ${formatTime(lastMs)}, local time`;
  if (from !== undefined && fromMs >= lastMs)
    throw new MytapeError('usage', `--from is ${formatTime(fromMs)}, after the recording's end: ${recorded}`);
  if (toEndMs !== undefined && toEndMs <= beginsMs) {
    const begins = beginsMs === firstMs ? '' : ` from ${formatTime(beginsMs)} on`;
    throw new MytapeError(
      'usage',
      `--to is ${formatTime(toEndMs)}, so nothing${begins} is left to replay: ${recorded}`,
    );
  }
  return {
    from: fromMs <= firstMs ? undefined : toNs(fromMs),
    to: toEndMs === undefined ? undefined : toNs(toEndMs),
  };
}
