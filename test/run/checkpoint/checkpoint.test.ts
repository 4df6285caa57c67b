/** A run that ends at any moment, by a kill or with its host, and goes on: nothing is sent twice, and all numbers add up. */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { SummaryObserver } from '../../../src/report/counter.ts';
import { type Summary, summarize } from '../../../src/report/summary.ts';
import { mergeTallies } from '../../../src/report/tally.ts';
import { Checkpoints } from '../../../src/run/checkpoint/checkpoint.ts';
import {
  type CheckpointFile,
  checkpointPath,
  logPath,
  newRunId,
  readCheckpoint,
} from '../../../src/run/checkpoint/file.ts';
import { removeStage, stageOf } from '../../../src/run/checkpoint/log-stage.ts';
import { seal } from '../../../src/run/checkpoint/sealed.ts';
import { temporaryFolder } from '../../archive/support.ts';
import { Tape } from '../../replay/support/tape.ts';
import { type Run, replay, type Setup, sum } from '../../replay/support/world.ts';
import type { FakeConnection, Received } from '../../transport/fake.ts';

const SESSIONS = 100;
const STEPS = 3;
const EVERY_MS = 12;
const COPIES = 2;
const TRANSPORT = { packetsOut: 1, packetsIn: 2, retransmitted: 0, captureDropped: 0 };

/** How one life of a run ends. */
interface End {
  /** After so much of the run, virtual. */
  ms: number;
  /**
   * The process is killed; or the host ends too, and what was not synced is gone but for this part of it; or the process is killed, and then
   * somebody cuts the logs off, of which this part stays.
   */
  keeps: 'all' | { ofTheEnd: number } | { ofAll: number };
}

/** Its password is not known: it is skipped as a whole, and by each process anew. */
const isStranger = (session: number) => session % 10 === 5;
const STRANGERS = SESSIONS / 10;

function visits(): Tape {
  const tape = new Tape();
  for (let i = 0; i < SESSIONS; i++) {
    const at = i * EVERY_MS;
    const session = tape.session(at, { user: isStranger(i) ? 'stranger' : 'app' });
    for (let step = 0; step < STEPS; step++) session.query(at + 40 * (step + 1), `VISIT ${i} ${step}`);
    session.quit(at + 40 * (STEPS + 1));
  }
  return tape;
}

/** One run in a folder, by as many processes as it takes. */
class Lives {
  /** How often each statement of each copy, in each pass, came to the target. */
  readonly received = new Map<string, number>();
  readonly said: string[] = [];
  readonly #shares: number;
  readonly #loops: number;
  readonly #run = newRunId();
  #folder: string;
  #lives = 0;
  /** Shares that wait for what they read. */
  #reads = 0;

