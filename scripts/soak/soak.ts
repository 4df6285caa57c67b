/**
 * `npm run soak [-- --minutes 10]`: fifty copies of short connections, not more than 500 at once, for so long. Exit code 1 where
 * anything was lost, left or grew.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, Option } from '@commander-js/extra-typings';
import { EXIT } from '../../src/errors.ts';
import { parseCount } from '../../src/verbs/replay-options.ts';
import { Background } from '../lab/background.ts';
import { type Comparison, compare, connectionsLeft, countsOf, difference } from '../lab/compare.ts';
import { collect, Lab, type RunResult } from '../lab/lab.ts';
import { CLIENT_ADDRESSES } from '../lab/network.ts';
import { makeStart, recordWorkload } from '../lab/path.ts';
import { PORT } from '../lab/server.ts';
import {
  CLI,
  RELAY_PORT,
  type ReplayFiles,
  type ReplaySummary,
  replayArguments,
  startIntercept,
  writeReplayFiles,
} from '../lab/tape.ts';
import { loadTables } from '../lab/workload.ts';
import { checksOf } from './checks.ts';
import { MemoryWatch } from './memory-watch.ts';
import { recordSoak } from './record.ts';
import { replayKills } from './replay-kills.ts';
import type { VisitorsJob } from './visitors.ts';

const COPIES = 50;
const OPTIONS = ['-n', String(COPIES), '--max-connections', '500', '-C', '2'];
const ROWS = 5_000;

/** Of an archive: it is replayed once for each minute. */
const RECORDED_SEC = 60;

/** How long the target may take for what is left when the clients are done. */
const REST_MS = 60_000;
const SAY_MS = 30_000;

const VISITORS = fileURLToPath(new URL('visitors.js', import.meta.url));

interface Soak {
  lab: Lab;
  files: ReplayFiles;
  minutes: number;
  /** Run folder of the mirror, or the replay. */
  out: string;
  /** The process that is looked at, from now on. */
  watch(name: string, pid: number): void;
}

const say = (text: string) => process.stderr.write(`${text}\n`);

async function visitors(lab: Lab, seconds: number): Promise<void> {
  const job: VisitorsJob = { host: lab.addresses.online, from: CLIENT_ADDRESSES, seconds, rows: ROWS };
  const result = await lab.run('client', process.execPath, [VISITORS, JSON.stringify(job)]);
  if (result.code !== 0) throw new Error(`the clients failed: exit code ${result.code}\n${result.stderr}`);
}

function mustHaveEnded(what: string, { code, stdout, stderr }: RunResult): void {
  if (code !== EXIT.done && code !== EXIT.invalidRun)
    throw new Error(`${what}: exit code ${code}\n${stdout}${stderr}`);
}

/** Live: what the clients make online do while it goes on, fifty times. */
async function mirror({ lab, files, minutes, out, watch }: Soak): Promise<Comparison[]> {
  const { target, assistant } = lab.addresses;
  const [online, onTarget] = [lab.server('online'), lab.server('target')];
  const way = ['-x', `${PORT}-${target}:${PORT}`, '-s', `${assistant}:${RELAY_PORT}`];
  const rest = ['--key-file', files.key, '--users', files.users, '--out', out];
  const command = [process.execPath, CLI, 'mirror', ...way, ...rest, ...OPTIONS];
  const running = await Background.start(lab, 'online', command, /mirroring on/);
  watch('mirror', running.pid);
  const before = await Promise.all([countsOf(online), countsOf(onTarget)]);
  const early = running.ended.then((result): never => {
    throw new Error(`the mirror ended before the clients did: exit code ${result.code}\n${result.stderr}`);
  });
  await Promise.race([visitors(lab, minutes * 60), early]);
  // From here on it may end.
  early.catch(() => {});
  const asked = difference(await countsOf(online), before[0]);
  await connectionsLeft(onTarget, REST_MS);
  mustHaveEnded('mirror', await running.stop());
  return compare(asked, difference(await countsOf(onTarget), before[1]), COPIES, false);
}

