/** Checkpoints of one share of a run, from which `mytape replay --resume` goes on, whatever ended the run. */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MytapeError } from '../errors.ts';
import type { Observer } from '../replay/outcome.ts';
import type { Done } from '../replay/resume.ts';
import { addAccounts, ClosedSessions } from '../report/checkpoint.ts';
import { mergeTallies, type Tally } from '../report/tally.ts';
import type { TransportStats } from '../transport/transport.ts';
import { LoggedSessions, SessionLog } from './checkpoint-log.ts';

const CHECKPOINT_MS = 1_000;

/** Histograms take milliseconds to encode: what need not add up is counted anew only so often, in checkpoints. */
const WHOLE_EVERY = 10;

/** Checkpoints and logs have names of this form in the run's folder. */
const FILES = /^(checkpoint-\d+\.json|sessions-\d+\.\d+\.log)(\.tmp)?$/;

export function isCheckpointFile(name: string): boolean {
  return FILES.test(name);
}

/** What of a run a share is told. Plain data. */
export interface CheckpointJob {
  /** The run's. */
  folder: string;
  /** Goes on where the checkpoints in the folder are. */
  resume: boolean;
}

/** What was counted of a share. */
export interface Counted {
  tally: Tally;
  transport: TransportStats;
}

/** checkpoint-SHARE.json. */
interface CheckpointFile extends Counted {
  /** Times that the recording was replayed before. */
  pass: number;
  /** Number of the log: sessions-SHARE.LOG.log, of this pass alone. */
  log: number;
  /** Sessions that are closed by then in the log are in the tally. */
  countedOctets: number;
  /** Since the run began, without the time that it stood still. */
  elapsedMs: number;
  /** What runs had counted that this one went on with, which is not in the tally. */
  before?: Counted | undefined;
}

const checkpointPath = (folder: string, share: number) => join(folder, `checkpoint-${share}.json`);

const logPath = (folder: string, share: number, log: number) => join(folder, `sessions-${share}.${log}.log`);

function readCheckpoint(folder: string, share: number): CheckpointFile {
  const path = checkpointPath(folder, share);
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as CheckpointFile;
  } catch (cause) {
    throw new MytapeError(
      'bad-file',
      `cannot read ${path}: ${(cause as Error).message}: this run cannot be resumed, begin it anew`,
      { cause },
    );
  }
}

/** How far a share had come when its run was interrupted. */
export interface ShareLeft {
  pass: number;
  elapsedMs: number;
  done: Done;
}

/** Throws where the folder has no checkpoint of this share. */
export function readShareLeft(folder: string, share: number, copies: number): ShareLeft {
  const { pass, elapsedMs, log, countedOctets } = readCheckpoint(folder, share);
  return { pass, elapsedMs, done: LoggedSessions.read(logPath(folder, share, log), copies, countedOctets) };
}

/** Writes down what a share begins and closes, and, each second, the rest of what it has counted. */
export class Checkpoints {
  /** To be told of the run, behind whoever counts. */
  readonly observers: readonly Observer[];
  readonly #folder: string;
  readonly #share: number;
  readonly #copies: number;
  readonly #count: () => Counted;
  readonly #say: (line: string) => void;
  readonly #closed: ClosedSessions;
  #before: Counted | undefined;
  readonly #beforeMs: number;
  #done: LoggedSessions | undefined;
  #begun: LoggedSessions;
  #log: SessionLog;
  #logNumber: number;
  #countedOctets = 0;
  #pass: number;
  #startedMs: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #whole: Counted;
  #saves = 0;
  /** Something could not be written: nobody can go on from here. */
  #broken = false;

