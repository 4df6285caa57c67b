/** Options of a replay that each have tests of their own, all together: what holds for one holds for all. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { COM } from '../../src/mysql/command.ts';
import type { FakeConnection, FakeTarget, Received } from '../transport/fake.ts';
import { type Combination, combination, setupOf, tapeOf, USERS } from './support/combination.ts';
import { type Run, replay, START_MS } from './support/world.ts';

const FINE_MS = 3_000;
const TOO_MANY_CONNECTIONS = 1040;
const TAG = /\/\*(\d+)\.(\d+)\*\//;
/** A session is set up again by these on another connection. */
const SET_UP = /^(SET|SELECT a|DELETE) /;
const WRITES = /^(UPDATE|DELETE) /;

interface Arrival {
  session: number;
  ordinal: number;
  sql: string;
  /** Of whom the connection was made. */
  copy: number;
  paused: boolean;
}

/** Sees what the target sees. */
class Watch {
  readonly one: Combination;
  readonly arrivals: Arrival[] = [];
  readonly connections: FakeConnection[] = [];
  /** When the run was paused, and when it went on; that of the last may be to come. */
  readonly pauses: [number, number][] = [];
  /** It was stopped. */
  ended = false;
  /** Connections made behind that. */
  late = 0;
  mostOpen = 0;
  mostOfUser = 0;
  #n = 0;

  constructor(one: Combination) {
    this.one = one;
  }

  get target(): FakeTarget {
    const { greetMs } = this.one.target;
    return {
      users: USERS,
      greetMs,
      meets: (connection) => this.#meets(connection),
      reacts: (received, connection) => this.#reacts(received, connection),
    };
  }

  get isPaused(): boolean {
    return this.pauses.at(-1)?.[1] === Number.POSITIVE_INFINITY;
  }

  #meets(connection: FakeConnection): ReturnType<NonNullable<FakeTarget['meets']>> {
    const { room, down } = this.one.target;
    this.connections.push(connection);
    if (this.ended) this.late++;
    const ms = connection.openedAt - START_MS;
    const open = this.#look();
    if (down !== undefined && ms >= down.fromMs && ms < down.toMs) return 'refused';
    if (room !== undefined && ms < room.untilMs && open > room.most) return TOO_MANY_CONNECTIONS;
    return 'greets';
  }

  #reacts({ com, sql }: Received, connection: FakeConnection): ReturnType<NonNullable<FakeTarget['reacts']>> {
    const { hangs, resets, slowMs } = this.one.target;
    this.#look();
    const [, session, ordinal] = TAG.exec(sql) ?? [];
    if (session !== undefined) {
      const { copy } = connection.identity;
      this.arrivals.push({
        session: Number(session),
        ordinal: Number(ordinal),
        sql: sql.replace(/;.*/, ''),
        copy,
        paused: this.isPaused,
      });
    }
    const n = ++this.#n;
    if (hangs > 0 && this.#random(n) % hangs === 0) return 'silent';
    if (resets > 0 && this.#random(-n) % resets === 0) return 'reset';
    const afterMs = slowMs === 0 ? 0 : this.#random(n + 0x10000) % (slowMs + 1);
    return com === COM.query && afterMs > 0 ? { reply: {}, afterMs } : undefined;
  }

  /** How many are open. */
  #look(): number {
    const open = this.connections.filter(({ over }) => !over);
    this.mostOpen = Math.max(this.mostOpen, open.length);
    const users = new Map<string, number>();
    for (const { user } of open) {
      if (user === undefined) continue;
      const n = (users.get(user) ?? 0) + 1;
      users.set(user, n);
      this.mostOfUser = Math.max(this.mostOfUser, n);
    }
    return open.length;
  }

  #random(n: number): number {
    let x = Math.imul(n ^ Math.imul(this.one.target.seed + 1, 0x9e3779b9), 0x85ebca6b);
    x = Math.imul(x ^ (x >>> 15), 0xc2b2ae35);
    return (x ^ (x >>> 13)) >>> 0;
  }
}

