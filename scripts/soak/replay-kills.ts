/**
 * `npm run soak -- replay-kills`: replays that are killed by SIGKILL at random moments, their files damaged now and then, and resumed.
 * Exit code 1 where a row was written twice, numbers do not add up, or a stack was printed.
 */
import { existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from '@commander-js/extra-typings';
import { EXIT } from '../../src/errors.ts';
import { type CheckpointFile, logPath } from '../../src/run/checkpoint/file.ts';
import { parseCount } from '../../src/verbs/replay-options.ts';
import { randomFrom } from '../../test/support/random.ts';
import { collect, Lab, type RunResult } from '../lab/lab.ts';
import { makeStart } from '../lab/path.ts';
import { PORT } from '../lab/server.ts';
import {
  CLI,
  type ReplayFiles,
  type ReplaySummary,
  replayArguments,
  startIntercept,
  writeReplayFiles,
} from '../lab/tape.ts';
import { clearVisits, makeVisits, type VisitPlan, visitsOn } from '../lab/visits.ts';
import { loadTables } from '../lab/workload.ts';

/** Some three seconds. */
const PLAN: VisitPlan = { sessions: 120, steps: 6, everyMs: 20, stepMs: 40 };
const ROWS = 100;
const MOST_KILLS = 4;
const LATEST_KILL_MS = 3_500;
/** What a shell says of a process that SIGKILL ended. */
const KILLED = 128 + 9;
const OURS = /fault of mytape's own|^\s+at /m;

const say = (text: string) => process.stderr.write(`${text}\n`);

interface Trial {
  lab: Lab;
  files: ReplayFiles;
  archive: string;
  out: string;
  random: () => number;
}

/** Runs a command of mytape's, and kills it after so long. Returns how it ended; undefined: by that. */
async function until(
  lab: Lab,
  args: readonly string[],
  killMs: number | undefined,
): Promise<RunResult | undefined> {
  const child = lab.spawn('online', process.execPath, [CLI, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = collect(child);
  if (killMs === undefined) return ended;
  const killed = new AbortController();
  const first = await Promise.race([
    ended,
    sleep(killMs, undefined, { signal: killed.signal }).catch(() => undefined),
  ]);
  killed.abort();
  if (first !== undefined) return first;
  child.kill('SIGKILL');
  const last = await ended;
  // It may have come to its end in the same moment.
  return last.code === null || last.code === KILLED ? undefined : last;
}

/** Cuts one of the logs off, or changes a bit in it. Returns what was done. */
function damage(folder: string, random: () => number): string {
  const all = existsSync(folder) ? readdirSync(folder) : [];
  const names = all.filter((name) => /^checkpoint-\d+\.json$/.test(name));
  if (names.length === 0) return 'nothing to damage';
  const checkpoint = readFileSync(join(folder, names[Math.floor(random() * names.length)]), 'utf8');
  const { share, pass, logOctets } = (JSON.parse(checkpoint) as { holds: CheckpointFile }).holds;
  const path = logPath(folder, share, pass);
  if (random() < 0.5) {
    // What was written since the checkpoint, and cut off, nobody can know of.
    const at = Math.floor(random() * logOctets);
    truncateSync(path, at);
    return `log of thread ${share} cut off at ${at}`;
  }
  const octets = readFileSync(path);
  const at = Math.floor(random() * octets.length);
  octets[at] ^= 1 << Math.floor(random() * 8);
  writeFileSync(path, octets);
  return `a bit of the log of thread ${share} changed at ${at}`;
}

/** What is wrong; undefined: nothing. */
async function trial({ lab, files, archive, out, random }: Trial): Promise<string | undefined> {
  const target = lab.server('target');
  await clearVisits(target);
  const copies = random() < 0.5 ? 1 : 2;
  const loops = random() < 0.7 ? 1 : 2;
  const path = random() < 0.5 ? 'socket' : 'intercept';
  const channels = 1 + Math.floor(random() * 3);
  const choices = [
    '-n',
    String(copies),
    '--loop',
    String(loops),
    '-C',
    String(channels),
    '--allow-live-target',
  ];
  const kills = 1 + Math.floor(random() * MOST_KILLS);
  const done: string[] = [`${path} ${choices.slice(0, 6).join(' ')}`];
  const wrong = (what: string) => `${what} (${done.join('; ')})`;
  let args = replayArguments(lab, path, archive, files, [...choices, '--out', out]);
  let result: RunResult | undefined;
  for (let i = 0; i < kills && result === undefined; i++) {
    const killMs = 200 + random() * LATEST_KILL_MS;
    result = await until(lab, args, killMs);
    done.push(result === undefined ? `killed after ${Math.round(killMs)} ms` : `ended with ${result.code}`);
    if (result === undefined && random() < 0.3) done.push(damage(out, random));
    args = ['replay', '--resume', out];
  }
  result ??= await until(lab, args, undefined);
  const { code, stdout, stderr } = result as RunResult;
  done.push(`exit code ${code}`);
  if (OURS.test(stderr)) return wrong(`a stack: ${stderr}`);
  const twice = (await visitsOn(target)).filter(({ n }) => n > copies * loops);
  if (twice.length > 0) return wrong(`${twice.length} rows were written again`);
  // Killed before there was anything to resume.
  if (code === EXIT.failed && /this run can't be resumed|has no run to resume/.test(stderr)) return undefined;
  if (code !== EXIT.done && code !== EXIT.invalidRun) return wrong(`${stdout}${stderr}`);
  const problem = sumsProblem(
    JSON.parse(readFileSync(join(out, 'summary.json'), 'utf8')) as ReplaySummary,
    loops,
  );
  say(`  ${done.join('; ')}`);
  return problem && wrong(problem);
}

function sumsProblem(
  { captured, sessions, commands, copies }: ReplaySummary,
  loops: number,
): string | undefined {
  const total = (causes: Record<string, number>) => Object.values(causes).reduce((sum, n) => sum + n, 0);
  const pairs: Record<string, [number, number]> = {
    'sessions captured': [captured.sessions, PLAN.sessions * loops],
    'commands captured': [captured.commands, PLAN.sessions * (PLAN.steps + 1) * loops],
    'sessions of all copies': [captured.sessions * copies, sessions.scheduled + total(sessions.skipped)],
    'sessions scheduled': [sessions.scheduled, sessions.completed + sessions.lost],
    'commands of all copies': [captured.commands * copies, commands.scheduled + total(commands.skipped)],
    'commands scheduled': [commands.scheduled, commands.answered + total(commands.lost)],
  };
  for (const [name, [one, other]] of Object.entries(pairs))
    if (one !== other) return `${name}: ${one} is not ${other}`;
  if (sessions.opened < sessions.completed || sessions.opened > sessions.scheduled)
    return `${sessions.opened} sessions opened, of ${sessions.scheduled}, and ${sessions.completed} complete`;
  return undefined;
}

async function soakKills(minutes: number, seed: number): Promise<boolean> {
  say('Making the lab: four hosts, MariaDB on online and target.');
  const lab = await Lab.up({ name: 'mytape-kills' });
  try {
    await loadTables(lab, ROWS);
    await makeStart(lab);
    const files = writeReplayFiles(lab);
    const intercept = await startIntercept(lab, files);
    const archive = join(lab.runFolder, 'visits.tape');
    makeVisits(archive, PLAN);
    const until = performance.now() + minutes * 60_000;
    let trials = 0;
    for (; performance.now() < until || trials === 0; trials++) {
      const out = join(lab.runFolder, `run-${trials}`);
      const random = randomFrom(seed + trials);
      const wrong = await trial({ lab, files, archive, out, random });
      if (wrong === undefined) continue;
      process.stdout.write(
        `FAILED ${wrong}\nrepeat: npm run soak -- replay-kills --seed ${seed + trials} --minutes 1\n`,
      );
      return false;
    }
    await intercept.stop();
    process.stdout.write(
      `ok     ${trials} runs on port ${PORT} were killed and resumed: no row was written twice\n`,
    );
    return true;
  } finally {
    await lab.down();
  }
}

export function replayKills() {
  return new Command('replay-kills')
    .description(
      'replays that are killed, damaged and resumed, and whether anything is sent twice or does not add up',
    )
    .option('--minutes <n>', 'for so long', parseCount, 10)
    .option('--seed <n>', 'of the first run; each later one has the next', parseCount, 1)
    .action(async ({ minutes, seed }) => {
      if (!(await soakKills(minutes, seed))) process.exitCode = 1;
    });
}
