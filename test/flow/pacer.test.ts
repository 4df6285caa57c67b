import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Pacer } from '../../src/flow/pacer.ts';

const MAX = Number.POSITIVE_INFINITY;

test('what is due is reckoned from the anchor, whatever was asked before', () => {
  const pacer = new Pacer(2, 5e9, 100);
  assert.deepEqual(
    [9e9, 5e9, 5e9 + 1e6, 4e9].map((at) => pacer.due(at)),
    [2100, 100, 100.5, -400],
  );
});

test('at full speed everything is due at once', () => {
  const pacer = new Pacer(MAX, 5e9, 100);
  assert.deepEqual(
    [5e9, 9e9, 4e9].map((at) => pacer.due(at)),
    [100, 100, 100],
  );
});

test('later is due later, and a gap at speed s is 1/s as long', () => {
  const ns = fc.integer({ min: 0, max: 100 * 86_400 * 1e9 });
  const speed = fc.double({ min: 0.01, max: 1000, noNaN: true });
  fc.assert(
    fc.property(ns, ns, ns, speed, (anchor, a, b, s) => {
      const pacer = new Pacer(s, anchor, 12.5);
      const gapMs = pacer.due(b) - pacer.due(a);
      // To a microsecond: a double of 100 days in ms has no more to give at one hundredth of the speed.
      assert.ok(Math.abs(gapMs - (b - a) / 1e6 / s) < 0.001);
    }),
  );
});

test('a new speed leaves alone what was due, and scales what lies ahead', () => {
  const pacer = new Pacer(1, 0, 1000);
  pacer.setSpeed(10, 1500);
  // Recorded at 400, 500, 600 and 1500 ms; the replay has come to 500.
  assert.deepEqual(
    [400e6, 500e6, 600e6, 1500e6].map((at) => pacer.due(at)),
    [1400, 1500, 1510, 1600],
  );
  assert.deepEqual([pacer.speed, pacer.spanMs(20e6)], [10, 2]);
  pacer.setSpeed(2, 1600);
  // Behind the next change, it has gone by at 10.
  assert.deepEqual(
    [1400e6, 1500e6, 1600e6].map((at) => pacer.due(at)),
    [1590, 1600, 1650],
  );
});

test('at full speed everything ahead is due now, and what was due stays late', () => {
  const pacer = new Pacer(2, 0, 0);
  pacer.setSpeed(MAX, 1000);
  assert.deepEqual(
    [1e9, 2e9, 2e9 + 1, 9e12].map((at) => pacer.due(at)),
    [500, 1000, 1000, 1000],
  );
  assert.equal(pacer.spanMs(5e9), 0);
});

test('after full speed what lies behind the moment reached comes at the new speed', () => {
  const pacer = new Pacer(MAX, 0, 0);
  pacer.setSpeed(2, 700, 60e9);
  assert.deepEqual(
    [1e9, 60e9, 61e9].map((at) => pacer.due(at)),
    [0, 0, 1200],
  );
});

test('a pause holds back what was not due, and takes its own length from nothing', () => {
  const pacer = new Pacer(1, 0, 0);
  pacer.pause(300);
  assert.ok(pacer.paused);
  assert.deepEqual(
    [200e6, 300e6, 301e6].map((at) => pacer.due(at)),
    [200, 300, MAX],
  );
  pacer.setSpeed(2, 800);
  assert.equal(pacer.due(301e6), MAX, 'a new speed does not end the pause');
  pacer.pause(900);
  pacer.resume(1000);
  assert.ok(!pacer.paused);
  assert.deepEqual(
    [200e6, 300e6, 301e6, 500e6].map((at) => pacer.due(at)),
    [200, 300, 1000.5, 1100],
  );
  pacer.resume(5000);
  assert.equal(pacer.due(500e6), 1100, 'it was going on');
});

