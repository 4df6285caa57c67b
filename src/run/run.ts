/** A run of any source: its threads, signals, and summary.json. */
import { readSnapshots } from '../archive/snapshots.ts';
import { counted } from '../counted.ts';
import { EXIT, MytapeError } from '../errors.ts';
import { OwnVoice } from '../replay/own-voice.ts';
import { formatTime, jsonLines, print, say, sayLine } from '../report/output.ts';
import type { RecordingFacts } from '../report/recording.ts';
import type { Picked } from '../report/run-facts.ts';
import { type Summary, summarize } from '../report/summary.ts';
import { mergeTallies, worstStalls } from '../report/tally.ts';
import { summaryLines } from '../report/terminal.ts';
import { type CaptureNs, captureNow, realClock } from '../time.ts';
import { sumStats } from '../transport/targets.ts';
import type { SourceStats } from '../wire/packets.ts';
import { newRunId } from './checkpoint/file.ts';
import {
  beginRunFile,
  canBeResumed,
  endRunFile,
  type RunFile,
  type RunLeft,
  type RunStart,
  removeRun,
} from './checkpoint/run-file.ts';
import { RunControl } from './control/control.ts';
import { type Course, callAt, ONCE } from './control/course.ts';
import { openControl } from './control/socket.ts';
import { giveRunReserveBack, writeSummary } from './folder.ts';
import type { WaiverOptions } from './interlock/interlock.ts';
import type { RecordedSide } from './interlock/recorded-side.ts';
import { refuseLive, TargetCheck } from './interlock/target-check.ts';
import type { ReplayJob, ShareResult } from './job.ts';
import { mappingText } from './mapping.ts';
import { type OpenedRun, type OpeningChoices, type OpeningFacts, openRun } from './opening.ts';
import { ownVoiceText } from './own-voice-text.ts';
import { showProgress } from './progress.ts';
import { RestTeller } from './rest-teller.ts';
import { SilenceTeller } from './silence-teller.ts';
import { addressesTaken } from './source.ts';
import type { ReplayThreads } from './threads.ts';

const PROGRESS_MS = 1_000;

/** What is known of the recording beside its sessions. */
export interface SourceFacts extends RecordingFacts, OpeningFacts {
  packets: number;
  /** What is due at once. */
  anchorAt: CaptureNs;
  /** Whom the target must not be. */
  servers: RecordedSide;
  /** Of an archive: where what is replayed ends, and the second since 1970 that its times count from. */
  recording?: { to: CaptureNs; originSec: number };
  /** Default: once, from now on. */
  course?: Course;
  /** Which sessions are replayed, with --sample or --share. */
  picked?: Picked | undefined;
  /** It can be resumed: how it was started, and, where it is resumed, what of it is left. */
  resumable?: RunStart & { left: RunLeft | undefined };
  /** Where it is resumed: what is due at once, the first time. */
  resumedAt?: CaptureNs | undefined;
  /** Its sockets; undefined: the target is asked first, and then they are opened. */
  run?: OpenedRun;
  /** All is ready, and a live run captures; nothing is sent before it resolves. `stop`: as Ctrl-C does. */
  begun?(stop: () => void): Promise<void>;
}

/** What the command line says of a run beside its job. */
export interface RunChoices extends OpeningChoices, WaiverOptions {
  /** The summary is printed as JSON. */
  json?: true | undefined;
  /** Of 1: with less of the recording replayed the run is not valid; undefined: the default of `summarize`. */
  minReplayed?: number | undefined;
}

