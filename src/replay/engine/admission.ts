import type { MonotonicMs } from '../../time.ts';
import { RECONNECT_MS } from '../session/recovery.ts';
import { RecordedConcurrency } from './recorded-concurrency.ts';

/** So much of a second's connections may go out at one moment, ms' worth: what a timer that is late has to make up for. */
const BURST_MS = 50;

/** The pause after a target without room turned somebody away, doubled while nobody gets in, up to the longest, ms. */
const FIRST_PAUSE_MS = 100;
const MAX_PAUSE_MS = 2_000;

/** Parts that a pause is made longer by, up to half of it, so that threads and runs do not knock at one moment. */
const SPREAD = 16;

/** How often a target that turned somebody away is tried for more room, ms, and for how much more. */
const WIDEN_MS = 1_000;
const WIDEN_BY = 1 / 16;

/** Slots at the head of the queue before it is cut. */
const CUT_SLOTS = 1024;

/** What is left of a token by the rounding of sums is one. */
const TOKEN = 1 - 1e-9;

/** What is to be let in: one copy of a recorded session. */
export interface Entrant {
  readonly recorded: { readonly meta: { readonly id: number } };
  readonly copy: number;
  readonly state: string;
  open(): void;
}

export interface AdmissionOptions {
  copies: number;
  /** No more connections of a copy than were open in the recording: what paces `--speed max`. */
  asRecorded: boolean;
  /** Connections at once; default: any number. */
  mostOpen?: number | undefined;
  /** New ones a second; default: any number. */
  perSecond?: number | undefined;
  /** Tells those apart that share a run. */
  seed?: number | undefined;
}

/** One entrant, from its beginning in the recording to its end here. */
interface Stand {
  readonly who: Entrant;
  readonly copy: number;
  readonly most: number;
  readonly nth: number;
  /** Its place in the order: when it is due … */
  due: MonotonicMs;
  /** … and among those of one moment. */
  tie: number;
  at: 'recording' | 'concurrency' | 'queue' | 'place' | 'inside';
  /** Since when it waits … */
  since: MonotonicMs;
  /** (how often `letIn` had looked by then) */
  pass: number;
  /** … and how long it did before it was let in, ms. */
  waitedMs: number;
}

/**
 * Who may connect, and when: in the order in which they are due (those recorded first for equal), no more at once than
 * there is room for, and no more in a second than is wished.
 *
 * A target that turns somebody away for want of room has shown how much it has: as much as is open now. Who was turned
 * away goes back to the head of the queue; after a pause the room is used again as it comes free, and, bit by bit, tried
 * for more. Where nobody of ours is inside and nobody gets in for RECONNECT_MS, there is no hope, and each tries once.
 *
 * Pure: time comes in as an argument. Whatever changes here, `letIn` is to be called behind it, and at `nextAt`.
 */
export class Admission {
  readonly #concurrency: RecordedConcurrency<Stand>;
  readonly #stands = new Map<Entrant, Stand>();
  /** In order; the first `#head` slots are empty. */
  #queue: (Stand | undefined)[] = [];
  #head = 0;
  /** Who has a place and lost its connection, and wants another. */
  #returning: Entrant[] = [];
  #begun = 0;
  #queued = 0;
  #passes = 0;
  readonly #mostOpen: number;
  #open = 0;
  #inside = 0;
  /** What the target has shown to have room for, and when that was last changed. */
  #room = Number.POSITIVE_INFINITY;
  #roomAt: MonotonicMs = 0;
  #pausedUntil: MonotonicMs = Number.NEGATIVE_INFINITY;
  #pauseMs = FIRST_PAUSE_MS;
  readonly #spread: number;
  /** Since when the target turns everybody away; undefined: it does not. */
  #fullSince: MonotonicMs | undefined;
  readonly #perMs: number;
  readonly #mostTokens: number;
  /** Connections that may go out now; none is saved up before the first. */
  #tokens = 1;
  #tokensAt: MonotonicMs | undefined;

