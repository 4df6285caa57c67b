import { EXPECT } from '../../mysql/command.ts';
import type { LoginDone } from '../../mysql/login.ts';
import type { Reply } from '../../mysql/reply.ts';
import type { MonotonicMs } from '../../time.ts';
import type { CloseCause, Connection, ConnectionHandler } from '../../transport/transport.ts';
import type { LoginPlan } from '../accounts/logins.ts';
import {
  afterCleaning,
  asksForInitConnect,
  beforeChange,
  changeTo,
  QUIT,
  RESET,
  sameLogin,
} from './login.ts';
import { CLEANED_BY, cleanedBy } from './traces.ts';

/** Ends after which another connection may do better. */
const REDIALLED: ReadonlySet<CloseCause> = new Set(['fin', 'reset', 'timeout']);

/** A session, as a connection of the pool sees it. */
export interface Borrower extends ConnectionHandler {
  /** As whom it is to be logged in. */
  readonly plan: LoginPlan;
  /** Whose connections it may have: a user's of the target; undefined: one that is nobody else's. */
  readonly account: string | undefined;
  /** The connection is as a login by `plan` would have left it. */
  lent(done: LoginDone): void;
}

/** What a connection of the pool has beside those of a connection of one's own. */
export interface Lease {
  /** What the target told last of its login; undefined: the borrower is to log in, or will be told (`lent`). */
  readonly ready: LoginDone | undefined;
  /** The borrower is through: every command that has an answer was answered. `done`: what the target told it last. */
  giveBack(done: LoginDone): void;
}

/** What happens to the connections of a pool. */
export type PoolEvent =
  /** One was made. */
  | 'connection'
  /** One was cleaned by COM_RESET_CONNECTION, or by COM_CHANGE_USER. */
  | 'reset'
  | 'change';

/** The pool, as its connections see it. */
export interface Keeper<B extends Borrower> {
  /** Connections are in TLS. */
  readonly secure: boolean;
  now(): MonotonicMs;
  dial(borrower: B, handler: ConnectionHandler): Connection;
  tell(event: PoolEvent): void;
  /** It is clean, and nobody's. */
  idle(kept: KeptConnection<B>): void;
  /** It is over. */
  gone(kept: KeptConnection<B>): void;
  /** Its last borrower knows: whoever waits may have it, or its place. */
  next(kept: KeptConnection<B>): void;
}

type State =
  /** Its borrower logs in. */
  | 'login'
  | 'lent'
  /** Its borrower has given it back, and waits until it is clean: then all that was sent is known to have arrived. */
  | 'cleaning'
  | 'idle'
  /** It is made what the next borrower's login would have made it. */
  | 'preparing'
  | 'ending'
  | 'over';

/**
 * One connection that is kept from session to session. To its borrower it is a connection as any other, that ends (`closed`
 * by `fin`) once it was given back and is clean.
 */
export class KeptConnection<B extends Borrower> implements Connection, Lease, ConnectionHandler {
  state: State = 'login';
  /** Since when it is in this state. */
  since: MonotonicMs;
  readonly account: string | undefined;
  /** As what it logged in, which rules its capabilities, and what it is now. */
  loginPlan: LoginPlan;
  #plan: LoginPlan;
  readonly #keeper: Keeper<B>;
  #connection: Connection;
  #borrower: B | undefined;
  /** What the target told last of the login; undefined: it has not let us in. */
  #done: LoginDone | undefined;
  /** What cleans it of all that was sent, one of CLEANED_BY. */
  #cleanedBy: number = CLEANED_BY.reset;
  #exchange: ReturnType<typeof changeTo> | undefined;
  /** What COM_CHANGE_USER is to make of it, once what goes before that was answered. */
  #next: LoginPlan | undefined;
  /** Answers still to come to commands of ours. */
  #answers = 0;
  #knowsInitConnect = false;

  /** Connects; `borrower` logs in. */
  constructor(borrower: B, keeper: Keeper<B>) {
    this.#keeper = keeper;
    this.#borrower = borrower;
    this.account = borrower.account;
    this.loginPlan = borrower.plan;
    this.#plan = borrower.plan;
    this.since = keeper.now();
    this.#connection = keeper.dial(borrower, this);
  }

