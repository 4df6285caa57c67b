import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Counts, connectionsLeft, countsOf, difference } from '../../../scripts/lab/compare.ts';
import { collect, Lab, type RunResult } from '../../../scripts/lab/lab.ts';
import { CLIENT_ADDRESSES, type Host } from '../../../scripts/lab/network.ts';
import {
  makeStart,
  type Recorded,
  type Replayed,
  recordWorkload,
  replayAndCompare,
  resetTarget,
} from '../../../scripts/lab/path.ts';
import type { Server } from '../../../scripts/lab/server.ts';
import { OWN_PAIR, type Pair, parsePair } from '../../../scripts/lab/servers/pair.ts';
import {
  CLI,
  type ReplayFiles,
  type ReplayPath,
  replayArguments,
  replayHost,
  writeReplayFiles,
} from '../../../scripts/lab/tape.ts';
import { loadTables, runClients, runCommandLineClients, runSysbench } from '../../../scripts/lab/workload.ts';
import type { Summary } from '../../../src/report/summary.ts';
import { until } from '../../support/until.ts';
import { brandsObstacle } from './capability.ts';
import type { StepsJob } from './steps.ts';

/**
 * Replays of these tests do not ask the target whether it is a live server: what is counted there, and seen on the wire, is the run's
 * alone. test/e2e/interlock.test.ts is about the asking.
 */
export const UNASKED = '--allow-live-target';

/** Rows of each sysbench table: few, so that a lab is up in seconds. */
export const ROWS = 2000;

export type WorkloadKind = 'text' | 'prepared' | 'short' | 'sessions' | 'reads';

/** Small workloads, each of one kind of traffic; one to three seconds long. */
const WORKLOADS: Readonly<Record<WorkloadKind, (lab: Lab) => Promise<unknown>>> = {
  text: (lab) => runSysbench(lab, { mode: 'text', threads: 4, transactions: 60, rate: 40 }, ROWS),
  prepared: (lab) => runSysbench(lab, { mode: 'prepared', threads: 4, transactions: 60, rate: 40 }, ROWS),
  short: async (lab) => {
    await runClients(lab, { kind: 'short', connections: 60, seconds: 1, rounds: 2 });
    await runCommandLineClients(lab, 4);
  },
  sessions: (lab) => runClients(lab, { kind: 'sessions', connections: 24, seconds: 2, rounds: 8 }),
  // Holds no lock: a replay of it can be killed at any moment, and hinders nobody afterwards.
  reads: (lab) =>
    runSteps(lab, {
      connections: 12,
      rounds: 25,
      steps: [{ query: 'SELECT c FROM sbtest1 WHERE id = 7' }, { pauseMs: 100 }],
    }),
};

/** Takes steps on connections from host client to online; or to target, and then from online, which target answers. */
export async function runSteps(
  lab: Lab,
  job: Partial<StepsJob> & Pick<StepsJob, 'steps'>,
  to: 'online' | 'target' = 'online',
  nodeArgs: readonly string[] = [],
): Promise<void> {
  const script = fileURLToPath(new URL('steps.js', import.meta.url));
  const whole: StepsJob = {
    host: lab.addresses[to],
    user: 'app',
    from: to === 'online' ? CLIENT_ADDRESSES : [lab.addresses.online],
    connections: 1,
    tls: false,
    rounds: 1,
    ...job,
  };
  const on = to === 'online' ? 'client' : 'online';
  const { code, stderr } = await lab.run(on, process.execPath, [...nodeArgs, script, JSON.stringify(whole)]);
  assert.equal(code, 0, stderr);
}

export interface ReplayOptions {
  path: ReplayPath;
  copies?: number;
  speed?: string;
  extra?: readonly string[];
}

/** A lab with tables, both servers at the same start, for the tests of one file. */
export class TestBed {
  readonly lab: Lab;
  readonly files: ReplayFiles;
  readonly #start: string;
  readonly #recorded = new Map<string, Recorded>();
  #runs = 0;

  private constructor(lab: Lab, start: string) {
    this.lab = lab;
    this.#start = start;
    this.files = writeReplayFiles(lab);
  }

  static async make(name: string, pair: Pair): Promise<TestBed> {
    const lab = await Lab.up({ name: `mytape-e2e-${name}`, ...pair });
    try {
      await loadTables(lab, ROWS);
      const bed = new TestBed(lab, await makeStart(lab));
      await bed.#unlikeOnline();
      return bed;
    } catch (error) {
      await lab.down();
      throw error;
    }
  }

