/** What ordinary clients learn of a server before a run: which one it is, and what makes it look live. */
import type { AskedServer } from '../archive/server-identity.ts';
import { type Account, type TargetAddress, TargetClient } from './client.ts';
import { groupedByWhy, type NoEntry, noEntryOf, type TurnedAway } from './no-entry.ts';
import { askAs, Inquiry, QUESTIONS, type QuestionName } from './questions.ts';
import { ServerTrouble, troubleText } from './trouble.ts';

/** One login, or one answer. */
export const ANSWER_LIMIT_MS = 5_000;
/** All users and questions together: a run waits no longer for what may not come. */
const ASK_LIMIT_MS = 20_000;

export interface TargetFacts {
  /** undefined: it does not say. */
  identity: AskedServer | undefined;
  /** The target's number of one of our connections; undefined: no user could log in. */
  connectionId: number | undefined;
  /** The address and port that the target sees this host's connection come from. */
  seenAs: string | undefined;
  /** What makes it look live, in words: empty where nothing does. */
  live: string[];
  /** Questions that no user got an answer to. Empty: all is known. */
  open: OpenQuestion[];
  /** Why no user came as far as asking; undefined: one did, so that the questions say themselves why they are open. */
  noEntry: NoEntry | undefined;
}

export interface OpenQuestion {
  name: QuestionName;
  /** The question, in words. */
  asks: string;
  /** What became of it with each user, in words. */
  why: string;
  /** What would open the answer to one of the users, as SQL: `GRANT SLAVE MONITOR ON *.* TO app`. */
  grant: string | undefined;
}

export interface AskLimits {
  answerMs: number;
  allMs: number;
}

/**
 * Asks as each of `accounts`, one after another, until each question has its answer. Never rejects; takes no longer than the
 * limits say.
 */
export async function askTarget(
  target: TargetAddress,
  accounts: readonly Account[],
  limits: AskLimits = { answerMs: ANSWER_LIMIT_MS, allMs: ASK_LIMIT_MS },
): Promise<TargetFacts> {
  const inquiry = new Inquiry();
  const turned: TurnedAway[] = [];
  const endMs = performance.now() + limits.allMs;
  for (const account of accounts) {
    if (inquiry.open.size === 0) break;
    const leftMs = endMs - performance.now();
    if (leftMs <= 0) {
      inquiry.lacksAll(account.user, `not asked: the questions took more than ${limits.allMs / 1000} s`);
      break;
    }
    const error = await askOne(inquiry, target, account, Math.min(limits.answerMs, leftMs), endMs);
    if (error === undefined) continue;
    turned.push({ user: account.user, hasPassword: account.password !== '', error });
    // Where nothing listens no other user will learn more.
    if (error instanceof ServerTrouble && error.kind === 'no-connection') break;
  }
  const { identity, connectionId, seenAs, live } = inquiry;
  const noEntry = connectionId === undefined ? noEntryOf(turned) : undefined;
  return { identity, connectionId, seenAs, live: [...live], open: openQuestions(inquiry), noEntry };
}

/** Returns why `account` could not log in; undefined: they could. */
async function askOne(
  inquiry: Inquiry,
  target: TargetAddress,
  account: Account,
  limitMs: number,
  endMs: number,
): Promise<Error | undefined> {
  const client = new TargetClient(target, account, limitMs);
  let isIn = false;
  // Each answer has its limit, and all have one together.
  const overall = setTimeout(() => client.breakOff(), endMs - performance.now());
  try {
    await client.ready();
    isIn = true;
    inquiry.connectionId ??= client.connectionId;
    await askAs(inquiry, account.user, client.ask);
    return undefined;
  } catch (cause) {
    const error = cause as Error;
    inquiry.lacksAll(account.user, `${isIn ? 'got no answer' : 'cannot log in'}: ${troubleText(error)}`);
    return isIn ? undefined : error;
  } finally {
    clearTimeout(overall);
    await client.end();
  }
}

function openQuestions(inquiry: Inquiry): OpenQuestion[] {
  return [...inquiry.open].map(([name, byUser]) => {
    const grantee = [...byUser].find(([, { grant }]) => grant !== undefined);
    return {
      name,
      asks: QUESTIONS[name],
      why: groupedByWhy([...byUser].map(([user, { why }]) => [user, why])),
      grant: grantee && `GRANT ${grantee[1].grant} TO ${grantee[0]}`,
    };
  });
}
