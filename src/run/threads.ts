import { Worker } from 'node:worker_threads';
import { type ErrorCode, MytapeError } from '../errors.ts';
import type { Share } from '../replay/share.ts';
import type { Lines } from '../report/output.ts';
import { latenessOf, type Percentiles } from '../report/percentiles.ts';
import type { Anchor, OpeningJob, Progress, ReplayJob, ShareResult, Steering, StopCause } from './job.ts';
import { ReplayShare } from './share.ts';
import type { FromWorker, ToWorker } from './worker.ts';

/** Before it has begun. */
const NO_PROGRESS: Progress = {
  answered: 0,
  lost: 0,
  open: 0,
  reconnected: 0,
  sentTo: 0,
  restsUntilMs: 0,
  restsTo: undefined,
  captured: 0,
};

/** All shares of a run, in as many threads. */
export interface ReplayThreads {
  readonly progress: Progress;
  /** What is to be run, before the first `run`: the job that was opened, with all that the archive had to say. */
  prepare(job: ReplayJob): void;
  /** Replays once, to the end. Returns why the recording could not be read to its end, if it could not. */
  run(anchor: Anchor): Promise<string | undefined>;
  /** What all that was run amounts to. Frees everything. */
  end(): Promise<ShareResult[]>;
  /** All threads give up their capabilities: what is opened is open. */
  shed(): Promise<void>;
  /** Ours so far. */
  lateness(): Promise<Percentiles>;
  steer(steering: Steering): void;
  /** Resolves to how long what is under way may take at most, ms; undefined: that is not known. */
  stop(cause?: StopCause): Promise<number | undefined>;
  cut(): void;
  /** Frees what was opened, where `run` is not to be called. */
  close(): Promise<void>;
}

/** Makes everything ready to send, in this thread where one is enough and it is not `apart`. Throws where a transport cannot be had. */
export async function openThreads(
  job: OpeningJob,
  threads: number,
  say: (lines: Lines) => void,
  apart = false,
): Promise<ReplayThreads> {
  if (threads > 1 || apart) return WorkerThreads.open(job, threads, say);
  const share = await ReplayShare.open(job, { index: 0, of: 1 }, say);
  return {
    get progress() {
      return share.progress;
    },
    prepare: (whole) => share.prepare(whole),
    run: (anchor) => share.run(anchor),
    end: async () => [await share.end()],
    // This thread's go with the process's.
    shed: async () => {},
    lateness: async () => latenessOf([share.lateness]),
    steer: (steering) => share.steer(steering),
    stop: async (cause) => share.stop(cause),
    cut: () => share.cut(),
    close: () => share.close(),
  };
}

class WorkerThreads implements ReplayThreads {
  readonly #threads: ShareThread[];

  private constructor(threads: ShareThread[]) {
    this.#threads = threads;
  }

  static async open(job: OpeningJob, of: number, say: (lines: Lines) => void): Promise<WorkerThreads> {
    const threads: ShareThread[] = [];
    // What all of them have to say is said once.
    const said = new Set<string>();
    const sayOnce = (lines: Lines) => {
      const line = String(lines);
      if (!said.has(line)) say(lines);
      said.add(line);
    };
    const whole = new WorkerThreads(threads);
    try {
      for (let index = 0; index < of; index++) {
        const thread = new ShareThread(job, { index, of }, sayOnce);
        threads.push(thread);
        await thread.ready;
      }
    } catch (error) {
      await whole.close();
      throw error;
    }
    return whole;
  }

  get progress(): Progress {
    const sum = { ...NO_PROGRESS, restsUntilMs: Number.POSITIVE_INFINITY };
    for (const { progress } of this.#threads) {
      sum.answered += progress.answered;
      sum.lost += progress.lost;
      sum.open += progress.open;
      sum.captured += progress.captured;
      sum.reconnected += progress.reconnected;
      sum.sentTo = Math.max(sum.sentTo, progress.sentTo);
      if (progress.restsUntilMs >= sum.restsUntilMs) continue;
      sum.restsUntilMs = progress.restsUntilMs;
      sum.restsTo = progress.restsTo;
    }
    return sum;
  }

  prepare(job: ReplayJob): void {
    this.#all({ type: 'prepare', job });
  }

  async run(anchor: Anchor): Promise<string | undefined> {
    const unread = await this.#together(this.#threads.map((thread) => thread.run(anchor)));
    return unread.find((why) => why !== undefined);
  }