  /**
   * Makes the files. `count`: what this run has counted of the share so far. `say` is told where no more can be written.
   * Throws where that is so from the beginning, or there is no checkpoint to resume from.
   */
  constructor(
    { folder, resume }: CheckpointJob,
    share: number,
    copies: number,
    count: () => Counted,
    say: (line: string) => void,
  ) {
    this.#folder = folder;
    this.#share = share;
    this.#copies = copies;
    this.#count = count;
    this.#say = say;
    this.#closed = new ClosedSessions(copies, (id, accounts) =>
      this.#write((log) => log.closed(id, accounts)),
    );
    this.observers = [this.#closed, { begun: ({ id }, copy) => this.#noteBegun(id, copy) }];
    this.#begun = new LoggedSessions(copies);
    this.#whole = count();
    const left = resume ? readCheckpoint(folder, share) : undefined;
    this.#beforeMs = left?.elapsedMs ?? 0;
    this.#pass = left?.pass ?? 0;
    this.#logNumber = left === undefined ? 0 : left.log + 1;
    this.#log = new SessionLog(logPath(folder, share, this.#logNumber));
    if (left !== undefined) {
      const path = logPath(folder, share, left.log);
      this.#done = LoggedSessions.read(path, copies, left.countedOctets);
      addAccounts(left.tally, this.#done.accounts);
      this.#before = sumOf(left.before, left);
      this.#countedOctets = this.#done.writeTo(this.#log);
      this.#save();
      rmSync(path);
    } else this.#save();
  }

  /** What a run before this one has done of this pass. */
  get done(): Done | undefined {
    return this.#done;
  }

  /** How often this share has replayed the whole recording. */
  get pass(): number {
    return this.#pass;
  }

  /** What was counted by those runs, and this one. */
  total(): Counted {
    return sumOf(this.#before, this.#count());
  }

  begin(): void {
    this.#startedMs ??= performance.now();
    this.#timer ??= setInterval(() => {
      this.#countedOctets = this.#log.octets;
      if (++this.#saves % WHOLE_EVERY === 0) this.#whole = this.#count();
      this.#guarded(() => this.#save());
    }, CHECKPOINT_MS);
  }

  /** The recording was read to its end, and all is over. The next pass begins the sessions anew. */
  passed(): void {
    this.#whole = this.#count();
    this.#closed.settle(this.#whole.tally);
    this.#pass++;
    this.#done = undefined;
    this.#begun = new LoggedSessions(this.#copies);
    this.#guarded(() => {
      const before = this.#log;
      const path = logPath(this.#folder, this.#share, this.#logNumber++);
      this.#log = new SessionLog(logPath(this.#folder, this.#share, this.#logNumber));
      this.#countedOctets = 0;
      this.#save();
      before.close();
      rmSync(path);
    });
  }

  /** Nothing is written any more. */
  close(): void {
    clearInterval(this.#timer);
    this.#countedOctets = this.#log.octets;
    this.#whole = this.#count();
    this.#guarded(() => this.#save());
    this.#log.close();
  }

  #noteBegun(id: number, copy: number): void {
    if (this.#begun.begin(id, copy)) this.#write((log) => log.begun(id, copy));
  }

  #write(record: (log: SessionLog) => void): void {
    this.#guarded(() => record(this.#log));
  }

  #save(): void {
    const { tally, transport } = this.#whole;
    const path = checkpointPath(this.#folder, this.#share);
    const file: CheckpointFile = {
      pass: this.#pass,
      log: this.#logNumber,
      countedOctets: this.#countedOctets,
      elapsedMs: this.#beforeMs + (this.#startedMs === undefined ? 0 : performance.now() - this.#startedMs),
      before: this.#before,
      tally: this.#closed.within(tally),
      transport,
    };
    writeFileSync(`${path}.tmp`, JSON.stringify(file), { mode: 0o600 });
    renameSync(`${path}.tmp`, path);
  }

  /** A run goes on without checkpoints rather than not at all; but then it must not be resumed by an old one. */
  #guarded(write: () => void): void {
    if (this.#broken) return;
    try {
      write();
    } catch (error) {
      this.#broken = true;
      rmSync(checkpointPath(this.#folder, this.#share), { force: true });
      this.#say(
        `cannot write a checkpoint into ${this.#folder}: ${(error as Error).message}: this run cannot be resumed`,
      );
    }
  }
}

function sumOf(a: Counted | undefined, b: Counted): Counted {
  if (a === undefined) return { tally: b.tally, transport: b.transport };
  const [one, other] = [a.transport, b.transport];
  return {
    tally: mergeTallies([a.tally, b.tally]),
    transport: {
      packetsOut: one.packetsOut + other.packetsOut,
      packetsIn: one.packetsIn + other.packetsIn,
      retransmitted: one.retransmitted + other.retransmitted,
      captureDropped: one.captureDropped + other.captureDropped,
    },
  };
}
