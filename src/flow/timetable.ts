import type { CaptureNs } from '../time.ts';
import type { FollowedClock } from './followed-clock.ts';
import type { IdleGaps } from './idle.ts';

/** 2^32 over the golden ratio: multiples of it, modulo 2^32, are spread evenly however many there are. */
const GOLDEN = 0x9e3779b9;

export interface TimetableOptions {
  /** The recorded moment that stays where it is: the pacer's anchor. */
  anchorAt: CaptureNs;
  /** Times from the anchor to the beginnings of sessions are this many times the recorded ones. */
  connectScale: number;
  /** And times from an answer to the session's next command. */
  thinkScale: number;
  /** The steps of the recording's clock are kept: everything below is by its time. */
  clock?: FollowedClock | undefined;
  /** Stretches to cut down, before anything is scaled. */
  idle?: IdleGaps | undefined;
}

/**
 * Where recorded moments are to be in time, before the pacer has its say about speed: maps CaptureNs to *scheduled*
 * ones, for `Pacer.due`.
 */
export class Timetable {
  readonly thinkScale: number;
  readonly #clock: FollowedClock | undefined;
  readonly #idle: IdleGaps | undefined;
  readonly #connectScale: number;
  readonly #anchorAt: CaptureNs;
  readonly #anchorCut: CaptureNs;

  constructor({ anchorAt, connectScale, thinkScale, clock, idle }: TimetableOptions) {
    this.thinkScale = thinkScale;
    this.#clock = clock;
    this.#connectScale = connectScale;
    this.#idle = idle;
    this.#anchorAt = anchorAt;
    this.#anchorCut = this.cut(anchorAt);
  }

  /** `at` by the clock that is followed, without what is cut before it. */
  cut(at: CaptureNs): CaptureNs {
    if (this.#clock !== undefined) at = this.#clock.at(at);
    return this.#idle === undefined ? at : this.#idle.cut(at);
  }

  /** The soonest that anything recorded `at` can be scheduled. */
  soonest(at: CaptureNs): CaptureNs {
    const scale = Math.min(this.#connectScale, this.thinkScale);
    return this.#anchorAt + (this.cut(at) - this.#anchorCut) * scale;
  }

  /** When a session that was recorded to begin `at` is scheduled to. */
  openAt(at: CaptureNs): CaptureNs {
    return this.#anchorAt + (this.cut(at) - this.#anchorCut) * this.#connectScale;
  }
}

/**
 * The timetable of one recorded session, for all its copies. Think times are scaled, response times are not: the sum of both
 * since the session's beginning is where a command is scheduled. With a thinkScale of 1 that is as long after the
 * beginning as it was recorded.
 */
export class SessionTimes {
  /** The scaled think time before the moment that was scheduled last, ns. */
  thinkNs = 0;
  readonly #timetable: Timetable;
  /** What is scheduled less what was recorded (and cut). */
  #offset: number;
  /** The last command, or the login; cut. */
  #last: CaptureNs;

  /** `at` is the connection's first packet, `loggedInAt` the end of its login: a response time like any other. */
  constructor(timetable: Timetable, at: CaptureNs, loggedInAt: CaptureNs) {
    this.#timetable = timetable;
    this.#offset = timetable.openAt(at) - timetable.cut(at);
    this.#last = timetable.cut(loggedInAt);
  }

  /**
   * When the session's next command, or its end, is scheduled: once for each, in their order. `at` is when it was recorded,
   * `previousReplyAt` when the command before it was answered; undefined where it was not, or there is none: then the client's
   * own time is that since the command, or the login.
   */
  schedule(at: CaptureNs, previousReplyAt: CaptureNs | undefined): CaptureNs {
    const timetable = this.#timetable;
    const moment = timetable.cut(at);
    const last = this.#last;
    const from = previousReplyAt === undefined ? last : Math.max(last, timetable.cut(previousReplyAt));
    const think = Math.max(0, moment - from);
    this.thinkNs = think * timetable.thinkScale;
    this.#offset += this.thinkNs - think;
    this.#last = moment;
    return moment + this.#offset;
  }
}

/**
 * How much later copy `copy` is due than copy 0, with all of its sessions: the copies are spread evenly over [0, spread),
 * in its unit, by a hash of their numbers, the same in every run.
 */
export function copyOffset(copy: number, spread: number): number {
  return ((Math.imul(copy, GOLDEN) >>> 0) / 2 ** 32) * spread;
}
