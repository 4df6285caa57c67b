/** What a run is good for as a measurement. */
import { counted } from '../counted.ts';
import { isHostLimit } from '../transport/transport.ts';
import { recordingReasons } from './recording.ts';
import { DEFAULT_MIN_REPLAYED, type replayedOf, tooLittle } from './replayed.ts';
import type { Percentiles, RunFacts } from './summary.ts';
import { byName, MAX_USERS_NAMED, type Tally, totalOf } from './tally.ts';
import { type UnrecordedErrors, unrecordedReasons } from './unrecorded.ts';

/** A timed run whose commands went out later than this, for our own fault, is not what was asked for. */
const MAX_LATENESS_P99_MS = 100;

/** A timed run whose commands fell behind the recording by this much, waiting for the target, is the target's doing. */
const SERVER_BOUND_SLIP_MS = 1_000;

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
      unknown === '' ? '' : ` (no password is known of ${unknown}: name them in the file of --users)`;
    invalid.push(`nothing was replayed: no session could be scheduled${why}`);
  }
  invalid.push(...recordingReasons(facts, facts.live === true));
  if (captureDropped > 0) {
    invalid.push(
      `the capture of answers lost ${counted(captureDropped, 'packet')}: what they held was sent again, later`,
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
    invalid.push(`${counted(n, 'time')} a session lacked on its connection what it had before: ${kind}`);
  const lost = totalOf(tally.lost);
  if (scheduled !== tally.answered + lost) {
    invalid.push(
      `the count does not add up: ${scheduled} commands scheduled, ${tally.answered} answered, ${lost} lost`,
    );
  }
  const little = tooLittle(replayed, tally, facts.minReplayed ?? DEFAULT_MIN_REPLAYED);
  if (tally.scheduledSessions > 0 && little !== undefined) invalid.push(little);
  // Neither makes a run worse as a measurement, but whoever reads the verdict should know.
  const besides = [
    ...(tally.reconnected === 0
      ? []
      : [`the target ended connections early: sessions went on with ${tally.reconnected} others`]),
    ...unrecordedReasons(errors),
  ];
  const waitedForUs = Object.entries(tally.turnedAway)
    .filter(([by]) => isHostLimit(by))
    .map(
      ([by, n]) => `${counted(n, 'time')} a session waited because the replay host had no more room: ${by}`,
    );
  if (invalid.length > 0) return { verdict: 'invalid', reasons: [...invalid, ...waitedForUs, ...besides] };
  if (waitedForUs.length > 0) return { verdict: 'replayer-bound', reasons: [...waitedForUs, ...besides] };
  if (lateness.p99 > MAX_LATENESS_P99_MS) {
    const reason = `1 command in 100 went out ${lateness.p99} ms late or more for the replay host's own fault`;
    return { verdict: 'replayer-bound', reasons: [reason, ...besides] };
  }
  if (Number.isFinite(facts.speed) && tally.maxSlipMs > SERVER_BOUND_SLIP_MS) {
    const reason = `commands went out up to ${Math.round(tally.maxSlipMs)} ms behind the recording, waiting for answers`;
    return { verdict: 'server-bound', reasons: [reason, ...besides] };
  }
  return { verdict: 'valid', reasons: besides };
}