  /** Whether a session of `plan` can begin at once. */
  isReadyFor(plan: LoginPlan): boolean {
    return this.state === 'idle' && sameLogin(this.#plan, plan);
  }

  /** Idle, it is `borrower`'s from here on: at once if it `isReadyFor` it (see `ready`), else `lent` tells when. */
  lend(borrower: B): void {
    this.#borrower = borrower;
    if (this.isReadyFor(borrower.plan)) {
      this.#become('lent');
      return;
    }
    this.#become('preparing');
    this.#clean(borrower.plan);
  }

  get ready(): LoginDone | undefined {
    return this.state === 'lent' ? this.#done : undefined;
  }

  giveBack(done: LoginDone): void {
    this.#done = done;
    if (this.#cleanedBy === CLEANED_BY.end) {
      this.#connection.write(QUIT, EXPECT.none);
      this.#connection.end();
      return;
    }
    this.#become('cleaning');
    this.#clean(this.#plan);
  }

  /** Idle, or of no use any more: ends in order. */
  leave(): void {
    const isIdle = this.state === 'idle';
    this.#become('ending');
    if (isIdle) this.#connection.write(QUIT, EXPECT.none);
    this.#connection.end();
  }

  // Connection, for the borrower.

  writeLogin(octets: Uint8Array): void {
    this.#connection.writeLogin(octets);
  }

  startTls(): void {
    this.#connection.startTls?.();
  }

  commandPhase(capabilities: number, extendedCapabilities: number): void {
    this.#become('lent');
    this.#connection.commandPhase(capabilities, extendedCapabilities);
  }

  write(packet: Uint8Array, expect: number): void {
    if (this.#cleanedBy < CLEANED_BY.end) this.#cleanedBy = Math.max(this.#cleanedBy, cleanedBy(packet));
    this.#connection.write(packet, expect);
  }

  /** Of no use to anybody: the login failed. */
  end(): void {
    this.#connection.end();
  }

  abort(): void {
    this.#connection.abort();
  }

  // ConnectionHandler

  established(): void {
    this.#borrower?.established();
  }

  secured(): void {
    this.#borrower?.secured?.();
  }

  packet(octets: Uint8Array): void {
    if (this.#exchange === undefined) {
      this.#borrower?.packet(octets);
      return;
    }
    const step = this.#exchange.onPacket(octets);
    if (step.type === 'send') this.#connection.writeLogin(step.octets);
    // Whoever is to have it logs in on another, and tells why that fails.
    else if (step.type === 'failed') this.#connection.end();
  }

  reply(reply: Reply, receivedAt: MonotonicMs): void {
    if (this.state === 'cleaning' || this.state === 'preparing') this.#cleaned(reply);
    else if (this.state === 'lent') this.#borrower?.reply(reply, receivedAt);
  }

  closed(cause: CloseCause, detail?: string): void {
    const { state } = this;
    const borrower = this.#borrower;
    if (state === 'preparing' && borrower !== undefined && REDIALLED.has(cause)) {
      this.#dialAgain(borrower);
      return;
    }
    this.#become('over');
    this.#borrower = undefined;
    this.#keeper.gone(this);
    borrower?.closed(cause, detail);
    this.#keeper.next(this);
  }

  /** The connection was gone already, or could not be made the borrower's: it has one of its own. */
  #dialAgain(borrower: B): void {
    this.#become('login');
    this.loginPlan = borrower.plan;
    this.#plan = borrower.plan;
    this.#done = undefined;
    this.#exchange = undefined;
    this.#next = undefined;
    this.#answers = 0;
    this.#cleanedBy = CLEANED_BY.reset;
    this.#knowsInitConnect = false;
    this.#connection = this.#keeper.dial(borrower, this);
  }

  /** Makes it what a login by `plan` would have made it. */
  #clean(plan: LoginPlan): void {
    const done = this.#done as LoginDone;
    const connection = this.#connection;
    if (this.#isReset(done, plan)) {
      this.#answers = 1;
      connection.write(RESET, EXPECT.result);
      this.#keeper.tell('reset');
      this.#restore(done);
    } else {
      const before = beforeChange(done);
      this.#answers = before.length;
      for (const packet of before) connection.write(packet, EXPECT.result);
      if (before.length > 0) this.#next = plan;
      else this.#change(plan, done);
    }
    this.#plan = plan;
  }

  /** An answer of another shape is not to be expected while others are on their way (transport/packet-connection.ts). */
  #change(plan: LoginPlan, done: LoginDone): void {
    this.#next = undefined;
    this.#answers = 1;
    this.#exchange = changeTo(plan, done, this.#keeper.secure);
    this.#connection.write(this.#exchange.packet, EXPECT.auth);
    this.#keeper.tell('change');
  }

  /**
   * Whether COM_RESET_CONNECTION is enough. MySQL's gives the session the server's character set, MariaDB's that of the
   * connection's first login, whatever came between.
   */
  #isReset({ isMariaDb }: LoginDone, plan: LoginPlan): boolean {
    return (
      isMariaDb &&
      this.#cleanedBy === CLEANED_BY.reset &&
      sameLogin(this.#plan, plan) &&
      plan.recorded.charset === this.loginPlan.recorded.charset
    );
  }

  /** Behind what has cleaned it. */
  #restore(done: LoginDone): void {
    const packets = afterCleaning(done);
    if (!this.#knowsInitConnect) packets.push(asksForInitConnect(done));
    this.#knowsInitConnect = true;
    this.#answers += packets.length;
    for (const packet of packets) this.#connection.write(packet, EXPECT.result);
  }

  /** A command of ours was answered: by an error, or by the row that asksForInitConnect must not find, the connection ends. */
  #cleaned({ kind, rows }: Reply): void {
    if (kind === 'err' || rows > 0) {
      this.#answers = Number.POSITIVE_INFINITY;
      if (this.state === 'cleaning') this.#dismiss();
      this.#connection.end();
      return;
    }
    this.#answers--;
    if (this.#next !== undefined && this.#answers === 0) this.#change(this.#next, this.#done as LoginDone);
    else if (this.#exchange !== undefined) {
      const { scramble, authPlugin } = this.#exchange;
      this.#exchange = undefined;
      this.#done = { ...(this.#done as LoginDone), scramble, authPlugin };
      this.#restore(this.#done);
    }
    if (this.#answers > 0) return;
    this.#cleanedBy = CLEANED_BY.reset;
    if (this.state === 'preparing') {
      this.#become('lent');
      this.#borrower?.lent(this.#done as LoginDone);
      return;
    }
    const borrower = this.#borrower;
    this.#borrower = undefined;
    this.#become('idle');
    this.#keeper.idle(this);
    borrower?.closed('fin');
    this.#keeper.next(this);
  }

  /** The session is through; its connection is of no more use. */
  #dismiss(): void {
    const borrower = this.#borrower;
    this.#borrower = undefined;
    this.#become('ending');
    borrower?.closed('fin');
  }

  #become(state: State): void {
    this.state = state;
    this.since = this.#keeper.now();
  }
}