/** Carries `planned` out to its end, and sets the exit code. */
export async function carryOut(planned: ReplayJob, choices: RunChoices, source: SourceFacts): Promise<void> {
  const { copies, speed, targets, logins, protocol } = planned;
  const check = new TargetCheck(
    () => refuseLive(targets, { logins, protocol }, source.servers, choices),
    () => realClock.now(),
  );
  await check.ask();
  const run = source.run ?? (await openRun(planned, choices, source));
  const { out, threads, guard, lock } = run;
  const { course = ONCE, recording, resumable } = source;
  const checkpoint = resumable && {
    folder: out,
    run: resumable.left?.run ?? newRunId(),
    resume: resumable.left !== undefined,
  };
  const job = { ...planned, checkpoint };
  const isBeside = source.isBeside === true;
  try {
    if (checkpoint?.resume === false) removeRun(out);
  } catch (error) {
    await run.close();
    throw error;
  }
  run.begun = true;
  threads.prepare(job);
  const endsByHand = job.live !== undefined || course.loops === Number.POSITIVE_INFINITY;
  const now = () => performance.timeOrigin + realClock.now();
  const control = new RunControl({
    threads,
    speed: job.live === undefined ? speed : undefined,
    recording: recording && { from: source.anchorAt, ...recording },
    endsByHand,
    now,
    say: sayLine,
  });
  const onSignal = () => control.stop();
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  await source.begun?.(() => threads.stop());
  const { originSec = 0 } = recording ?? {};
  const rests = new RestTeller({ originSec, skipsIdle: job.timing.idle !== undefined, say: sayLine });
  const silence = job.live && new SilenceTeller(job.live.iface, job.live.filter, sayLine);
  const begunAt = realClock.now();
  // What is live waits for what happens.
  const look = () => {
    silence?.look(threads.progress.captured, realClock.now() - begunAt);
    if (job.live === undefined) rests.look(threads.progress, now());
    // A thread that hears nothing else would not know what another has heard.
    else if (heardItself(job) !== undefined) threads.cut();
  };
  const looking = setInterval(look, PROGRESS_MS);
  const progress = isBeside ? () => {} : showProgress(threads, control, course.startMs);
  let startedAt = realClock.now();
  let endedAt = startedAt;
  let endedEarly = false;
  let results: ShareResult[];
  let runFile: RunFile | undefined;
  const served = await openControl(out, control).catch((error: Error) => {
    sayLine(`${error.message}: this run cannot be steered by mytape ctl`);
  });
  try {
    try {
      if (course.startMs !== undefined)
        sayLine(`--start-at: the run begins at ${formatTime(course.startMs)}`);
      await check.waitToBegin(control, course.startMs);
      // Nothing was sent before: a run that ends while it waits leaves nothing to resume.
      runFile = resumable && checkpoint && beginRunFile(checkpoint, resumable);
    } catch (error) {
      served?.close();
      giveRunReserveBack(out);
      await threads.close();
      throw error;
    }
    startedAt = realClock.now();
    const anchors = { first: source.resumedAt ?? anchorOf(job, source), next: source.anchorAt };
    const isWhole = await runPasses(threads, control, course, resumable?.left?.pass ?? 0, anchors).finally(
      () => served?.close(),
    );
    endedEarly = !isWhole && job.live === undefined;
    // Freeing everything, which waits for the target's last segments, is none of the run's time.
    endedAt = realClock.now();
    results = await threads.end();
  } finally {
    await guard?.close().catch((error: Error) => sayLine(error.message));
    clearInterval(looking);
    progress();
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
  }
  const elapsedMs = endedAt - startedAt + (resumable?.left?.elapsedMs ?? 0);
  const interrupted = control.stops > (endsByHand ? 1 : 0);
  const unread = results.find((result) => result.unread !== undefined)?.unread;
  warnOfRules(results);
  const summary = summarize(mergeTallies(results.map((result) => result.tally)), {
    ...sumCaptured(results, source),
    live: job.live !== undefined,
    mappings: mappingTexts(job),
    picked: source.picked,
    copies,
    speed,
    elapsedMs,
    transport: sumStats(
      results.map((result) => result.transport),
      job.intercept !== undefined,
    ),
    orderBy: job.order,
    pooled: job.pool !== undefined,
    interrupted,
    endedEarly,
    // All threads write to one disk.
    disk: worstStalls(results.flatMap(({ disk }) => disk ?? [])),
    minReplayed: choices.minReplayed,
    ownVoice: heardItself(job),
    speedChanges: control.changes,
    loops: course.loops === undefined ? undefined : control.pass + 1,
    resumed: runFile !== undefined && runFile.resumed > 0 ? runFile.resumed : undefined,
    unread,
  });
  const json = jsonLines(summary);
  giveRunReserveBack(out);
  const isResumable = runFile !== undefined && canBeResumed(out, choices.channels);
  const unwritten = writeSummary(out, `${json.join('\n')}\n`, isResumable);
  const tell = isBeside ? say : print;
  tell(choices.json === true ? json : summaryLines(summary, unwritten === undefined ? out : undefined));
  if (unwritten !== undefined) throw unwritten;
  if (runFile !== undefined && !interrupted && unread === undefined) endRunFile(out, runFile);
  warnOfStatements(job.archive, summary);
  lock.release();
  if (unread !== undefined) throw new MytapeError('bad-archive', unread);
  process.exitCode = exitCodeOf(summary, interrupted);
}

