import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { recordReference, runTrial, trialOf } from './flips.ts';

const folder = mkdtempSync(join(tmpdir(), 'mytape-test-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** `npm run fuzz -- index` does more of them. */
const TRIALS = 120;

test('one bit flipped in an index or a segment: readers get what was recorded, or say what is damaged', async () => {
  const reference = join(folder, 'reference');
  const right = await recordReference(reference);
  for (let seed = 1; seed <= TRIALS; seed++) {
    const trial = trialOf(reference, seed);
    const failures = await runTrial(reference, right, join(folder, 'damaged'), trial, seed);
    const name = `npm run fuzz -- index --seed ${seed} --count 1: ${JSON.stringify(trial)}`;
    assert.deepEqual(failures, [], name);
  }
});
