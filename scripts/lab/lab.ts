import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import type { Server as NetServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MytapeError } from '../../src/errors.ts';
import {
  ADDRESSES,
  CLIENT_ADDRESSES,
  FIRST_UID,
  makeNetwork,
  namespaceOf,
  namespacesOf,
  type Place,
  removeNetwork,
} from './network.ts';
import { Server } from './server.ts';
import type { BrandName } from './servers/brands.ts';
import { type LabState, lockName, readState, removeState, writeState } from './state.ts';

export const DEFAULT_NAME = 'mytape';
const RUN_FOLDER = 'mytape-lab-';

export type ServerHost = 'online' | 'target';

export interface LabOptions {
  /** Prefix of the namespaces, default `mytape`: labs of different names never meet. */
  name?: string;
  /** Which of the servers to start, default both. */
  servers?: readonly ServerHost[];
  /** Brand of each, default `mariadb`: the machine's own. */
  online?: BrandName;
  target?: BrandName;
}

export interface LabSpawnOptions extends SpawnOptions {
  /** Host `client` only: speak from this one of CLIENT_ADDRESSES. The process then runs as a user of no rights. */
  from?: string;
}

export interface RunResult {
  stdout: string;
  stderr: string;
  /** Exit code, 128 + signal number where a signal ended it. */
  code: number;
}

/** Labs that this process must take down before it ends. */
const owned = new Set<Lab>();

/**
 * Four hosts on one machine: `client` and `online` as in production, `target` and `assistant` as on the test side. All of it
 * (namespaces, servers, whatever was started inside, the run folder) goes with `down`, or with the process, or, after a
 * kill -9 of the process, with the next `up` of the same name.
 */
export class Lab {
  readonly name: string;
  readonly runFolder: string;
  readonly addresses = ADDRESSES;
  readonly #servers: Record<ServerHost, Server>;
  #lock: NetServer | undefined;

  private constructor(state: LabState, lock: NetServer | undefined) {
    this.name = state.name;
    this.runFolder = state.runFolder;
    this.#lock = lock;
    const server = (host: ServerHost) =>
      new Server(this.namespace(host), join(state.runFolder, host), state.brands[host]);
    this.#servers = { online: server('online'), target: server('target') };
  }

  static async up(options: LabOptions = {}): Promise<Lab> {
    const name = options.name ?? DEFAULT_NAME;
    checkName(name);
    const lock = await lockName(name);
    const earlier = readState(name);
    if (earlier?.background) {
      lock.close();
      throw new MytapeError(
        'refused',
        `lab ${name} is already up (npm run lab -- down --name ${name} ends it)`,
      );
    }
    if (earlier) clear(earlier);
    if (namespacesOf(name).length > 0) {
      lock.close();
      throw new MytapeError(
        'refused',
        `namespaces ${namespacesOf(name).join(', ')} exist and are no lab's of ours: choose another --name, or delete them`,
      );
    }
    const runFolder = mkdtempSync(join(tmpdir(), RUN_FOLDER));
    const brands = { online: options.online ?? 'mariadb', target: options.target ?? 'mariadb' };
    const state: LabState = { name, owner: process.pid, background: false, runFolder, brands };
    writeState(state);
    const lab = new Lab(state, lock);
    cleanUpWithProcess(lab);
    try {
      makeNetwork(name);
      await lab.#startServers(options.servers ?? ['online', 'target']);
      return lab;
    } catch (error) {
      await lab.down();
      throw error;
    }
  }

