import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Pacer } from '../../src/flow/pacer.ts';

test('what is due is reckoned from the anchor, whatever was asked before', () => {
  const pacer = new Pacer(2, 5e9, 100);
  assert.deepEqual(
    [9e9, 5e9, 5e9 + 1e6, 4e9].map((at) => pacer.due(at)),
    [2100, 100, 100.5, -400],
  );
});

test('at full speed everything is due at once', () => {
  const pacer = new Pacer(Number.POSITIVE_INFINITY, 5e9, 100);
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
