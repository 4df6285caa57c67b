/** A run of any source: its plan by the options, its threads, signals, progress, and summary.json. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EXIT, MytapeError } from '../errors.ts';
import { readKeyFile } from '../intercept/relay-socket.ts';
import { Guard } from '../net/guard.ts';
import { Filters } from '../replay/filters.ts';
import { type Summary, summarize } from '../report/summary.ts';
import { mergeTallies } from '../report/tally.ts';
import { renderSummary } from '../report/terminal.ts';
import { type CaptureNs, realClock } from '../time.ts';
import type { TransportStats } from '../transport/transport.ts';
import type { Address } from '../wire/address.ts';
import { resolveHost } from './endpoints.ts';
import { type ClientsPlan, planClients } from './replay-clients.ts';
import { type LoginJob, planLogins } from './replay-logins.ts';
import { checkTransport, filtersOf, type RunOptions, targetTls } from './replay-options.ts';
import type { ReplayJob, ShareResult } from './replay-share.ts';
import { openThreads, type ReplayThreads } from './replay-threads.ts';

const PROGRESS_MS = 1_000;

/** What the options amount to, before the source is known. */
export interface RunPlan {
  options: RunOptions;
  target: Address;
  /** Host that catches the answers; undefined: this one. */
  assistant: Address | undefined;
  logins: LoginJob;
  key: Uint8Array | undefined;
}

/** Says what is wrong with the options before anything is opened; reads files, and asks for a password, where one is needed. */
export async function planRun(options: RunOptions): Promise<RunPlan> {
  checkTransport(options);
  new Filters(options);
  return {
    options,
    logins: await planLogins(options),
    key: options.keyFile === undefined ? undefined : readKeyFile(options.keyFile),
    target: await resolveHost(options.target.host),
    assistant: options.intercept === undefined ? undefined : await resolveHost(options.intercept.host),
  };
}

/** Who speaks from where; `recorded`: addresses of the recorded clients, where they are known before. */
export function planRunClients(
  { options, target, assistant }: RunPlan,
  recorded: Iterable<string>,
): ClientsPlan {
  return planClients(options.clients, { target, copies: options.copies, assistant, clients: recorded });
}

/** What of a job the options tell. */
export type PlannedJob = Omit<ReplayJob, 'archive' | 'speed' | 'connections' | 'keyLog'>;

export function plannedJob({ options, target, logins, key }: RunPlan, clients: ClientsPlan): PlannedJob {
  const { target: mapping, copies } = options;
  return {
    recordedPort: mapping.recordedPort,
    target,
    targetPort: mapping.port,
    intercept: options.intercept,
    key,
    captureDriver: options.captureDriver,
    sendDriver: options.sendDriver,
    clients,
    copies,
    transport: options.transport,
    tls: targetTls(options, mapping),
    logins,
    filters: filtersOf(options),
    pinTime: options.pinTime === true,
    connectTimeoutMs: options.connectTimeout,
    replyTimeoutMs: options.replyTimeout,
  };
}

/** What is known of the recording beside its sessions. */
export interface SourceFacts {
  packets: number;
  /** Of them, lost while it was made. */
  dropped: number;
  /** What is due at once. */
  anchorAt: CaptureNs;
}

/** Carries `job` out to its end, and sets the exit code. */
export async function carryOut(job: ReplayJob, options: RunOptions, source: SourceFacts): Promise<void> {
  const { copies, speed, clients, target, targetPort } = job;
  const out = makeRunFolder(options.out);
  // Should what follows fail, it goes with the process.
  const guard = clients.from === 'self' ? await Guard.raise({ target, targetPort, ...clients }) : undefined;
  const threads = await openThreads(job, options.channels, (line) =>
    process.stderr.write(`mytape: ${line}\n`),
  );
  let signals = 0;
  const onSignal = () => {
    signals++;
    if (signals === 1) {
      process.stderr.write('\nmytape: stopping: what is under way finishes (Ctrl-C again: now)\n');
      threads.stop();
    } else threads.cut();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  const progress = showProgress(threads);
  const startedAt = realClock.now();
  let results: ShareResult[];
  try {
    results = await threads.run({ at: source.anchorAt, epochMs: performance.timeOrigin + startedAt });
  } finally {
    await guard?.close();
    progress();
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
  }
  const elapsedMs = realClock.now() - startedAt;
  const unread = results.find((result) => result.unread !== undefined)?.unread;
  const summary = summarize(mergeTallies(results.map((result) => result.tally)), {
    packets: source.packets,
    dropped: source.dropped,
    copies,
    speed,
    elapsedMs,
    transport: sumStats(
      results.map((result) => result.transport),
      options.intercept !== undefined,
    ),
    interrupted: signals > 0,
    unread,
  });
  const text = `${JSON.stringify(summary, null, 2)}\n`;
  writeFileSync(join(out, 'summary.json'), text, { mode: 0o600 });
  process.stdout.write(options.json === true ? text : renderSummary(summary, out));
  if (unread !== undefined) throw new MytapeError('bad-archive', unread);
  process.exitCode = exitCodeOf(summary, signals > 0);
}

function exitCodeOf(summary: Summary, interrupted: boolean): number {
  if (interrupted) return EXIT.interrupted;
  return summary.verdict === 'invalid' ? EXIT.invalidRun : EXIT.done;
}

/** What the threads' transports have counted; `oneCapture`: all of them tell of the one capture of an intercept. */
function sumStats(each: readonly TransportStats[], oneCapture: boolean): TransportStats {
  const sum = { packetsOut: 0, packetsIn: 0, retransmitted: 0, captureDropped: 0 };
  for (const stats of each) {
    sum.packetsOut += stats.packetsOut;
    sum.retransmitted += stats.retransmitted;
    sum.packetsIn = oneCapture ? Math.max(sum.packetsIn, stats.packetsIn) : sum.packetsIn + stats.packetsIn;
    sum.captureDropped = oneCapture
      ? Math.max(sum.captureDropped, stats.captureDropped)
      : sum.captureDropped + stats.captureDropped;
  }
  return sum;
}

function makeRunFolder(out: string | undefined): string {
  const folder =
    out ?? join('runs', new Date().toISOString().slice(0, 19).replace('T', '-').replaceAll(':', ''));
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new MytapeError(
      'bad-file',
      `cannot make the folder ${folder}: ${(cause as Error).message} (choose another: --out)`,
      {
        cause,
      },
    );
  }
  return folder;
}

/** A line a second on a terminal. Answers what ends it. */
function showProgress(threads: ReplayThreads): () => void {
  if (!process.stderr.isTTY) return () => {};
  const startedAt = realClock.now();
  let before = 0;
  const timer = setInterval(() => {
    const { answered, lost, open, reconnected } = threads.progress;
    const seconds = Math.round((realClock.now() - startedAt) / 1000);
    const rate = answered - before;
    before = answered;
    process.stderr.write(
      `\r\x1b[K${seconds} s  ${answered} commands answered (${rate}/s), ${lost} lost, ${open} sessions open` +
        (reconnected === 0 ? '' : `, ${reconnected} reconnections`),
    );
  }, PROGRESS_MS);
  return () => {
    clearInterval(timer);
    process.stderr.write('\r\x1b[K');
  };
}
