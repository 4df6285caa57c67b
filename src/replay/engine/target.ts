import type { SessionMeta } from '../../flow/events.ts';
import type { CaptureNs, MonotonicMs } from '../../time.ts';
import type {
  CloseCause,
  Connection,
  ConnectionHandler,
  HostLimit,
  Transport,
} from '../../transport/transport.ts';
import type { Logins } from '../accounts/logins.ts';
import type { SchemaRemap } from '../accounts/remap.ts';
import type { PoolEvent } from '../pool/connection.ts';
import { Pool, type PoolOwner } from '../pool/pool.ts';
import type { ReplayedSession } from '../replayed-session.ts';
import type { PoolClient, SessionTarget } from '../session/host.ts';
import type { Pins } from '../session/pins.ts';
import type { Share } from '../share.ts';
import { Admission } from './admission.ts';
import { CommitOrder } from './commit-order.ts';
import { Contact, type Stage } from './contact.ts';
import type { Observers } from './observers.ts';
import type { EngineOptions } from './options.ts';
import type { Schedule } from './schedule.ts';

/** What targets of one run have in common. */
export interface TargetContext {
  options: EngineOptions;
  share: Share;
  transport: Transport;
  schedule: Schedule;
  observers: Observers;
  pins: Pins | undefined;
  /** How often `sweep` is called, ms. */
  sweepMs: number;
}

/**
 * One target of a run: who may connect, its pool, whether it is there, the order of its commits. One that is full, gone or slow to
 * commit holds back its own sessions, and no others.
 */
export class Target implements SessionTarget, PoolOwner<PoolClient> {
  readonly pool: Pool<PoolClient> | undefined;
  /** undefined: the order of time is all. */
  readonly order: CommitOrder | undefined;
  readonly pins: Pins | undefined;
  readonly #index: number;
  readonly #options: EngineOptions;
  readonly #transport: Transport;
  readonly #schedule: Schedule;
  readonly #observers: Observers;
  readonly #admission: Admission;
  readonly #contact: Contact;