  get online(): Server {
    return this.lab.server('online');
  }

  get target(): Server {
    return this.lab.server('target');
  }

  /** A path in the lab's run folder that nothing has yet. */
  fresh(name: string): string {
    const folder = join(this.lab.runFolder, 'e2e');
    mkdirSync(folder, { recursive: true });
    return join(folder, `${++this.#runs}-${name}`);
  }

  /** Lets other users than root reach what they own in the lab's run folder. */
  letOthersPass(): void {
    this.fresh('nothing');
    for (const folder of [this.lab.runFolder, join(this.lab.runFolder, 'e2e')]) chmodSync(folder, 0o711);
  }

  /** A whole recording of these workloads, one beside the other; made once. */
  async recorded(...kinds: WorkloadKind[]): Promise<Recorded> {
    const key = kinds.join('-');
    const known = this.#recorded.get(key);
    if (known !== undefined) return known;
    const recorded = await this.record(() => Promise.all(kinds.map((kind) => WORKLOADS[kind](this.lab))));
    this.#recorded.set(key, recorded);
    return recorded;
  }

  /** Records online while a workload runs; `extra` as on the command line. */
  async recordAnyhow(workload: () => Promise<unknown>, extra: readonly string[] = []): Promise<Recorded> {
    const recorded = await recordWorkload(this.lab, this.fresh('tape'), workload, extra);
    assert.equal(recorded.summary.dropped, 0, 'the capture dropped packets');
    return recorded;
  }

  /** The same, and checks that the recording has every connection of it. */
  async record(workload: () => Promise<unknown>, extra: readonly string[] = []): Promise<Recorded> {
    const recorded = await this.recordAnyhow(workload, extra);
    assert.equal(recorded.summary.sessions, recorded.online.Connections, 'sessions recorded');
    return recorded;
  }

  /** Target goes back to where online was before any recording. */
  async restoreTarget(): Promise<void> {
    await resetTarget(this.lab, this.#start);
    await this.#unlikeOnline();
  }

  /**
   * Has target prepare statements on many connections, whose memory it keeps for the next ones: their statement ids go on
   * from there. In a server as young as online they would be online's by chance.
   */
  async #unlikeOnline(): Promise<void> {
    await runSteps(
      this.lab,
      { connections: 24, steps: ['1', '2', '3'].map((n) => ({ execute: `SELECT ${n}`, values: [] })) },
      'target',
    );
    await this.assertNobodyOnTarget();
  }

  /** Replays and asserts that the target did exactly what online did, as often as there are copies, and nobody is left. */
  async replayExactly(recorded: Recorded, options: ReplayOptions): Promise<Summary> {
    const { path, copies = 1, speed = '1', extra = [] } = options;
    const name = join('e2e', `run-${++this.#runs}`);
    const plan = { name, path, copies, speed, extra: [...extra, UNASKED] };
    const replayed = await replayAndCompare(this.lab, recorded, this.files, plan);
    assertExact(replayed);
    return replayed.summary;
  }

  /** The command line of a replay, and where its summary will be. */
  replayCommand(options: ReplayOptions & { archive: string; files?: ReplayFiles }): {
    args: string[];
    out: string;
  } {
    const { path, copies = 1, speed = '1', extra = [], files = this.files } = options;
    const out = this.fresh('run');
    const more = ['-n', String(copies), '--speed', speed, ...extra, UNASKED, '--out', out];
    return { args: replayArguments(this.lab, path, options.archive, files, more), out };
  }

  /** A replay that need not go well. `clockMs`: what its wall clock says when it starts. */
  async replayAnyhow(
    options: ReplayOptions & { archive: string; files?: ReplayFiles; clockMs?: number },
  ): Promise<RunResult & { summary: () => Summary }> {
    const { args, out } = this.replayCommand(options);
    const node = nodeArguments(options.clockMs);
    const result = await this.lab.run(replayHost(options.path), process.execPath, [...node, CLI, ...args]);
    return { ...result, summary: () => readSummary(out) };
  }

