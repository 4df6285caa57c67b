/** What ordinary clients learn of a server before a run: which one it is, and what makes it look live. */
import type { AskedServer } from '../archive/server-identity.ts';
import { type Account, type TargetAddress, TargetClient } from './target-client.ts';
import { askAs, Inquiry, QUESTIONS, type QuestionName } from './target-questions.ts';

/** One login, or one answer. */
export const ANSWER_LIMIT_MS = 5_000;
/** All users and questions together: a run waits no longer for what may not come. */
const ASK_LIMIT_MS = 20_000;

/** Users with the same trouble that are named. */
const MOST_NAMED = 3;

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
  const endMs = performance.now() + limits.allMs;
  for (const account of accounts) {
    if (inquiry.open.size === 0) break;
    const leftMs = endMs - performance.now();
    if (leftMs <= 0) {
      inquiry.lacksAll(account.user, `not asked: the questions took more than ${limits.allMs / 1000} s`);
      break;
    }
    const isThere = await askOne(inquiry, target, account, Math.min(limits.answerMs, leftMs), endMs);
    if (!isThere) break;
  }
  const { identity, connectionId, seenAs, live } = inquiry;
  return { identity, connectionId, seenAs, live: [...live], open: openQuestions(inquiry) };
}

/** Returns false where nothing listens there: no other user will learn more. */
async function askOne(
  inquiry: Inquiry,
  target: TargetAddress,
  account: Account,
  limitMs: number,
  endMs: number,
): Promise<boolean> {
  const client = new TargetClient(target, account, limitMs);
  let stage = 'cannot log in';
  // Each answer has its limit, and all have one together.
  const overall = setTimeout(() => client.breakOff(), endMs - performance.now());
  try {
    await client.ready();
    inquiry.connectionId ??= client.connectionId;
    stage = 'got no answer';
    await askAs(inquiry, account.user, client.ask);
    return true;
  } catch (error) {
    const { message, syscall } = error as Error & { syscall?: string };
    inquiry.lacksAll(account.user, `${stage}: ${message.slice(0, 200)}`);
    return syscall !== 'connect';
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
      why: whyOpen([...byUser].map(([user, { why }]) => [user, why])),
      grant: grantee && `GRANT ${grantee[1].grant} TO ${grantee[0]}`,
    };
  });
}

/** Users with the same trouble are named together, and only the first few of many. */
function whyOpen(whys: readonly (readonly [user: string, why: string])[]): string {
  if (whys.length === 0) return 'no user and password to ask as (say --users or --as)';
  const byWhy = new Map<string, { users: string[]; why: string }>();
  for (const [user, why] of whys) {
    const alike = why.replaceAll(`'${user}'`, "''");
    const group = byWhy.get(alike);
    if (group === undefined) byWhy.set(alike, { users: [user || "''"], why });
    else group.users.push(user || "''");
  }
  return [...byWhy.values()]
    .map(({ users, why }) => {
      const more = users.length > MOST_NAMED ? ` and ${users.length - MOST_NAMED} more` : '';
      return `${users.slice(0, MOST_NAMED).join(', ')}${more}: ${why}`;
    })
    .join('; ');
}
