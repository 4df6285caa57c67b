/** Captures damaged in every way that happens to captures: what must hold of what is told of them. `npm run fuzz` has more of it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { check } from './support/property.ts';
import { wholeNames } from './support/reference.ts';
import { report, run, type Trial, Trials, trialsOfEach } from './support/trials.ts';

const TRIALS = 600;
/** Of these each packet is lost once: they have several commands sent at once, and statements prepared, executed and closed. */
const IN_TURN = ['connector', 'php', 'mysql2'];
/** And of the synthetic ones. */
const SMALL = /^\d\d-/;
/** More failures than these tell nothing new. */
const MOST_REPORTS = 10;

describe('damaged captures', () => {
  const trials = new Trials(wholeNames());

  test('undamaged, each tells what it tells', () => {
    for (const whole of trials.wholes) assert.deepEqual(check(whole, whole.packets).failures, [], whole.name);
  });

  /** The failures among these; up to MOST_REPORTS. */
  function failuresOf(some: Iterable<Trial>): string {
    const reports: string[] = [];
    for (const trial of some) {
      if (run(trial).failures.length > 0) reports.push(report(trial));
      if (reports.length === MOST_REPORTS) break;
    }
    return reports.join('\n');
  }

  function* atRandom(): Generator<Trial> {
    for (let seed = 0; seed < TRIALS; seed++) yield trials.make(seed);
  }

  test(`${TRIALS} of them: nothing gone, nothing altered, no answer or statement id of another's`, () => {
    assert.equal(failuresOf(atRandom()), '', 'see one again: npm run fuzz -- --seed N --count 1');
  });

  test('each packet lost, and all before it', () => {
    const some = trials.wholes.filter(({ name }) => SMALL.test(name) || IN_TURN.includes(name));
    assert.ok(some.length > IN_TURN.length);
    assert.equal(failuresOf(trialsOfEach(some, ['drop', 'start'])), '', 'npm run fuzz -- --each drop,start');
  });
});