async function play(one: Combination): Promise<{ run: Run; watch: Watch }> {
  const watch = new Watch(one);
  const setup = setupOf(one);
  const at = [...(setup.at ?? [])];
  const end = (act: (engine: Run['engine']) => void) => (run: Run) => {
    watch.ended = true;
    for (const engine of run.engines) act(engine);
  };
  const all = (act: (engine: Run['engine'], now: number) => void) => (run: Run) => {
    const now = run.clock.now();
    for (const engine of run.engines) act(engine, now);
  };
  const resume = (run: Run) => {
    const pause = watch.pauses.at(-1);
    if (pause === undefined || !watch.isPaused) return;
    pause[1] = run.clock.now();
    all((engine, now) => engine.resume(now))(run);
  };
  for (const { at: ms, act } of one.acts) {
    switch (act.do) {
      case 'pause':
        at.push([
          ms,
          (run) => {
            if (!watch.isPaused) watch.pauses.push([run.clock.now(), Number.POSITIVE_INFINITY]);
            all((engine, now) => engine.pause(now))(run);
          },
        ]);
        at.push([ms + act.forMs, resume]);
        break;
      case 'speed':
        at.push([ms, all((engine, now) => engine.setSpeed(act.speed, now))]);
        break;
      case 'cut':
        at.push([ms, end((engine) => engine.cut())]);
        break;
      default: {
        const cause = act.do === 'stop' ? 'interrupted' : act.do;
        at.push([ms, end((engine) => engine.stop(cause))]);
      }
    }
  }
  const tape = {
    batches: (size: number, made: Parameters<ReturnType<typeof tapeOf>['batches']>[1]) =>
      tapeOf(one).batches(size, made),
  };
  const run = await replay(tape, { ...setup, at, target: watch.target, fineMs: FINE_MS });
  return { run, watch };
}

/** Every one of these commands is sent by a copy no more than once, and as often as is told. */
function sendsOnce({ book }: Run, { arrivals }: Watch): void {
  const told = new Map<string, number>();
  for (const { session, ordinal, sent } of book.fates) {
    const key = `${session}.${ordinal}`;
    if (sent) told.set(key, (told.get(key) ?? 0) + 1);
  }
  const came = new Map<string, number>();
  for (const { session, ordinal, sql } of arrivals) {
    if (SET_UP.test(sql)) continue;
    const key = `${session}.${ordinal}`;
    came.set(key, (came.get(key) ?? 0) + 1);
  }
  for (const [key, n] of came) assert.equal(told.get(key) ?? 0, n, `command ${key} came ${n} times`);
}

/** Of one session each command is sent when the one before it was answered, and none before it is due. */
function keepsOrder({ book }: Run): void {
  const freeAt = new Map<string, number>();
  for (const { session, copy, ordinal, outcome } of book.fates.toSorted((a, b) => a.ordinal - b.ordinal)) {
    if (outcome === undefined) continue;
    const key = `${session}/${copy}`;
    const free = freeAt.get(key) ?? 0;
    const { sent, paced, due, answered, reply } = outcome;
    assert.ok(
      sent >= free,
      `command ${ordinal} of ${key} went at ${sent}, the one before came back at ${free}`,
    );
    // Time goes by in milliseconds at first.
    if (sent < START_MS + FINE_MS)
      assert.ok(sent - due <= 1, `command ${ordinal} of ${key} went at ${sent}, due at ${due}`);
    assert.ok(sent >= paced - 1e-6, `command ${ordinal} of ${key} went at ${sent}, due at ${paced}`);
    if (reply !== undefined) freeAt.set(key, answered);
  }
}

/** At the speed of the recording and slower nothing is ahead of it. */
function isNotAhead(one: Combination, { book }: Run): void {
  const { timing, window, speed, acts } = one;
  if (timing !== undefined || window !== undefined || acts.some(({ act }) => act.do === 'speed')) return;
  for (const { outcome } of book.fates) {
    if (outcome === undefined) continue;
    const { sent, command } = outcome;
    const due = START_MS + command.at / 1e6 / speed;
    assert.ok(sent >= due - 1e-6, `sent at ${sent}, due at ${due}`);
  }
}

/** What waits, waits: but for what is under way already. */
function restsWhilePaused({ book }: Run, { arrivals, pauses, connections }: Watch): void {
  for (const { session, ordinal, sql, paused } of arrivals)
    assert.ok(!paused || SET_UP.test(sql), `command ${session}.${ordinal} came while the run was paused`);
  const during = (ms: number) => pauses.some(([from, to]) => ms > from && ms < to);
  for (const { outcome, session, ordinal } of book.fates)
    assert.ok(!during(outcome?.sent ?? 0), `command ${session}.${ordinal} was sent while the run was paused`);
  for (const { openedAt } of connections)
    assert.ok(!during(openedAt), 'a connection was made while the run was paused');
  for (const at of book.begunAt) assert.ok(!during(at), 'a session began while the run was paused');
}

