import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MytapeError } from '../../../src/errors.ts';
import type { RunControl } from '../../../src/run/control/control.ts';
import { TargetCheck } from '../../../src/run/interlock/target-check.ts';

const MINUTE_MS = 60_000;

/** A check by a clock that goes on only while a run waits, and what it did, in order. */
function fakeRun({ asks = [] }: { asks?: (Error | undefined)[] } = {}) {
  const did: string[] = [];
  let nowMs = 0;
  let stops = 0;
  const waitTo = (untilMs: number) => {
    if (stops === 0) nowMs = Math.max(nowMs, untilMs);
  };
  const control = {
    get stops() {
      return stops;
    },
    async wait(untilMs: number) {
      waitTo(untilMs);
    },
    async begin(startMs?: number) {
      waitTo(startMs ?? nowMs);
      did.push(`begun at ${nowMs / 1000} s`);
    },
  } as RunControl;
  const check = new TargetCheck(
    async () => {
      did.push(`asked at ${nowMs / 1000} s`);
      const refusal = asks.shift();
      if (refusal !== undefined) throw refusal;
    },
    () => nowMs,
  );
  const stop = () => {
    stops++;
  };
  return { did, control, check, stop };
}

describe('what a run asks its targets, and when', () => {
  test('one that waits for hours asks again just before it begins, and begins in time', async () => {
    const { did, control, check } = fakeRun();
    await check.ask();
    await check.waitToBegin(control, 120 * MINUTE_MS);
    assert.deepEqual(did, ['asked at 0 s', 'asked at 7170 s', 'begun at 7200 s']);
  });

  test('whatever it waits, no answer is older than a minute when it begins', async () => {
    for (let startMs = 0; startMs <= 3 * MINUTE_MS; startMs += 1_000) {
      const { did, control, check } = fakeRun();
      await check.ask();
      await check.waitToBegin(control, startMs);
      const [asked] = did.filter((line) => line.startsWith('asked')).slice(-1);
      const [askedSec, begunSec] = [asked, did.at(-1) ?? ''].map((line) => Number(/(\d+) s/.exec(line)?.[1]));
      assert.equal(begunSec * 1000, startMs);
      assert.ok(begunSec - askedSec <= 60, did.join(', '));
    }
  });

  test('one that begins at once asks once', async () => {
    const { did, control, check } = fakeRun();
    await check.ask();
    await check.waitToBegin(control, undefined);
    assert.deepEqual(did, ['asked at 0 s', 'begun at 0 s']);
  });

  test('a target that has become live meanwhile refuses the run, which then does not begin', async () => {
    const refusal = new MytapeError('refused', 'it looks live');
    const { did, control, check } = fakeRun({ asks: [undefined, refusal] });
    await check.ask();
    await assert.rejects(check.waitToBegin(control, 120 * MINUTE_MS), refusal);
    assert.deepEqual(did, ['asked at 0 s', 'asked at 7170 s']);
  });

  test('one that is stopped while it waits asks nothing more', async () => {
    const { did, control, check, stop } = fakeRun();
    await check.ask();
    stop();
    await check.waitToBegin(control, 120 * MINUTE_MS);
    assert.deepEqual(did, ['asked at 0 s', 'begun at 0 s']);
  });
});
