import { Pacer } from '../../flow/pacer.ts';
import { copyOffset } from '../../flow/timetable.ts';
import { type Alarm, openPlainAlarm } from '../../net/timer.ts';
import type { CaptureNs, MonotonicMs } from '../../time.ts';
import type { ReplayedSession } from '../replayed-session.ts';
import type { SessionSchedule } from '../session/host.ts';
import { DueHeap } from './heap.ts';
import { CLOCK_SET_MS, LIVE_SKEW_MS, type LiveSource } from './live.ts';
import type { EngineOptions } from './options.ts';
import type { StallWatch } from './stalls.ts';

/** The least time between two alarms: what is due in between goes together, because waking up costs more than sending. */
const WAKES_APART_MS = 0.1;

/** What a schedule wakes. */
export interface ScheduleOwner {
  /** When the owner has something to do that no session waits for; Infinity: it has not. */
  readonly nextAt: MonotonicMs;
  /** `session` waited for a time that has come. */
  due(session: ReplayedSession): void;
  /** `session` waited for a time that may be another now. */
  retimed(session: ReplayedSession): void;
  /** Called last, after an alarm or a change of pace. */
  woken(now: MonotonicMs): void;
}

/**
 * When everything of a run is due: recorded times are turned into the replay's own from one anchor, and whoever waits for one
 * is woken by one alarm.
 */
export class Schedule implements SessionSchedule {
  readonly catchesUp: boolean;
  readonly skewMs: number;
  /** When the last pause ended, or think times were last cut short; what waited for that is not late. */
  resumedAt: MonotonicMs = Number.NEGATIVE_INFINITY;
  /** Since the run began. */
  stalls: StallWatch | undefined;
  readonly #options: EngineOptions;
  readonly #owner: ScheduleOwner;
  readonly #alarm: Alarm;
  readonly #waiting = new DueHeap<ReplayedSession>();
  /** How much later than copy 0 each copy is due, ms. */
  readonly #offsets: Float64Array;
  /** Since the first session was read, or from the beginning where the run's anchor is given. */
  #pacer: Pacer | undefined;
  #sentTo: CaptureNs = 0;
  #isStopped = false;
  #alarmDue = Number.POSITIVE_INFINITY;
  #wokeAt: MonotonicMs = Number.NEGATIVE_INFINITY;

  constructor(options: EngineOptions, owner: ScheduleOwner) {
    const { timing, live, copies, anchor, speed, openAlarm = openPlainAlarm } = options;
    this.#options = options;
    this.#owner = owner;
    this.catchesUp = timing?.catchUp !== false;
    this.skewMs = live === undefined ? 0 : LIVE_SKEW_MS;
    const spreadMs = timing?.spreadMs ?? 0;
    this.#offsets = Float64Array.from({ length: copies }, (_, copy) => copyOffset(copy, spreadMs));
    this.#alarm = openAlarm(() => this.#wake());
    if (anchor !== undefined) this.#pacer = new Pacer(speed, anchor.at, anchor.now);
  }

  now(): MonotonicMs {
    return this.#options.clock.now();
  }

  due(at: CaptureNs, copy: number): MonotonicMs {
    const pacer = this.#pacer as Pacer;
    return pacer.paused ? Number.POSITIVE_INFINITY : pacer.due(at) + this.#offsets[copy];
  }

  dueAfter(since: MonotonicMs, thinkNs: number): MonotonicMs {
    const pacer = this.#pacer as Pacer;
    return pacer.paused ? Number.POSITIVE_INFINITY : since + pacer.spanMs(thinkNs);
  }