function keepsBounds(run: Run, watch: Watch): void {
  const { maxConnections, pool, connectRate, shares } = watch.one;
  const { connections } = watch;
  if (maxConnections !== undefined)
    assert.ok(watch.mostOpen <= maxConnections, `${watch.mostOpen} connections at once`);
  if (pool !== undefined) assert.ok(watch.mostOfUser <= pool, `${watch.mostOfUser} connections of a user`);
  if (connectRate !== undefined && pool === undefined) {
    const burst = shares * Math.max(1, (connectRate / shares) * 0.05);
    for (let i = 0; i < connections.length; i++) {
      for (let j = i + 1; j < connections.length; j++) {
        const ms = connections[j].openedAt - connections[i].openedAt;
        const most = burst + (connectRate * ms) / 1000;
        assert.ok(j - i + 1 <= most + shares, `${j - i + 1} connections in ${ms} ms`);
      }
    }
  }
  assert.ok(
    connections.every(({ over }) => over),
    'a connection is left open',
  );
  assert.equal(watch.late, 0, 'connections were made when the run was stopped already');
  assert.equal(run.transport.connections.length, connections.length);
}

/** Each copy's commands are its own: its schemas, and whether it writes. */
function keepsCopiesApart(run: Run, { arrivals, one }: Watch): void {
  const { writes, readOnly } = one.selection ?? {};
  const mayWrite = (copy: number) =>
    !readOnly && (writes === undefined || (writes === 'first' && copy === 0));
  for (const { copy, sent, outcome } of run.book.fates) {
    if (!sent || outcome === undefined) continue;
    const sql = Buffer.from(outcome.command.packet.subarray(5)).toString();
    assert.ok(mayWrite(copy) || !WRITES.test(sql), `copy ${copy} wrote`);
  }
  for (const { copy, sql } of arrivals) {
    // A kept connection serves all copies.
    if (one.pool === undefined) assert.ok(mayWrite(copy) || !WRITES.test(sql), `copy ${copy} wrote`);
    const [, number] = /shop_(\d)/.exec(sql) ?? [];
    assert.equal(number !== undefined, one.schemaPerCopy && sql.includes('shop'), sql);
    if (one.pool === undefined && number !== undefined) assert.equal(Number(number), copy + 1);
  }
}

/** Nobody is lost by a target that does all that it is asked, unless the run was ended. */
function losesNobody({ summary }: Run, { one }: Watch): void {
  const { hangs, resets, room, down } = one.target;
  const isEnded = one.acts.some(({ act }) => act.do !== 'pause' && act.do !== 'speed');
  if (hangs || resets || room || down || isEnded || one.done) return;
  for (const causes of [summary.commands.lost, summary.sessions.lost_by])
    assert.deepEqual(
      Object.keys(causes).filter((cause) => cause !== 'auth'),
      [],
    );
}

/** By commits nobody is let go before those it waits for, where these come about as fast as they are asked for. */
function waitsForCommits({ summary }: Run, { one }: Watch): void {
  const { target, acts, maxConnections, connectRate, pool, timing, spreadMs } = one;
  const { hangs, resets, room, down } = target;
  if (hangs || resets || room || down || acts.length > 0) return;
  if (maxConnections ?? connectRate ?? pool ?? timing) return;
  if (spreadMs === 0) assert.equal(summary.order.released, 0);
}

function isSane({ summary }: Run): void {
  const { commands, sessions, verdict, reasons, lateness_ms, admission, qps } = summary;
  const lost = Object.values({ ...commands.lost, ...sessions.lost_by });
  if (lost.length > 0) assert.equal(verdict, 'invalid');
  assert.ok(verdict === 'valid' || reasons.length > 0);
  assert.ok(commands.answered <= commands.sent && commands.sent <= commands.scheduled);
  assert.ok(sessions.opened <= sessions.scheduled);
  for (const number of [...Object.values(lateness_ms), ...Object.values(admission.wait_ms), qps])
    assert.ok(number >= 0 && Number.isFinite(number), String(number));
}

