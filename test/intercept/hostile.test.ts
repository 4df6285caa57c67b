/** Relay conversations damaged at random: `npm run fuzz -- relay` for more of them. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { interceptTrial } from './hostile/intercept-trial.ts';
import { replayTrial, startPolite } from './hostile/replay-trial.ts';
import { socketPath } from './relay-bed.ts';

const WHOLE = 10;
const DAMAGED = 200;

describe('relay conversations', () => {
  test('as they should be: what is said in them gets segments sent', () => {
    for (let seed = 1; seed <= WHOLE; seed++) {
      const { failure, sent } = interceptTrial(seed, false);
      assert.equal(failure, undefined, `seed ${seed}`);
      assert.ok(sent > 5, `seed ${seed}: ${sent} segments`);
    }
  });

  test('damaged, an intercept throws nothing, holds what it may, and sends only where it may', () => {
    for (let seed = 1; seed <= DAMAGED; seed++) {
      const { failure } = interceptTrial(seed);
      assert.equal(failure, undefined, `npm run fuzz -- relay --end intercept --seed ${seed} --count 1`);
    }
  });

  test('damaged, a replay throws nothing, sends to its target alone, and ends each connection once', async (t) => {
    const path = socketPath(t);
    const server = await startPolite(path);
    t.after(() => server.close());
    for (let seed = 1; seed <= WHOLE; seed++) {
      const { failure, sent } = await replayTrial(seed, path, false);
      assert.equal(failure, undefined, `seed ${seed}`);
      assert.ok(sent > 10, `seed ${seed}: ${sent} segments`);
    }
    for (let seed = 1; seed <= DAMAGED / 2; seed++) {
      const { failure } = await replayTrial(seed, path);
      assert.equal(failure, undefined, `npm run fuzz -- relay --end replay --seed ${seed} --count 1`);
    }
  });
});
