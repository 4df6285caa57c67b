/** What must add up in a run: of each session all of it, or nothing. */

import { type Causes, isCauses, isCount } from './causes.ts';
import { ACCOUNT_CAUSES as CAUSES, ACCOUNT_COUNTS as COUNTS, type Tally } from './tally.ts';

export type Accounts = Pick<Tally, (typeof COUNTS)[number] | (typeof CAUSES)[number]>;

export function emptyAccounts(): Accounts {
  return {
    sessions: 0,
    commands: 0,
    scheduledSessions: 0,
    opened: 0,
    completed: 0,
    refused: 0,
    adopted: 0,
    openAtFrom: 0,
    reconnected: 0,
    rebuildCommands: 0,
    answered: 0,
    sentAndLost: 0,
    coverage: {},
    refusedForRoom: {},
    stateLost: {},
    lostSessions: {},
    skippedSessions: {},
    lost: {},
    skipped: {},
    divergence: { error: 0, rows: 0, data: 0, none: 0, unknown: 0, 'not-comparable': 0 },
    unrecorded: {},
  };
}

export function addAccounts(sum: Accounts, part: Accounts): void {
  for (const name of COUNTS) sum[name] += part[name];
  for (const name of CAUSES) {
    const [into, from]: Causes[] = [sum[name], part[name]];
    for (const cause in from) into[cause] = (into[cause] ?? 0) + from[cause];
  }
}

/** A copy of the accounts in `tally`. */
export function accountsOf(tally: Tally): Accounts {
  const copy = emptyAccounts();
  addAccounts(copy, tally);
  return copy;
}

/** `tally` with other accounts. Shares memory with both. */
export function withAccounts(tally: Tally, accounts: Accounts): Tally {
  return { ...tally, ...accounts };
}

/** As short as JSON can have them; `unpackAccounts` reads that. */
export function packAccounts(accounts: Accounts): string {
  return JSON.stringify([
    ...COUNTS.map((name) => accounts[name]),
    ...CAUSES.map((name) => nonZero(accounts[name])),
  ]);
}

/** undefined: `text` is no accounts. */
export function unpackAccounts(text: string): Accounts | undefined {
  let packed: unknown;
  try {
    packed = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!Array.isArray(packed) || packed.length !== COUNTS.length + CAUSES.length) return undefined;
  const accounts = emptyAccounts();
  for (const [i, name] of COUNTS.entries()) {
    const count: unknown = packed[i];
    if (!isCount(count)) return undefined;
    accounts[name] = count;
  }
  for (const [i, name] of CAUSES.entries()) {
    const causes: unknown = packed[COUNTS.length + i];
    if (!isCauses(causes)) return undefined;
    Object.assign(accounts[name], causes);
  }
  return accounts;
}

function nonZero(causes: Causes): Causes {
  const some: Causes = {};
  for (const cause in causes) if (causes[cause] > 0) some[cause] = causes[cause];
  return some;
}
