import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Debt, StallWatch } from '../../../src/replay/engine/stalls.ts';
import { Tape } from '../support/tape.ts';
import { type Run, replay, START_MS } from '../support/world.ts';

/** So long nothing happens, though it should. */
const LONG_MS = 5_000;

function busyTape(sessions: number, commands: number, everyMs: number, sql = 'SELECT 1'): Tape {
  const tape = new Tape();
  addSessions(tape, sessions, commands, everyMs, sql);
  return tape;
}

function addSessions(tape: Tape, sessions: number, commands: number, everyMs: number, sql: string): void {
  for (let i = 0; i < sessions; i++) {
    const session = tape.session(0);
    for (let k = 0; k < commands; k++) session.query(k * everyMs, sql);
    session.quit(commands * everyMs);
  }
}

describe('whose fault it is that commands go out late', () => {
  test('a process that stands still is ours, also for those who had their answer meanwhile', async () => {
    // Answers that come during it are seen behind it.
    const run = await replay(busyTape(4, 100, 40), {
      fineMs: 20_000,
      at: [[1_000, ({ clock }: Run) => clock.advance(LONG_MS)]],
      target: { users: { app: 'secret' }, reacts: () => ({ reply: {}, afterMs: 30 }) },
    });
    const { verdict, reasons, stalls, behind_ms: behind } = run.summary;
    assert.equal(verdict, 'replayer-bound', reasons.join('\n'));
    assert.match(
      reasons[0],
      /^commands were up to (4\d\d\d|5000) ms behind the recording because the replay host stood still 1 time, for (4\.9|5) s in all \(/,
    );
    assert.doesNotMatch(reasons.join(), /waited for the target/);
    assert.deepEqual([stalls.count, Math.round(stalls.seconds), Math.round(stalls.longest_s)], [1, 5, 5]);
    assert.ok(behind.target < 200, `${behind.target} ms for the target's fault`);
  });

  test('a target that does not answer is the target, at the end of a stall of ours, too', async () => {
    const tape = busyTape(1, 200, 100);
    let asked = 0;
    const run = await replay(tape, {
      at: [[1_000, ({ clock }: Run) => clock.advance(400)]],
      target: {
        users: { app: 'secret' },
        reacts: () => ({ reply: {}, afterMs: ++asked === 9 ? LONG_MS : 1 }),
      },
    });
    const { verdict, reasons, stalls, behind_ms: behind } = run.summary;
    assert.equal(verdict, 'server-bound', reasons.join('\n'));
    assert.equal(stalls.count, 1);
    assert.ok(behind.target > 3_500, `${behind.target} ms for the target's fault`);
  });

  /** Of 20 sessions wait 22,000 commands for a lock until UNLOCKED_MS; those of others come by meanwhile. */
  const UNLOCKED_MS = 8_000;
  async function locked(load?: () => number): Promise<Run> {
    const tape = busyTape(20, 1_100, 1, 'SELECT locked');
    for (let i = 0; i < 400; i++)
      tape
        .session(0)
        .query(0, 'SELECT free')
        .query(1_500 + 10 * i, 'SELECT free')
        .quit(6_000);
    return replay(tape, {
      engine: { load },
      fineMs: 10_000,
      target: {
        users: { app: 'secret' },
        reacts: ({ sql, at }) => {
          if (sql !== 'SELECT locked') return { reply: {} };
          const afterMs = START_MS + UNLOCKED_MS - at;
          return { reply: {}, ...(afterMs > 0 ? { afterMs } : {}) };
        },
      },
    });
  }

  test('a lock on the target fills the read-ahead, and others are read late: the target', async () => {
    const { verdict, reasons, lateness_ms: lateness } = (await locked()).summary;
    assert.equal(verdict, 'server-bound', reasons.join('\n'));
    assert.ok(lateness.p99 <= 100, `p99 of our lateness ${lateness.p99} ms`);
  });

  test('the same where we were at work all the time: ours', async () => {
    const { verdict, reasons } = (await locked(() => 1)).summary;
    assert.equal(verdict, 'replayer-bound', reasons.join('\n'));
    assert.match(reasons[0], /because the replay host reads and sends too slowly/);
  });
});

describe('a debt', () => {
  test('grows by what its cause lasted, and is never more than what is late', () => {
    const debt = new Debt(100);
    assert.equal(debt.of(50, 100), 0);
    assert.equal(debt.of(500, 400), 300);
    assert.equal(debt.of(500, 400), 300);
    assert.equal(debt.of(120, 400), 120);
    assert.equal(debt.of(-1, 400), 0);
    assert.equal(debt.of(10_000, 401), 1);
    assert.equal(debt.of(10_000, 401, 700), 700);
    assert.equal(debt.of(600, 401, 500), 600);
  });
});

test('a stall counts as soon as it is over, and once', (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  let now = 1_000;
  const told: number[] = [];
  const watch = new StallWatch({ now: () => now, isFull: () => false, stalled: (ms) => told.push(ms) });
  for (let i = 0; i < 20; i++) {
    now += 50 + (i % 4) * 50;
    t.mock.timers.tick(50);
  }
  assert.deepEqual([watch.stalledMs, told], [0, []]);
  now += 3_050;
  assert.equal(watch.stalledMs, 3_000);
  t.mock.timers.tick(50);
  assert.deepEqual([watch.stalledMs, told], [3_000, [3_000]]);
  now += 1_050;
  watch.close();
  assert.deepEqual(told, [3_000, 1_000]);
});
