/**
 * `replay --dry-run`: the very engine, with the run's own filters, logins and rewriting, onto a target that is not there. What it would
 * send and what not is what it decides here.
 */
import { MytapeError } from '../../errors.ts';
import { relayHost } from '../../intercept/relay-address.ts';
import { pathTo } from '../../net/route.ts';
import { jsonLines, print, sayLine } from '../../report/output.ts';
import { recordingReasons } from '../../report/recording.ts';
import type { RunFacts } from '../../report/run-facts.ts';
import { summarize } from '../../report/summary.ts';
import { mergeTallies } from '../../report/tally.ts';
import { realClock } from '../../time.ts';
import { routeLine } from '../../transport/diagnosis.ts';
import { type Address, parseAddress } from '../../wire/address.ts';
import { formatPrefix } from '../../wire/prefixes.ts';
import { refuseRecordedAddress, wouldBeAsked } from '../interlock/interlock.ts';
import type { ReplayJob, TargetJob } from '../job.ts';
import { planRoutes } from '../route-plan.ts';
import { ReplayShare } from '../share.ts';
import { type DryPlace, type DryReport, dryRunLines } from './report.ts';
import { DryRun, type DryRunFacts } from './watch.ts';

/** The target of a dry run without -x. Nothing of it is reported. */
export const NO_TARGET: TargetJob = {
  name: '',
  mapping: '',
  target: parseAddress('0.0.0.0') as Address,
  targetPort: 0,
  clients: { from: 'recorded' },
  tls: undefined,
};

/**
 * Prints what a run of `job` would do. Connects to nothing. Throws 'refused' where the target has a recorded server's address, and, after
 * what it prints, 'bad-archive' where the recording can't be read to its end.
 */
export async function dryRun(job: ReplayJob, facts: DryRunFacts, asJson: boolean): Promise<void> {
  if (job.protocol === 'raw')
    throw new MytapeError('usage', '--dry-run reads statements: leave out --protocol raw');
  const hasTarget = job.targets[0] !== NO_TARGET;
  if (hasTarget && !facts.waivers.live)
    for (const target of job.targets) refuseRecordedAddress(target, facts.servers);
  const { copies, speed, timing } = job;
  const dry = new DryRun(job, facts.withText);
  // Nothing is paced: what is due when changes nothing of what is sent.
  const unpaced = { ...job, speed: Number.POSITIVE_INFINITY, connectRate: undefined, checkpoint: undefined };
  const share = await ReplayShare.open(unpaced, { index: 0, of: 1 }, sayLine, dry);
  share.prepare(unpaced);
  const epochMs = performance.timeOrigin + realClock.now();
  await share.run({ at: facts.anchorAt, epochMs, pass: 0 });
  const { sentTo } = share.progress;
  const { tally, transport, unread, damagedPackets } = await share.end();
  const lostByDamage = (facts.lostByDamage ?? 0) + damagedPackets;
  const run: RunFacts = {
    ...facts,
    lostByDamage,
    copies,
    speed,
    elapsedMs: 0,
    transport,
    interrupted: false,
    unread,
  };
  const summary = summarize(mergeTallies([tally]), run);
  const lastsMs = Math.max(0, sentTo - facts.anchorAt) / 1e6 / speed + timing.spreadMs;
  const report = dry.report(summary, { lastsMs, ...facts });
  report.invalid_by = recordingReasons(run, false);
  if (hasTarget) {
    await addRoutes(report, job);
    report.interlock = job.targets.flatMap(({ name }) =>
      wouldBeAsked(name, job.logins, facts.servers, facts.waivers),
    );
  } else {
    report.targets = [];
    delete report.clients.addresses;
  }
  print(asJson ? jsonLines(report) : dryRunLines(report));
  if (unread !== undefined) throw new MytapeError('bad-archive', unread);
}

/** The routes that each target needs to answer the addresses that would be spoken from. */
async function addRoutes(report: DryReport, { targets, transport, intercept }: ReplayJob): Promise<void> {
  if (transport !== 'packet') return;
  for (const [index, to] of targets.entries()) {
    const place = report.targets[index];
    place.routes = await routesOf(to, intercept, place.addresses);
  }
  report.routes = [...new Set(report.targets.flatMap(({ routes }) => routes))];
}

async function routesOf(
  { clients, target }: TargetJob,
  intercept: ReplayJob['intercept'],
  addresses: DryPlace['addresses'],
): Promise<string[]> {
  if (clients.from === 'self' || typeof addresses === 'string') return [];
  const via = (await relayHost(intercept)) ?? pathTo(target).source;
  if (clients.from === 'range') return [routeLine(clients.range, via.text)];
  const spoken = new Map(addresses.map((address) => [address, 1]));
  return planRoutes(spoken, [], { 4: 32, 6: 128 }).prefixes.map((prefix) =>
    routeLine(formatPrefix(prefix), via.text),
  );
}
