import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Admission, type AdmissionOptions, type Entrant } from '../../../src/replay/engine/admission.ts';
import type { FakeConnection, FakeTarget, Welcome } from '../../transport/fake.ts';
import { USERS } from '../support/killed.ts';
import { Tape } from '../support/tape.ts';
import { type Run, replay, type Setup, START_MS } from '../support/world.ts';

/** Entrants, and an admission with a clock. */
class Door {
  readonly admission: Admission;
  readonly opened: [id: number, at: number][] = [];
  now = 0;

  constructor(options: Partial<AdmissionOptions> = {}) {
    this.admission = new Admission({ copies: 1, asRecorded: false, ...options });
  }

  entrant(id: number, copy = 0): Entrant & { state: string } {
    const door = this;
    const one = {
      recorded: { meta: { id } },
      copy,
      state: 'waiting',
      open() {
        this.state = 'open';
        door.opened.push([id, door.now]);
      },
    };
    this.admission.began(one);
    return one;
  }

  /** Goes to each moment at which something may happen, up to `until`. */
  run(until: number): void {
    for (let steps = 0; ; steps++) {
      assert.ok(steps < 10_000, 'it comes to no end');
      this.admission.letIn(this.now);
      const { nextAt } = this.admission;
      assert.ok(nextAt > this.now, 'nothing is left to do at this moment');
      if (nextAt > until) break;
      this.now = nextAt;
    }
    this.now = until;
  }

  get ids(): number[] {
    return this.opened.map(([id]) => id);
  }
}

