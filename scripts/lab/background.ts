import type { ChildProcess } from 'node:child_process';
import { MytapeError } from '../../src/errors.ts';
import { collect, type Lab, type LabSpawnOptions, type RunResult } from './lab.ts';
import type { Place } from './network.ts';

/** Ends what would otherwise hang: on a machine that is busy with other things a start takes its time. */
const READY_MS = 60_000;
const STOP_MS = 30_000;

/** A process that runs beside others until it is told to stop: a capture, an intercept. */
export class Background {
  readonly #what: string;
  readonly #child: ChildProcess;
  readonly #end: Promise<RunResult>;

  private constructor(what: string, child: ChildProcess) {
    this.#what = what;
    this.#child = child;
    this.#end = collect(child);
  }

  /** Resolves when what it says on stderr matches `ready`; rejects, with what it said, where it ends before. */
  static async start(
    lab: Lab,
    host: Place,
    command: readonly string[],
    ready: RegExp,
    options: LabSpawnOptions = {},
  ): Promise<Background> {
    const [program, ...args] = command;
    const child = lab.spawn(host, program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    const background = new Background(command.join(' '), child);
    await background.#ready(ready);
    return background;
  }

  async #ready(pattern: RegExp): Promise<void> {
    let said = '';
    let timer: NodeJS.Timeout | undefined;
    const heard = new Promise<string>((resolve) => {
      this.#child.stderr?.on('data', (chunk: Buffer) => {
        said += chunk.toString('utf8');
        if (pattern.test(said)) resolve('ready');
      });
      timer = setTimeout(() => resolve(`is not ready after ${READY_MS / 1000} s`), READY_MS);
    });
    const ended = this.#end.then((result) => `ended with exit code ${result.code}`);
    const outcome = await Promise.race([heard, ended]);
    clearTimeout(timer);
    if (outcome === 'ready') return;
    this.#child.kill('SIGKILL');
    throw new MytapeError('system-call', `${this.#what} ${outcome}:\n${said}`);
  }

  /** Process id of the command itself. */
  get pid(): number {
    return this.#child.pid!;
  }

  /** Resolves when it has ended, by itself or by `stop`. */
  get ended(): Promise<RunResult> {
    return this.#end;
  }

  async stop(signal: NodeJS.Signals = 'SIGINT'): Promise<RunResult> {
    this.#child.kill(signal);
    const late = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS);
    const result = await this.#end;
    clearTimeout(late);
    return result;
  }
}
