import type { CloseHow, RecordedRequest, SessionMeta } from '../flow/events.ts';
import type { SessionTimes } from '../flow/timetable.ts';
import type { CaptureNs } from '../time.ts';
import { type Destination, ONLY } from './mappings.ts';
import type { Outcome } from './outcome.ts';
import type { SessionBeforeWindow } from './session/before-window.ts';

/** Slots let go at the head of the queue before it is cut. */
const CUT_SLOTS = 1024;

/** How much later than it was due a command was read, ms. */
export interface LateRead {
  /** Because the target had not answered others, so that there was no room for more. */
  heldMs: number;
  /** Because we read too slowly. */
  oursMs: number;
}

/**
 * One recorded session as far as it was read, shared by all its copies: decoded once, replayed N times. A command is
 * let go when the last copy is through with it. `Copy`: what stands for each of them.
 */
export class RecordedSession<Copy = unknown> {
  readonly meta: SessionMeta;
  /** When it is scheduled to connect. */
  readonly openAt: CaptureNs;
  /** What it had before the part that is replayed; undefined: that begins with it. */
  readonly beforeWindow: SessionBeforeWindow | undefined;
  /** Which target it goes to. */
  readonly destination: Destination;
  copies: Copy[] = [];
  /** How it ended, and when it is scheduled to; undefined while its end was not read yet. */
  close: { how: CloseHow; at: CaptureNs; thinkNs: number } | undefined;
  /** Outcomes whose recorded answer was not read yet. */
  readonly parked = new Map<RecordedRequest, Outcome<RecordedRequest>[]>();
  /** Commands whose files count as what is read ahead. */
  countedFiles: Set<RecordedRequest> | undefined;
  /** Answers to commands up to this ordinal that are not known by now never will be. */
  repliedTo = -1;
  /** A copy waits for what the recorded answer to its command will tell. */
  awaitsReply = false;
  /** One past the last command read. */
  end = 0;
  readonly #times: SessionTimes | undefined;
  /** When commands are scheduled, and the think times before them, where that is not as recorded. */
  #scheduled: CaptureNs[] = [];
  #thinkNs: number[] = [];
  /** Of those that were read later than they were due; fewer than commands where none was from there on. */
  #late: (LateRead | undefined)[] = [];
  #last: RecordedRequest | undefined;
  #commands: (RecordedRequest | undefined)[] = [];
  #left: number[] = [];
  #lastOrdinal = -1;
  #missedSome = false;
  /** Position of #commands[0]. */
  #base = 0;

  /** `times`: undefined where all is scheduled as it was recorded. */
  constructor(
    meta: SessionMeta,
    openAt = meta.at,
    times?: SessionTimes,
    beforeWindow?: SessionBeforeWindow,
    destination = ONLY,
  ) {
    this.meta = meta;
    this.destination = destination;
    this.openAt = openAt;
    this.#times = times;
    this.beforeWindow = beforeWindow;
  }

  /** Commands or answers were missed: answers to the commands so far that are not known yet never will be. */
  missed(): void {
    this.#missedSome = true;
    this.repliedTo = this.#lastOrdinal;
  }

  add(command: RecordedRequest, copies: number): void {
    this.#lastOrdinal = command.ordinal;
    if (this.#missedSome) command.followsLoss = true;
    this.#missedSome = false;
    if (this.#times !== undefined) {
      this.#scheduled.push(this.#times.schedule(command.at, this.#last?.reply?.at));
      this.#thinkNs.push(this.#times.thinkNs);
      this.#last = command;
    }
    this.#commands.push(command);
    this.#left.push(copies);
    this.end++;
  }

  /** The command at `position`, which no more than `copies` takers may have let go. undefined: not read yet. */
  at(position: number): RecordedRequest | undefined {
    return this.#commands[position - this.#base];
  }

  /** When the command at `position`, which was read and not let go by all, is scheduled. */
  scheduledAt(position: number): CaptureNs {
    const i = position - this.#base;
    return this.#times === undefined ? (this.#commands[i] as RecordedRequest).at : this.#scheduled[i];
  }

  /** The client's think time before it, ns. */
  thinkNs(position: number): number {
    return this.#thinkNs[position - this.#base];
  }

  /** The command that was read last was read later than it was due. */
  readLate(late: LateRead): void {
    const i = this.#commands.length - 1;
    while (this.#late.length < i) this.#late.push(undefined);
    this.#late[i] = late;
  }

  /** How much later than it was due the command at `position` was read; undefined: it was not. */
  lateAt(position: number): LateRead | undefined {
    return this.#late[position - this.#base];
  }

  /** Its end was read. */
  closed(how: CloseHow, at: CaptureNs): void {
    const scheduled = this.#times?.schedule(at, this.#last?.reply?.at) ?? at;
    this.close = { how, at: scheduled, thinkNs: this.#times?.thinkNs ?? 0 };
  }

  /** Whether not every copy is through with `command`. */
  holds(command: RecordedRequest): boolean {
    return this.#commands.includes(command);
  }

  /** One copy is through with the command at `position`. Returns whether it was the last one. */
  letGo(position: number): boolean {
    const i = position - this.#base;
    if (--this.#left[i] > 0) return false;
    this.#commands[i] = undefined;
    if (i >= CUT_SLOTS) {
      let cut = 0;
      while (cut < this.#commands.length && this.#commands[cut] === undefined) cut++;
      if (cut >= CUT_SLOTS) {
        this.#commands.splice(0, cut);
        this.#left.splice(0, cut);
        this.#scheduled.splice(0, cut);
        this.#thinkNs.splice(0, cut);
        this.#late.splice(0, cut);
        this.#base += cut;
      }
    }
    return true;
  }
}
