/**
 * `npm run soak -- record [--minutes 10]`: recorders of one host's loopback, under a load and a SYN flood. One runs all the time, and its
 * memory is watched; beside it others are killed at any moment, have their interface taken down, and their disk filled. Exit code 1
 * where anything was lost that should not be, or an archive is not what it should be.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from '@commander-js/extra-typings';
import { openArchive } from '../../src/archive/reader.ts';
import { parseCount } from '../../src/verbs/replay-options.ts';
import { problemsOf, RecordedHost, type Steady, skip } from '../../test/archive/recorder/host.ts';
import { CLI } from '../../test/verbs/mytape.ts';
import { growthOf, MemoryWatch } from './memory-watch.ts';

const SESSIONS = 8;
const SYNS_A_SECOND = 3_000;

/** A recorder writes once a second; on a machine that is busy with all of this, a little later. */
const MOST_LOST_MS = 1_200;

/** A disk that is full after some seconds. */
const DISK = '3m';

interface Soak {
  host: RecordedHost;
  steady: Steady;
  /** For archives of trials. */
  folder: string;
}

type Trial = (soak: Soak, dir: string) => Promise<string[]>;

const say = (text: string) => process.stderr.write(`${text}\n`);
const between = (least: number, most: number) => least + Math.random() * (most - least);

/** Killed, it has all that was older than a second. */
async function kill({ host, steady }: Soak, dir: string): Promise<string[]> {
  const recorder = await host.record(dir);
  const begunAt = Date.now();
  await sleep(between(0, 6_000));
  const killedAt = Date.now();
  const answered = killedAt - begunAt > MOST_LOST_MS ? steady.by(killedAt - MOST_LOST_MS) : {};
  const how = await recorder.end('SIGKILL');
  return [
    ...(how === 'SIGKILL' ? [] : [`it ended by itself: ${recorder.stderr}`]),
    ...(await problemsOf(dir, answered)),
  ];
}

/** Its interface goes down, and comes back: it goes on, and knows of the gap. */
async function flap({ host, steady }: Soak, dir: string): Promise<string[]> {
  const recorder = await host.record(dir);
  await sleep(between(500, 2_000));
  host.link('down');
  await sleep(between(0, 2_500));
  host.link('up');
  await recorder.until(() => recorder.stderr.includes('is up again'));
  const before = steady.by(Date.now());
  // TCP sends again what the gap has cost, after a time-out.
  const goesOn = (now: Record<string, number>) =>
    Object.entries(now).every(([port, n]) => n > before[port] + 10);
  await steady.run.until(() => goesOn(steady.by(Date.now())));
  const code = await recorder.end('SIGINT');
  const archive = openArchive(dir);
  const gaps = archive.gaps();
  archive.close();
  return [
    ...(code === 0 ? [] : [`exit code ${code}: ${recorder.stderr}`]),
    ...(gaps.length === 1 && gaps[0].toAt !== undefined ? [] : [`${gaps.length} gaps`]),
  ];
}

/** Its disk gets full: it goes on, counts what that costs, and leaves an archive that can be read. */
async function fullDisk({ host }: Soak, dir: string): Promise<string[]> {
  mkdirSync(dir, { mode: 0o700 });
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK},mode=0700`, 'tmpfs', dir]);
  try {
    const archived = join(dir, 'a');
    const recorder = await host.record(archived);
    await recorder.until(() => recorder.stderr.includes('cannot write'));
    await sleep(between(0, 2_000));
    const code = await recorder.end('SIGINT');
    const archive = openArchive(archived);
    const { droppedByDisk, packets } = archive.info;
    let read = 0;
    for await (const { count } of archive.packets()) read += count;
    archive.close();
    return [
      ...(code === 1 ? [] : [`exit code ${code}`]),
      ...(droppedByDisk > 0 ? [] : ['no packet counts as dropped by the disk']),
      ...(read === packets ? [] : [`${read} packets were read, of ${packets}`]),
      ...(/fault|^ +at /m.test(recorder.stderr) ? [recorder.stderr] : []),
    ];
  } finally {
    execFileSync('umount', [dir]);
  }
}

const TRIALS: Readonly<Record<string, Trial>> = { kill, flap, 'full disk': fullDisk };

async function soakRecord(minutes: number): Promise<boolean> {
  if (skip !== false) throw new Error(skip);
  const folder = mkdtempSync(join(tmpdir(), 'mytape-soak-record-'));
  const host = new RecordedHost('mytape-soak-record');
  const failures: string[] = [];
  const done: Record<string, number> = {};
  try {
    const whole = join(folder, 'whole');
    const recorder = await host.record(whole, '--json');
    const watch = new MemoryWatch(recorder.child.pid!);
    const steady = await host.steady(SESSIONS);
    const flood = host.flood(SYNS_A_SECOND);
    const end = performance.now() + minutes * 60_000;
    for (let n = 0; performance.now() < end; n++) {
      for (const [name, trial] of Object.entries(TRIALS)) {
        const dir = join(folder, `${n}`);
        const problems = await trial({ host, steady, folder }, dir).catch((error: Error) => [error.message]);
        rmSync(dir, { recursive: true, force: true });
        done[name] = (done[name] ?? 0) + 1;
        for (const problem of problems.slice(0, 5)) {
          failures.push(`${name} ${n}: ${problem}`);
          say(`FAILED ${name} ${n}: ${problem}`);
        }
      }
      say(`  ${n + 1} rounds, ${(watch.now / 1e6).toFixed(1)} MB`);
    }
    watch.stop();
    await Promise.all([steady.run.end('SIGKILL'), flood.end('SIGKILL')]);
    const code = await recorder.end('SIGINT');
    if (code !== 0)
      failures.push(`the recorder that ran all the time: exit code ${code}: ${recorder.stderr}`);
    else {
      const { packets, sessions, flooded, dropped, gaps } = JSON.parse(recorder.stdout);
      say(
        `whole: ${packets} packets, ${sessions} sessions, ${flooded} packets of a flood, ${gaps} gaps, ${dropped} dropped`,
      );
      if (flooded === 0) failures.push('there was no flood');
      execFileSync(process.execPath, ['--max-old-space-size=256', CLI, 'ls', whole], {
        stdio: ['ignore', 'ignore', 'inherit'],
      });
    }
    const { flat, octetsAMinute } = growthOf(watch.samples);
    const growth = `the memory of a recorder: ${(watch.now / 1e6).toFixed(1)} MB at last, ${(octetsAMinute / 1e6).toFixed(2)} MB a minute`;
    if (flat === false) failures.push(growth);
    else say(`${flat === undefined ? 'too short to judge' : 'flat'}: ${growth}`);
  } finally {
    host.close();
    rmSync(folder, { recursive: true, force: true });
  }
  const trials = Object.entries(done).map(([name, n]) => `${n} of ${name}`);
  process.stdout.write(`${failures.length === 0 ? 'ok    ' : 'FAILED'} ${trials.join(', ')}\n`);
  for (const failure of failures) process.stdout.write(`  ${failure}\n`);
  return failures.length === 0;
}

export function recordSoak() {
  return new Command('record')
    .description('recorders under a load and a SYN flood: killed, without their interface, on a full disk')
    .option('--minutes <n>', 'for so long', parseCount, 10)
    .action(async ({ minutes }) => {
      if (!(await soakRecord(minutes))) process.exitCode = 1;
    });
}
