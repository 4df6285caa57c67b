import type { CloseHow, SessionMeta } from '../flow/events.ts';
import type { Command } from '../mysql/command.ts';
import type { CaptureNs } from '../time.ts';
import type { Outcome } from './outcome.ts';
import type { SessionReplay } from './session.ts';

/** Slots let go at the head of the queue before it is cut. */
const CUT_SLOTS = 1024;

/**
 * One recorded session as far as it was read, shared by all its copies: decoded once, replayed N times. A command is
 * let go when the last copy is through with it.
 */
export class RecordedSession {
  readonly meta: SessionMeta;
  copies: SessionReplay[] = [];
  /** How it ended; undefined while its end was not read yet. */
  close: { how: CloseHow; at: CaptureNs } | undefined;
  /** Outcomes whose recorded answer was not read yet. */
  readonly parked = new Map<Command, Outcome[]>();
  /** Commands whose files count as what is read ahead. */
  countedFiles: Set<Command> | undefined;
  /** Answers to commands up to this ordinal that are not known by now never will be. */
  repliedTo = -1;
  /** A copy waits for what the recorded answer to its command will tell. */
  awaitsReply = false;
  /** One past the last command read. */
  end = 0;
  #commands: (Command | undefined)[] = [];
  #left: number[] = [];
  #lastOrdinal = -1;
  /** Position of #commands[0]. */
  #base = 0;

  constructor(meta: SessionMeta) {
    this.meta = meta;
  }

  /** Answers were missed: those to the commands so far that are not known yet never will be. */
  missed(): void {
    this.repliedTo = this.#lastOrdinal;
  }

  add(command: Command, copies: number): void {
    this.#lastOrdinal = command.ordinal;
    this.#commands.push(command);
    this.#left.push(copies);
    this.end++;
  }

  /** The command at `position`, which no more than `copies` takers may have let go. undefined: not read yet. */
  at(position: number): Command | undefined {
    return this.#commands[position - this.#base];
  }

  /** Whether not every copy is through with `command`. */
  holds(command: Command): boolean {
    return this.#commands.includes(command);
  }

  /** One copy is through with the command at `position`. Answers whether it was the last one. */
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
        this.#base += cut;
      }
    }
    return true;
  }
}
