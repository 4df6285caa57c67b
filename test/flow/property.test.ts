/** Captures damaged in every way that happens to captures: what must hold of what is told of them. `npm run fuzz` has more of it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { check, report, run, Trials } from './support/property.ts';
import { wholeNames } from './support/reference.ts';

const TRIALS = 600;
/** More failures than these tell nothing new. */
const MOST_REPORTS = 10;

describe('damaged captures', () => {
  const trials = new Trials(wholeNames());

  test('undamaged, each tells what it tells', () => {
    for (const whole of trials.wholes) assert.deepEqual(check(whole, whole.packets).failures, [], whole.name);
  });

  test(`${TRIALS} of them: nothing gone, nothing altered, no answer or statement id of another's`, () => {
    const reports: string[] = [];
    for (let seed = 0; seed < TRIALS && reports.length < MOST_REPORTS; seed++) {
      const trial = trials.make(seed);
      if (run(trial).failures.length > 0) reports.push(report(trial));
    }
    assert.equal(reports.join('\n'), '', `see one again: npm run fuzz -- --seed N --count 1`);
  });
});
