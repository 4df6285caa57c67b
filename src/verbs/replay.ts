import { checkFiles } from '../archive/ours.ts';
import { type Archive, type ArchiveInfo, openArchive, type SessionRow } from '../archive/reader.ts';
import { readKeyLog } from '../capture/key-log-file.ts';
import { MytapeError } from '../errors.ts';
import { checkReadable, goOnAs, planRunAs, type RunAs, readFor } from '../net/host/run-as.ts';
import { Filters } from '../replay/choice/filters.ts';
import type { Window } from '../replay/engine/options.ts';
import { FixedMappings } from '../replay/mappings.ts';
import { ConnectionIds } from '../replay/session/connection-ids.ts';
import type { Share } from '../replay/share.ts';
import { sayState } from '../report/archive-state.ts';
import { ClockStepTeller, stepsAsJson } from '../report/clock-steps.ts';
import { sayLine } from '../report/output.ts';
import { recordingFacts } from '../report/recording.ts';
import { firstLeft, type RecordingIdentity, readRunLeft } from '../run/checkpoint/run-file.ts';
import { dryRun, NO_TARGET } from '../run/dry/run.ts';
import { checkDescriptors } from '../run/host-limits.ts';
import { waiversOf } from '../run/interlock/interlock.ts';
import { recordedSide } from '../run/interlock/recorded-side.ts';
import type { LoginJob } from '../run/logins.ts';
import { everyServer, mappedSessions, resolveMappings } from '../run/mapping.ts';
import { type OpenedRun, openRun } from '../run/opening.ts';
import { pickedSessions } from '../run/picked-sessions.ts';
import { carryOut } from '../run/run.ts';
import type { CaptureNs } from '../time.ts';
import { type Address, parseAddress } from '../wire/address.ts';
import { parseDurationMs, parseTime } from './options.ts';
import { parseLoops, planCourse } from './plan-course.ts';
import { onClockStepOption, parseScale, planTiming } from './plan-timing.ts';
import { filtersOf } from './replay-option-values.ts';
import { parseSpeed, runCommand } from './replay-options.ts';
import { plannedJob, planRun, planTargets, type RunPlan } from './replay-plan.ts';

const EXAMPLES = `
Examples:
  Once more as it was, answers caught by an intercept on the assistant:
    mytape replay peak.tape -x 3307-10.128.6.83:3307 -s 10.128.6.84:36525 --key-file k --users users
  Five times the load at four times the speed:
    mytape replay peak.tape -x 3307-10.128.6.83:3307 -s 10.128.6.84:36525 --key-file k --users users -n 5 --speed 4
  As fast as the target takes it, this host being the assistant itself:
    mytape replay peak.tape -x 3307-10.128.6.83:3307 --local --users users --speed max
  With neither intercept nor route, from this host's own address:
    mytape replay peak.tape -x 3307-10.128.6.83:3307 --local --clients self --users users
  By ordinary connections, over TLS, everybody as one user of the target's:
    mytape replay peak.tape -x 3307-db.test:3307 --transport socket --target-tls --target-ca ca.pem --as tester
  What would be sent, and what not; what is in the archive, before there is a target:
    mytape replay peak.tape -x 3307-10.128.6.83:3307 --local --users users --read-only --dry-run
    mytape replay peak.tape --users users --dry-run
  On and on for an hour, and then:
    mytape replay peak.tape -x 3307-10.128.6.83:3307 --local --users users --loop forever --for 1h
  A recording of several servers, each onto its own target (sessions of any other server are skipped):
    mytape replay peak.tape -x 10.0.0.5:3307-10.1.0.5:3307,10.0.0.6:3307-10.1.0.6:3307 --local --users users
  Where a run that was stopped, or killed, left off (its --out):
    mytape replay --resume runs/monday

Before the first one: mytape doctor, with the same -x, -s and --local. docs/topologies.md says which is for which network,
docs/replaying.md has recipes and describes all options in full. The users file has a line for each user, \`user: password\`, and mode 0600.
Exit code: 0 done, 1 failed, 2 usage, 3 refused (the target is the recorded server, looks live, or may be), 5 run not valid, 130 interrupted.`;

type ReplayOptions = ReturnType<ReturnType<typeof replayOptions>['opts']>;

export function replayCommand() {
  return replayOptions().addHelpText('after', EXAMPLES).action(replay);
}

