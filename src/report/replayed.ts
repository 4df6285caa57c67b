/** How much of a recording a run has replayed, of what its options chose. */
import { counted, formatCount } from '../counted.ts';
import { type Causes, totalOf } from './causes.ts';
import type { Tally } from './tally.ts';

/** --min-replayed, as a part of 1. */
export const DEFAULT_MIN_REPLAYED = 0.9;

/** Skipped because the user's options say so. */
const BY_CHOICE: ReadonlySet<string> = new Set([
  'filtered',
  'other-server',
  'out-of-window',
  'out-of-time',
  'read-only',
  'writes',
  'pooled',
  'rolled-back',
]);

/** Nothing that production's server carried out for a client. */
const NO_LOAD: ReadonlySet<string> = new Set(['unheard', 'not-mysql', 'login-failed']);

/** Sessions that ended before their first command, in the recording as well. `no-room` names something else of commands. */
const NO_LOAD_SESSIONS: ReadonlySet<string> = new Set([...NO_LOAD, 'no-room']);

/** Sessions whose commands nobody can count. */
const UNREAD = 'tls';

/** In summary.json. Commands and sessions count copies. */
export interface Replayed {
  /** Of the chosen commands; a session that can't be read counts as an average one. To one decimal, rounded down. */
  percent: number;
  /** Commands that were answered. */
  commands: number;
  /** Commands that the options chose, and that production's server carried out. */
  chosen: number;
  /** Sessions chosen whose commands can't be counted, because they are under TLS without keys. */
  unread_sessions: number;
  /** What it is a part of: the whole recording, what the options chose of it, or what was read of it before the run ended early. */
  of: 'recording' | 'choice' | 'read';
}

/** As a part of 1, and as the summary has it. `endedEarly`: the recording was not read to its end. */
export function replayedOf(
  tally: Pick<Tally, 'sessions' | 'commands' | 'skippedSessions' | 'skipped' | 'answered'>,
  copies: number,
  endedEarly: boolean,
): { part: number; replayed: Replayed } {
  const byChoice = countOf(tally.skipped, BY_CHOICE);
  const chosen = tally.commands * copies - byChoice - countOf(tally.skipped, NO_LOAD);
  const sessionsByChoice = countOf(tally.skippedSessions, BY_CHOICE);
  const sessions =
    tally.sessions * copies - sessionsByChoice - countOf(tally.skippedSessions, NO_LOAD_SESSIONS);
  const unread = tally.skippedSessions[UNREAD] ?? 0;
  const ofCommands = chosen > 0 ? tally.answered / chosen : 1;
  const part = ofCommands * (sessions > 0 ? 1 - unread / sessions : 1);
  const isChoice = byChoice + sessionsByChoice > 0;
  return {
    part,
    replayed: {
      // 0.29 * 1000 is a little less than 290.
      percent: Math.floor(part * 1000 + 1e-9) / 10,
      commands: tally.answered,
      chosen,
      unread_sessions: unread,
      of: endedEarly ? 'read' : isChoice ? 'choice' : 'recording',
    },
  };
}

/** `replayed 98.5 % of the recording (9,850 of 10,000 commands)`. */
export function replayedText({ percent, commands, chosen, unread_sessions: unread, of }: Replayed): string {
  const whole = { recording: 'the recording', choice: 'what was chosen', read: 'what was read' }[of];
  const unreadText = unread === 0 ? '' : `; ${counted(unread, 'session')} under TLS can't be read`;
  return (
    `replayed ${percent} % of ${whole} ` +
    `(${formatCount(commands)} of ${counted(chosen, 'command')}${unreadText})`
  );
}

/** Why less than `least`, a part of 1, was replayed, and what to do about it; undefined: it was not less. */
export function tooLittle(
  { part, replayed }: ReturnType<typeof replayedOf>,
  tally: Pick<Tally, 'skipped' | 'lost'>,
  least: number,
): string | undefined {
  if (part >= least) return undefined;
  const leftOut: Causes = { ...tally.lost };
  for (const [cause, n] of Object.entries(tally.skipped)) {
    if (!BY_CHOICE.has(cause) && !NO_LOAD.has(cause)) leftOut[cause] = (leftOut[cause] ?? 0) + n;
  }
  const causes = Object.entries(leftOut)
    .sort(([, a], [, b]) => b - a)
    .map(([cause, n]) => `${cause} ${formatCount(n)}`);
  const why = [
    ...(totalOf(leftOut) > 0
      ? [`${counted(totalOf(leftOut), 'command')} left out: ${causes.join(', ')}`]
      : []),
    ...(replayed.unread_sessions > 0 ? [`${counted(replayed.unread_sessions, 'session')} under TLS`] : []),
  ];
  return (
    `only ${replayed.percent} % was replayed, and --min-replayed is ${percentText(least)} (${why.join('; ')}; ` +
    'remove the causes, or accept less with a lower --min-replayed)'
  );
}

/** A part of 1 as options take it: `99.95%`. */
export function percentText(part: number): string {
  return `${Math.round(part * 1e6) / 1e4}%`;
}

function countOf(causes: Causes, names: ReadonlySet<string>): number {
  let sum = 0;
  for (const [cause, n] of Object.entries(causes)) if (names.has(cause)) sum += n;
  return sum;
}
