import type { Lab } from '../lab/lab.ts';
import { type Recorded, type Replayed, type ReplayPlan, replayAndCompare, resetTarget } from '../lab/path.ts';
import { interceptArguments, type ReplayFiles, replayArguments, replayHost } from '../lab/tape.ts';
import { command, explain, fact, table } from './narrator.ts';

/** Step: one replay onto a target that is as online was when the recording began, and what the target says of it. */
export async function replayStep(
  lab: Lab,
  start: string,
  recorded: Recorded,
  files: ReplayFiles,
  plan: ReplayPlan,
): Promise<Replayed> {
  explain('The target goes back to the recorded start.');
  await resetTarget(lab, start);
  if (plan.path === 'intercept') command('assistant', ['mytape', ...interceptArguments(lab, files)]);
  const options = ['-n', String(plan.copies), '--speed', plan.speed, ...(plan.extra ?? [])];
  const shown = replayArguments(lab, plan.path, recorded.archive, files, options);
  command(replayHost(plan.path), ['mytape', ...shown]);
  const replayed = await replayAndCompare(lab, recorded, files, { ...plan, stdio: 'inherit' });
  show(replayed, plan);
  return replayed;
}

function show({ summary, comparison, lost, left }: Replayed, plan: ReplayPlan): void {
  explain("The target's own counters, from before the replay to after it:");
  table(
    ['counter', 'online', `× ${plan.copies}`, 'target', ''],
    comparison.map((row) => [
      row.counter,
      String(row.online),
      String(row.expected),
      String(row.target),
      row.equal ? 'equal' : 'DIFFERS',
    ]),
  );
  fact(
    'all counters equal',
    comparison.every((row) => row.equal),
  );
  fact(lost.length === 0 ? 'nothing lost, nothing skipped' : lost.join('; '), lost.length === 0);
  fact(`connections left open on the target: ${left.length}`, left.length === 0);
  const { answered } = summary.commands;
  fact(
    `${answered} commands answered in ${summary.elapsed_s.toFixed(1)} s; the run as a measurement: ${summary.verdict}`,
  );
}
