import type { MonotonicMs } from '../../time.ts';
import type { Connection, ConnectionHandler } from '../../transport/transport.ts';
import type { LoginPlan } from '../accounts/logins.ts';
import type { Share } from '../share.ts';
import { type Borrower, type Keeper, KeptConnection, type PoolEvent } from './connection.ts';
import { sameCapabilities } from './login.ts';

/** A session that can be sent for when its turn has come. */
export interface Waiter extends Borrower {
  readonly state: string;
  /** Comes for a connection (`take`). */
  open(): void;
}

/** Whose pool it is. */
export interface PoolOwner<W> {
  /** Connections are in TLS. */
  readonly tls: boolean;
  /** No session is to begin: for ever, or until `resume` is called. */
  readonly rests: boolean;
  now(): MonotonicMs;
  /** A connection to the target, for `session` to begin with. */
  dial(session: W, handler: ConnectionHandler): Connection;
  /** `session` is given a connection, for which it had to wait for so long; undefined: it had not. */
  lending(session: W, waitedMs: number | undefined): void;
  pooled(event: PoolEvent): void;
}

/** What one thread has of so many connections a user. */
export function poolShare(size: number, { index, of }: Share): number {
  return Math.floor(size / of) + (index < size % of ? 1 : 0);
}

/** One user's connections, or those that are not kept. */
interface Account<W extends Waiter> {
  readonly most: number;
  size: number;
  /** The one that was idle longest first. */
  idle: KeptConnection<W>[];
  /** Who waits for one, in order, since when. */
  queue: Map<W, MonotonicMs>;
}

/**
 * Connections that sessions have one after the other: at most `size` for each user of the target, who wait their turn in
 * order. Between two sessions a connection is cleaned; what cannot be cleaned is closed. Sessions of other capability flags
 * need other connections: one that is idle makes room for them. No more sessions than `most` may come at a time; no more
 * connections than that are open, either: one that is idle makes room for one of another user.
 */
export class Pool<W extends Waiter> implements Keeper<W> {
  readonly #size: number;
  readonly #most: number;
  readonly #owner: PoolOwner<W>;
  readonly #accounts = new Map<string | undefined, Account<W>>();
  readonly #kept = new Set<KeptConnection<W>>();
  /** Whose turn it is in its queue. */
  #called: W | undefined;
  #whenEmpty: (() => void) | undefined;

  constructor(size: number, owner: PoolOwner<W>, most = Number.POSITIVE_INFINITY) {
    this.#size = size;
    this.#most = most;
    this.#owner = owner;
  }

  /**
   * A connection for `session`: one that is `ready`, or of which it will be `lent`, or on which it is to log in. undefined: it
   * waits, and will be called (`open`) to take one; until then this may be asked again.
   */
  take(session: W): KeptConnection<W> | undefined {
    const account = this.#accountOf(session.account);
    const { queue } = account;
    const kept = queue.size === 0 || session === this.#called ? this.#find(account, session) : undefined;
    const since = queue.get(session);
    if (kept === undefined) {
      if (since === undefined) queue.set(session, this.now());
      return undefined;
    }
    queue.delete(session);
    this.#owner.lending(session, since === undefined ? undefined : this.now() - since);
    return kept;
  }

  /** Somebody waits for a connection. */
  get isFull(): boolean {
    for (const { queue } of this.#accounts.values()) {
      for (const { state } of queue.keys()) if (state !== 'over') return true;
    }
    return false;
  }

  /** Ends all in order, once no session has one any more. Resolves when they are gone. */
  close(): Promise<void> {
    for (const { idle } of this.#accounts.values()) for (const kept of idle.splice(0)) kept.leave();
    if (this.#kept.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#whenEmpty = resolve;
    });
  }