  /** Starts a replay of which the caller awaits, or brings about, the end; resolves when `connections` of it are open. */
  async replayUnderWay(
    options: ReplayOptions & { archive: string; connections: number; clockMs?: number },
  ): Promise<{ pid: number; ended: Promise<RunResult>; summary: () => Summary }> {
    const { args, out } = this.replayCommand(options);
    const node = nodeArguments(options.clockMs);
    const child = this.lab.spawn(replayHost(options.path), process.execPath, [...node, CLI, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const ended = collect(child);
    await this.connectionsOnTarget(options.connections);
    return { pid: child.pid as number, ended, summary: () => readSummary(out) };
  }

  /** Replays and kills it (SIGKILL) when `connections` are open on target and some commands were sent. */
  async replayKilled(
    options: ReplayOptions & { archive: string; connections: number; clockMs?: number },
  ): Promise<void> {
    const replay = await this.replayUnderWay(options);
    await sleep(300);
    process.kill(replay.pid, 'SIGKILL');
    assert.equal((await replay.ended).code, 137);
  }

  /** Runs a shell's pipe on a host, every part of which must go well; the lines that it printed. */
  async lines(host: Host, script: string): Promise<string[]> {
    const result = await this.lab.run(host, 'bash', ['-o', 'pipefail', '-c', script]);
    assert.equal(result.code, 0, result.stderr);
    return result.stdout.split('\n').filter((line) => line !== '');
  }

  /** What a piece of work made target do. */
  async counted(work: () => Promise<void>): Promise<Counts> {
    const earlier = await countsOf(this.target);
    await work();
    return difference(await countsOf(this.target), earlier);
  }

  /** Resolves when so many connections are open on target. */
  async connectionsOnTarget(least: number): Promise<void> {
    await until(
      `${least} connections on target`,
      async () => (await this.target.processlist()).length >= least,
    );
  }

  async assertNobodyOnTarget(withinMs = 2000): Promise<void> {
    assert.deepEqual(await connectionsLeft(this.target, withinMs), []);
  }
}

/** For a node whose wall clock stands still at `clockMs`. */
export function nodeArguments(clockMs: number | undefined): string[] {
  return clockMs === undefined ? [] : ['--import', `data:text/javascript,Date.now=()=>${clockMs}`];
}

export function readSummary(out: string): Summary {
  return JSON.parse(readFileSync(join(out, 'summary.json'), 'utf8')) as Summary;
}

/** A title and what it asserts; `obstacle`: why it cannot run here, beside what no test of the lab can do without. */
export type It = (title: string, body: (bed: TestBed) => Promise<void>, obstacle?: string) => void;

/** The servers of these tests, as `npm run test:matrix` says: MYTAPE_PAIR=mysql:mariadb11. */
export const PAIR = parsePair(process.env.MYTAPE_PAIR ?? OWN_PAIR);

/** Tests that share one lab, one after the other; each is skipped by name where the lab cannot be made. */
export function labTests(name: string, define: (it: It) => void, pair = PAIR): void {
  describe(name, () => {
    const skip = brandsObstacle(pair.online, pair.target);
    let bed: TestBed;
    if (skip === undefined) {
      before(async () => {
        bed = await TestBed.make(name, pair);
      });
      after(() => bed.lab.down());
    }
    define((title, body, obstacle) => {
      test(title, { skip: skip ?? obstacle ?? false }, () => body(bed));
    });
  });
}

function sum(causes: Record<string, number>): number {
  return Object.values(causes).reduce((total, count) => total + count, 0);
}

/** Every number of a summary adds up (DESIGN §4). */
export function assertAddsUp({ captured, sessions, commands, copies }: Summary): void {
  assert.deepEqual(
    {
      'sessions captured': captured.sessions * copies,
      'sessions scheduled': sessions.scheduled,
      'sessions lost': sessions.lost,
      'commands captured': captured.commands * copies,
      'commands scheduled': commands.scheduled,
    },
    {
      'sessions captured': sessions.scheduled + sum(sessions.skipped),
      'sessions scheduled': sessions.completed + sessions.lost,
      'sessions lost': sum(sessions.lost_by),
      'commands captured': commands.scheduled + sum(commands.skipped),
      'commands scheduled': commands.answered + sum(commands.lost),
    },
  );
  assert.ok(commands.sent >= commands.answered && commands.sent <= commands.scheduled);
}

function assertExact({ comparison, lost, left, summary }: Replayed): void {
  assert.deepEqual(
    { lost, left, unequal: comparison.filter((row) => !row.equal) },
    { lost: [], left: [], unequal: [] },
  );
  assertAddsUp(summary);
  assert.equal(summary.commands.answered, summary.captured.commands * summary.copies);
}