describe('who is let in', () => {
  test('in the order in which they are due, those recorded first for equal', () => {
    const door = new Door({ mostOpen: 1 });
    const all = [5, 2, 9, 1, 7].map((id) => door.entrant(id));
    const dues = [10, 10, 3, 10, 4];
    for (const [i, who] of all.entries()) door.admission.admit(who, dues[i], 10);
    for (let i = 0; i < all.length; i++) {
      door.run(10 + i);
      const id = door.ids[i];
      door.admission.left(all.find(({ recorded }) => recorded.meta.id === id) as Entrant, door.now);
    }
    assert.deepEqual(door.ids, [9, 7, 1, 2, 5]);
  });

  test('as recorded: in the order in which they began, however many are due', () => {
    const door = new Door({ asRecorded: true, mostOpen: 2 });
    const all = [3, 1, 2].map((id) => door.entrant(id));
    for (const who of all) door.admission.admit(who, 0, 0);
    door.run(1);
    assert.deepEqual(door.ids, [3, 1]);
    door.admission.left(all[1], 1);
    door.run(2);
    assert.deepEqual(door.ids, [3, 1, 2]);
  });

  test('never more in any moment than the rate allows, and none is saved up', () => {
    const arrivals = fc.array(fc.nat(3_000), { minLength: 1, maxLength: 100 });
    const rates = fc.constantFrom(1, 7.5, 100, 1_000);
    fc.assert(
      fc.property(arrivals, rates, (moments, perSecond) => {
        const door = new Door({ perSecond });
        for (const [id, at] of moments.sort((a, b) => a - b).entries()) {
          door.run(at);
          door.admission.admit(door.entrant(id), at, at);
        }
        door.run(400_000);
        const at = door.opened.map(([, moment]) => moment);
        assert.equal(at.length, moments.length);
        assert.deepEqual(
          door.ids,
          [...door.ids].sort((a, b) => a - b),
        );
        // 50 ms' worth is let in at once, and what the rate gives meanwhile.
        const burst = Math.max(1, perSecond / 20);
        for (let i = 0; i < at.length; i++)
          for (let j = i; j < at.length; j++)
            assert.ok(j - i + 1 <= burst + ((at[j] - at[i]) / 1_000) * perSecond + 1e-6);
      }),
      { numRuns: 60 },
    );
  });

  test('nobody waits where there is room', () => {
    const door = new Door({ mostOpen: 100, perSecond: 1_000 });
    for (let id = 0; id < 50; id++) {
      door.run(id * 10);
      const who = door.entrant(id);
      door.admission.admit(who, door.now, door.now);
      door.admission.letIn(door.now);
      assert.equal(door.admission.opened(who), 0);
    }
    assert.equal(door.ids.length, 50);
  });

  test('who waited says how long, also where it is turned away in between', () => {
    const door = new Door({ mostOpen: 1 });
    const [first, second] = [door.entrant(0), door.entrant(1)];
    for (const who of [first, second]) door.admission.admit(who, 0, 0);
    door.run(70);
    assert.equal(door.admission.opened(first), 0);
    door.admission.left(first, 70);
    door.run(80);
    second.state = 'waiting';
    assert.ok(door.admission.turnedAway(second, 80));
    door.run(500);
    assert.deepEqual(door.ids, [0, 1, 1]);
    assert.equal(door.admission.opened(second), 180);
  });

  test('a connection in place of another takes of the rate, and goes first', () => {
    const door = new Door({ perSecond: 10, mostOpen: 2 });
    const all = [0, 1, 2].map((id) => door.entrant(id));
    for (const who of all) door.admission.admit(who, 0, 0);
    door.run(50);
    all[0].state = 'disconnected';
    door.admission.again(all[0]);
    door.run(1_000);
    assert.deepEqual(door.opened, [
      [0, 0],
      [0, 100],
      [1, 200],
    ]);
  });

  test('a target without room is left alone for a while, twice as long each time, at most two seconds', () => {
    const door = new Door();
    const who = door.entrant(0);
    door.admission.admit(who, 0, 0);
    const at: number[] = [];
    for (let i = 0; i < 8; i++) {
      door.run(door.now);
      assert.equal(door.ids.length, i + 1);
      at.push(door.now);
      who.state = 'waiting';
      assert.ok(door.admission.turnedAway(who, door.now));
      door.run(door.admission.nextAt - 0.5);
      assert.equal(door.ids.length, i + 1, 'nobody meanwhile');
      door.now += 0.5;
    }
    const waits = at.slice(1).map((moment, i) => moment - at[i]);
    assert.deepEqual(waits, [100, 200, 400, 800, 1_600, 2_000, 2_000]);
  });

  test('after a minute in which nobody gets in there is no hope; while anybody is inside there is', () => {
    const tries = (inside: boolean) => {
      const door = new Door();
      const guest = door.entrant(7);
      if (inside) {
        door.admission.admit(guest, 0, 0);
        door.run(0);
        door.admission.opened(guest);
      }
      const who = door.entrant(8);
      door.admission.admit(who, 0, 0);
      for (let n = 0; n < 200; n++) {
        door.run(door.now);
        if (who.state === 'open') {
          who.state = 'waiting';
          if (!door.admission.turnedAway(who, door.now)) return door.now;
        }
        door.now = Math.max(door.now, door.admission.nextAt);
      }
      return Number.POSITIVE_INFINITY;
    };
    const gaveUp = tries(false);
    assert.ok(gaveUp >= 60_000 && gaveUp < 63_000, `${gaveUp}`);
    assert.equal(tries(true), Number.POSITIVE_INFINITY);
  });
});

/** Sessions side by side, `eachMs` after one another, of `commands` commands `apartMs` apart. */
function crowd(sessions: number, eachMs: number, commands: number, apartMs = 1): Tape {
  const tape = new Tape();
  for (let i = 0; i < sessions; i++) {
    const at = i * eachMs;
    const session = tape.session(at);
    for (let n = 1; n <= commands; n++) session.query(at + n * apartMs, `SELECT ${i}`);
    session.quit(at + (commands + 1) * apartMs);
  }
  return tape;
}

/** Connections that were open at once at most, and whether they came in the order of the recording. */
function concurrency({ transport }: Run): number {
  return [...transport.mostOpen.values()].reduce((sum, most) => sum + most, 0);
}

