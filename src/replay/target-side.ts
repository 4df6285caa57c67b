import type { Admission } from './engine/admission.ts';
import type { CommitOrder } from './engine/commit-order.ts';
import type { Contact } from './engine/contact.ts';
import type { Pool } from './pool/pool.ts';
import type { SessionReplay } from './session/session.ts';

/**
 * What an engine keeps for each target of a run: one that is full, gone or slow to commit holds back its own sessions, and
 * nobody else's.
 */
export interface TargetSide {
  /** Number of the target. */
  readonly index: number;
  readonly admission: Admission;
  readonly contact: Contact;
  /** undefined: each session has a connection of its own. */
  readonly pool: Pool<SessionReplay> | undefined;
  /** undefined: the order of time is all. */
  readonly order: CommitOrder | undefined;
}
