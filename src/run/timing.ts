/** `mytape replay`'s options about time: which part of the recording, and when its moments are due. */
import { FollowedClock, type FollowedData } from '../flow/followed-clock.ts';
import { type IdleData, IdleGaps } from '../flow/idle.ts';
import { Timetable } from '../flow/timetable.ts';
import type { Timing, Window } from '../replay/engine/options.ts';
import type { CaptureNs } from '../time.ts';

/** What the choices come to for an archive. Plain data: it crosses to worker threads. */
export interface TimingJob {
  connectScale: number;
  thinkScale: number;
  catchUp: boolean;
  /** The steps of the recording's clock are kept; undefined: there are none, or they are taken out. */
  clock: FollowedData | undefined;
  idle: IdleData | undefined;
  spreadMs: number;
  window: Window;
}

/** Live: everything as it comes. */
export function liveTiming(spreadMs: number): TimingJob {
  const asItComes = { connectScale: 1, thinkScale: 1, catchUp: true, clock: undefined, idle: undefined };
  return { ...asItComes, spreadMs, window: {} };
}

/** In each thread of a run. `anchorAt`: the recorded moment that is due at once. */
export function openTiming(job: TimingJob, anchorAt: CaptureNs): { timing: Timing; window: Window } {
  const { connectScale, thinkScale, catchUp, spreadMs, window } = job;
  const idle = job.idle === undefined ? undefined : IdleGaps.from(job.idle);
  const clock = job.clock === undefined ? undefined : FollowedClock.from(job.clock);
  const isScaled = connectScale !== 1 || thinkScale !== 1 || !catchUp;
  const asRecorded = !isScaled && clock === undefined && (idle?.count ?? 0) === 0;
  const options = { anchorAt, connectScale, thinkScale, clock, idle };
  const timetable = asRecorded ? undefined : new Timetable(options);
  return { timing: { timetable, catchUp, spreadMs }, window };
}
