/** No transaction waits for ever: recordings made by a server that has row locks, replayed onto one that has the same, but is faster or slower. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Command } from '../../../src/mysql/command.ts';
import { CommitOrder, type Orderly } from '../../../src/replay/engine/commit-order.ts';
import { LockOrder } from '../../../src/replay/engine/lock-order.ts';
import { Tape } from '../support/tape.ts';

const MS = 1e6;

/** Rows to lock, in ascending order, so that the recorded server has no deadlock; then COMMIT or ROLLBACK. */
interface Transaction {
  rows: number[];
  commits: boolean;
}

interface Step {
  session: number;
  /** undefined: the end of the transaction. */
  row: number | undefined;
  commits: boolean;
  command: Command;
}

/** How long the server takes: for a write, from an end to when it gives up locks, from there to the answer, ms. */
type Pace = (session: number) => { write: number; release: number; answer: number };

/** Sessions at one server with row locks. Each sends its next step when `mayGo` says so and the one before it is answered. */
class LockingServer {
  readonly answered: Step[] = [];
  readonly next: number[];
  readonly underWay: (Step | undefined)[];
  now = 0;
  readonly #sessions: readonly Step[][];
  readonly #pace: Pace;
  readonly #holders = new Map<number, number>();
  readonly #waiters: { row: number; session: number }[] = [];
  readonly #events: { at: number; happens: () => void }[] = [];
  readonly #sent: (step: Step) => void;
  readonly #mayGo: (session: number) => boolean;
  readonly #done: (step: Step) => void;

  constructor(
    sessions: readonly Step[][],
    pace: Pace,
    {
      sent,
      mayGo,
      done,
    }: { sent(step: Step): void; mayGo(session: number): boolean; done(step: Step): void },
  ) {
    this.#sessions = sessions;
    this.#pace = pace;
    this.#sent = sent;
    this.#mayGo = mayGo;
    this.#done = done;
    this.next = sessions.map(() => 0);
    this.underWay = sessions.map(() => undefined);
  }

  /** Until nothing happens any more. */
  run(): void {
    for (const session of this.#sessions.keys()) this.advance(session);
    for (;;) {
      this.#events.sort((a, b) => a.at - b.at);
      const event = this.#events.shift();
      if (event === undefined) return;
      this.now = event.at;
      event.happens();
    }
  }

  advance(session: number): void {
    const step = this.#sessions[session][this.next[session]];
    if (step === undefined || this.underWay[session] !== undefined || !this.#mayGo(session)) return;
    this.underWay[session] = step;
    this.next[session]++;
    this.#sent(step);
    const { write, release, answer } = this.#pace(session);
    if (step.row !== undefined) this.#after(write, () => this.#lock(session, step.row as number));
    else {
      this.#after(release, () => this.#unlock(session));
      this.#after(release + answer, () => this.#answer(session));
    }
  }

  #after(ms: number, happens: () => void): void {
    this.#events.push({ at: this.now + ms, happens });
  }

  #lock(session: number, row: number): void {
    const holder = this.#holders.get(row);
    if (holder !== undefined && holder !== session) {
      this.#waiters.push({ row, session });
      return;
    }
    this.#holders.set(row, session);
    this.#after(0.01, () => this.#answer(session));
  }

  #unlock(session: number): void {
    const freed = [...this.#holders].filter(([, holder]) => holder === session).map(([row]) => row);
    for (const row of freed) {
      this.#holders.delete(row);
      const i = this.#waiters.findIndex((waiter) => waiter.row === row);
      if (i < 0) continue;
      const [waiter] = this.#waiters.splice(i, 1);
      this.#lock(waiter.session, row);
    }
  }

  #answer(session: number): void {
    const step = this.underWay[session] as Step;
    this.underWay[session] = undefined;
    this.answered.push(step);
    this.#done(step);
    this.advance(session);
  }
}