/** A minute, recorded, once and again. */
async function replay({ lab, files, minutes, out, watch }: Soak): Promise<Comparison[]> {
  const onTarget = lab.server('target');
  const archive = join(lab.runFolder, 'soak.tape');
  const recorded = await recordWorkload(lab, archive, () => visitors(lab, RECORDED_SEC));
  const before = await countsOf(onTarget);
  const extra = [...OPTIONS, '--loop', String(minutes), '--allow-live-target', '--out', out];
  const args = replayArguments(lab, 'intercept', archive, files, extra);
  const child = lab.spawn('online', process.execPath, [CLI, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = collect(child);
  watch('replay', child.pid!);
  mustHaveEnded('replay', await ended);
  const made = difference(await countsOf(onTarget), before);
  return compare(recorded.online, made, COPIES * minutes, false);
}

const SOURCES = { mirror, archive: replay } as const;
type Source = keyof typeof SOURCES;

async function soak(source: Source, minutes: number): Promise<boolean> {
  say('Making the lab: four hosts, MariaDB on online and target.');
  const lab = await Lab.up({ name: 'mytape-soak' });
  const watches = new Map<string, MemoryWatch>();
  const watch = (name: string, pid: number) => watches.set(name, new MemoryWatch(pid));
  const told = setInterval(() => {
    say(`  ${[...watches].map(([name, { now }]) => `${name} ${(now / 1e6).toFixed(1)} MB`).join(', ')}`);
  }, SAY_MS);
  try {
    await loadTables(lab, ROWS);
    await makeStart(lab);
    const files = writeReplayFiles(lab);
    const intercept = await startIntercept(lab, files);
    watch('intercept', intercept.pid);
    const out = join(lab.runFolder, 'soak');
    say(`Soaking for ${minutes} minutes: ${source}, ${OPTIONS.join(' ')}.`);
    const comparison = await SOURCES[source]({ lab, files, minutes, out, watch });
    const left = await connectionsLeft(lab.server('target'));
    for (const each of watches.values()) each.stop();
    mustHaveEnded('intercept', await intercept.stop());
    const memory = Object.fromEntries([...watches].map(([name, { samples }]) => [name, samples]));
    const summary = JSON.parse(readFileSync(join(out, 'summary.json'), 'utf8')) as ReplaySummary;
    return tell(summary, checksOf({ summary, comparison, left, memory }));
  } finally {
    clearInterval(told);
    for (const each of watches.values()) each.stop();
    await lab.down();
  }
}

function tell(summary: ReplaySummary, checks: ReturnType<typeof checksOf>): boolean {
  const { sessions, admission, lateness_ms, elapsed_s, verdict, reasons } = summary;
  say(
    `${sessions.completed} sessions in ${elapsed_s} s; ${admission.waited} waited for a place (${admission.wait_ms.p50} ms p50, ${admission.wait_ms.p99} p99); ` +
      `commands ${lateness_ms.p50} ms late (p50), ${lateness_ms.p99} (p99); ${[verdict, ...reasons].join('; ')}`,
  );
  for (const { what, holds, detail } of checks) {
    const word = holds === undefined ? '??    ' : holds ? 'ok    ' : 'FAILED';
    process.stdout.write(`${word} ${what}: ${detail}\n`);
  }
  return checks.every(({ holds }) => holds !== false);
}

const program = new Command('soak')
  .description('fifty copies of short connections, 500 at once, and whether anything is lost, left or grows')
  .option('--minutes <n>', 'for so long', parseCount, 10)
  .addOption(
    new Option('--source <source>', 'live, or a recorded minute, once for each minute')
      .choices(['mirror', 'archive'] as const)
      .default('mirror' as const),
  )
  .action(async ({ source, minutes }) => {
    if (!(await soak(source, minutes))) process.exitCode = 1;
  });

// Kinds have options of their own, some by the same names.
program.enablePositionalOptions().addCommand(replayKills()).addCommand(recordSoak());

program.parseAsync().catch((error: Error) => {
  say(`soak: ${error.message}`);
  process.exitCode = 1;
});