/** Has room for so many; closes late, as servers do. */
function roomFor(most: number, welcome: Welcome = 1040): FakeTarget {
  const open = new Set<FakeConnection>();
  return {
    users: USERS,
    meets: (connection) => {
      for (const one of open) if (one.over) open.delete(one);
      if (open.size >= most) return welcome;
      open.add(connection);
      return 'greets';
    },
  };
}

describe('a storm of connections', () => {
  test('10,000 short sessions at once over 50 connections: all, in order, never 51', async () => {
    const tape = crowd(10_000, 0.01, 1);
    let open = 0;
    let most = 0;
    let last = -1;
    const run = await replay(tape, {
      fineMs: 60_000,
      engine: { maxConnections: 50 },
      target: {
        users: USERS,
        greetMs: 1,
        meets: () => {
          most = Math.max(most, ++open);
          return 'greets';
        },
        reacts: ({ com, sql }) => {
          if (com === 1) open--;
          else {
            const id = Number(sql.slice(7));
            // Those of one moment may overtake one another.
            assert.ok(id > last - 100, `${id} behind ${last}`);
            last = Math.max(last, id);
          }
          return undefined;
        },
      },
    });
    assert.equal(run.summary.sessions.completed, 10_000);
    assert.equal(most, 50);
    const { waited, wait_ms } = run.summary.admission;
    assert.ok(waited > 9_000 && waited < 10_000, `${waited}`);
    assert.ok(wait_ms.p50 > 100 && wait_ms.max > wait_ms.p50);
    // That they waited is not our lateness.
    assert.ok(run.summary.lateness_ms.max <= 1, `${run.summary.lateness_ms.max}`);
  });

  test('no more new ones in a second than was said', async () => {
    const run = await replay(crowd(300, 0.1, 1), { fineMs: 10_000, engine: { connectRate: 100 } });
    assert.equal(run.summary.sessions.completed, 300);
    const at = run.transport.connections.map(({ openedAt }) => openedAt - START_MS);
    for (let i = 0; i + 100 < at.length; i++) assert.ok(at[i + 100] - at[i] >= 950, `${at[i]}`);
    assert.ok(at[299] > 2_900 && at[299] < 3_100, `${at[299]}`);
  });

  test('at full speed, too: as recorded, and no more than said', async () => {
    const run = await replay(crowd(400, 1, 20, 5), {
      speed: Number.POSITIVE_INFINITY,
      copies: 3,
      engine: { maxConnections: 12 },
    });
    assert.equal(run.summary.sessions.completed, 1_200);
    assert.ok(concurrency(run) <= 3 * 12);
  });

  for (const errno of [1040, 1203]) {
    test(`a target with room for 20 (${errno}): every session gets in, in the end`, async () => {
      const run = await replay(crowd(1_000, 0.05, 3), { fineMs: 60_000, target: roomFor(20, errno) });
      assert.equal(run.summary.sessions.completed, 1_000);
      assert.deepEqual(run.summary.sessions.lost_by, {});
      const turnedAway = run.summary.admission.turned_away[errno];
      assert.equal(turnedAway, run.transport.connections.length - 1_000);
      assert.ok(turnedAway > 0 && turnedAway < 200, `${turnedAway} were turned away: room is learnt`);
    });
  }

  for (const limit of ['no-descriptor', 'no-port'] as const) {
    test(`a replay host with room for 20 (${limit}): every session gets in, and nobody blames the target`, async () => {
      const run = await replay(crowd(1_000, 0.05, 3), { fineMs: 60_000, target: roomFor(20, limit) });
      assert.equal(run.summary.sessions.completed, 1_000);
      assert.deepEqual(run.summary.sessions.lost_by, {});
      const turnedAway = run.summary.admission.turned_away[limit];
      assert.equal(turnedAway, run.transport.connections.length - 1_000);
      assert.deepEqual(run.book.troubles, []);
      assert.equal(run.summary.verdict, 'replayer-bound');
      assert.match(run.summary.reasons.join(), new RegExp(`the replay host had run out of .*: ${limit}`));
    });
  }

  test('a replay host without any room: every session is lost by that name, after a minute', async () => {
    const run = await replay(crowd(5, 1, 1), { target: roomFor(0, 'no-descriptor') });
    assert.deepEqual(run.summary.sessions.lost_by, { 'no-descriptor': 5 });
    assert.deepEqual(Object.keys(run.summary.commands.lost), ['no-descriptor']);
    assert.deepEqual(run.book.troubles, []);
  });

  test('a user limit is waited for only where it is one of connections', async () => {
    // The scripted target's errors have a text of their own: that of no limit of connections.
    const run = await replay(crowd(5, 1, 1), { target: roomFor(1, 1226) });
    assert.ok(run.summary.sessions.lost_by.auth > 0);
  });

  test('long sessions fill the target for minutes: those who wait are not lost', async () => {
    const tape = crowd(30, 1, 4, 50_000);
    const run = await replay(tape, { target: roomFor(20) });
    assert.equal(run.summary.sessions.completed, 30);
  });

  test('a target that is full for good: after a minute each is lost by it, soon', async () => {
    const run = await replay(crowd(200, 1, 1), { target: { users: USERS, meets: () => 1040 } });
    assert.deepEqual(run.summary.sessions.lost_by, { 'too-many-connections': 200 });
    assert.ok(run.elapsedMs > 60_000 && run.elapsedMs < 80_000, `${run.elapsedMs}`);
  });

  test('a stopped run loses what waits as interrupted', async () => {
    for (const engine of [{ maxConnections: 2 }, { connectRate: 10 }]) {
      const run = await replay(crowd(50, 0.1, 3, 100), {
        engine,
        at: [[150, ({ engine }) => engine.stop()]],
      });
      assert.deepEqual(Object.keys(run.summary.sessions.lost_by), ['interrupted']);
      assert.ok(run.transport.connections.length <= 4);
    }
  });

  test('nobody begins while the run is paused', async () => {
    let paused = 0;
    const run = await replay(crowd(50, 1, 1), {
      engine: { connectRate: 100 },
      at: [
        [
          100,
          ({ engine, transport }) => {
            engine.pause();
            paused = transport.connections.length;
          },
        ],
        [
          2_000,
          ({ engine, transport }) => {
            assert.equal(transport.connections.length, paused);
            engine.resume();
          },
        ],
      ],
    });
    assert.equal(run.summary.sessions.completed, 50);
  });

  test('a host that is blocked is said once, and named', async () => {
    const run = await replay(crowd(30, 1, 1), { target: { users: USERS, meets: () => 1129 } });
    assert.deepEqual(run.summary.sessions.lost_by, { 'host-blocked': 30 });
    assert.deepEqual(
      run.book.troubles.map(({ kind }) => kind),
      ['blocked'],
    );
    assert.match(run.summary.reasons.join(), /flush-hosts/);
  });
});

