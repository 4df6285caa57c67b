import type { Command } from '../../mysql/command.ts';
import type { MonotonicMs } from '../../time.ts';
import type { ReplayedSession } from '../replayed-session.ts';
import type { GatedSession, SessionGate } from '../session/host.ts';
import type { ConnectionTable } from '../session/live-connection-ids.ts';
import { killedBy } from '../session/rewrite.ts';
import type { CommitOrder } from './commit-order.ts';
import type { Schedule } from './schedule.ts';

/** Holds back commands that are due: for the order of commits, and KILLs until the connection that they name is there. */
export class Gate implements SessionGate {
  readonly keepsOrder: boolean;
  readonly #order: CommitOrder | undefined;
  readonly #schedule: Schedule;
  readonly #connections: ConnectionTable | undefined;
  /** How long a KILL may wait, ms. */
  readonly #patienceMs: number;

  constructor(
    order: CommitOrder | undefined,
    schedule: Schedule,
    connections: ConnectionTable | undefined,
    patienceMs: number,
  ) {
    this.keepsOrder = order !== undefined;
    this.#order = order;
    this.#schedule = schedule;
    this.#connections = connections;
    this.#patienceMs = patienceMs;
  }

  freeAt(session: GatedSession, command: Command): MonotonicMs {
    const order = this.#order;
    if (order === undefined) return Number.NEGATIVE_INFINITY;
    if (order.waitsForAnswer(command) && !session.knowsAnswer(command)) return Number.POSITIVE_INFINITY;
    const freeAt = order.freeAt(session, command, this.#schedule.now());
    if (freeAt === Number.POSITIVE_INFINITY) this.#schedule.rearm();
    return freeAt;
  }

  awaitsKilled({ recorded, copy }: ReplayedSession, command: Command, waitedMs: number): boolean {
    const id = killedBy(command);
    if (id === undefined || waitedMs >= this.#patienceMs) return false;
    return this.#connections?.isAwaited(id, copy, recorded.destination.server, command.at) === true;
  }
}
