import assert from 'node:assert/strict';
import { mock } from 'node:test';
import type { FlowEvent, SessionMeta } from '../../../src/flow/events.ts';
import type { Command } from '../../../src/mysql/command.ts';
import { type LoginOptions, Logins } from '../../../src/replay/accounts/logins.ts';
import { CommandKinds } from '../../../src/replay/choice/command-kinds.ts';
import type { Trouble } from '../../../src/replay/engine/contact.ts';
import { Engine } from '../../../src/replay/engine/engine.ts';
import type { EngineOptions } from '../../../src/replay/engine/options.ts';
import type { Divergence, LostCause, Observer, Outcome } from '../../../src/replay/outcome.ts';
import { ConnectionIds } from '../../../src/replay/session/connection-ids.ts';
import type { StateLost } from '../../../src/replay/session/session-state.ts';
import type { Share } from '../../../src/replay/share.ts';
import { SummaryObserver } from '../../../src/report/counter.ts';
import { type Summary, summarize } from '../../../src/report/summary.ts';
import { type Clock, ManualClock } from '../../../src/time.ts';
import { type FakeTarget, FakeTransport } from '../../transport/fake.ts';
import type { Tape } from './tape.ts';

/** What became of one command of one copy, in the order told. */
export interface Fate {
  session: number;
  copy: number;
  ordinal: number;
  fate: 'answered' | 'lost' | 'skipped';
  cause: string;
  sent: boolean;
  outcome?: Outcome;
}

/** Writes down everything that an engine tells. */
export class Book implements Observer {
  readonly copies: number;
  readonly fates: Fate[] = [];
  readonly ends: { session: number; copy: number; cause: LostCause | undefined }[] = [];
  readonly reconnections: { session: number; copy: number; lost: string[]; commands: number }[] = [];
  readonly adoptions: { session: number; copy: number; lost: string[]; commands: number }[] = [];
  readonly openAtFrom: { session: number; copy: number; lost: string[]; commands: number }[] = [];
  readonly troubles: (Trouble & { target: number; at: number })[] = [];
  readonly skippedSessions: { session: number; cause: string }[] = [];
  readonly scheduledSessions: string[] = [];
  readonly begunAt: number[] = [];
  readonly openedAt = new Map<string, number>();
  readonly commands = new Set<Command>();
  unreadableCommands = 0;
  readonly #clock: Clock;

  constructor(copies: number, clock: Clock) {
    this.copies = copies;
    this.#clock = clock;
  }

  captured(_session: SessionMeta, command: Command): void {
    assert.ok(!this.commands.has(command), 'captured twice');
    this.commands.add(command);
  }

  scheduled(session: SessionMeta, copy: number): void {
    this.scheduledSessions.push(`${session.id}/${copy}`);
  }

  unscheduled(session: SessionMeta, copy: number): void {
    this.scheduledSessions.splice(this.scheduledSessions.indexOf(`${session.id}/${copy}`), 1);
  }