  constructor(options: AdmissionOptions) {
    const { copies, asRecorded, mostOpen = Infinity, perSecond = Infinity, seed = 0 } = options;
    this.#concurrency = new RecordedConcurrency(copies, asRecorded);
    this.#mostOpen = mostOpen;
    this.#perMs = perSecond / 1_000;
    this.#mostTokens = Math.max(1, this.#perMs * BURST_MS);
    this.#spread = 1 + (seed % SPREAD) / (2 * SPREAD);
  }

  /** From now on no more connections of a copy than were open in the recording, or, for those to come, as many as are due. */
  set asRecorded(asRecorded: boolean) {
    this.#concurrency.applies = asRecorded;
  }

  /** A recorded session began, of which `who` is a copy. */
  began(who: Entrant): void {
    const { copy } = who;
    const most = this.#concurrency.began(copy);
    const nth = this.#begun++;
    this.#stands.set(who, {
      who,
      copy,
      most,
      nth,
      due: 0,
      tie: 0,
      at: 'recording',
      since: 0,
      pass: 0,
      waitedMs: 0,
    });
  }

  /** A recorded session of which this copy runs ended. */
  ended(copy: number): void {
    this.#concurrency.ended(copy);
  }

  /** It is due. */
  admit(who: Entrant, due: MonotonicMs, now: MonotonicMs): void {
    const stand = this.#stands.get(who);
    if (stand === undefined) return;
    stand.due = due;
    stand.at = 'concurrency';
    this.#queueAll(this.#concurrency.take(stand), now);
  }

  /** It has a place, and wants another connection. */
  again(who: Entrant): void {
    this.#returning.push(who);
  }

  /** Its login succeeded. Returns how long it had waited for its place, ms. */
  opened(who: Entrant): number {
    this.#fullSince = undefined;
    this.#pauseMs = FIRST_PAUSE_MS;
    const stand = this.#stands.get(who);
    if (stand?.at !== 'place') return 0;
    stand.at = 'inside';
    this.#inside++;
    return stand.waitedMs;
  }

  /**
   * The target has no room for it. One that was never inside goes back to the queue, unless there is no hope (false): then it
   * keeps its place until it has `left`, as one does that was inside.
   */
  turnedAway(who: Entrant, now: MonotonicMs): boolean {
    if (this.#inside > 0) this.#fullSince = undefined;
    else this.#fullSince ??= now;
    if (now - (this.#fullSince ?? now) >= RECONNECT_MS) return false;
    const stand = this.#stands.get(who);
    if (stand?.at === 'place') {
      this.#open--;
      this.#enqueue(stand);
    }
    this.#room = Math.min(this.#room, Math.max(1, this.#open));
    this.#roomAt = now;
    // Several of one moment are one refusal.
    if (now < this.#pausedUntil) return true;
    this.#pausedUntil = now + this.#pauseMs * this.#spread;
    this.#pauseMs = Math.min(MAX_PAUSE_MS, 2 * this.#pauseMs);
    return true;
  }

  /** It is over, wherever it stood. */
  left(who: Entrant, now: MonotonicMs): void {
    const stand = this.#stands.get(who);
    if (stand === undefined) return;
    this.#stands.delete(who);
    const { at, copy } = stand;
    stand.at = 'recording';
    if (at === 'inside') this.#inside--;
    if (at === 'inside' || at === 'place') this.#open--;
    if (at === 'concurrency') this.#queueAll(this.#concurrency.leave(stand), now);
    else if (at !== 'recording') this.#queueAll(this.#concurrency.over(copy), now);
  }

  /** Somebody waits for a place, and not only for the next moment to connect. */
  get isFull(): boolean {
    return this.#waits && this.#open >= Math.min(this.#mostOpen, this.#room);
  }

  /** Opens all that may now. */
  letIn(now: MonotonicMs): void {
    this.#passes++;
    this.#refill(now);
    this.#widen(now);
    let returned = 0;
    while (returned < this.#returning.length && this.#tokens >= TOKEN) {
      const who = this.#returning[returned++];
      // Stopped while it waited: it is over already.
      if (who.state !== 'disconnected') continue;
      this.#tokens--;
      who.open();
    }
    if (returned > 0) this.#returning.splice(0, returned);
    while (this.#waits && now >= this.#pausedUntil && this.#hasPlace && this.#tokens >= TOKEN) {
      const stand = this.#queue[this.#head] as Stand;
      this.#queue[this.#head++] = undefined;
      if (this.#head >= CUT_SLOTS) this.#cut();
      if (stand.at !== 'queue' || stand.who.state !== 'waiting') continue;
      stand.at = 'place';
      // Let in at the next look: it has not waited, whatever the clock says.
      stand.waitedMs = stand.pass + 1 === this.#passes ? 0 : now - stand.since;
      this.#open++;
      this.#tokens--;
      stand.who.open();
    }
  }

  /** When `letIn` may next do something by itself; Infinity: not before somebody leaves. */
  get nextAt(): MonotonicMs {
    if (this.#returning.length > 0) return this.#tokenAt;
    if (!this.#waits || this.#open >= this.#mostOpen) return Number.POSITIVE_INFINITY;
    const placeAt = this.#hasPlace ? Number.NEGATIVE_INFINITY : this.#roomAt + WIDEN_MS;
    return Math.max(this.#pausedUntil, placeAt, this.#tokenAt);
  }

  get #waits(): boolean {
    return this.#head < this.#queue.length;
  }

  get #hasPlace(): boolean {
    return this.#open < Math.min(this.#mostOpen, this.#room);
  }

  get #tokenAt(): MonotonicMs {
    if (this.#tokens >= TOKEN || this.#tokensAt === undefined) return Number.NEGATIVE_INFINITY;
    return this.#tokensAt + (1 - this.#tokens) / this.#perMs;
  }

  #queueAll(stands: readonly Stand[], now: MonotonicMs): void {
    for (const stand of stands) {
      stand.tie = this.#concurrency.applies ? this.#queued++ : stand.who.recorded.meta.id;
      stand.since = now;
      stand.pass = this.#passes;
      this.#enqueue(stand);
    }
  }

  /** Behind those that come before it: mostly the end, and for one turned away the head. */
  #enqueue(stand: Stand): void {
    stand.at = 'queue';
    const queue = this.#queue;
    const isFirst = !this.#waits || comesBefore(stand, queue[this.#head] as Stand);
    if (isFirst && this.#head > 0) {
      queue[--this.#head] = stand;
      return;
    }
    let low = this.#head;
    let high = queue.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (comesBefore(stand, queue[middle] as Stand)) high = middle;
      else low = middle + 1;
    }
    if (low === queue.length) queue.push(stand);
    else queue.splice(low, 0, stand);
  }

  #cut(): void {
    // One slot stays, for whoever is turned away next.
    this.#queue.splice(0, this.#head - 1);
    this.#head = 1;
  }

  #refill(now: MonotonicMs): void {
    const since = this.#tokensAt ?? now;
    this.#tokensAt = now;
    this.#tokens =
      this.#perMs === Infinity
        ? Infinity
        : Math.min(this.#mostTokens, this.#tokens + (now - since) * this.#perMs);
  }

  #widen(now: MonotonicMs): void {
    if (this.#room === Infinity) return;
    while (this.#roomAt + WIDEN_MS <= now && this.#room < this.#mostOpen) {
      this.#room += Math.max(1, Math.floor(this.#room * WIDEN_BY));
      this.#roomAt += WIDEN_MS;
    }
    if (this.#room >= this.#mostOpen || !Number.isFinite(this.#room)) this.#room = Infinity;
  }
}

function comesBefore(a: Stand, b: Stand): boolean {
  if (a.due !== b.due) return a.due < b.due;
  return a.tie === b.tie ? a.copy < b.copy : a.tie < b.tie;
}