function replayOptions() {
  return runCommand('replay')
    .description(
      "Replays the recorded sessions onto a test server, with the recorded clients' addresses (or, by socket, this host's), real logins and every " +
        'command accounted for. Ctrl-C once: what is under way finishes; twice: now.',
    )
    .argument('<archive>', 'folder that `mytape record` or `mytape import` made')
    .optionsGroup('Time:')
    .option(
      '--speed <x>',
      '1 as recorded, 2 twice as fast, max as fast as the target takes it',
      parseSpeed,
      1,
    )
    .option(
      '--connect-time-scale <x>',
      'times until sessions connect, times x: 0.5 is half of them',
      parseScale,
      1,
    )
    .option(
      '--think-time-scale <x>',
      "clients' times between an answer and the next command, times x",
      parseScale,
      1,
    )
    .option('--think-time-correct', 'late sessions think shorter, until they are back on time (default)')
    .option('--no-think-time-correct', 'they think as long as they were recorded to, and end later')
    .option(
      '--skip-idle <duration>',
      'cut times in which nobody said anything down to this, e.g. 5s',
      parseDurationMs,
    )
    .option(
      '--from <time>',
      'begin at this moment of the recording, with the sessions open then: RFC 3339, or local time, 20:00 or 20:00:30 (default: its beginning)',
      parseTime,
    )
    .option(
      '--to <time>',
      'end at this moment of the recording: RFC 3339, or local time, 20:00 or 20:00:30 (default: its end)',
      parseTime,
    )
    .addOption(onClockStepOption())
    .option(
      '--loop <n|forever>',
      'the recording again and again, each time when the time before is over',
      parseLoops,
    )
    .option(
      '--for <duration>',
      'end after so long, as if the recording ended there: what is under way finishes',
      parseDurationMs,
    )
    .option(
      '--start-at <time>',
      'wait until then, so that several hosts begin at once: RFC 3339, or 20:00, 20:00:30 of local time',
      parseTime,
    )
    .optionsGroup('The run:')
    .option(
      '--dry-run',
      'connect to nothing: show which sessions and statements (as digests) would be sent, which not and why, as whom and from where; without -x, what the archive holds',
    )
    .option(
      '--with-text',
      "with --dry-run: also print examples of statements with their values, which may be passwords or customers' data",
    )
    .option(
      '--resume <run>',
      'go on with the run in this folder, which was stopped or killed, with the options that it was started with; takes no other option',
    )
    .option(
      '--keylog <file>',
      'TLS keys of recorded sessions, as SSLKEYLOGFILE has them, beside those in the keys.log of the archive',
    );
}

async function replay(dir: string, options: ReplayOptions): Promise<void> {
  if (options.withText === true && options.dryRun !== true)
    throw new MytapeError(
      'usage',
      '--with-text needs --dry-run: no run prints statements (mytape show does)',
    );
  const runAs = planRunAs(options.user);
  const plan = await planRun(options);
  const keyLog = options.keylog === undefined ? undefined : readKeyLog(options.keylog);
  // Before any socket is opened: what is not there needs none.
  readFor(runAs, dir, () => checkFiles(dir));
  let run: OpenedRun | undefined;
  if (options.dryRun !== true) {
    // Who the clients are is not known yet.
    const targets = planTargets(plan, () => []);
    run = await openRun({ ...plannedJob(plan, targets), speed: options.speed }, options, { runAs });
  } else if (runAs !== undefined) await goOnAs(runAs);
  try {
    checkReadable(dir, runAs);
    await replayArchive(openArchive(dir), { dir, options, plan, keyLog, runAs, run });
  } finally {
    if (run?.begun === false) await run.close();
  }
}

/** What `replay` is told, and has opened. */
interface ReplayFacts {
  dir: string;
  options: ReplayOptions;
  plan: RunPlan;
  keyLog: string | undefined;
  runAs: RunAs;
  /** undefined: it is a dry run. */
  run: OpenedRun | undefined;
}

