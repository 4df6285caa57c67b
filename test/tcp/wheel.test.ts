import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type Timed, TimerWheel } from '../../src/tcp/wheel.ts';

const NEVER = Number.POSITIVE_INFINITY;
/** How late a timer may fire: the width of a slot. */
const SLOT_MS = 8;

class Item implements Timed {
  pollAt = NEVER;
  wheelSlot = -1;
  firedAt: number[] = [];
}

/** Turns `wheel` from `from` to `to` in steps, as a ticker does. Fired items want nothing more. */
function turn(wheel: TimerWheel<Item>, from: number, to: number, stepMs: number): void {
  for (let now = from; now <= to; now += stepMs) {
    wheel.advance(now, (item) => {
      assert.ok(item.pollAt <= now, `fired at ${now}, due at ${item.pollAt}`);
      item.firedAt.push(now);
      item.pollAt = NEVER;
    });
  }
}

describe('timer wheel', () => {
  test('nothing fires early, all within a slot and a step, each once', () => {
    const arbitrary = fc.record({
      start: fc.double({ min: 0, max: 1e6, noNaN: true }),
      // Several turns of the wheel away, too.
      deadlines: fc.array(fc.double({ min: 0, max: 15_000, noNaN: true }), { minLength: 1, maxLength: 40 }),
      stepMs: fc.constantFrom(1, 8, 13, 500),
    });
    fc.assert(
      fc.property(arbitrary, ({ start, deadlines, stepMs }) => {
        const wheel = new TimerWheel<Item>(start);
        const items = deadlines.map((ahead) => {
          const item = new Item();
          item.pollAt = start + ahead;
          wheel.schedule(item);
          return item;
        });
        const due = items.map(({ pollAt }) => pollAt);
        turn(wheel, start, start + 16_000 + 2 * stepMs, stepMs);
        items.forEach((item, i) => {
          assert.equal(item.firedAt.length, 1);
          const late = item.firedAt[0] - due[i];
          assert.ok(late >= 0 && late <= SLOT_MS + stepMs, `${late} ms late with steps of ${stepMs}`);
        });
        assert.equal(wheel.size, 0);
      }),
      { seed: 42, numRuns: 60 },
    );
  });

  test('a deadline that moved later without a word fires at its new time; one that moved to never does not', () => {
    const wheel = new TimerWheel<Item>(0);
    const later = new Item();
    const never = new Item();
    for (const item of [later, never]) {
      item.pollAt = 100;
      wheel.schedule(item);
    }
    later.pollAt = 300;
    never.pollAt = NEVER;
    turn(wheel, 0, 290, 1);
    assert.deepEqual([later.firedAt, never.firedAt], [[], []]);
    turn(wheel, 291, 400, 1);
    assert.equal(later.firedAt.length, 1);
    assert.ok(later.firedAt[0] >= 300 && later.firedAt[0] <= 300 + SLOT_MS);
    assert.deepEqual(never.firedAt, []);
    assert.equal(wheel.size, 0);
  });

  test('a deadline that moved earlier fires earlier once it was scheduled again, and only once', () => {
    const wheel = new TimerWheel<Item>(0);
    const item = new Item();
    item.pollAt = 3000;
    wheel.schedule(item);
    item.pollAt = 50;
    wheel.schedule(item);
    wheel.schedule(item);
    assert.equal(wheel.size, 1);
    turn(wheel, 0, 5000, 1);
    assert.equal(item.firedAt.length, 1);
    assert.ok(item.firedAt[0] <= 50 + SLOT_MS);
  });

  test('what fires may schedule itself and others', () => {
    const wheel = new TimerWheel<Item>(0);
    const ticking = new Item();
    const other = new Item();
    ticking.pollAt = 10;
    wheel.schedule(ticking);
    for (let now = 0; now <= 1000; now++) {
      wheel.advance(now, (item) => {
        item.firedAt.push(now);
        item.pollAt = item === ticking ? now + 20 : NEVER;
        if (item === ticking && item.firedAt.length === 3) {
          other.pollAt = now;
          wheel.schedule(other);
        }
      });
    }
    assert.ok(ticking.firedAt.length >= 1000 / (20 + SLOT_MS) - 1, `${ticking.firedAt.length}`);
    assert.equal(other.firedAt.length, 1);
  });

  test('an idle wheel keeps up with the time', () => {
    const wheel = new TimerWheel<Item>(0);
    turn(wheel, 0, 0, 1);
    turn(wheel, 1_000_000, 1_000_000, 1);
    const item = new Item();
    item.pollAt = 1_000_100;
    wheel.schedule(item);
    turn(wheel, 1_000_001, 1_000_200, 1);
    assert.equal(item.firedAt.length, 1);
    assert.ok(item.firedAt[0] >= 1_000_100 && item.firedAt[0] <= 1_000_100 + SLOT_MS);
  });
});