  /** The soonest that anything that is recorded `at` can be due. */
  soonestDue(at: CaptureNs): MonotonicMs {
    return this.due(this.#options.timing?.timetable?.soonest(at) ?? at, 0);
  }

  /** What is due at `at`; undefined where nothing has a recorded time of its own. */
  momentAt(at: MonotonicMs): CaptureNs | undefined {
    return this.#options.timing?.timetable === undefined ? this.#pacer?.momentAt(at) : undefined;
  }

  /** Whether anything can be late: at full speed nothing is. */
  get isTimed(): boolean {
    return this.#pacer?.speed !== Number.POSITIVE_INFINITY;
  }

  get isPaused(): boolean {
    return this.#pacer?.paused === true;
  }

  get stalledMs(): number {
    return this.stalls?.stalledMs ?? 0;
  }

  /** A command that was scheduled `at` is on its way. */
  sent(at: CaptureNs): void {
    if (at > this.#sentTo) this.#sentTo = at;
  }

  /** The latest scheduled moment of which a command was sent. */
  get sentTo(): CaptureNs {
    return this.#sentTo;
  }

  /** Nothing that has not begun is to begin any more. */
  stop(): void {
    this.#isStopped = true;
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** The recording begins `at`. */
  begins(at: CaptureNs): void {
    this.#pacer ??= new Pacer(this.#options.speed, at, this.now());
  }

  /** The part of it to replay begins `at`: what comes before was read for a while. */
  windowBegins(at: CaptureNs): void {
    const { anchor } = this.#options;
    const { speed = this.#options.speed, paused = false } = this.#pacer ?? {};
    const now = Math.max(this.now(), anchor?.now ?? 0);
    this.#pacer = new Pacer(speed, Math.max(at, anchor?.at ?? at), now);
    if (paused) this.#pacer.pause(now);
  }

  /** The wall clock, which captures are stamped by, may be set while they run: what is stamped now is due now. */
  follow(live: LiveSource): void {
    const at = live.now();
    const now = this.now();
    if (this.#pacer === undefined || Math.abs(this.#pacer.due(at) - now) < CLOCK_SET_MS) return;
    this.#pacer = new Pacer(1, at, now);
    this.retime();
  }

  /** From `now` on; `retime` is to be called after. Infinity: as fast as the target takes it. */
  setSpeed(speed: number, now: MonotonicMs): void {
    this.#pacer?.setSpeed(speed, now, this.#sentTo);
    // Think times that are under way may be over all at once.
    if (!this.catchesUp) this.resumedAt = now;
  }

  /** Nothing is due from `now` on; `retime` is to be called after. */
  pause(now: MonotonicMs): void {
    this.#pacer?.pause(now, this.#sentTo);
  }

  /** The same, until `now`. */
  resume(now: MonotonicMs): void {
    this.resumedAt = now;
    this.#pacer?.resume(now);
  }

  /** When the first of those who wait is due; Infinity: nobody waits for a time that is known. */
  get nextDue(): MonotonicMs {
    return this.#waiting.nextDue;
  }

  wakeAt(due: MonotonicMs, session: ReplayedSession): void {
    this.#waiting.push(due, session);
    this.rearm();
  }

  /** The owner's `nextAt` may have changed. */
  rearm(): void {
    const next = Math.min(this.#waiting.nextDue, this.#owner.nextAt);
    if (next >= this.#alarmDue || next === Infinity) return;
    this.#alarmDue = next;
    this.#alarm.set(Math.max(next, this.#wokeAt + WAKES_APART_MS) - this.now());
  }

  /** Due times have changed: all that wait are told. */
  retime(): void {
    this.#alarm.clear();
    this.#alarmDue = Number.POSITIVE_INFINITY;
    for (const session of this.#waiting.drain()) this.#owner.retimed(session);
    this.#owner.woken(this.now());
    this.rearm();
  }

  /** Wakes nobody any more. */
  close(): void {
    this.#alarm.close();
  }

  #wake(): void {
    this.#alarmDue = Number.POSITIVE_INFINITY;
    const now = this.now();
    this.#wokeAt = now;
    while (this.#waiting.nextDue <= now) this.#owner.due(this.#waiting.pop());
    this.#owner.woken(now);
    this.rearm();
  }
}