/** Virtual time, ms, that it may take: as if all came one after the other, with all its waits. */
function longest(one: Combination): number {
  const { sessions, copies, target } = one;
  const isGood = !target.hangs && !target.resets && !target.room && !target.down;
  const commands = sessions.reduce((sum, { steps }) => sum + steps.length, 0);
  const lasts = sessions.reduce(
    (sum, { lastsMs, steps }) =>
      steps.reduce((ms, { gapMs, replyMs }) => ms + gapMs + replyMs, sum + lastsMs + 1),
    0,
  );
  const patience = isGood ? 0 : sessions.length * 130_000;
  return 30_000 + copies * (4 * lasts + commands * (1_000 + target.slowMs) + patience);
}

async function holds(one: Combination): Promise<void> {
  const { run, watch } = await play(one);
  assert.ok(run.elapsedMs <= longest(one), `it took ${run.elapsedMs} ms`);
  sendsOnce(run, watch);
  keepsOrder(run);
  isNotAhead(one, run);
  restsWhilePaused(run, watch);
  keepsBounds(run, watch);
  keepsCopiesApart(run, watch);
  losesNobody(run, watch);
  waitsForCommits(run, watch);
  isSane(run);
}

/** Sessions that do nothing, of the target's two users by turns. */
function idle(...users: string[]): Combination['sessions'] {
  return users.map((user) => ({ at: 0, user, how: 'login', steps: [], lastsMs: 0, end: 'quit' }));
}

function saying(
  ...steps: [what: Combination['sessions'][0]['steps'][0]['what'], gapMs: number][]
): Combination['sessions'] {
  const [session] = idle('app');
  const all = steps.map(([what, gapMs]) => ({ what, gapMs, replyMs: 40, answered: 'later' as const }));
  return [{ ...session, steps: all }];
}

const PLAIN: Combination = {
  sessions: [],
  target: { seed: 0, slowMs: 0, greetMs: 0, hangs: 0, resets: 0, room: undefined, down: undefined },
  live: false,
  copies: 1,
  shares: 1,
  batch: 1,
  speed: 1,
  maxConnections: undefined,
  connectRate: undefined,
  pool: undefined,
  order: undefined,
  spreadMs: 0,
  timing: undefined,
  window: undefined,
  selection: undefined,
  schemaPerCopy: false,
  done: undefined,
  acts: [],
};
const NO_CATCHING_UP = { connectScale: 0, thinkScale: 0.5, idle: false, catchUp: false };

describe('that once were wrong together', () => {
  const cases: [string, Partial<Combination>][] = [
    [
      'kept connections of several users are no more than may be open',
      { sessions: idle('app', 'other', 'app'), maxConnections: 1, pool: 1 },
    ],
    [
      'nor are they with a login that was refused',
      {
        sessions: [...idle('app', 'other'), { ...idle('app')[0], at: 20, how: 'refused' }],
        maxConnections: 1,
        pool: 1,
      },
    ],
    [
      'a session that waits for a kept connection does not begin while the run is paused',
      {
        sessions: saying(['read', 2]),
        target: { ...PLAIN.target, slowMs: 300 },
        copies: 2,
        pool: 1,
        acts: [{ at: 60, act: { do: 'pause', forMs: 500 } }],
      },
    ],
    [
      'nor does it, or connect, once the run is cut',
      { sessions: saying(['read', 2]), copies: 3, pool: 1, acts: [{ at: 20, act: { do: 'cut' } }] },
    ],
    [
      'a write that is to be answered in a live source, by which its place in the order is known, is not late',
      { sessions: saying(['write', 2]), live: true, order: 'commit' },
    ],
    [
      'who does not catch up thinks behind what has no answer, and behind what is skipped',
      {
        sessions: [
          ...saying(['read', 0], ['close-statement', 30], ['read', 0], ['write', 30], ['read', 0]),
          // What it executes was prepared before the recording.
          { ...saying(['read', 0], ['execute', 30], ['read', 0])[0], how: 'late' },
        ],
        copies: 2,
        timing: NO_CATCHING_UP,
        selection: { writes: 'first' },
      },
    ],
    [
      'who does not catch up is not late where the speed is another in the midst of its think time',
      {
        sessions: saying(['read', 0], ['read', 100]),
        speed: 0.5,
        timing: NO_CATCHING_UP,
        acts: [{ at: 80, act: { do: 'speed', speed: 4 } }],
      },
    ],
  ];
  for (const [name, parts] of cases) test(name, () => holds({ ...PLAIN, ...parts }));
});

test('whatever is recorded, asked for, and done by the target: a run ends, and keeps what its options promise', async () => {
  await fc.assert(fc.asyncProperty(combination, holds), { seed: 5, numRuns: 500 });
});
