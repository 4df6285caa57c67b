/**
 * How many connections a table keeps, and for how long: what a flood, or ends that nobody saw, may cost at most
 * (docs/decisions/0038-sessions-that-end-unseen.md).
 */
import type { CaptureNs } from '../time.ts';

/** An archive names the limits that it was made with: its sessions' numbers follow from them. */
export interface FlowLimits {
  /** A connection without a packet for this long has ended unseen, ns. */
  idleNs: number;
  /** One of which nothing came but SYN, SYN-ACK and RST ends after this long without a packet, ns. */
  halfOpenNs: number;
  /** Of those, so many are kept at a time, and those that ended within `halfOpenNs` count … */
  mostHalfOpen: number;
  /** … and so many connections in all. What comes beyond is counted, and not kept. */
  mostFlows: number;
}

export const NO_LIMITS: FlowLimits = {
  idleNs: Number.POSITIVE_INFINITY,
  halfOpenNs: Number.POSITIVE_INFINITY,
  mostHalfOpen: Number.POSITIVE_INFINITY,
  mostFlows: Number.POSITIVE_INFINITY,
};

/**
 * The most that an archive may ask for: an index can be made to harm whoever reads it, and a connection takes some 5 KiB in
 * a replay.
 */
export const MOST_LIMITS: Pick<FlowLimits, 'mostHalfOpen' | 'mostFlows'> = {
  mostHalfOpen: 131_072,
  mostFlows: 262_144,
};

/**
 * Of archives from before there were limits: nothing ends for being silent, as when their sessions were numbered. They have
 * fewer connections at a time than are kept here, unless they hold a flood.
 */
export const OLD_LIMITS: FlowLimits = { ...NO_LIMITS, ...MOST_LIMITS };

/** Linux's tcp_keepalive_time (tcp(7)), which servers set SO_KEEPALIVE for. */
export const IDLE_SESSION_MS = 7_200_000;

/** The longest silence between two SYNs of Linux's tcp_syn_retries is 32 s, after its last one it waits 64 s. */
const HALF_OPEN_NS = 60e9;

/** Twice net.ipv4.tcp_max_syn_backlog of most servers. Each takes 1.4 KiB in a recorder, and 4.4 in a mirror. */
const MOST_HALF_OPEN = 8_192;

/** More than the most that max_connections can be (100,000). */
const MOST_FLOWS = 131_072;

/**
 * The limits for sessions that end when they were silent for `idleMs`. An eighth is added: so late may a keepalive probe
 * that is due by then be (Linux rounds long timers up by as much).
 */
export function limitsFor(idleMs: number): FlowLimits {
  return {
    idleNs: Math.min(Math.round(idleMs * 1.125e6), Number.MAX_SAFE_INTEGER),
    halfOpenNs: HALF_OPEN_NS,
    mostHalfOpen: MOST_HALF_OPEN,
    mostFlows: MOST_FLOWS,
  };
}

/** Width of a slot. */
const SLOT_NS = 10e9;

/** Items are looked at this long after they were last looked at, or sooner. */
const LOOK_NS = 60e9;

/** Enough for LOOK_NS ahead of a slot that is not over yet. */
const SLOTS = 8;

/**
 * Items in the order in which they are to be looked at next. An item stands in one slot however often its connection
 * speaks: only when its slot has come is it asked when it is really due.
 */
export class AgeRing<F> {
  #slots: F[][] = Array.from({ length: SLOTS }, () => []);
  /** Number of the slot that time is in. */
  #now = 0;

  /** `at`: time now; `dueAt`: when it is to be looked at; at the latest a minute from now. */
  add(item: F, at: CaptureNs, dueAt: CaptureNs): void {
    const slot = Math.floor(Math.min(dueAt, at + LOOK_NS) / SLOT_NS);
    this.#slots[place(Math.min(Math.max(slot, this.#now), this.#now + SLOTS - 1))].push(item);
  }

  /** Takes out what may be due by `at`, and calls `look` for each, which may add it again. */
  advance(at: CaptureNs, look: (item: F) => void): void {
    const now = Math.floor(at / SLOT_NS);
    const first = Math.max(this.#now, now - SLOTS + 1);
    this.#now = Math.max(this.#now, now);
    const due: F[][] = [];
    for (let slot = first; slot <= now; slot++) {
      due.push(this.#slots[place(slot)]);
      this.#slots[place(slot)] = [];
    }
    for (const items of due) for (const item of items) look(item);
  }

  /** Keeps those that `stays` says yes to. */
  filter(stays: (item: F) => boolean): void {
    this.#slots = this.#slots.map((items) => items.filter(stays));
  }
}

function place(slot: number): number {
  return ((slot % SLOTS) + SLOTS) % SLOTS;
}