  constructor(folder: string, shares: number, loops = 1) {
    this.#loops = loops;
    this.#folder = join(folder, '0');
    mkdirSync(this.#folder);
    this.#shares = shares;
  }

  /** Until `end`, or to its own where that comes first: what it then says. */
  async live(end: End | undefined): Promise<Summary | undefined> {
    const folder = this.#folder;
    const next = `${folder}-${this.#lives}`;
    const opened = Array.from({ length: this.#shares }, (_, index) => {
      const own = new SummaryObserver(COPIES, true);
      const count = () => ({ tally: own.tally, transport: TRANSPORT });
      const job = { folder, run: this.#run, resume: this.#lives > 0 };
      const checkpoints = new Checkpoints(job, index, COPIES, count, (line) => this.said.push(line));
      return { checkpoints, observers: [own, ...checkpoints.observers] };
    });
    let isDead = false;
    let leftMs = end?.ms;
    while (!isDead && opened[0].checkpoints.pass < this.#loops) {
      const begin = () => {
        for (const { checkpoints } of opened) checkpoints.begin();
      };
      const die = ({ engines }: Run) => {
        cpSync(folder, next, { recursive: true });
        // What memory has outlives the process.
        cpSync(stageOf(this.#run), `${next}-stage`, { recursive: true });
        isDead = true;
        for (const engine of engines) engine.cut();
      };
      const { pass } = opened[0].checkpoints;
      const happens: Setup['at'] = [[1, begin]];
      if (leftMs !== undefined) happens.push([Math.max(2, leftMs), die]);
      const { elapsedMs } = await replay(visits(), {
        shares: this.#shares,
        copies: COPIES,
        isPart: true,
        target: { users: { app: 'secret' }, reacts: (...command) => this.#receive(pass, isDead, ...command) },
        engineOf: ({ index }) => ({ done: opened[index].checkpoints.done }),
        observersOf: ({ index }) => opened[index].observers,
        eventsOf: ({ index }, events) => this.#reading(opened[index].checkpoints.gate(events)),
        waits: () => this.#reads > 0,
        at: happens,
      });
      if (leftMs !== undefined) leftMs -= elapsedMs;
      if (!isDead) for (const { checkpoints } of opened) await checkpoints.passed();
    }
    for (const { checkpoints } of opened) await checkpoints.close();
    this.#lives++;
    if (isDead) {
      this.#folder = next;
      removeStage(this.#run);
      cpSync(`${next}-stage`, stageOf(this.#run), { recursive: true });
      if (end !== undefined && end.keeps !== 'all') this.#damage(end.keeps);
      return undefined;
    }
    const total = opened.map(({ checkpoints }) => checkpoints.total());
    return summarize(mergeTallies(total.map(({ tally }) => tally)), {
      packets: 0,
      dropped: 0,
      copies: COPIES,
      speed: 1,
      elapsedMs: 1,
      transport: TRANSPORT,
      interrupted: false,
    });
  }

  /** `events`, as one who knows when they are waited for. */
  async *#reading<T>(events: AsyncGenerator<T>): AsyncGenerator<T> {
    for (;;) {
      this.#reads++;
      const next = await events.next().finally(() => this.#reads--);
      if (next.done === true) return;
      yield next.value;
    }
  }

  #receive(pass: number, isDead: boolean, { sql }: Received, { identity }: FakeConnection): undefined {
    if (isDead || sql === '') return;
    const visit = `${sql} of copy ${identity.copy}, pass ${pass}`;
    this.received.set(visit, (this.received.get(visit) ?? 0) + 1);
  }

  /** Until each of `ends`, and then to its own, unless that comes first. `lived`: the ends that came. */
  async all(ends: readonly End[]): Promise<{ summary: Summary; lived: End[] }> {
    const lived: End[] = [];
    for (const end of ends) {
      const summary = await this.live(end);
      if (summary !== undefined) return { summary, lived };
      lived.push(end);
    }
    return { summary: (await this.live(undefined)) as Summary, lived };
  }

  /** What was synced is there, of what came after it a part; or even of that a part only. */
  #damage(keeps: { ofTheEnd: number } | { ofAll: number }): void {
    for (let share = 0; share < this.#shares; share++) {
      const file = readCheckpoint(this.#folder, share, this.#run);
      const log = logPath(this.#folder, share, file.pass);
      const { length } = readFileSync(log);
      if ('ofAll' in keeps) truncateSync(log, Math.floor(file.logOctets * keeps.ofAll));
      else {
        truncateSync(log, file.logOctets + Math.floor((length - file.logOctets) * keeps.ofTheEnd));
        edit(this.#folder, { ...file, boot: 'another' });
        removeStage(this.#run);
      }
    }
  }
}

function edit(folder: string, file: CheckpointFile): void {
  writeFileSync(checkpointPath(folder, file.share), seal(file));
}

function assertAddsUp({ captured, sessions, commands, divergence }: Summary, loops = 1): void {
  assert.deepEqual(
    [captured.sessions, captured.commands],
    [SESSIONS * loops, SESSIONS * (STEPS + 1) * loops],
  );
  assert.equal(sessions.scheduled, (SESSIONS - STRANGERS) * COPIES * loops);
  assert.deepEqual(sessions.skipped, { 'unknown-user': STRANGERS * COPIES * loops });
  assert.equal(sessions.scheduled, sessions.completed + sessions.lost);
  assert.equal(sessions.lost, sum(sessions.lost_by));
  assert.equal(commands.scheduled + sum(commands.skipped), captured.commands * COPIES);
  assert.equal(commands.scheduled, commands.answered + sum(commands.lost));
  assert.equal(commands.answered, sum(divergence));
  assert.equal(sum(commands.lost), sessions.lost * (STEPS + 1));
  // Those that are complete were opened, and so were some of those that were lost.
  assert.ok(sessions.opened >= sessions.completed && sessions.opened <= sessions.scheduled);
}

const part = fc.double({ min: 0, max: 0.999, noNaN: true });
const end = fc.record({
  ms: fc.integer({ min: 2, max: 2 * SESSIONS * EVERY_MS }),
  keeps: fc.oneof(fc.constant('all' as const), fc.record({ ofTheEnd: part }), fc.record({ ofAll: part })),
});

describe('a run that ends too early again and again', () => {
  test('sends nothing twice, and its numbers add up', async (t) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(end, { minLength: 1, maxLength: 3 }),
        fc.integer({ min: 1, max: 2 }),
        fc.integer({ min: 1, max: 2 }),
        async (ends, shares, loops) => {
          const lives = new Lives(temporaryFolder(t), shares, loops);
          const { summary, lived } = await lives.all(ends);
          assertAddsUp(summary, loops);
          const twice = [...lives.received].filter(([, n]) => n > 1);
          assert.deepEqual(twice, []);
          // Nothing is lost that was not begun, unless the host has ended.
          const causes = Object.keys(summary.sessions.lost_by);
          if (lived.every(({ keeps }) => keeps === 'all')) {
            assert.ok(
              causes.every((cause) => cause === 'interrupted'),
              causes.join(),
            );
            assert.deepEqual(lives.said, []);
          } else
            assert.ok(
              lives.said.some((line) =>
                /may lack its last records|and its checkpoint names|header is cut off|lacks octets/.test(
                  line,
                ),
              ),
            );
          const answered = summary.commands.answered - summary.sessions.completed;
          assert.ok(lives.received.size >= answered, 'more answers than statements');
        },
      ),
      { numRuns: 8 },
    );
  });

  test('has each session that was opened in its numbers, in whichever life it was', async (t) => {
    const lives = new Lives(temporaryFolder(t), 1);
    await lives.live({ ms: 400, keeps: 'all' });
    const summary = (await lives.live(undefined)) as Summary;
    assertAddsUp(summary);
    assert.ok((summary.sessions.lost_by.interrupted ?? 0) > 0);
    assert.equal(summary.sessions.opened, summary.sessions.scheduled);
  });

  test('keeps of a pass that is over what each life had of it', async (t) => {
    const lives = new Lives(temporaryFolder(t), 1, 2);
    const { summary, lived } = await lives.all([
      { ms: 500, keeps: 'all' },
      { ms: 2_000, keeps: 'all' },
    ]);
    assert.equal(lived.length, 2);
    assertAddsUp(summary, 2);
  });

  test('has not forgotten what an earlier life began, where the log that had it is cut off', async (t) => {
    const lives = new Lives(temporaryFolder(t), 1);
    const { summary, lived } = await lives.all([
      { ms: 900, keeps: 'all' },
      { ms: 300, keeps: { ofAll: 0.2 } },
    ]);
    assert.equal(lived.length, 2);
    assert.deepEqual(
      [...lives.received].filter(([, n]) => n > 1),
      [],
    );
    assertAddsUp(summary);
  });
});
