/** `npm run fuzz -- target`, in short: the same trials. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attempt, CAPTURES } from './trials.ts';

/** Of each capture. They run at once, since most of their time is waiting. */
const SEEDS = 12;

test('damaged answers of a target: the run ends, and each command has its fate', {
  timeout: 60_000,
}, async () => {
  const trials = CAPTURES.flatMap((capture) =>
    Array.from({ length: SEEDS }, (_, i) => ({ capture, seed: i + 1 })),
  );
  const failures = (await Promise.all(trials.map(attempt))).filter(({ failure }) => failure !== undefined);
  assert.deepEqual(failures, []);
});