  begun(): void {
    this.begunAt.push(this.#clock.now());
  }

  opened(session: SessionMeta, copy: number): void {
    this.openedAt.set(`${session.id}/${copy}`, this.#clock.now());
  }

  reconnected(session: SessionMeta, copy: number, lost: ReadonlySet<StateLost>, commands: number): void {
    this.reconnections.push({ session: session.id, copy, lost: [...lost].sort(), commands });
  }

  adopted(
    session: SessionMeta,
    copy: number,
    lost: ReadonlySet<StateLost>,
    commands: number,
    before: 'recording' | 'window',
  ): void {
    this[before === 'recording' ? 'adoptions' : 'openAtFrom'].push({
      session: session.id,
      copy,
      lost: [...lost].sort(),
      commands,
    });
  }

  trouble(trouble: Trouble, target: number): void {
    this.troubles.push({ ...trouble, target, at: this.#clock.now() - START_MS });
  }

  completed(session: SessionMeta, copy: number): void {
    this.ends.push({ session: session.id, copy, cause: undefined });
  }

  sessionLost(session: SessionMeta, copy: number, cause: LostCause): void {
    this.ends.push({ session: session.id, copy, cause });
  }

  sessionSkipped(session: SessionMeta, cause: string, commands: number): void {
    this.skippedSessions.push({ session: session.id, cause });
    this.unreadableCommands += commands;
  }

  unreadable(_session: SessionMeta, _cause: string, commands: number): void {
    this.unreadableCommands += commands;
  }

  answered(outcome: Outcome, divergence: Divergence): void {
    const { session, copy, command } = outcome;
    const { ordinal } = command;
    this.fates.push({
      session: session.id,
      copy,
      ordinal,
      fate: 'answered',
      cause: divergence,
      sent: true,
      outcome,
    });
  }

  lost(session: SessionMeta, copy: number, { ordinal }: Command, cause: LostCause, sent: boolean): void {
    this.fates.push({ session: session.id, copy, ordinal, fate: 'lost', cause, sent });
  }

  skipped(session: SessionMeta, { ordinal }: Command, cause: string, copies: number): void {
    for (let i = 0; i < copies; i++) {
      this.fates.push({ session: session.id, copy: -1, ordinal, fate: 'skipped', cause, sent: false });
    }
  }

  /** `answered none`, `lost reset` … of the commands of one copy (skipped ones, which name no copy, too), by ordinal. */
  story(session = 0, copy = 0): string[] {
    return this.fates
      .filter((one) => one.session === session && (one.copy === copy || one.copy === -1))
      .sort((a, b) => a.ordinal - b.ordinal)
      .map(({ fate, cause }) => (fate === 'answered' && cause === 'none' ? fate : `${fate} ${cause}`));
  }

  /** How the copies of a session ended. */
  endsOf(session = 0): (LostCause | undefined)[] {
    return this.ends.filter((end) => end.session === session).map(({ cause }) => cause);
  }

  /** Every command has, for each copy, one fate; every scheduled session one end; and the summary says so. */
  balance(summary: Summary): void {
    const count = new Map<string, number>();
    const seen = new Set<string>();
    for (const { session, copy, ordinal } of this.fates) {
      const key = `${session}:${ordinal}`;
      count.set(key, (count.get(key) ?? 0) + 1);
      if (copy < 0) continue;
      assert.ok(!seen.has(`${key}/${copy}`), `command ${key} of copy ${copy} was told of twice`);
      seen.add(`${key}/${copy}`);
    }
    assert.equal(count.size, this.commands.size, 'a command without a fate');
    for (const [key, n] of count) assert.equal(n, this.copies, `command ${key} has ${n} fates`);
    const ends = this.ends.map(({ session, copy }) => `${session}/${copy}`);
    assert.deepEqual(
      [...ends].sort(),
      [...this.scheduledSessions].sort(),
      'each scheduled session ends once',
    );

    const { captured, sessions, commands, copies } = summary;
    assert.equal(captured.commands, this.commands.size + this.unreadableCommands);
    assert.equal(captured.sessions * copies, sessions.scheduled + sum(sessions.skipped));
    assert.equal(captured.commands * copies, commands.scheduled + sum(commands.skipped));
    assert.equal(sessions.scheduled, sessions.completed + sessions.lost);
    assert.equal(sessions.lost, sum(sessions.lost_by));
    assert.equal(commands.scheduled, commands.answered + sum(commands.lost));
    assert.equal(commands.answered, sum(summary.divergence));
    assert.equal(sessions.reconnected, this.reconnections.length);
    assert.equal(sessions.adopted, this.adoptions.length);
    assert.equal(sessions.open_at_from, this.openAtFrom.length);
    const ours = [...this.reconnections, ...this.adoptions, ...this.openAtFrom];
    assert.equal(
      sessions.rebuild_commands,
      ours.reduce((all, { commands }) => all + commands, 0),
    );
  }
}

export function sum(counts: Record<string, number>): number {
  return Object.values(counts).reduce((a, b) => a + b, 0);
}

export interface Setup {
  /** Beside `passwords`. */
  logins?: Partial<LoginOptions>;
  engine?: Partial<EngineOptions>;
  /** What each share has for itself. */
  engineOf?(share: Share): Partial<EngineOptions>;
  /** It is one of several that make a run: its numbers add up with theirs only. */
  isPart?: boolean;
  /** What a share reads in the place of `events`. */
  eventsOf?(share: Share, events: AsyncIterable<readonly FlowEvent[]>): AsyncIterable<readonly FlowEvent[]>;
  /** Virtual time stands still while this says so: something real is waited for. */
  waits?(): boolean;
  /** Who watches one share only. */
  observersOf?(share: Share): readonly Observer[];
  /** Engines that share the run, by one table of connections. */
  shares?: number;
  copies?: number;
  speed?: number;
  order?: 'commit';
  target?: FakeTarget;
  passwords?: Record<string, string>;
  connectTimeoutMs?: number;
  replyTimeoutMs?: number;
  /** Events a batch. */
  batch?: number;
  /** What happens while it runs: [after ms, act]. */
  at?: [number, (run: Run) => void][];
  made?: (events: FlowEvent[]) => void | Promise<void>;
  /** Virtual time that goes by in steps of a millisecond; what comes behind goes in long ones. */
  fineMs?: number;
}

export interface Run {
  /** That of the first share. */
  engine: Engine;
  engines: readonly Engine[];
  transport: FakeTransport;
  clock: ManualClock;
  book: Book;
  summary: Summary;
  elapsedMs: number;
}

/** Start of the virtual clock, ms: nothing may take 0 for its beginning. */
export const START_MS = 5_000;
const LONG_STEP_MS = 100;
const LIMIT_MS = 4_000_000;

/**
 * Replays `tape` (or whatever else gives events) in virtual time: timers are mocked, and the clock goes with them. Fails where the
 * run does not end.
 */
export async function replay(tape: Pick<Tape, 'batches'>, setup: Setup = {}): Promise<Run> {
  const {
    shares: of = 1,
    copies = 1,
    speed = 1,
    batch = 1000,
    fineMs = 3_000,
    passwords = { app: 'secret' },
  } = setup;
  const { target = { users: { app: 'secret' } } } = setup;
  const clock = new ManualClock(START_MS);
  const transport = new FakeTransport(target, clock);
  const book = new Book(copies, clock);
  const summed = new SummaryObserver(copies, Number.isFinite(speed));
  const { connectTimeoutMs, replyTimeoutMs } = setup;
  const users = { get: (user: string) => passwords[user] } as ReadonlyMap<string, string>;
  const logins = new Logins({ users, ...setup.logins });
  const options = { copies, speed, clock, connectTimeoutMs, replyTimeoutMs, logins, ...setup.engine };
  let isPooled = false;
  const engines = Array.from({ length: of }, (_, index) => {
    const connections =
      options.connections && ConnectionIds.of((options.connections as ConnectionIds).buffer);
    const order =
      setup.order === 'commit' ? { orderBy: new CommandKinds(), share: { index, of, byCopy: true } } : {};
    const share = { index, of };
    const own = { share, ...order, ...setup.engineOf?.(share), connections };
    const all: EngineOptions = { ...options, ...own };
    isPooled = all.pool !== undefined;
    return new Engine(all, transport, [book, summed, ...(setup.observersOf?.(share) ?? [])]);
  });
  const run = { engine: engines[0], engines, transport, clock, book } as unknown as Run;
  mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  try {
    for (const [ms, act] of setup.at ?? []) setTimeout(() => act(run), ms);
    let over = false;
    const read = (one: Engine, index: number) => {
      const events = tape.batches(batch, setup.made);
      return one.run(setup.eventsOf?.({ index, of }, events) ?? events);
    };
    const done = Promise.all(engines.map(read)).finally(() => {
      over = true;
    });
    // What rejects is thrown below.
    done.catch(() => {});
    for (;;) {
      do await settle();
      while (setup.waits?.() === true);
      if (over) break;
      const ms = clock.now() - START_MS;
      assert.ok(ms < LIMIT_MS, `the run did not end within ${LIMIT_MS} ms`);
      const step = ms < fineMs ? 1 : LONG_STEP_MS;
      clock.advance(step);
      mock.timers.tick(step);
    }
    await done;
  } finally {
    mock.timers.reset();
  }
  run.elapsedMs = clock.now() - START_MS;
  run.summary = summarize(summed.tally, {
    packets: 0,
    dropped: 0,
    copies,
    speed,
    elapsedMs: run.elapsedMs,
    transport: transport.stats(),
    orderBy: setup.order,
    pooled: isPooled,
    interrupted: false,
  });
  if (setup.isPart !== true) book.balance(run.summary);
  return run;
}

/** Lets everything happen that waits for no time. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
