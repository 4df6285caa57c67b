import type { SessionMeta } from '../flow/events.ts';
import type { Command } from '../mysql/command.ts';
import { saysNoRoom } from '../mysql/no-room.ts';
import type { Divergence, LostCause, Observer, Outcome } from '../replay/outcome.ts';
import { addCause, type Causes, type Tally } from './tally.ts';

/** What must add up: of each session all of it, or nothing. */
export type Accounts = Pick<
  Tally,
  | 'sessions'
  | 'commands'
  | 'coverage'
  | 'scheduledSessions'
  | 'completed'
  | 'refused'
  | 'refusedForRoom'
  | 'lostSessions'
  | 'skippedSessions'
  | 'answered'
  | 'sentAndLost'
  | 'lost'
  | 'skipped'
  | 'divergence'
>;

export function emptyAccounts(): Accounts {
  return {
    sessions: 0,
    commands: 0,
    coverage: {},
    scheduledSessions: 0,
    completed: 0,
    refused: 0,
    refusedForRoom: {},
    lostSessions: {},
    skippedSessions: {},
    answered: 0,
    sentAndLost: 0,
    lost: {},
    skipped: {},
    divergence: { error: 0, rows: 0, data: 0, none: 0, unknown: 0, 'not-comparable': 0 },
  };
}

/** As short as JSON can have them; `unpackAccounts` reads that. */
export function packAccounts(accounts: Accounts): string {
  const { sessions, commands, scheduledSessions, completed, refused, answered, sentAndLost } = accounts;
  const { lostSessions, skippedSessions, lost, skipped, divergence, refusedForRoom, coverage } = accounts;
  const counts = [sessions, commands, scheduledSessions, completed, refused, answered, sentAndLost];
  const causes = [
    lostSessions,
    skippedSessions,
    lost,
    skipped,
    nonZero(divergence),
    refusedForRoom,
    coverage,
  ];
  return JSON.stringify([...counts, ...causes]);
}

export function unpackAccounts(text: string): Accounts {
  const [sessions, commands, scheduledSessions, completed, refused, answered, sentAndLost, ...causes] =
    JSON.parse(text) as [
      number,
      number,
      number,
      number,
      number,
      number,
      number,
      Causes,
      Causes,
      Causes,
      Causes,
      Causes,
      Causes?,
      Causes?,
    ];
  // The last ones are not in checkpoints of earlier versions.
  const [lostSessions, skippedSessions, lost, skipped, divergence, refusedForRoom = {}, coverage = {}] =
    causes;
  const counts = { sessions, commands, scheduledSessions, completed, refused, answered, sentAndLost };
  const differences = { ...emptyAccounts().divergence, ...divergence };
  const all = { ...counts, lostSessions, skippedSessions, lost, skipped, refusedForRoom, coverage };
  return { ...all, divergence: differences };
}

function nonZero(causes: Causes): Causes {
  const some: Causes = {};
  for (const cause in causes) if (causes[cause] > 0) some[cause] = causes[cause];
  return some;
}

/** One recorded session whose copies run. */
class OpenSession {
  readonly accounts = emptyAccounts();
  /** Copies that run. */
  running = 0;
  /** Its end was read. */
  isEnded = false;
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
  #sum = emptyAccounts();

  /** `closed` is told what each session that is closed has added. */
  constructor(copies: number, closed: (session: number, accounts: Accounts) => void) {
    this.#copies = copies;
    this.#closed = closed;
  }

  /** `whole`, but of what must add up only what is closed. Shares memory with both. */
  within(whole: Tally): Tally {
    return { ...whole, ...this.#sum };
  }

  /** The recording was read to its end, and all is over: `whole` is what was counted of it. */
  settle(whole: Tally): void {
    this.#open.clear();
    const { sessions, commands, scheduledSessions, completed, refused, answered, sentAndLost } = whole;
    const { lostSessions, skippedSessions, lost, skipped, divergence, refusedForRoom, coverage } = whole;
    const numbers = { sessions, commands, scheduledSessions, completed, refused, answered, sentAndLost };
    const causes = { lostSessions, skippedSessions, lost, skipped, divergence, refusedForRoom, coverage };
    this.#sum = { ...numbers, ...causes };
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

  answered({ session, reply }: Outcome, divergence: Divergence): void {
    const open = this.#open.get(session.id);
    if (open === undefined) return;
    open.accounts.answered++;
    open.accounts.divergence[reply === undefined ? 'none' : divergence]++;
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
    addAccounts(this.#sum, open.accounts);
    this.#closed(id, open.accounts);
  }
}

export function addAccounts(sum: Accounts, part: Accounts): void {
  sum.sessions += part.sessions;
  sum.commands += part.commands;
  sum.scheduledSessions += part.scheduledSessions;
  sum.completed += part.completed;
  sum.refused += part.refused;
  sum.answered += part.answered;
  sum.sentAndLost += part.sentAndLost;
  addAll(sum.coverage, part.coverage);
  addAll(sum.refusedForRoom, part.refusedForRoom);
  addAll(sum.lostSessions, part.lostSessions);
  addAll(sum.skippedSessions, part.skippedSessions);
  addAll(sum.lost, part.lost);
  addAll(sum.skipped, part.skipped);
  addAll(sum.divergence, part.divergence);
}

function addAll(sum: Causes, part: Causes): void {
  for (const cause in part) sum[cause] = (sum[cause] ?? 0) + part[cause];
}