  /** Ends all at once, by RST. */
  cut(): void {
    for (const kept of [...this.#kept]) kept.abort();
  }

  /** Cuts those that the target leaves half closed for longer than `closeMs`. */
  sweep(closeMs: number): void {
    const before = this.now() - closeMs;
    for (const kept of [...this.#kept]) if (kept.state === 'ending' && kept.since < before) kept.abort();
  }

  // Keeper

  get secure(): boolean {
    return this.#owner.tls;
  }

  now(): MonotonicMs {
    return this.#owner.now();
  }

  dial(session: W, handler: ConnectionHandler): Connection {
    if (session.account !== undefined) this.tell('connection');
    return this.#owner.dial(session, handler);
  }

  tell(event: PoolEvent): void {
    this.#owner.pooled(event);
  }

  idle(kept: KeptConnection<W>): void {
    this.#accountOf(kept.account).idle.push(kept);
  }

  gone(kept: KeptConnection<W>): void {
    const account = this.#accountOf(kept.account);
    account.size--;
    this.#kept.delete(kept);
    const at = account.idle.indexOf(kept);
    if (at >= 0) account.idle.splice(at, 1);
    if (this.#kept.size === 0) this.#whenEmpty?.();
  }

  next(kept: KeptConnection<W>): void {
    const account = this.#accountOf(kept.account);
    this.#call(account);
    if (this.#most === Number.POSITIVE_INFINITY) return;
    for (const other of this.#accounts.values()) if (other !== account) this.#call(other);
  }

  /** Sessions may begin again. */
  resume(): void {
    for (const account of this.#accounts.values()) this.#call(account);
  }

  /** Calls those who wait, in order, until one finds nothing. */
  #call({ queue }: Account<W>): void {
    if (this.#owner.rests) return;
    for (const waiter of queue.keys()) {
      // Stopped while it waited.
      if (waiter.state === 'over') {
        queue.delete(waiter);
        continue;
      }
      this.#called = waiter;
      waiter.open();
      this.#called = undefined;
      if (queue.has(waiter)) return;
    }
  }

  /** One that is idle, best just as `session` wants it, or a new one. */
  #find(account: Account<W>, session: W): KeptConnection<W> | undefined {
    const { plan } = session;
    const { idle } = account;
    const at = indexFor(idle, plan);
    if (at >= 0) {
      const [found] = idle.splice(at, 1);
      found.lend(session);
      return found;
    }
    // Nobody who waits has a use for one that is idle: its place is free when it is gone.
    if (account.size >= account.most) idle.shift()?.leave();
    else if (this.#kept.size >= this.#most) this.#makeRoom();
    else {
      const made = new KeptConnection(session, this);
      account.size++;
      this.#kept.add(made);
      return made;
    }
    return undefined;
  }

  /** Lets the one go that was idle longest, whosesoever, unless one is on its way out. */
  #makeRoom(): void {
    let oldest: KeptConnection<W> | undefined;
    for (const kept of this.#kept) {
      if (kept.state === 'ending') return;
      if (kept.state === 'idle' && kept.since < (oldest?.since ?? Number.POSITIVE_INFINITY)) oldest = kept;
    }
    if (oldest === undefined) return;
    const { idle } = this.#accountOf(oldest.account);
    idle.splice(idle.indexOf(oldest), 1);
    oldest.leave();
  }

  #accountOf(user: string | undefined): Account<W> {
    let account = this.#accounts.get(user);
    if (account === undefined) {
      const most = user === undefined ? Number.POSITIVE_INFINITY : this.#size;
      account = { most, size: 0, idle: [], queue: new Map() };
      this.#accounts.set(user, account);
    }
    return account;
  }
}

/** The one used last that is as a session of `plan` begins, else of its capabilities; -1: none. */
function indexFor<W extends Waiter>(idle: readonly KeptConnection<W>[], plan: LoginPlan): number {
  const fits = (kept: KeptConnection<W>) => sameCapabilities(kept.loginPlan.recorded, plan.recorded);
  const ready = idle.findLastIndex((kept) => fits(kept) && kept.isReadyFor(plan));
  return ready >= 0 ? ready : idle.findLastIndex(fits);
}
