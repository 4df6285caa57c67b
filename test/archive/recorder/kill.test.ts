/** Recorders that are killed: `npm run soak -- record` does it for longer. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { temporaryFolder } from '../support.ts';
import { problemsOf, RecordedHost, type Run, skip } from './host.ts';

const KILLS = 3;
const LATER_MS = 2_000;

/** What a recorder has to be durable is a second old at most; and one more for a machine that is busy with other things. */
const MOST_LOST_MS = 2_000;

describe('recorders killed at any moment', { skip, timeout: 120_000 }, () => {
  let host: RecordedHost;
  before(() => {
    host = new RecordedHost('mytape-kills');
  });
  after(() => host?.close());

  test('lose nothing that was a second old, under a load and a flood', async (t) => {
    const folder = temporaryFolder(t);
    const dirs = Array.from({ length: KILLS }, (_, i) => join(folder, `${i}`));
    const recorders = await Promise.all(dirs.map((dir) => host.record(dir)));
    const steady = await host.steady(8);
    const flood = host.flood(2_000);
    const kill = async (recorder: Run, dir: string) => {
      await sleep(MOST_LOST_MS + Math.random() * LATER_MS);
      const answered = steady.by(Date.now() - MOST_LOST_MS);
      assert.equal(await recorder.end('SIGKILL'), 'SIGKILL', recorder.stderr);
      return { dir, answered };
    };
    const killed = await Promise.all(recorders.map((recorder, i) => kill(recorder, dirs[i])));
    await Promise.all([steady.run.end('SIGKILL'), flood.end('SIGKILL')]);
    assert.equal(steady.run.stderr + flood.stderr, '');
    assert.ok(killed.some(({ answered }) => Object.values(answered).some((number) => number > 0)));
    for (const { dir, answered } of killed) assert.deepEqual(await problemsOf(dir, answered), []);
  });
});
