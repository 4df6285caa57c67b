/** Why no user of a run could ask its target anything, and what to do about that: one cause, for one line. Decision 0033. */
import { firstFew } from '../counted.ts';
import { refusesPassword } from '../mysql/login-errors.ts';
import { loginHint } from '../transport/login-remedies.ts';
import { ServerTrouble, troubleText } from './trouble.ts';

/** A user who could not log in. */
export interface TurnedAway {
  user: string;
  hasPassword: boolean;
  error: Error;
}

export interface NoEntry {
  /** Goes on from the target's name. */
  says: string;
  /** What to do about it. */
  advice: string;
  /** Whether a run could do better than the questions: not where no server that speaks MySQL answers. */
  canRun: boolean;
}

/** What all of them together show; where nobody was there to ask as, that. */
export function noEntryOf(turned: readonly TurnedAway[]): NoEntry {
  const [first] = turned;
  if (first === undefined) {
    const advice = 'name users and their passwords by --users FILE, or one by --as USER';
    return { says: 'can be asked as no one: no user and password is known', advice, canRun: true };
  }
  // The last, as none was tried after it.
  const { error } = turned[turned.length - 1];
  if (error instanceof ServerTrouble && error.kind === 'no-connection')
    return { says: `cannot be connected to: ${error.why}`, advice: error.advice ?? '', canRun: false };
  if (turned.every((one) => one.error instanceof ServerTrouble && one.error.kind === 'not-mysql'))
    return {
      says: 'is no MySQL server: what it sends is not of that protocol',
      advice: 'mend -x',
      canRun: false,
    };
  const whys = turned.map(({ user, error }) => [user, whyOf(error)] as const);
  return { says: `lets no one log in: ${groupedByWhy(whys)}`, advice: adviceFor(turned), canRun: true };
}

function whyOf(error: Error): string {
  return error instanceof ServerTrouble ? error.why : troubleText(error);
}

function adviceFor(turned: readonly TurnedAway[]): string {
  const moves = new Set(
    turned.map(({ error, hasPassword }) => {
      if (error instanceof ServerTrouble) return error.advice ?? 'see that the server is well';
      const { errno = 0, message } = error as Error & { errno?: number };
      if (!refusesPassword(errno))
        return `let one of them log in from this host${loginHint({ errno, message })}`;
      return hasPassword
        ? `correct the names and passwords, or the users there${loginHint({ errno, message })}`
        : 'give the passwords by --users FILE, or one user by --as USER';
    }),
  );
  return [...moves].join('; or ');
}

/** `app, bob: cannot log in; chg: …`: users with the same trouble are named together, and only the first few of many. */
export function groupedByWhy(whys: readonly (readonly [user: string, why: string])[]): string {
  const byWhy = new Map<string, { users: string[]; why: string }>();
  for (const [user, why] of whys) {
    const alike = why.replaceAll(`'${user}'`, "''").replaceAll(` for ${user}: `, ' for : ');
    const group = byWhy.get(alike);
    if (group === undefined) byWhy.set(alike, { users: [user || "''"], why });
    else group.users.push(user || "''");
  }
  return [...byWhy.values()].map(({ users, why }) => `${firstFew(users)}: ${why}`).join('; ');
}
