import assert from 'node:assert/strict';
import { test } from 'node:test';
import { byCoverage, coverageHints, coverageLines } from '../../src/report/coverage.ts';

test('nothing is said where all sessions are whole, or none is known', () => {
  assert.deepEqual(
    [coverageLines({}), coverageLines({ whole: 3 }), coverageHints({ whole: 3 })],
    [[], [], []],
  );
});

test('the values that occur, in their order', () => {
  assert.equal(JSON.stringify(byCoverage({ gaps: 2, cut: 0, whole: 1_000 })), '{"whole":1000,"gaps":2}');
  assert.deepEqual(coverageLines({ gaps: 2, whole: 1_000 }), [
    '',
    'Coverage     sessions: 1,000 whole, 2 gaps',
  ]);
});

test('a hint where it is how the capture was made', () => {
  const [cut, oneSided] = coverageHints({ 'one-sided': 1_500, cut: 1 });
  assert.match(cut, /^1 session has packets that the capture cut short .* -s 0$/);
  assert.match(oneSided, /^1,500 sessions were captured in one direction only: .* both directions/);
});