/** How a mirror has heard itself, in words. */
function heardItself({ voice }: ReplayJob): string | undefined {
  const proof = voice && OwnVoice.found(voice);
  return proof && ownVoiceText(proof);
}

/** `10.0.0.5:3307 -> 10.1.0.5:3307`, for each mapping. */
function mappingTexts({ mappings, targets, live }: ReplayJob): string[] {
  const taken = live && addressesTaken(live, mappings);
  return mappings.map(({ source, port, target }, i) =>
    mappingText(source ?? taken?.[i], port, targets[target].name),
  );
}

/** Replays the recording as often as it is to be. Returns whether the last time was not ended early. */
async function runPasses(
  threads: ReplayThreads,
  control: RunControl,
  { loops = 1, forMs = Number.POSITIVE_INFINITY }: Course,
  firstPass: number,
  anchors: { first: CaptureNs; next: CaptureNs },
): Promise<boolean> {
  const now = () => performance.timeOrigin + realClock.now();
  if (firstPass >= loops) {
    // It was over when it was interrupted: all that is left is to say what came of it.
    control.pass = loops - 1;
    return true;
  }
  let isOver = false;
  const callOff = callAt(now() + forMs, now, () => {
    isOver = true;
    threads.stop('out-of-time');
  });
  try {
    for (control.pass = firstPass; ; control.pass++) {
      const at = control.pass === firstPass ? anchors.first : anchors.next;
      const unread = await threads.run({ at, epochMs: now(), pass: control.pass });
      const isEnded = unread !== undefined || isOver || control.stops > 0;
      if (isEnded || control.pass + 1 >= loops) return !isEnded;
    }
  } finally {
    callOff();
  }
}

/** What is live is due when it is captured. */
function anchorOf({ live }: ReplayJob, { anchorAt }: SourceFacts): CaptureNs {
  return live === undefined ? anchorAt : captureNow(live.originSec);
}

/** What the threads' captures have counted, on top of what was known before. */
function sumCaptured(results: readonly ShareResult[], source: SourceFacts): SourceStats & RecordingFacts {
  const { packets, dropped, droppedByDisk, lostByDamage, partial, notRepaired } = source;
  const { gaps = { gaps: 0, gapMs: 0 }, flood: { flooded, floodedData } = { flooded: 0, floodedData: 0 } } =
    source;
  const flood = { flooded, floodedData };
  const sum = { packets, dropped, droppedByDisk, lostByDamage, gaps, flood, partial, notRepaired };
  // Each thread reads all of the archive.
  const damaged = Math.max(...results.map(({ damagedPackets }) => damagedPackets));
  if (damaged > 0) sum.lostByDamage = (lostByDamage ?? 0) + damaged;
  for (const { captured } of results) {
    if (captured === undefined) continue;
    sum.packets += captured.packets;
    sum.dropped += captured.dropped;
    sum.flood.flooded += captured.flooded;
    sum.flood.floodedData += captured.floodedData;
    // All threads capture on one interface.
    if (captured.gaps.gaps >= sum.gaps.gaps) sum.gaps = captured.gaps;
  }
  return sum;
}

/** A rule that nothing matched is spelt wrong, as a rule. */
function warnOfRules(results: readonly ShareResult[]): void {
  const [first, ...others] = results;
  for (const rule of first.unusedRules) {
    if (others.every(({ unusedRules }) => unusedRules.includes(rule)))
      sayLine(`no statement matched ${rule}`);
  }
}

/** Snapshots without any statement, where the recording has executions of some, point to the recorded server's settings. */
function warnOfStatements(dir: string, { commands }: Summary): void {
  const { 'unknown-statement': unknown = 0 } = commands.skipped;
  if (unknown === 0) return;
  const { count, statements } = readSnapshots(dir);
  if (count === 0 || statements > 0) return;
  sayLine(
    `${counted(unknown, 'command')} skipped (unknown-statement): the recording has ${counted(count, 'snapshot')} and no prepared statement in any ` +
      "(check on the recorded server that performance_schema.prepared_statements_instances lists as many as SHOW GLOBAL STATUS LIKE 'Prepared_stmt_count' counts)",
  );
}

function exitCodeOf(summary: Summary, interrupted: boolean): number {
  if (interrupted) return EXIT.interrupted;
  return summary.verdict === 'invalid' ? EXIT.invalidRun : EXIT.done;
}