  end(): Promise<ShareResult[]> {
    this.#all({ type: 'end' });
    return this.#together(this.#threads.map((thread) => thread.result));
  }

  async #together<T>(each: Promise<T>[]): Promise<T[]> {
    try {
      return await Promise.all(each);
    } catch (error) {
      // One of them failed: the others' part alone is no run.
      this.cut();
      this.#all({ type: 'close' });
      await Promise.all(this.#threads.map((thread) => thread.ended));
      throw error;
    }
  }

  async shed(): Promise<void> {
    await this.#together(this.#threads.map((thread) => thread.shed()));
  }

  async lateness(): Promise<Percentiles> {
    return latenessOf(await Promise.all(this.#threads.map((thread) => thread.lateness())));
  }

  steer(steering: Steering): void {
    this.#all({ type: 'steer', steering });
  }

  async stop(cause: StopCause = 'interrupted'): Promise<number | undefined> {
    const each = await Promise.all(this.#threads.map((thread) => thread.stop(cause)));
    const known = each.filter((ms) => ms !== undefined);
    return known.length === 0 ? undefined : Math.max(...known);
  }

  cut(): void {
    this.#all({ type: 'cut' });
  }

  async close(): Promise<void> {
    this.#all({ type: 'close' });
    await Promise.all(this.#threads.map((thread) => thread.ended));
  }

  #all(message: ToWorker): void {
    for (const thread of this.#threads) thread.post(message);
  }
}

/** One worker thread, seen from the main thread. */
class ShareThread {
  progress: Progress = NO_PROGRESS;
  readonly ready: Promise<void>;
  readonly result: Promise<ShareResult>;
  readonly ended: Promise<void>;
  readonly #worker: Worker;
  #ran: (unread: string | undefined) => void = () => {};
  #shed: () => void = () => {};
  #stopping: (leftMs: number | undefined) => void = () => {};
  /** Who asked for it, in order. */
  #lateness: ((lateness: string) => void)[] = [];

  constructor(job: OpeningJob, share: Share, say: (lines: Lines) => void) {
    const worker = new Worker(new URL('./worker.js', import.meta.url), { workerData: { job, share } });
    this.#worker = worker;
    this.ended = new Promise((resolve) => worker.once('exit', () => resolve()));
    let done: (result: ShareResult) => void = () => {};
    let failed: (error: Error) => void = () => {};
    this.result = new Promise((resolve, reject) => {
      done = resolve;
      failed = reject;
    });
    // Whoever waits for `result` is told; before that `ready` says it.
    this.result.catch(() => {});
    this.ready = new Promise((resolve, reject) => {
      worker.on('message', (message: FromWorker) => {
        if (message.type === 'ready') resolve();
        else if (message.type === 'progress') this.progress = message.progress;
        else if (message.type === 'say') say(message.lines);
        else if (message.type === 'ran') this.#ran(message.unread);
        else if (message.type === 'shed') this.#shed();
        else if (message.type === 'stopping') this.#stopping(message.leftMs);
        else if (message.type === 'lateness') this.#lateness.shift()?.(message.lateness);
        else if (message.type === 'done') done(message.result);
        else failed(errorOf(message));
      });
      worker.once('error', (error) => failed(error));
      worker.once('exit', () => failed(new Error('a thread of the replay ended by itself')));
      this.result.catch(reject);
    });
  }

  run(anchor: Anchor): Promise<string | undefined> {
    this.post({ type: 'run', anchor });
    return new Promise((resolve, reject) => {
      this.#ran = resolve;
      this.result.catch(reject);
    });
  }

  shed(): Promise<void> {
    this.post({ type: 'shed' });
    return new Promise((resolve, reject) => {
      this.#shed = resolve;
      this.result.catch(reject);
    });
  }

  stop(cause: StopCause): Promise<number | undefined> {
    this.post({ type: 'stop', cause });
    return new Promise((resolve) => {
      this.#stopping = resolve;
      void this.ended.then(() => resolve(undefined));
    });
  }

  /** A histogram, encoded. */
  lateness(): Promise<string> {
    this.post({ type: 'lateness' });
    return new Promise((resolve) => {
      this.#lateness.push(resolve);
    });
  }

  post(message: ToWorker): void {
    this.#worker.postMessage(message);
  }
}

function errorOf({ code, message, stack }: FromWorker & { type: 'failed' }): Error {
  if (code !== undefined) return new MytapeError(code as ErrorCode, message);
  const error = new Error(message);
  if (stack !== undefined) error.stack = stack;
  return error;
}
