/** A host, in a network namespace of its own, whose loopback is recorded while sessions go on, and whose recorders are killed. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { openArchive } from '../../../src/archive/reader.ts';
import { PARSE, Segment } from '../../../src/wire/segment.ts';
import { addNamespace, removeNamespace } from '../../support/namespace.ts';
import { CLI } from '../../verbs/mytape.ts';
import type { SteadyReport } from './steady-child.ts';

/** Why it can't be had here, or false. */
export const skip =
  process.platform !== 'linux' || process.getuid?.() !== 0
    ? 'needs root on Linux, for a network namespace'
    : false;

const PORT = 3307;
const WAIT_MS = 30_000;

export class Run {
  readonly child: ChildProcess;
  stdout = '';
  stderr = '';
  /** Resolves to the exit code, or to the signal's name. */
  readonly ended: Promise<number | string>;

  constructor(child: ChildProcess) {
    this.child = child;
    child.stderr?.on('data', (chunk) => (this.stderr += chunk));
    this.ended = once(child, 'close').then(([code, signal]) => code ?? signal);
  }

  keepOutput(): this {
    this.child.stdout?.on('data', (chunk) => (this.stdout += chunk));
    return this;
  }

  async until(condition: () => boolean): Promise<void> {
    for (const end = performance.now() + WAIT_MS; !condition(); await sleep(5))
      if (performance.now() > end) throw new Error(`waited in vain: ${this.stderr}`);
  }

  async end(signal: NodeJS.Signals): Promise<number | string> {
    this.child.kill(signal);
    return this.ended;
  }
}

/** Sessions that go on, and how far they had come when. */
export class Steady {
  readonly run: Run;
  #reports: SteadyReport[] = [];

  constructor(run: Run) {
    this.run = run;
    let rest = '';
    run.child.stdout?.on('data', (chunk: Buffer) => {
      const lines = (rest + chunk.toString()).split('\n');
      rest = lines.pop() as string;
      for (const line of lines) this.#reports.push(JSON.parse(line) as SteadyReport);
      if (this.#reports.length > 5_000) this.#reports = this.#reports.slice(-2_500);
    });
  }

  /** By client port, the last command that was answered at `at`, ms since 1970, or before. */
  by(at: number): Record<string, number> {
    return this.#reports.findLast((report) => report.at <= at)?.answered ?? {};
  }
}

export class RecordedHost {
  readonly #name: string;

  constructor(name: string) {
    this.#name = `${name}-${process.pid}`;
    addNamespace(this.#name);
    this.link('up');
  }

  /** Sets loopback up or down. */
  link(state: 'up' | 'down'): void {
    execFileSync('ip', ['-n', this.#name, 'link', 'set', 'lo', state]);
  }

  start(...command: string[]): Run {
    const stdio = ['ignore', 'pipe', 'pipe'] as const;
    return new Run(spawn('ip', ['netns', 'exec', this.#name, ...command], { stdio: [...stdio] }));
  }

  async record(dir: string, ...args: string[]): Promise<Run> {
    const what = [CLI, 'record', '-i', 'lo', '-p', String(PORT), '-o', dir, ...args];
    const run = this.start(process.execPath, ...what).keepOutput();
    await run.until(() => run.stderr.includes('recording on lo'));
    return run;
  }

  async steady(sessions: number): Promise<Steady> {
    const child = fileURLToPath(new URL('./steady-child.js', import.meta.url));
    const steady = new Steady(this.start(process.execPath, child, String(PORT), String(sessions)));
    await steady.run.until(() => Object.keys(steady.by(Date.now())).length === sessions);
    return steady;
  }

  flood(perSecond: number): Run {
    const child = fileURLToPath(new URL('./flood-child.js', import.meta.url));
    return this.start(process.execPath, child, String(PORT), String(perSecond)).keepOutput();
  }

  close(): void {
    removeNamespace(this.#name);
  }
}

/** What is wrong with the archive of a recorder of loopback, which was killed when `answered` was a second ago, or more. */
export async function problemsOf(dir: string, answered: Readonly<Record<string, number>>): Promise<string[]> {
  // It throws where the index does not add up.
  const archive = openArchive(dir);
  try {
    const problems: string[] = [];
    const { packets, flooded, dropped, droppedByDisk, repairedNow } = archive.info;
    if (!repairedNow) problems.push('it was not repaired');
    if (dropped + droppedByDisk > 0) problems.push(`${dropped} + ${droppedByDisk} packets were dropped`);
    let ofSessions = 0;
    for (const session of archive.sessions()) ofSessions += session.packets;
    if (ofSessions + flooded !== packets)
      problems.push(`${ofSessions} packets of sessions and ${flooded} of a flood are not ${packets}`);
    const commands = new Map<string, { first: number; last: number }>();
    const segment = new Segment();
    let read = 0;
    for await (const { linkType, octets, view, count, offset, length } of archive.packets()) {
      read += count;
      for (let i = 0; i < count; i++) {
        if (segment.parse(octets, view, offset[i], length[i], linkType) !== PARSE.ok) continue;
        const { dataOffset: at, dataLength } = segment;
        if (segment.dstPort !== PORT || dataLength < 22 || octets[at + 3] !== 0 || octets[at + 4] !== 3)
          continue;
        const number = Number(Buffer.from(octets.subarray(at + 12, at + 22)).toString());
        const key = String(segment.srcPort);
        const known = commands.get(key);
        if (known === undefined) commands.set(key, { first: number, last: number });
        else if (number === known.last + 1) known.last = number;
        else if (number > known.last) problems.push(`port ${key}: command ${known.last + 1} is missing`);
      }
    }
    if (read !== packets) problems.push(`${read} packets were read, of ${packets}`);
    for (const [port, number] of Object.entries(answered)) {
      const last = commands.get(port)?.last ?? -1;
      if (last < number) problems.push(`port ${port}: commands ${last + 1} to ${number} are missing`);
    }
    return problems;
  } finally {
    archive.close();
  }
}