  async #startServers(hosts: readonly ServerHost[]): Promise<void> {
    for (const host of hosts) this.#servers[host].install();
    await Promise.all(hosts.map((host) => this.#servers[host].start()));
  }

  /** A lab left in the background by `npm run lab -- up`. It stays up when this process ends. */
  static attach(name: string): Lab {
    const state = readState(name);
    if (state === undefined) throw new MytapeError('usage', `lab ${name} is not up (npm run lab -- up)`);
    return new Lab(state, undefined);
  }

  namespace(host: Place): string {
    return namespaceOf(this.name, host);
  }

  server(host: ServerHost): Server {
    return this.#servers[host];
  }

  /** Starts a process on a host. Its id is the command's own, not that of a wrapper. */
  spawn(host: Place, command: string, args: readonly string[], options: LabSpawnOptions = {}): ChildProcess {
    const { from, ...rest } = options;
    const enter = ['netns', 'exec', this.namespace(host)];
    if (from !== undefined) enter.push('setpriv', ...asUserSpeakingFrom(host, from));
    return spawn('ip', [...enter, command, ...args], rest);
  }

  /** Runs a command on a host to its end. A failing command is a result, not an error. */
  run(
    host: Place,
    command: string,
    args: readonly string[],
    options: LabSpawnOptions = {},
  ): Promise<RunResult> {
    const child = this.spawn(host, command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    return collect(child);
  }

  /** Leaves the lab running when this process ends; `attach` finds it again. */
  leaveInBackground(): void {
    const { name, runFolder } = this;
    const brands = {
      online: this.#servers.online.brand.name,
      target: this.#servers.target.brand.name,
    };
    writeState({ name, owner: process.pid, background: true, runFolder, brands });
    owned.delete(this);
    this.#release();
  }

  async down(): Promise<void> {
    this.downNow();
  }

  /** The same, blocking, for `exit` handlers. */
  downNow(): void {
    this.#servers.online.disconnect();
    this.#servers.target.disconnect();
    const state = readState(this.name);
    if (state?.runFolder === this.runFolder) clear(state);
    owned.delete(this);
    this.#release();
  }

  #release(): void {
    this.#servers.online.disconnect();
    this.#servers.target.disconnect();
    this.#lock?.close();
    this.#lock = undefined;
  }
}

/** Everything that a child says, and how it ended. Rejects only where it could not be started. */
export function collect(child: ChildProcess): Promise<RunResult> {
  return new Promise((resolve, reject) => {
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk));
    child.once('error', reject);
    child.once('close', (code, signal) => {
      resolve({
        stdout: Buffer.concat(stdout).toString('utf8'),
        stderr: Buffer.concat(stderr).toString('utf8'),
        code: code ?? 128 + (signal === 'SIGINT' ? 2 : signal === 'SIGTERM' ? 15 : 9),
      });
    });
  });
}

/** The name becomes part of file names and of commands' arguments. */
function checkName(name: string): void {
  if (!/^[a-z][a-z0-9-]{0,30}$/.test(name)) {
    throw new MytapeError(
      'usage',
      `lab name ${JSON.stringify(name)}: small letters, digits and -, at most 31`,
    );
  }
}

function asUserSpeakingFrom(host: Place, address: string): string[] {
  const index = CLIENT_ADDRESSES.indexOf(address);
  if (host !== 'client' || index < 0) {
    throw new MytapeError('usage', `lab: ${host} does not hold client address ${address}`);
  }
  return [`--reuid=${FIRST_UID + index}`, '--clear-groups', '--'];
}

function clear(state: LabState): void {
  removeNetwork(state.name);
  const own = state.runFolder.startsWith(join(tmpdir(), RUN_FOLDER));
  if (own) rmSync(state.runFolder, { recursive: true, force: true });
  removeState(state.name);
}

let watchingOurEnd = false;

function cleanUpWithProcess(lab: Lab): void {
  if (!watchingOurEnd) {
    watchingOurEnd = true;
    process.on('exit', downAll);
    for (const [signal, number] of [
      ['SIGINT', 2],
      ['SIGTERM', 15],
      ['SIGHUP', 1],
    ] as const) {
      process.once(signal, () => process.exit(128 + number));
    }
  }
  owned.add(lab);
}

function downAll(): void {
  for (const lab of owned) lab.downNow();
}
