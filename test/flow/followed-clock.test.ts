import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ClockMender } from '../../src/flow/clock.ts';
import { FollowedClock } from '../../src/flow/followed-clock.ts';

const SECOND = 1e9;

/** Stamps in seconds, and what becomes of them: times without steps, and the clock followed again. */
function follow(...stamps: number[]) {
  const mender = new ClockMender();
  const times = Float64Array.from(stamps, (stamp) => stamp * SECOND);
  for (let i = 0; i < times.length; i++) mender.mend(times.subarray(i, i + 1), 1, i);
  const clock = FollowedClock.of(mender.take());
  return {
    times: [...times],
    clock,
    followed: [...times].map((time) => Math.round(clock.at(time) / 1e6) / 1e3),
  };
}

test('without steps both are the same', () => {
  assert.deepEqual(follow(0, 5, 70).followed, [0, 5, 70]);
});

test('a step ahead is waited for', () => {
  assert.deepEqual(follow(0, 10, 200_000, 200_010).followed, [0, 10, 200_000, 200_010]);
});

test('after a step back time stands still until the clock has made up for it', () => {
  const stamps = [0, 1000, 400, 401, 700, 999, 1000, 1001, 1500];
  assert.deepEqual(follow(...stamps).followed, [0, 1000, 1000, 1000, 1000, 1000, 1000, 1001, 1500]);
});

test('a step ahead makes up for one back, and what is more is waited for', () => {
  const back = [0, 100_000, 0, 10];
  assert.deepEqual(follow(...back, 99_000, 100_005).followed.slice(3), [100_000, 100_000, 100_005]);
  assert.deepEqual(follow(...back, 300_000).followed.slice(3), [100_000, 300_000]);
});

test('wrong first stamps are waited for by nobody', () => {
  assert.deepEqual(follow(-1e9, 1, 2).followed, [0, 1, 2]);
});

test('the time of a stamp is the latest of all up to it, for every clock', () => {
  const stamp = fc.oneof(fc.integer({ min: 0, max: 5_000 }), fc.integer({ min: 0, max: 1_000_000 }));
  fc.assert(
    fc.property(fc.array(stamp, { minLength: 1, maxLength: 60 }), (later) => {
      const stamps = [0, ...later];
      const { times, followed, clock } = follow(...stamps);
      const inOrder = times.toSorted((a, b) => a - b).map((time) => clock.at(time));
      assert.ok(inOrder.every((time, i) => i === 0 || time >= inOrder[i - 1]));
      let latest = 0;
      let newest = 0;
      for (const [i, stamped] of stamps.entries()) {
        latest = Math.max(latest, stamped);
        // Packets may be out of order by up to a second, and then one of before a step has the time of one behind it.
        if (times[i] > newest || i === 0)
          assert.ok(Math.abs(followed[i] - latest) <= 3, `${i}: ${followed[i]} is not ${latest}`);
        newest = Math.max(newest, times[i]);
      }
    }),
    { numRuns: 2_000 },
  );
});

test('another thread gets the same', () => {
  const { clock } = follow(0, 1000, 400, 401);
  assert.equal(FollowedClock.from(structuredClone(clock.data)).at(1001 * SECOND), clock.at(1001 * SECOND));
});
