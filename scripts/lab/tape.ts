/** mytape itself at work in the lab: the built command line of the same tree as this file, run on the lab's hosts. */
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EXIT, MytapeError } from '../../src/errors.ts';
import type { Summary } from '../../src/report/summary.ts';
import { Background } from './background.ts';
import { collect, type Lab, type RunResult } from './lab.ts';
import { type Host, NOWHERE } from './network.ts';
import { PORT, USERS } from './server.ts';

/** The command line that `npm run build` made. */
export const CLI = fileURLToPath(new URL('../../src/cli.js', import.meta.url));
export const RELAY_PORT = 36525;

/** The part of `mytape record --json` that we compare with others' counts. */
export interface RecordSummary {
  packets: number;
  dropped: number;
  sessions: number;
  /** Of them, under TLS. */
  tls: number;
  commands: number;
}

/** summary.json, as the run's folder has it. */
export type ReplaySummary = Summary;

/** Runs a mytape command to its end. */
export function tape(lab: Lab, host: Host, args: readonly string[]): Promise<RunResult> {
  return lab.run(host, process.execPath, [CLI, ...args]);
}

/** The same, for a command whose stdout is one JSON object; rejects where the command fails. */
export async function tapeJson<T>(lab: Lab, host: Host, args: readonly string[]): Promise<T> {
  const result = await tape(lab, host, args);
  if (result.code !== 0) throw failure(args, result);
  return JSON.parse(result.stdout) as T;
}

function failure(args: readonly string[], result: RunResult): MytapeError {
  const said = (result.stdout + result.stderr).trimEnd().split('\n').slice(-40).join('\n');
  return new MytapeError('system-call', `mytape ${args.join(' ')}: exit code ${result.code}\n${said}`);
}

/** A recording under way on online. */
export class Recording {
  readonly #background: Background;

  private constructor(background: Background) {
    this.#background = background;
  }

  /** Resolves when packets are being captured. */
  static async start(lab: Lab, archive: string, extra: readonly string[] = []): Promise<Recording> {
    const args = ['record', '-i', 'eth0', '-p', String(PORT), '-o', archive, '--json', ...extra];
    return new Recording(
      await Background.start(lab, 'online', [process.execPath, CLI, ...args], /recording/i),
    );
  }

  get pid(): number {
    return this.#background.pid;
  }

  async stop(): Promise<RecordSummary> {
    const result = await this.#background.stop();
    if (result.code !== 0) throw failure(['record'], result);
    return JSON.parse(result.stdout) as RecordSummary;
  }
}

/** The files that a replay needs beside the archive: the relay's key and the users' passwords. */
export interface ReplayFiles {
  key: string;
  users: string;
}

export function writeReplayFiles(lab: Lab): ReplayFiles {
  const files = { key: join(lab.runFolder, 'relay.key'), users: join(lab.runFolder, 'users') };
  writeFileSync(files.key, randomBytes(32).toString('hex') + '\n', { mode: 0o600 });
  const users = Object.entries(USERS).map(([user, password]) => `${user}: ${password}\n`);
  writeFileSync(files.users, users.join(''), { mode: 0o600 });
  return files;
}

/** Hosts that intercept runs on: see docs/topologies.md. On the target it needs `endClientsOnTarget` first. */
export type InterceptHost = 'assistant' | 'target';

export function interceptArguments(
  lab: Lab,
  files: ReplayFiles,
  host: InterceptHost = 'assistant',
): string[] {
  const iface = host === 'target' ? NOWHERE : 'eth0';
  const relay = `${lab.addresses[host]}:${RELAY_PORT}`;
  return ['intercept', '-i', iface, '-F', `tcp and src port ${PORT}`, '-p', relay, '--key-file', files.key];
}

/** mytape intercept, as its own process. */
export function startIntercept(
  lab: Lab,
  files: ReplayFiles,
  host: InterceptHost = 'assistant',
): Promise<Background> {
  const command = [process.execPath, CLI, ...interceptArguments(lab, files, host)];
  return Background.start(lab, host, command, /listening/);
}

/**
 * How a replay reaches the target and hears of its answers: by an intercept on the assistant (`intercept`) or on the target
 * (`target`), or by itself, as a client's address (`local`) or as its own host's (`self`); or by ordinary connections
 * (`socket`).
 */
export type ReplayPath = 'intercept' | 'local' | 'target' | 'self' | 'socket';

/** The replay runs on online, as in TCPCopy; with --local and the clients' addresses on the assistant itself. */
export function replayHost(path: ReplayPath): Host {
  return path === 'local' ? 'assistant' : 'online';
}

/** Where the intercept of that path is to run; undefined: there is none. */
export function interceptHost(path: ReplayPath): InterceptHost | undefined {
  if (path === 'intercept') return 'assistant';
  return path === 'target' ? 'target' : undefined;
}

/** The command line of a replay onto target; `extra` may say another one by `-x`. */
export function replayArguments(
  lab: Lab,
  path: ReplayPath,
  archive: string,
  files: ReplayFiles,
  extra: readonly string[],
): string[] {
  const x = extra.includes('-x') ? [] : ['-x', `${PORT}-${lab.addresses.target}:${PORT}`];
  const answers = answersArguments(lab, path, files);
  const { loginOptions } = lab.server('target').brand;
  return ['replay', archive, ...x, ...answers, '--users', files.users, ...loginOptions, ...extra];
}

function answersArguments(lab: Lab, path: ReplayPath, files: ReplayFiles): string[] {
  const host = interceptHost(path);
  if (host !== undefined) return ['-s', `${lab.addresses[host]}:${RELAY_PORT}`, '--key-file', files.key];
  if (path === 'socket') return ['--transport', 'socket'];
  return path === 'self' ? ['--local', '--clients', 'self'] : ['--local'];
}

export interface ReplayRun {
  summary: ReplaySummary;
  /** 0, or 5 where the run is not a valid measurement (lateness, say): this says nothing of what arrived. */
  code: number;
}

/**
 * Replays an archive onto target; `extra` as on the command line: `-n 5 --speed 4`. The run's folder is `out`. Rejects, with
 * what it said, where the replay fails.
 */
export async function replay(
  lab: Lab,
  path: ReplayPath,
  archive: string,
  files: ReplayFiles,
  out: string,
  extra: readonly string[] = [],
  stdio: 'pipe' | 'inherit' = 'pipe',
): Promise<ReplayRun> {
  const args = [...replayArguments(lab, path, archive, files, extra), '--out', out];
  const child = lab.spawn(replayHost(path), process.execPath, [CLI, ...args], {
    stdio: ['ignore', stdio, stdio],
  });
  const result = await collect(child);
  if (result.code !== EXIT.done && result.code !== EXIT.invalidRun) throw failure(args, result);
  const summary = JSON.parse(readFileSync(join(out, 'summary.json'), 'utf8')) as ReplaySummary;
  return { summary, code: result.code };
}
