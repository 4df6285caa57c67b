/** What a run is good for as a measurement. */
import { counted } from '../counted.ts';
import { isHostLimit } from '../transport/transport.ts';
import { byName, totalOf } from './causes.ts';
import type { Percentiles } from './percentiles.ts';
import { recordingReasons } from './recording.ts';
import { DEFAULT_MIN_REPLAYED, type replayedOf, tooLittle } from './replayed.ts';
import type { RunFacts } from './run-facts.ts';
import { MAX_USERS_NAMED, type StallSums, type Tally } from './tally.ts';
import { type UnrecordedErrors, unrecordedReasons } from './unrecorded.ts';

/** A timed run whose commands went out later than this, for our own fault, is not what was asked for. */
const MAX_LATENESS_P99_MS = 100;

/** A timed run whose commands fell behind the recording by more than this is bound by whom they waited for. */
const MAX_BEHIND_MS = 1_000;

const TOO_SLOW =
  'the replay host reads and sends too slowly (try more threads (-C), fewer copies (-n), or a lower --speed)';

export type Verdict = 'valid' | 'server-bound' | 'replayer-bound' | 'invalid';

/** What of a run it is judged by, beside its tally and facts. */
export interface Judged {
  /** Commands. */
  scheduled: number;
  lateness: Percentiles;
  replayed: ReturnType<typeof replayedOf>;
  errors: UnrecordedErrors;
}

/** What a run is good for as a measurement, and why: the first that applies names it. */
export function verdictOf(
  tally: Tally,
  facts: RunFacts,
  { scheduled, lateness, replayed, errors }: Judged,
): { verdict: Verdict; reasons: string[] } {
  const invalid: string[] = [];
  const { captureDropped } = facts.transport;
  if (facts.unread !== undefined) {
    const what =
      facts.live === true ? 'the capture ended early' : 'the recording could not be read to its end';
    invalid.push(`${what}: ${facts.unread}`);
  }
  if (facts.ownVoice !== undefined) invalid.push(facts.ownVoice);
  if (facts.interrupted) invalid.push('the run was stopped before its end');
  if (tally.scheduledSessions === 0) {
    const unknown = tally.unknownUsers.slice(0, MAX_USERS_NAMED).join(', ');
    const why =
      unknown === '' ? '' : ` (no password is known for ${unknown}: add them to the file of --users)`;
    invalid.push(`nothing was replayed: no session could be scheduled${why}`);
  }
  invalid.push(...recordingReasons(facts, facts.live === true));
  if (captureDropped > 0) {
    invalid.push(
      `the capture of answers dropped ${counted(captureDropped, 'packet')}: the target sent them again, later`,
    );
  }
  for (const [cause, n] of Object.entries(byName(tally.lost)))
    invalid.push(`${counted(n, 'command was', 'commands were')} lost: ${cause}`);
  for (const [cause, n] of Object.entries(byName(tally.lostSessions))) {
    const detail = tally.details[cause];
    invalid.push(
      `${counted(n, 'session was', 'sessions were')} lost: ${cause}${detail === undefined ? '' : ` (the first: ${detail})`}`,
    );
  }
  for (const [kind, n] of Object.entries(byName(tally.stateLost)))
    invalid.push(
      `a session's state was not set up again on its new connection ${counted(n, 'time')}: ${kind}`,
    );
  const lost = totalOf(tally.lost);
  if (scheduled !== tally.answered + lost) {
    invalid.push(
      `the count does not add up: ${scheduled} commands scheduled, ${tally.answered} answered, ${lost} lost`,
    );
  }
  const little = tooLittle(replayed, tally, facts.minReplayed ?? DEFAULT_MIN_REPLAYED);
  if (tally.scheduledSessions > 0 && little !== undefined) invalid.push(little);
  const isTimed = Number.isFinite(facts.speed);
  const host = hostReasons(tally, isTimed, lateness);
  // None makes a run worse as a measurement, but whoever reads the verdict should know.
  const besides = [
    ...(tally.reconnected === 0
      ? []
      : [
          `the target closed connections early: sessions went on over ${counted(tally.reconnected, 'new one')}`,
        ]),
    ...unrecordedReasons(errors),
    ...diskReasons(facts),
    ...(host.length === 0 && tally.stalls.longestMs > MAX_BEHIND_MS ? [stallText(tally.stalls)] : []),
  ];
  const limits = limitReasons(tally);
  if (invalid.length > 0) return { verdict: 'invalid', reasons: [...invalid, ...limits, ...besides] };
  const bound = [...limits, ...host];
  const target = targetReasons(tally, isTimed);
  // A host that was late can't tell all that the target would have been.
  if (bound.length > 0) return { verdict: 'replayer-bound', reasons: [...bound, ...target, ...besides] };
  if (target.length > 0) return { verdict: 'server-bound', reasons: [...target, ...besides] };
  return { verdict: 'valid', reasons: besides };
}

/** What the replay host had too little of, by its own limits. */
function limitReasons({ turnedAway }: Tally): string[] {
  return Object.entries(turnedAway)
    .filter(([by]) => isHostLimit(by))
    .map(
      ([by, n]) =>
        `sessions waited ${counted(n, 'time')} because the replay host had run out of ${by === 'no-port' ? 'ports' : 'descriptors'}: ${by}`,
    );
}

/** Why the replay host did not send what it was to, when it was to. */
function hostReasons({ maxOursMs, stalls }: Tally, isTimed: boolean, lateness: Percentiles): string[] {
  const reasons: string[] = [];
  if (isTimed && maxOursMs > MAX_BEHIND_MS) {
    const why = stalls.longestMs > MAX_BEHIND_MS ? stallText(stalls) : TOO_SLOW;
    reasons.push(`commands were up to ${Math.round(maxOursMs)} ms behind the recording because ${why}`);
  }
  if (lateness.p99 > MAX_LATENESS_P99_MS) {
    reasons.push(`1 command in 100 went out ${lateness.p99} ms late or more, by the replay host's own fault`);
  }
  return reasons;
}

function targetReasons({ maxSlipMs }: Tally, isTimed: boolean): string[] {
  if (!isTimed || maxSlipMs <= MAX_BEHIND_MS) return [];
  return [
    `commands were up to ${Math.round(maxSlipMs)} ms behind the recording because they waited for the target`,
  ];
}

function diskReasons({ disk }: RunFacts): string[] {
  if (disk === undefined || disk.count === 0) return [];
  return [`the disk of the run's folder took no writes ${timesText(disk)}; the run did not wait for it`];
}

function timesText({ count, ms, longestMs }: StallSums): string {
  const seconds = (of: number) => `${Math.round(of / 100) / 10} s`;
  const longest = count === 1 ? '' : `, the longest ${seconds(longestMs)}`;
  return `${counted(count, 'time')}, for ${seconds(ms)} in all${longest}`;
}

function stallText(stalls: StallSums): string {
  return `the replay host stood still ${timesText(stalls)} (its process was stopped, had no CPU, or waited for a disk)`;
}