async function replayArchive(
  archive: Archive,
  { dir, options, plan, keyLog, runAs, run }: ReplayFacts,
): Promise<void> {
  const { copies, speed } = options;
  try {
    sayState(archive);
    const hasTarget = plan.targets.length > 0;
    const mappings = hasTarget
      ? resolveMappings(plan, archive.sessions(), dir)
      : everyServer(archive.sessions());
    const fixed = new FixedMappings(mappings);
    const anchorAt = firstOf(archive, fixed);
    const servers = await recordedSide(archive, dir, waiversOf(options).live);
    warnOfRemaps(archive, plan.logins);
    const picked = pickedSessions(archive, fixed, options);
    const targets = hasTarget
      ? planTargets(plan, (target) => clientsOf(archive, fixed, target))
      : [NO_TARGET];
    const { sessions, serverPorts } = archive.info;
    const recording = recordingFacts(archive);
    const connections = ConnectionIds.create(sessions, copies).buffer;
    const timing = await planTiming(options, archive, fixed, options.spread ?? 0);
    const clockSteps = archive.clockSteps();
    new ClockStepTeller(archive.info.originSec, options.onClockStep).end(clockSteps);
    const recorded = { archive: dir, serverPorts, mappings };
    const job = { ...plannedJob(plan, targets), ...recorded, speed, timing, connections, keyLog };
    if (run === undefined) {
      const { startMs } = planCourse(options, Date.now(), false);
      const facts = {
        ...recording,
        withText: options.withText === true,
        anchorAt: timing.window.from ?? anchorAt,
        servers,
        waivers: waiversOf(options),
        picked,
        startMs,
        clockSteps: stepsAsJson(clockSteps, archive.info.originSec),
        onClockStep: options.onClockStep,
      };
      // Nobody can tell from where a target that is not known would be spoken to.
      const { transport } = hasTarget ? job : { transport: 'socket' as const };
      await dryRun({ ...job, transport }, facts, options.json === true);
      return;
    }
    const filters = new Filters(filtersOf(options));
    checkDescriptors(options, targets.length, openSessions(archive, fixed, filters, timing.window));
    const left =
      options.resume === undefined ? undefined : readRunLeft(options.resume, sharesOf(options), copies);
    const begins = timing.window.from ?? anchorAt;
    const goesOn = left && firstLeft(mappedSessions(archive.sessions(), fixed), left);
    await carryOut(job, options, {
      ...recording,
      anchorAt: begins,
      resumedAt: goesOn === undefined ? undefined : Math.max(begins, goesOn),
      servers,
      picked,
      recording: { to: timing.window.to ?? lastOf(archive, fixed), originSec: archive.info.originSec },
      course: planCourse(options, Date.now(), left !== undefined),
      resumable: { args: process.argv.slice(3), recording: identityOf(archive.info), left },
      runAs,
      run,
    });
  } finally {
    archive.close();
  }
}

/** When the first session began that is mapped and can be replayed: what is due at once. */
function firstOf(archive: Archive, mappings: FixedMappings): CaptureNs {
  let first = Number.POSITIVE_INFINITY;
  let firstOfAny = Number.POSITIVE_INFINITY;
  for (const { firstAt, coverage } of mappedSessions(archive.sessions(), mappings)) {
    firstOfAny = Math.min(firstOfAny, firstAt);
    if (coverage !== 'joined-late') first = Math.min(first, firstAt);
  }
  return first === Number.POSITIVE_INFINITY ? firstOfAny : first;
}

/** A name that is spelt wrong remaps nothing, and the run goes where it should not. */
function warnOfRemaps(archive: Archive, { remapUser, remapSchema }: LoginJob): void {
  const users = new Set(remapUser.keys());
  const schemas = new Set(remapSchema.keys());
  if (users.size + schemas.size === 0) return;
  for (const { user, schema } of archive.sessions()) {
    users.delete(user ?? '');
    schemas.delete(schema ?? '');
  }
  const warn = (option: string, names: Set<string>) => {
    for (const name of names)
      sayLine(`${option} ${name}: no recorded login names it; is it spelt as recorded?`);
  };
  warn('--remap-user', users);
  warn('--remap-schema', schemas);
}

/** The sessions that are to run, by what the index says of them. */
function* openSessions(
  archive: Archive,
  mappings: FixedMappings,
  filters: Filters,
  { from = Number.NEGATIVE_INFINITY, to = Number.POSITIVE_INFINITY }: Window,
): Iterable<SessionRow> {
  for (const row of mappedSessions(archive.sessions(), mappings)) {
    const { id, user, schema, firstAt, lastAt } = row;
    const client = parseAddress(row.client) as Address;
    const login = user === null ? undefined : { user, ...(schema === null ? {} : { schema }) };
    if (lastAt >= from && firstAt < to && filters.has({ id, client, login })) yield row;
  }
}

/** As the threads have them. */
function sharesOf({ channels: of, order }: ReplayOptions): Share[] {
  return Array.from({ length: of }, (_, index) => ({ index, of, byCopy: order === 'commit' }));
}

/** By which a recording is known again. */
function identityOf({ startedMs, originSec, packets }: ArchiveInfo): RecordingIdentity {
  return { startedMs, originSec, packets };
}

/** When the last of it was. */
function lastOf(archive: Archive, mappings: FixedMappings): CaptureNs {
  let last = 0;
  for (const { lastAt } of mappedSessions(archive.sessions(), mappings)) last = Math.max(last, lastAt);
  return last;
}

function* clientsOf(archive: Archive, mappings: FixedMappings, target: number): Iterable<string> {
  for (const { client, server, serverPort } of archive.sessions())
    if (mappings.at(server, serverPort)?.target === target) yield client;
}