/** What the recorded server was told, and when it answered. */
function recorded(plan: readonly Transaction[][], pace: Pace): { sessions: Step[][]; told: Step[] } {
  const tape = new Tape();
  const sessions = plan.map((transactions, session) => {
    const recording = tape.session(0);
    return transactions.flatMap(({ rows, commits }) =>
      [...rows, undefined].map((row): Step => {
        const [command] = recording.query(0).commands.slice(-1);
        return { session, row, commits, command };
      }),
    );
  });
  const told: Step[] = [];
  const server = new LockingServer(sessions, pace, {
    mayGo: () => true,
    sent: (step) => {
      step.command.at = Math.round(server.now * MS);
      told.push(step);
    },
    done: ({ command }) => {
      if (command.reply !== undefined) command.reply.at = Math.round(server.now * MS);
    },
  });
  server.run();
  assert.equal(server.answered.length, sessions.flat().length, 'the recorded server has no deadlock');
  return { sessions, told };
}

/** Replays as fast as `pace` has it; returns the commands that never came to be answered. */
function stuck({ sessions, told }: ReturnType<typeof recorded>, pace: Pace): Step[] {
  const watcher = { held: () => {}, released: () => {} };
  const order = new CommitOrder(1, watcher, { index: 0, of: 1 });
  const copies = sessions.map(
    (steps, session): Orderly => ({
      copy: 0,
      get openFrom() {
        const step = server.underWay[session] ?? steps[server.next[session]];
        return step?.command.ordinal ?? Number.POSITIVE_INFINITY;
      },
      get underWay() {
        return server.underWay[session]?.command;
      },
      busySince: 0,
      inTransaction: true,
      patienceMs: (leastMs) => leastMs,
      advance: () => server.advance(session),
    }),
  );
  const server: LockingServer = new LockingServer(sessions, pace, {
    sent: () => {},
    mayGo: (session) =>
      order.freeAt(copies[session], sessions[session][server.next[session]].command, server.now) < Infinity,
    done: ({ session }) => order.done(copies[session], server.now),
  });
  const events = told.flatMap((step) => [
    { at: step.command.at, happens: () => read(step) },
    { at: step.command.reply!.at, happens: () => replied(step) },
  ]);
  const read = ({ command, row, session }: Step) =>
    order.read(command, row !== undefined, row === undefined, [copies[session]]);
  const replied = ({ command, row, commits, session }: Step) => {
    const ends = row === undefined;
    const ended = { commits: ends && commits, endedAt: ends ? command.at : undefined };
    order.replied(command, ended, [copies[session]], 0);
  };
  for (const { happens } of events.sort((a, b) => a.at - b.at)) happens();
  server.run();
  return told.filter((step) => !server.answered.includes(step));
}

const paces = fc.array(
  fc.record({
    write: fc.integer({ min: 1, max: 40 }).map((n) => n / 10),
    release: fc.integer({ min: 1, max: 20 }).map((n) => n / 10),
    answer: fc.integer({ min: 1, max: 60 }).map((n) => n / 10),
  }),
  { minLength: 7, maxLength: 7 },
);

test('whatever locks the recording had, and however fast the target is: nobody waits for somebody who waits for him', () => {
  const transaction = fc.record({
    rows: fc.uniqueArray(fc.nat(4), { minLength: 1, maxLength: 3 }).map((rows) => rows.sort((a, b) => a - b)),
    commits: fc.boolean(),
  });
  const plans = fc.array(fc.array(transaction, { minLength: 1, maxLength: 5 }), {
    minLength: 2,
    maxLength: 5,
  });
  fc.assert(
    fc.property(plans, paces, paces, (plan, then, now) => {
      let n = 0;
      const recording = recorded(plan, () => then[n++ % then.length]);
      const left = stuck(recording, () => now[n++ % now.length]);
      assert.deepEqual(
        left.map(({ session, row }) => ({ session, row })),
        [],
      );
    }),
    { numRuns: 300 },
  );
});

test('an end that is known late is waited for in every lane, also where the ends before it are cut at that moment', () => {
  const order = new LockOrder(2);
  const session = new Tape().session(0);
  for (let i = 0; i < 1024; i++) session.query(i);
  const [over, open] = [{ openFrom: Infinity }, { openFrom: 0 }];
  const last = session.commands[1023];
  for (const [i, command] of session.commands.slice(0, 1023).entries())
    order.ends(command, 10 * i, [over, over]);
  order.ends(last, 10_005, [over, open]);
  assert.deepEqual([order.firstOpen(0), order.firstOpen(1)], [Infinity, 10_005]);
});
