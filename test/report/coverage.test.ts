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

test('under a flood, what one direction was seen of is said to be of it', () => {
  const [hint] = coverageHints({ 'one-sided': 8_192, whole: 3 }, true);
  assert.match(hint, /^8,192 sessions have packets of one direction only: most likely .* flood/);
  assert.doesNotMatch(hint, /capture both/);
  assert.match(coverageLines({ 'one-sided': 1 }, true).at(-1)!, /^ {2}- 1 session has .* flood/);
});

test('where others have both directions, nobody may have answered those that have one', () => {
  const [hint] = coverageHints({ 'one-sided': 7, whole: 3 });
  assert.match(
    hint,
    /^7 sessions were captured in one direction only: .* no server answered the client \(a flood, a scan\)/,
  );
});
