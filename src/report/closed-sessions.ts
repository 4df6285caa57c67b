import type { SessionMeta } from '../flow/events.ts';
import type { Command } from '../mysql/command.ts';
import { saysNoRoom } from '../mysql/login-errors.ts';
import type { Divergence, LostCause, Observer, Outcome } from '../replay/outcome.ts';
import type { StateLost } from '../replay/session/session-state.ts';
import { type Accounts, emptyAccounts } from './accounts.ts';
import { addCause } from './causes.ts';
import { unrecordedError } from './unrecorded.ts';

/** One recorded session whose copies run. */
class OpenSession {
  readonly accounts = emptyAccounts();
  /** Copies that run. */
  running = 0;
  /** Its end was read. */
  isEnded = false;

  /** A connection was set up by `commands` commands of ours, but for `lost`. */
  setUp(lost: ReadonlySet<StateLost>, commands: number): void {
    this.accounts.rebuildCommands += commands;
    for (const kind of lost) addCause(this.accounts.stateLost, kind);
  }
}

/**
 * Watches one share of a run, and keeps apart what belongs to sessions that are closed: their end was read, and all their
 * copies are over. What a run that is interrupted has counted for certain.
 *
 * Sessions that are skipped as a whole are left out: a run that goes on reads them again.
 */
export class ClosedSessions implements Observer {
  readonly #copies: number;
  readonly #closed: (session: number, accounts: Accounts) => void;
  readonly #open = new Map<number, OpenSession>();

  /** `closed` is called with what each session that is closed has added. */
  constructor(copies: number, closed: (session: number, accounts: Accounts) => void) {
    this.#copies = copies;
    this.#closed = closed;
  }

  scheduled({ id }: SessionMeta, copy: number): void {
    let open = this.#open.get(id);
    if (open === undefined) {
      open = new OpenSession();
      this.#open.set(id, open);
    }
    if (copy === 0) open.accounts.sessions++;
    open.accounts.scheduledSessions++;
    open.running++;
  }

  unscheduled(session: SessionMeta, _copy: number, cause: string): void {
    const open = this.#open.get(session.id);
    if (open === undefined) return;
    open.accounts.scheduledSessions--;
    addCause(open.accounts.skippedSessions, cause);
    this.#over(session.id, open);
  }

  opened({ id }: SessionMeta): void {
    const open = this.#open.get(id);
    if (open !== undefined) open.accounts.opened++;
  }

  adopted(
    { id }: SessionMeta,
    _copy: number,
    lost: ReadonlySet<StateLost>,
    commands: number,
    before: 'recording' | 'window',
  ): void {
    const open = this.#open.get(id);
    if (open === undefined) return;
    open.accounts[before === 'recording' ? 'adopted' : 'openAtFrom']++;
    open.setUp(lost, commands);
  }

  reconnected({ id }: SessionMeta, _copy: number, lost: ReadonlySet<StateLost>, commands: number): void {
    const open = this.#open.get(id);
    if (open === undefined) return;
    open.accounts.reconnected++;
    open.setUp(lost, commands);
  }

  pinRefused({ id }: SessionMeta): void {
    const open = this.#open.get(id);
    if (open !== undefined) addCause(open.accounts.stateLost, 'pinned-time');
  }

  completed({ id, refused }: SessionMeta): void {
    const open = this.#open.get(id);
    if (open === undefined) return;
    open.accounts.completed++;
    if (refused !== undefined) {
      open.accounts.refused++;
      if (saysNoRoom(refused)) addCause(open.accounts.refusedForRoom, String(refused));
    }
    this.#over(id, open);
  }

  sessionLost({ id }: SessionMeta, _copy: number, cause: LostCause): void {
    const open = this.#open.get(id);
    if (open === undefined) return;
    addCause(open.accounts.lostSessions, cause);
    this.#over(id, open);
  }

  covered({ id, coverage }: SessionMeta): void {
    const open = this.#open.get(id);
    if (open !== undefined && coverage !== undefined) addCause(open.accounts.coverage, coverage);
  }

  /** The recording was read to its end, and all is over. */
  clear(): void {
    this.#open.clear();
  }

  ended({ id }: SessionMeta): void {
    const open = this.#open.get(id);
    if (open === undefined) return;
    open.isEnded = true;
    this.#closeIfOver(id, open);
  }

  captured({ id }: SessionMeta): void {
    const open = this.#open.get(id);
    if (open !== undefined) open.accounts.commands++;
  }

  unreadable({ id }: SessionMeta, cause: string, commands: number): void {
    const open = this.#open.get(id);
    if (open === undefined) return;
    open.accounts.commands += commands;
    addCause(open.accounts.skipped, cause, commands * this.#copies);
  }

  answered(outcome: Outcome, divergence: Divergence): void {
    const { session, reply } = outcome;
    const open = this.#open.get(session.id);
    if (open === undefined) return;
    open.accounts.answered++;
    open.accounts.divergence[reply === undefined ? 'none' : divergence]++;
    const errno = unrecordedError(outcome, divergence);
    if (errno !== undefined) addCause(open.accounts.unrecorded, String(errno));
  }

  lost({ id }: SessionMeta, _copy: number, _command: Command, cause: LostCause, sent: boolean): void {
    const open = this.#open.get(id);
    if (open === undefined) return;
    addCause(open.accounts.lost, cause);
    if (sent) open.accounts.sentAndLost++;
  }

  skipped({ id }: SessionMeta, _command: Command, cause: string, copies: number): void {
    const open = this.#open.get(id);
    if (open !== undefined) addCause(open.accounts.skipped, cause, copies);
  }

  #over(id: number, open: OpenSession): void {
    open.running--;
    this.#closeIfOver(id, open);
  }

  #closeIfOver(id: number, open: OpenSession): void {
    if (open.running > 0 || !open.isEnded) return;
    this.#open.delete(id);
    this.#closed(id, open.accounts);
  }
}
