import { MytapeError } from '../errors.ts';
import { check, koffi, libc } from './libc.ts';
import { onReadable, type Ready } from './ready.ts';

/** Calls back once, when it is time. */
export interface Alarm {
  /**
   * To go off in `delayMs` (with a fraction; 24 days at most), in place of what was set before. Keeps the process alive
   * until then.
   */
  set(delayMs: number): void;
  /** Not to go off. */
  clear(): void;
  /** For good. In a worker thread, before it ends. */
  close(): void;
}

const CLOCK_MONOTONIC = 1;
const TFD_NONBLOCK = 0o4000;
const TFD_CLOEXEC = 0o2000000;

/** struct itimerspec as 32-bit words: the interval's seconds and nanoseconds (two each), then the first expiry's. */
const SPEC_WORDS = 8;
const VALUE_SEC = 4;
const VALUE_NSEC = 6;

/** What read(2) gives: how often it has expired, a uint64_t. */
const EXPIRATIONS_OCTETS = 8;

/** 1 ns: none at all would disarm it. */
const LEAST_DELAY_MS = 1e-6;

/** The longest that a timer of Node's can wait; one that is told to wait longer fires at once. */
const MAX_DELAY_MS = 0x7fffffff;

/** An alarm by a timer of Node's: to the millisecond, and may go off up to a millisecond early. */
export function openPlainAlarm(fire: () => void): Alarm {
  let timer: NodeJS.Timeout | undefined;
  const clear = () => clearTimeout(timer);
  const set = (delayMs: number) => {
    clear();
    timer = setTimeout(fire, Math.min(MAX_DELAY_MS, Math.max(0, delayMs)));
  };
  return { set, clear, close: clear };
}

/**
 * An alarm by timerfd_create(2), which goes off some tens of microseconds late, and costs a system call a `set`; where there
 * is none (not Linux), a plain one. Throws 'system-call' where there is no file descriptor left.
 */
export function openAlarm(fire: () => void): Alarm {
  try {
    koffi();
  } catch (error) {
    if (error instanceof MytapeError) return openPlainAlarm(fire);
    throw error;
  }
  return new PreciseAlarm(fire);
}

/** Precise alarms of this thread that were not closed. */
const alarms = new Set<PreciseAlarm>();

/**
 * How long until the next precise alarm of this thread goes off, ms: none is set, Infinity; overdue, less than 0. Whoever
 * puts the thread to sleep must not sleep longer.
 */
export function untilAlarm(): number {
  let dueMs = Number.POSITIVE_INFINITY;
  for (const alarm of alarms) if (alarm.dueMs < dueMs) dueMs = alarm.dueMs;
  return dueMs === Number.POSITIVE_INFINITY ? dueMs : dueMs - performance.now();
}

interface Calls {
  create(clock: number, flags: number): number;
  setTime(fd: number, flags: number, value: Uint32Array, old: null): number;
  read(fd: number, octets: Uint8Array, length: number): number;
}

let loaded: Calls | undefined;

function calls(): Calls {
  if (loaded !== undefined) return loaded;
  const library = koffi().load(null);
  loaded = {
    create: library.func('int timerfd_create(int clock, int flags)'),
    setTime: library.func('int timerfd_settime(int fd, int flags, const void *value, void *old)'),
    read: library.func('int64_t read(int fd, void *octets, size_t length)'),
  };
  return loaded;
}

/**
 * A timer's descriptor, watched by the event loop. The loop's own timers have its resolution, a millisecond, and the kernel
 * lets the thread's timer slack pass before it ends the loop's wait: a timerfd has neither.
 */
class PreciseAlarm implements Alarm {
  /** By performance.now(); Infinity where it is not set. */
  dueMs = Number.POSITIVE_INFINITY;
  readonly #fire: () => void;
  readonly #calls = calls();
  readonly #fd: number;
  readonly #ready: Ready;
  readonly #spec = new Uint32Array(SPEC_WORDS);
  readonly #expirations = new Uint8Array(EXPIRATIONS_OCTETS);
  /** Whether the loop looks at the descriptor: only while set, because it keeps the process alive. */
  #isWatched = true;
  #isOpen = true;

  constructor(fire: () => void) {
    this.#fire = fire;
    this.#fd = check(this.#calls.create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC), 'timerfd_create');
    this.#ready = onReadable(this.#fd, () => this.#expired());
    alarms.add(this);
    this.#rest();
  }

  set(delayMs: number): void {
    if (!this.#isOpen) return;
    const delay = Math.min(MAX_DELAY_MS, Math.max(LEAST_DELAY_MS, delayMs));
    const sec = Math.floor(delay / 1000);
    this.#spec[VALUE_SEC] = sec;
    this.#spec[VALUE_NSEC] = (delay - sec * 1000) * 1e6;
    check(this.#calls.setTime(this.#fd, 0, this.#spec, null), 'timerfd_settime');
    this.dueMs = performance.now() + delay;
    if (this.#isWatched) return;
    this.#isWatched = true;
    this.#ready.resume();
  }

  clear(): void {
    this.dueMs = Number.POSITIVE_INFINITY;
    this.#rest();
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    alarms.delete(this);
    this.dueMs = Number.POSITIVE_INFINITY;
    this.#ready.close();
    libc().close(this.#fd);
  }

  #expired(): void {
    // Set anew since the loop looked: then there is nothing to read (EAGAIN).
    if (this.#calls.read(this.#fd, this.#expirations, EXPIRATIONS_OCTETS) < 0) return;
    this.dueMs = Number.POSITIVE_INFINITY;
    this.#fire();
    if (this.dueMs === Number.POSITIVE_INFINITY) this.#rest();
  }

  #rest(): void {
    if (!this.#isWatched || !this.#isOpen) return;
    this.#isWatched = false;
    this.#ready.pause();
  }
}
