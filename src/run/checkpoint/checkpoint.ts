/** Checkpoints of one share of a run, from which `mytape replay --resume` goes on, whatever ended the run. */
import { rmSync } from 'node:fs';
import { basename } from 'node:path';
import { MytapeError } from '../../errors.ts';
import type { FlowEvent, RecordedRequest } from '../../flow/events.ts';
import type { Observer } from '../../replay/outcome.ts';
import type { Done } from '../../replay/resume.ts';
import {
  type Accounts,
  accountsOf,
  addAccounts,
  emptyAccounts,
  withAccounts,
} from '../../report/accounts.ts';
import { ClosedSessions } from '../../report/closed-sessions.ts';
import { addStall, noStalls } from '../../report/tally.ts';
import type { CheckpointJob } from '../job.ts';
import { removeDurablyLater, writeDurably, writeDurablyLater } from './durable.ts';
import { bootId, type CheckpointFile, type Counted, checkpointPath, logPath, sumOfCounted } from './file.ts';
import { readShareLeft, type ShareLeft, type ShareOfRun } from './left.ts';
import { SessionLog } from './log.ts';
import { absolveStage, condemnStage, NO_STAGE, stageOf } from './log-stage.ts';
import { LoggedSessions } from './logged-sessions.ts';
import { seal } from './sealed.ts';

const CHECKPOINT_MS = 1_000;

/** Histograms take milliseconds to encode: what need not add up is counted anew only so often, in checkpoints. */
const WHOLE_EVERY = 10;

/**
 * A checkpoint allows so many sessions beyond the last that was begun: at least these, or twice as many as began since the checkpoint
 * before. After a power failure as many may be lost that were not begun.
 */
const LEAST_AHEAD = 32;

/** A disk that takes no write for so long stalls: nobody waits for it any more. */
const STALL_MS = 1_000;

/**
 * Writes down what a share begins and closes, and, each second, the rest of what it has counted.
 *
 * What is promised: no copy that this share has begun is ever begun again, whatever ends the process or the host. The log has each copy
 * before it connects, which is enough where only the process ends. A host that ends takes along what was not synced: so each checkpoint has
 * a horizon, the highest session that may begin before the next one is on the disk, and whoever goes on takes all up to there that the log
 * does not name for lost.
 *
 * While sessions run, nothing here waits for the disk on their thread. The reader does (`gate`), for a horizon, and no longer than STALL_MS:
 * a disk that stalls costs what it was to hold, never the run.
 */
export class Checkpoints {
  /** To be told of the run, after whoever counts. */
  readonly observers: readonly Observer[];
  readonly #of: ShareOfRun;
  readonly #count: () => Counted;
  readonly #say: (line: string) => void;
  readonly #closed: ClosedSessions;
  readonly #boot = bootId();
  /** Of runs before this one, without this pass. */
  readonly #before: Counted | undefined;
  readonly #beforeMs: number;
  /** What they had closed of the pass in which this run went on. */
  readonly #accountsBefore: Accounts;
  #done: LoggedSessions | undefined;
  /** What this run has begun of this pass. */
  #sessions: LoggedSessions;
  #log: SessionLog;
  #pass: number;
  /** That of the checkpoint on the disk. */
  #savedPass: number;
  /** What this run has counted in passes that are over, and those before it in the first of them. */
  #settled = emptyAccounts();
  #startedMs: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #whole: Counted;
  #saves = 0;
  /** The highest session that was begun, and that at the last checkpoint. */
  #highest = -1;
  #highestBefore = -1;
  /** On the disk. */
  #horizon = -1;
  readonly #stage: string;
  /** The checkpoint that is written off this thread, and since when. */
  #saving: Promise<void> | undefined;
  #savingSince = 0;
  /** It was said that it takes too long. */
  #isStalled = false;
  /** How often the disk took no writes. */
  readonly stalls = noStalls();
  /** Something could not be written: nobody can go on from here. */
  #broken = false;
  /** Resolves when the checkpoint is gone that nobody is to go on from. */
  #removed: Promise<void> | undefined;

