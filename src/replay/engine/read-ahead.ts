import { FILE_WAITS } from '../../flow/decoder.ts';
import type { RecordedRequest } from '../../flow/events.ts';
import type { Command } from '../../mysql/command.ts';
import type { CaptureNs, MonotonicMs } from '../../time.ts';
import type { RecordedSession } from '../recorded.ts';
import { LIVE_COMMANDS, LIVE_HARD } from './live.ts';

/** How far ahead of what is due the recording is read, ms of the replay's own time. */
const READ_AHEAD_MS = 2_000;

/** So much later than it was recorded, ns, something may be told: its connection waits for octets that are captured late. */
const MOST_WAIT_NS = Math.max(FILE_WAITS.holeNs, FILE_WAITS.directionNs);

/** Bounds on what is read and not yet sent by every copy: memory stays flat however slow the target is. */
const MOST_COMMANDS = 20_000;
/** … of copies that are spread over time: the first is through with a command long before the last. */
const MOST_SPREAD_COMMANDS = 500_000;
const MOST_OCTETS = 128 << 20;

/** What a command takes while it is held. */
type Held = RecordedRequest & Pick<Command, 'file'>;

/** What it asks of the engine. */
export interface ReadAheadOwner {
  now(): MonotonicMs;
  /** The soonest that anything that is recorded `at` can be due. */
  soonestDue(at: CaptureNs): MonotonicMs;
  /** `nextDue` may have changed. */
  rearm(): void;
}

/** What is read of a recording and not yet sent by every copy, and when more is to be read. */
export class ReadAhead {
  readonly mostCommands: number;
  readonly #owner: ReadAheadOwner;
  #commands = 0;
  #octets = 0;
  /** Up to where the reader has read, while it waits. */
  #at: CaptureNs = 0;
  #goOn: (() => void) | undefined;
  #stopped = false;

  constructor(kind: 'archive' | 'spread' | 'live', owner: ReadAheadOwner) {
    this.#owner = owner;
    if (kind === 'spread') this.mostCommands = MOST_SPREAD_COMMANDS;
    else this.mostCommands = kind === 'live' ? LIVE_COMMANDS : MOST_COMMANDS;
  }

  get hasRoom(): boolean {
    return this.#commands < this.mostCommands && this.#octets < MOST_OCTETS;
  }

  /** So much more than there is room for that a source which cannot wait has to let go of some. */
  get isFarTooMuch(): boolean {
    return this.#commands >= LIVE_HARD * this.mostCommands || this.#octets >= LIVE_HARD * MOST_OCTETS;
  }

  /** The reader waits, for room. */
  get isFull(): boolean {
    return this.#goOn !== undefined && !this.hasRoom;
  }

  /** When the reader is to go on by the time alone; a reader that waits for room is woken by `letGo`. */
  get nextDue(): MonotonicMs {
    return this.#goOn === undefined || !this.hasRoom ? Number.POSITIVE_INFINITY : this.#due;
  }

  /** The soonest that anything which is still to be read can be due; Infinity where only `letGo` will tell. */
  get nextReadDue(): MonotonicMs {
    return this.nextDue === Number.POSITIVE_INFINITY ? this.nextDue : this.#owner.soonestDue(this.#at);
  }

  /** `command` was read. */
  add(command: RecordedRequest): void {
    this.#commands++;
    this.#octets += command.packet.length;
  }

  /** The file of `command` was: it counts as long as its command does. */
  addFile(recorded: RecordedSession, command: Held): void {
    if (command.file === undefined || !recorded.holds(command)) return;
    recorded.countedFiles ??= new Set();
    recorded.countedFiles.add(command);
    this.#octets += command.file.octets;
  }

  /** Every copy is through with `command`. */
  letGo(recorded: RecordedSession, command: Held): void {
    const wasFull = !this.hasRoom;
    this.#commands--;
    this.#octets -= command.packet.length;
    if (recorded.countedFiles?.delete(command) === true) this.#octets -= command.file?.octets ?? 0;
    if (wasFull && this.hasRoom) this.wake();
  }

  /** Waits until there is room, and until what was recorded `at` is not far ahead. */
  room(at: CaptureNs): Promise<void> | undefined {
    this.#at = at;
    if (this.#stopped || (this.hasRoom && this.#due <= this.#owner.now())) return undefined;
    return new Promise((resolve) => {
      this.#goOn = resolve;
      this.#owner.rearm();
    });
  }

  /** Lets the reader go on, if it may. */
  wake(): void {
    const goOn = this.#goOn;
    if (goOn === undefined) return;
    if (this.#stopped || (this.hasRoom && this.#due <= this.#owner.now())) {
      this.#goOn = undefined;
      goOn();
    } else this.#owner.rearm();
  }

  /** Nothing more is to be read. */
  stop(): void {
    this.#stopped = true;
    this.wake();
  }

  get #due(): MonotonicMs {
    const owner = this.#owner;
    // At low speeds the wait is the longer of both.
    return Math.min(owner.soonestDue(this.#at) - READ_AHEAD_MS, owner.soonestDue(this.#at - MOST_WAIT_NS));
  }
}