  constructor(index: number, { options, share, transport, schedule, observers, ...context }: TargetContext) {
    const { copies, speed, maxConnections, connectRate, pool, orderBy } = options;
    this.#index = index;
    this.#options = options;
    this.#transport = transport;
    this.#schedule = schedule;
    this.#observers = observers;
    this.pins = context.pins;
    this.#admission = new Admission({
      copies,
      asRecorded: !Number.isFinite(speed),
      mostOpen: maxConnections,
      perSecond: connectRate,
      seed: share.index,
    });
    this.#contact = new Contact(context.sweepMs);
    this.pool = pool === undefined ? undefined : new Pool<PoolClient>(pool, this, maxConnections);
    this.order = orderBy === undefined ? undefined : new CommitOrder(copies, observers, share);
  }

  // SessionTarget

  get logins(): Logins {
    return this.#options.logins;
  }

  get tls(): boolean {
    return this.#transport.tls === true;
  }

  schemasOf(copy: number): SchemaRemap | undefined {
    return this.#options.schemaPerCopy?.of(copy);
  }

  connect(session: ReplayedSession, handler: ConnectionHandler): Connection {
    this.#observers.begun(session.recorded.meta, session.copy);
    return this.#dial(session, handler);
  }

  accepted(): void {
    this.#contact.accepted();
  }

  greeted(): void {
    this.#contact.greeted();
  }

  failed(cause: CloseCause, stage: Stage): MonotonicMs {
    const until = this.#contact.failed(this.now(), cause, stage);
    this.#tellTrouble();
    return until;
  }

  turnedAway(session: ReplayedSession, by: number | HostLimit): boolean {
    if (typeof by !== 'number') this.#contact.notTried();
    const mayWait = this.#admission.turnedAway(session, this.now());
    if (mayWait) this.#observers.turnedAway(session.recorded.meta, session.copy, by);
    this.#schedule.rearm();
    return mayWait;
  }

  again(session: ReplayedSession): void {
    this.#admission.again(session);
    this.letIn();
  }

  numbered({ recorded, copy }: ReplayedSession, connectionId: number, nonce: Uint8Array): void {
    const { connections, voice } = this.#options;
    const { id, connectionId: recordedId } = recorded.meta;
    connections?.recorded(id, recordedId, recorded.destination.server);
    connections?.opened(id, copy, connectionId);
    voice?.greeted(nonce);
  }

  unnumbered({ recorded, copy }: ReplayedSession): void {
    this.#options.connections?.closed(recorded.meta.id, copy);
  }

  connectionOf(connectionId: number, { recorded, copy }: ReplayedSession, at: CaptureNs): number | undefined {
    return this.#options.connections?.find(connectionId, copy, recorded.destination.server, at);
  }

  // PoolOwner

  get rests(): boolean {
    return this.#schedule.isStopped || this.#schedule.isPaused;
  }

  now(): MonotonicMs {
    return this.#schedule.now();
  }

  dial({ session }: PoolClient, handler: ConnectionHandler): Connection {
    return this.#dial(session, handler);
  }

  lending({ session, account }: PoolClient, waitedMs: number | undefined): void {
    this.#observers.begun(session.recorded.meta, session.copy);
    if (account !== undefined) this.#observers.lent(waitedMs);
  }

  pooled(event: PoolEvent): void {
    this.#observers.pooled(event);
  }

  // For the engine: who may connect.

  /** Why no connection can carry `session`; undefined where one can. */
  refuses({ client }: SessionMeta): string | undefined {
    return this.#transport.refuses({ client, copy: 0, target: this.#index });
  }

  /** No more connections of a copy than were open in the recording, or as many as are due. */
  set asRecorded(asRecorded: boolean) {
    this.#admission.asRecorded = asRecorded;
  }

  /** A recorded session began, of which `session` is a copy. */
  began(session: ReplayedSession): void {
    this.#admission.began(session);
  }

  /** A recorded session of which this copy runs ended. */
  ended(copy: number): void {
    this.#admission.ended(copy);
  }

  /** `session` may connect from `due` on: when it is let in, or now, if it waits for its time no longer. */
  admit(session: ReplayedSession): void {
    const due = this.#schedule.due(session.recorded.openAt, session.copy);
    const now = this.now();
    if (due > now) this.#schedule.wakeAt(due, session);
    else this.#admission.admit(session, due, now);
  }

  /** Opens whoever may connect now. */
  letIn(): void {
    if (!this.#schedule.isPaused) this.#admission.letIn(this.now());
    this.#schedule.rearm();
  }

  /** `session` is logged in. Returns how long it had waited for its place, ms. */
  opened(session: ReplayedSession): number {
    this.#contact.reached();
    return this.#admission.opened(session);
  }

  /** It answered. */
  reached(): void {
    this.#contact.reached();
  }

  /** `session` is over. Once the run is stopped, no place is given to the next: it would connect only to be cut. */
  left(session: ReplayedSession, isBlocked: boolean): void {
    if (isBlocked) {
      this.#contact.blocked();
      this.#tellTrouble();
    }
    this.order?.left(session);
    if (this.#schedule.isStopped) return;
    this.#admission.left(session, this.now());
    this.letIn();
  }

  /** Somebody waits for a place, or for a connection of the pool. */
  get isFull(): boolean {
    return this.#admission.isFull || this.pool?.isFull === true;
  }

  /** When somebody may be let in, or released, by the time alone. */
  get nextAt(): MonotonicMs {
    return this.#schedule.isPaused ? this.heldUntil : Math.min(this.#admission.nextAt, this.heldUntil);
  }

  /** When somebody may be released who is held for a commit; Infinity: nobody is. */
  get heldUntil(): MonotonicMs {
    return this.order?.nextAt ?? Number.POSITIVE_INFINITY;
  }

  /** To be called every `sweepMs`. Cuts connections of the pool that are half closed for longer than `closeMs`. */
  sweep(closeMs: number): void {
    this.pool?.sweep(closeMs);
    this.#tellTrouble();
  }

  #dial({ recorded, copy }: ReplayedSession, handler: ConnectionHandler): Connection {
    const { client } = recorded.meta;
    this.#contact.tried(this.now(), client.text);
    return this.#transport.connect({ client, copy, target: this.#index }, handler);
  }

  #tellTrouble(): void {
    const trouble = this.#contact.trouble(this.now());
    if (trouble !== undefined) this.#observers.trouble(trouble, this.#index);
  }
}