  /**
   * Makes the files. `count` returns what this run has counted of the share so far. `say` is called where records of runs before this one
   * are missing, and where no more can be written. Throws where that is so from the beginning, or there is no checkpoint to resume from.
   */
  constructor(
    { folder, run, resume }: CheckpointJob,
    share: number,
    copies: number,
    count: () => Counted,
    say: (line: string) => void,
  ) {
    this.#of = { folder, run, share, copies };
    this.#stage = stageOf(run);
    this.#count = count;
    this.#say = say;
    this.#closed = new ClosedSessions(copies, (id, accounts) =>
      this.#guarded(() => this.#log.closed(id, accounts)),
    );
    this.observers = [
      this.#closed,
      {
        begun: ({ id }, copy) => this.#noteBegun(id, copy),
        opened: ({ id }, copy) => this.#noteOpened(id, copy),
      },
    ];
    this.#whole = count();
    const left = resume ? readShareLeft(this.#of) : undefined;
    this.#beforeMs = left?.file.elapsedMs ?? 0;
    this.#pass = left?.file.pass ?? 0;
    this.#savedPass = this.#pass;
    // Never lower than before: should the log be damaged, nobody knows but by this what those runs may have begun.
    this.#horizon = left?.file.horizon ?? -1;
    this.#before = left && sumOfCounted(left.file.before, left.file);
    this.#done = left?.done;
    this.#accountsBefore = left?.done.accounts ?? emptyAccounts();
    this.#sessions = new LoggedSessions(copies);
    try {
      this.#log = left === undefined ? this.#newLog() : this.#sameLog(left);
      this.#saveNow();
    } catch (cause) {
      const next = 'mend that, or choose another folder by --out';
      throw new MytapeError(
        'disk',
        `cannot write a checkpoint into ${folder}: ${(cause as Error).message} (${next})`,
        {
          cause,
        },
      );
    }
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
    const { tally, transport } = sumOfCounted(this.#before, this.#count());
    const accounts = accountsOf(tally);
    addAccounts(accounts, this.#accountsBefore);
    return { tally: withAccounts(tally, accounts), transport };
  }

  begin(): void {
    this.#startedMs ??= performance.now();
    this.#timer ??= setInterval(() => this.#saveLater(), CHECKPOINT_MS);
  }

  /** `events`, which begin no session before a horizon beyond it is on the disk, or the disk stalls. They are read ahead of what is due. */
  async *gate<Request extends RecordedRequest>(
    events: AsyncIterable<readonly FlowEvent<Request>[]>,
  ): AsyncGenerator<readonly FlowEvent<Request>[]> {
    for await (const batch of events) {
      for (const { type, session } of batch)
        if (type === 'open') this.#highest = Math.max(this.#highest, session.id);
      if (this.#highest > this.#horizon) await this.#widen();
      yield batch;
    }
  }

  async #widen(): Promise<void> {
    const until = performance.now() + STALL_MS;
    while (this.#highest > this.#horizon && !this.#broken && !this.#isStalled) {
      const leftMs = until - performance.now();
      if (leftMs <= 0) break;
      this.#saveLater();
      const saving = this.#saving;
      let timer: NodeJS.Timeout | undefined;
      const patience = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, leftMs);
      });
      await Promise.race([saving, patience]);
      clearTimeout(timer);
    }
  }

  /** The recording was read to its end, and all is over. The next pass begins the sessions anew. */
  async passed(): Promise<void> {
    await this.#saving;
    this.#tellStall();
    this.#whole = this.#count();
    this.#settled = accountsOf(this.#whole.tally);
    // The log that had them goes.
    addAccounts(this.#settled, this.#accountsBefore);
    this.#closed.clear();
    this.#done = undefined;
    this.#sessions = new LoggedSessions(this.#of.copies);
    this.#guarded(() => {
      const before = this.#log;
      const path = this.#logPath;
      this.#pass++;
      this.#log = this.#newLog();
      this.#highest = -1;
      this.#highestBefore = -1;
      this.#horizon = -1;
      try {
        this.#saveNow();
      } finally {
        before.close();
      }
      rmSync(path);
    });
  }

  /** Nothing is written any more. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#tellStall();
    await this.#saving;
    this.#whole = this.#count();
    // All of it is on the disk then.
    this.#guarded(() => this.#saveNow(NO_STAGE));
    await this.#removed;
    this.#log.close();
  }

  get #logPath(): string {
    return logPath(this.#of.folder, this.#of.share, this.#pass);
  }

  #newLog(): SessionLog {
    const { run, share } = this.#of;
    return SessionLog.create(this.#logPath, { run, share, pass: this.#pass }, this.#stage);
  }

  #sameLog({ file, log, logPath, logOctets, doubt }: ShareLeft): SessionLog {
    if (doubt !== undefined)
      this.#say(
        `${doubt}. Sessions up to ${file.horizon} that it does not name may have been replayed: they are lost, unknown-after-crash, ` +
          'and not replayed a second time',
      );
    const horizon = doubt === undefined ? undefined : file.horizon;
    return SessionLog.resume(logPath, log, this.#stage, { octets: logOctets, horizon });
  }

  #noteBegun(id: number, copy: number): void {
    if (!this.#sessions.begin(id, copy)) return;
    this.#highest = Math.max(this.#highest, id);
    this.#guarded(() => this.#log.begun(id, copy));
  }

  #noteOpened(id: number, copy: number): void {
    // The engine says it anew of sessions that a run before this one had opened.
    if (this.#done?.wasOpened(id, copy) === true || !this.#sessions.open(id, copy)) return;
    this.#guarded(() => this.#log.opened(id, copy));
  }

  /** As it is now, but for what need not add up. */
  #describe(stage = this.#stage): CheckpointFile {
    const { tally, transport } = this.#whole;
    const begun = this.#highestBefore < 0 ? 0 : this.#highest - this.#highestBefore;
    const ahead = Math.max(LEAST_AHEAD, 2 * begun);
    this.#highestBefore = this.#highest;
    const { run, share } = this.#of;
    return {
      run,
      share,
      pass: this.#pass,
      logOctets: this.#log.octets,
      horizon: Math.max(this.#horizon, this.#highest + ahead),
      boot: this.#boot,
      stage,
      elapsedMs: this.#beforeMs + (this.#startedMs === undefined ? 0 : performance.now() - this.#startedMs),
      before: this.#before,
      tally: withAccounts(tally, this.#settled),
      transport,
    };
  }

  /** Returns when it is on the disk. */
  #saveNow(stage?: string): void {
    const file = this.#describe(stage);
    this.#log.syncNow();
    writeDurably(checkpointPath(this.#of.folder, this.#of.share), seal(file));
    this.#savedPass = file.pass;
    this.#horizon = file.horizon;
  }

  /** Without waiting for the disk, which takes milliseconds: commands are due meanwhile. */
  #saveLater(): void {
    if (this.#saving !== undefined) this.#tellStall();
    if (this.#broken || this.#saving !== undefined) return;
    this.#savingSince = performance.now();
    this.#saving = this.#save()
      .catch((error: Error) => this.#breakOff(error))
      .finally(() => {
        this.#saving = undefined;
        this.#countStall(performance.now() - this.#savingSince);
      });
  }

  /** Says so once where the disk takes no writes, while it takes none. */
  #tellStall(): void {
    const ms = performance.now() - this.#savingSince;
    if (this.#saving === undefined || this.#isStalled || ms < STALL_MS) return;
    this.#isStalled = true;
    this.#say(
      `the disk of ${this.#of.folder} takes no writes. The run goes on without it; if this host goes down before the disk recovers, a resumed run ` +
        'may send some sessions twice',
    );
  }

  #countStall(ms: number): void {
    if (ms < STALL_MS) return;
    addStall(this.stalls, ms);
    if (this.#isStalled)
      this.#say(`the disk of ${this.#of.folder} takes writes again, after ${Math.round(ms / 1000)} s`);
    this.#isStalled = false;
  }

  async #save(): Promise<void> {
    if (++this.#saves % WHOLE_EVERY === 0) this.#whole = this.#count();
    const file = this.#describe();
    const text = seal(file);
    await this.#log.sync();
    const path = checkpointPath(this.#of.folder, this.#of.share);
    await writeDurablyLater(path, text);
    this.#horizon = file.horizon;
  }

  #guarded(write: () => void): void {
    if (this.#broken) return;
    try {
      write();
    } catch (error) {
      this.#breakOff(error as Error);
    }
  }

  /** A run goes on without checkpoints rather than not at all; but then it must not be resumed by an old one. */
  #breakOff({ message }: Error): void {
    if (this.#broken) return;
    this.#broken = true;
    const { folder, share } = this.#of;
    // Between two passes either log may be the one that the checkpoint on the disk names.
    const passes = new Set([this.#savedPass, this.#pass]);
    const logs = Array.from(passes, (pass) => basename(logPath(folder, share, pass)));
    // In memory, whatever becomes of the disk.
    try {
      for (const log of logs) condemnStage(folder, this.#stage, log);
    } catch {
      // What is there is older than what follows: `say` warns of it.
    }
    // Behind one that is being written.
    this.#removed = Promise.resolve(this.#saving)
      .then(() => removeDurablyLater(checkpointPath(folder, share)))
      .then(() => {
        for (const log of logs) absolveStage(folder, this.#stage, log);
      })
      .catch(() => {});
    this.#say(`cannot write a checkpoint into ${folder}: ${message}: this run can't be resumed`);
  }
}