describe('fewer places than the recording had at once', () => {
  test('where those outside fill what is read ahead, they are lost by name, and the rest goes on', async () => {
    const tape = new Tape();
    // Two side by side all the time, each longer than what is read ahead.
    const [one, other] = [tape.session(0), tape.session(1)];
    for (let i = 1; i <= 25_000; i++) {
      one.query(2 * i, 'ONE');
      other.query(2 * i + 1, 'OTHER');
    }
    one.quit(50_002);
    other.quit(50_003);
    const run = await replay(tape, { speed: Number.POSITIVE_INFINITY, engine: { maxConnections: 1 } });
    assert.deepEqual(run.book.endsOf(0), [undefined]);
    assert.deepEqual(run.book.endsOf(1), ['no-place']);
    assert.equal(run.summary.commands.lost['no-place'], 25_001);
  });

  test('nobody is lost while one with a place waits for an answer', async () => {
    const tape = new Tape();
    tape.session(0).query(1, 'SLOW').query(2).quit(6);
    const other = tape.session(1);
    for (let i = 0; i < 25_000; i++) other.query(4 + i);
    other.quit(25_005);
    const run = await replay(tape, {
      speed: Number.POSITIVE_INFINITY,
      engine: { maxConnections: 1 },
      target: {
        users: USERS,
        reacts: ({ sql }) => (sql === 'SLOW' ? { reply: {}, afterMs: 5_000 } : undefined),
      },
    });
    assert.equal(run.summary.sessions.completed, 2);
  });

  test('where they do not, they wait', async () => {
    const tape = crowd(4, 1, 4_000, 2);
    const run = await replay(tape, { speed: Number.POSITIVE_INFINITY, engine: { maxConnections: 1 } });
    assert.equal(run.summary.sessions.completed, 4);
  });
});

