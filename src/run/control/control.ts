/** A run as it is steered while it runs: by `mytape ctl`, by keys, by signals. */
import { MytapeError } from '../../errors.ts';
import { formatDuration } from '../../report/output.ts';
import type { Percentiles } from '../../report/percentiles.ts';
import type { SpeedChange } from '../../report/run-facts.ts';
import type { CaptureNs } from '../../time.ts';
import type { ReplayThreads } from '../threads.ts';
import { callAt } from './course.ts';

export const SPEED_RANGE = { least: 0.01, most: 1000 } as const;

/** What `mytape ctl RUN status` answers. */
export interface RunStatus {
  state: 'waiting' | 'running' | 'paused' | 'stopping';
  pid: number;
  /** Since it began; 0 while it waits to. */
  elapsed_s: number;
  speed: number | 'max' | 'live';
  /** Where the recording is replayed again and again: which time this is, from 1. */
  loop: number;
  answered: number;
  lost: number;
  sessions_open: number;
  reconnected: number;
  /** Ours so far. */
  lateness_ms: Percentiles;
  /** How far the recording has come: its own time (RFC 3339), and how much of it; absent where it is live. */
  recorded?: { at: string; percent: number };
}

export interface SteeredRun {
  threads: ReplayThreads;
  /** Infinity: max; undefined: live, whose time nobody can change. */
  speed: number | undefined;
  /** What part of the recording is replayed, and the second since 1970 that its times count from; undefined: live. */
  recording: { from: CaptureNs; to: CaptureNs; originSec: number } | undefined;
  /** Somebody's stopping it is its normal end. */
  endsByHand: boolean;
  /** The process's own: ms since 1970. */
  now: () => number;
  say: (line: string) => void;
}

export class RunControl {
  readonly changes: SpeedChange[] = [];
  /** Which time the recording is replayed, from 0. */
  pass = 0;
  readonly #run: SteeredRun;
  #speed: number | undefined;
  #paused = false;
  #startedMs: number | undefined;
  #stops = 0;
  #wake: () => void = () => {};

  constructor(run: SteeredRun) {
    this.#run = run;
    this.#speed = run.speed;
  }

  get speed(): number | undefined {
    return this.#speed;
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** How often it was told to stop. */
  get stops(): number {
    return this.#stops;
  }

  /** Waits until `startMs` (since 1970), or until it is stopped; the run begins then. */
  async begin(startMs?: number): Promise<void> {
    if (startMs !== undefined) await this.wait(startMs);
    this.#startedMs = this.#run.now();
  }

  /** Waits until `untilMs` (since 1970), or until it is stopped. */
  async wait(untilMs: number): Promise<void> {
    const { now } = this.#run;
    if (untilMs <= now() || this.#stops > 0) return;
    await new Promise<void>((resolve) => {
      const callOff = callAt(untilMs, now, resolve);
      this.#wake = () => {
        callOff();
        resolve();
      };
    });
  }

  /** Infinity: max. Throws where it is live. */
  setSpeed(speed: number): void {
    this.#refuseLive('its speed cannot be changed');
    if (speed === this.#speed) return;
    this.#speed = speed;
    this.#run.threads.steer({ speed, epochMs: this.#run.now() });
    if (!this.#paused) this.#note(speedText(speed));
  }

  pause(): void {
    this.#refuseLive('it cannot be paused');
    if (this.#paused) return;
    this.#paused = true;
    this.#run.threads.steer({ paused: true, epochMs: this.#run.now() });
    this.#note('paused');
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#run.threads.steer({ paused: false, epochMs: this.#run.now() });
    this.#note(speedText(this.#speed as number));
  }

  /** The first time what is under way finishes, the second time everything ends at once. */
  stop(): void {
    const { threads, endsByHand } = this.#run;
    this.#stops++;
    if (this.#stops === 1) {
      void threads
        .stop(endsByHand ? 'out-of-time' : 'interrupted')
        .then((leftMs) => this.#sayStopping(leftMs));
      this.#wake();
    } else threads.cut();
  }

  /** `leftMs`: what is under way comes to its time-out by then; 0: nothing is. */
  #sayStopping(leftMs: number | undefined): void {
    if (this.#stops > 1 || leftMs === 0) return;
    // To whole seconds: a time-out is looked for once a second.
    const latest =
      leftMs === undefined ? '' : ` at the latest in ${formatDuration(Math.ceil(leftMs / 1000 + 1) * 1000)}`;
    this.#run.say(
      `stopping: what is under way finishes, or comes to its time-out${latest} (Ctrl-C again: now)`,
    );
  }

  async status(): Promise<RunStatus> {
    const { threads, recording, now } = this.#run;
    const { answered, lost, open, reconnected, sentTo } = threads.progress;
    const started = this.#startedMs;
    const state = this.#stops > 0 ? 'stopping' : started === undefined ? 'waiting' : 'running';
    return {
      state: state === 'running' && this.#paused ? 'paused' : state,
      pid: process.pid,
      elapsed_s: started === undefined ? 0 : round((now() - started) / 1000),
      speed: this.#speed === undefined ? 'live' : speedText(this.#speed),
      loop: this.pass + 1,
      answered,
      lost,
      sessions_open: open,
      reconnected,
      lateness_ms: await threads.lateness(),
      ...(recording === undefined ? {} : { recorded: recordedPart(recording, sentTo) }),
    };
  }

  #note(speed: SpeedChange['speed']): void {
    const started = this.#startedMs ?? this.#run.now();
    this.changes.push({ at_s: round((this.#run.now() - started) / 1000), speed });
  }

  #refuseLive(what: string): void {
    if (this.#run.speed !== undefined) return;
    throw new MytapeError('not-supported', `this run mirrors what happens now: ${what}`);
  }
}

export function speedText(speed: number): number | 'max' {
  return Number.isFinite(speed) ? speed : 'max';
}

function recordedPart(
  { from, to, originSec }: NonNullable<SteeredRun['recording']>,
  sentTo: CaptureNs,
): NonNullable<RunStatus['recorded']> {
  const at = Math.min(to, Math.max(from, sentTo));
  return {
    at: new Date(originSec * 1000 + at / 1e6).toISOString(),
    percent: to > from ? Math.round(((at - from) / (to - from)) * 1000) / 10 : 100,
  };
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