test('a pause at full speed holds back what lies behind the moment reached', () => {
  const pacer = new Pacer(MAX, 0, 50);
  pacer.pause(300, 8e9);
  assert.deepEqual(
    [8e9, 8e9 + 1].map((at) => pacer.due(at)),
    [50, MAX],
  );
  pacer.resume(400);
  assert.equal(pacer.due(9e9), 400);
});

test('before it has begun, a new speed or a pause does not make it begin sooner', () => {
  const sped = new Pacer(1, 0, 1000);
  sped.setSpeed(4, 200);
  assert.deepEqual([sped.due(0), sped.due(400e6)], [1000, 1100]);

  const paused = new Pacer(1, 0, 1000);
  paused.pause(200);
  assert.deepEqual([paused.due(0), paused.due(1)], [MAX, MAX]);
  paused.resume(300);
  assert.deepEqual([paused.due(0), paused.due(5e6)], [1000, 1005]);

  const late = new Pacer(1, 0, 1000);
  late.pause(200);
  late.resume(3000);
  assert.deepEqual([late.due(0), late.due(5e6)], [3000, 3005]);
});

interface Change {
  afterMs: number;
  to: number | 'pause' | 'resume';
}

const change = fc.record<Change>({
  afterMs: fc.double({ min: 0, max: 1e5, noNaN: true }),
  to: fc.oneof(
    fc.double({ min: 0.01, max: 1000, noNaN: true }),
    fc.constant(MAX),
    fc.constantFrom('pause' as const, 'resume' as const),
  ),
});

/** Makes the changes; `reachedAt` is what the replay has come to, told at each. Answers the moment of the last. */
function make(pacer: Pacer, changes: readonly Change[], each: (now: number) => number | undefined): number {
  let now = 0;
  for (const { afterMs, to } of changes) {
    now += afterMs;
    const reachedAt = each(now);
    if (to === 'pause') pacer.pause(now, reachedAt);
    else if (to === 'resume') pacer.resume(now);
    else pacer.setSpeed(to, now, reachedAt);
  }
  return now;
}

test('however the speed changes: in order, what is due stays due, what is not does not become so by the change', () => {
  const moments = fc.array(fc.integer({ min: -1e12, max: 1e14 }), { minLength: 1, maxLength: 30 });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 12 }), moments, (changes, unsorted) => {
      const ats = unsorted.sort((a, b) => a - b);
      const pacer = new Pacer(1, 0, 0);
      let before: boolean[] | undefined;
      const isDue = (now: number) => ats.map((at) => pacer.due(at) <= now);
      let last = 0;
      const each = (now: number) => {
        for (let i = 1; i < ats.length; i++) assert.ok(pacer.due(ats[i - 1]) <= pacer.due(ats[i]));
        // What the change before this one made of what was due at its moment, and of what was not.
        const after = isDue(last);
        for (const [i, due] of (before ?? []).entries()) {
          assert.ok(!due || after[i], 'was due, and is not any more');
          const became = !due && after[i] && pacer.due(ats[i]) < last - 1e-3;
          assert.ok(!became, 'was not due, and has been for some time');
        }
        before = isDue(now);
        last = now;
        // At full speed, the replay has sent whatever was due.
        return ats.at(-1);
      };
      make(pacer, changes, each);
      each(last);
    }),
  );
});

test('lateness never adds up: after any changes as much of the recording has gone by as the speeds allow', () => {
  const finite = change.filter(({ to }) => to !== MAX);
  fc.assert(
    fc.property(fc.array(finite, { maxLength: 200 }), (changes) => {
      const pacer = new Pacer(1, 0, 0);
      let reached = 0;
      let last = 0;
      const now = make(pacer, changes, (at) => {
        if (!pacer.paused) reached += (at - last) * 1e6 * pacer.speed;
        last = at;
        return undefined;
      });
      pacer.resume(now);
      // A nanosecond of what 200 changes at up to 1000 times add up to is beyond a double.
      const slack = 1e-3 + 1e-12 * reached;
      assert.ok(Math.abs(pacer.due(reached + 5e9) - now - 5e3 / pacer.speed) * pacer.speed < slack);
    }),
  );
});