test('whatever limits, order and target: every command and session is accounted for, and no more are open than may be', async () => {
  const session = fc.record({
    atMs: fc.nat(200),
    commands: fc.integer({ min: 0, max: 6 }),
    writes: fc.boolean(),
  });
  const welcome = fc.constantFrom<Welcome>(
    'greets',
    'greets',
    'greets',
    1040,
    1203,
    1129,
    'refused',
    'reset',
  );
  const setup = fc.record({
    copies: fc.integer({ min: 1, max: 3 }),
    speed: fc.constantFrom(1, 4, Number.POSITIVE_INFINITY),
    maxConnections: fc.option(fc.integer({ min: 1, max: 5 }), { nil: undefined }),
    connectRate: fc.option(fc.constantFrom(5, 50, 500), { nil: undefined }),
    order: fc.option(fc.constant('commit' as const), { nil: undefined }),
    stopMs: fc.option(fc.nat(600), { freq: 3 }),
    cutMs: fc.option(fc.nat(600), { freq: 4 }),
    dieEach: fc.integer({ min: 5, max: 40 }),
  });
  const runs = fc.asyncProperty(
    fc.array(session, { minLength: 1, maxLength: 12 }),
    fc.array(welcome, { minLength: 1, maxLength: 8 }),
    setup,
    async (sessions, welcomes, { maxConnections, connectRate, order, stopMs, cutMs, dieEach, ...rest }) => {
      const tape = new Tape();
      for (const { atMs, commands, writes } of sessions) {
        const made = tape.session(atMs);
        for (let n = 1; n <= commands; n++)
          made.query(atMs + 10 * n, writes ? 'UPDATE t' : 'SELECT 1', { answered: 'later' });
        made.quit(atMs + 10 * commands + 10);
      }
      const at: NonNullable<Setup['at']> = [];
      if (stopMs !== null) at.push([stopMs, ({ engine }) => engine.stop()]);
      if (cutMs !== null) at.push([cutMs, ({ engine }) => engine.cut()]);
      let n = 0;
      let most = 0;
      const met: FakeConnection[] = [];
      const run = await replay(tape, {
        ...rest,
        ...(order === undefined ? {} : { order }),
        engine: { maxConnections, connectRate },
        at,
        target: {
          users: USERS,
          greetMs: 3,
          meets: (connection) => {
            met.push(connection);
            most = Math.max(most, met.filter(({ over }) => !over).length);
            return welcomes[connection.id % welcomes.length];
          },
          reacts: () => (++n % dieEach === 0 ? 'reset' : { reply: {}, afterMs: n % 30 }),
        },
      });
      assert.ok(run.transport.connections.every(({ over }) => over));
      if (maxConnections !== undefined) assert.ok(most <= maxConnections, `${most} at once`);
    },
  );
  await fc.assert(runs, { numRuns: 150 });
});
