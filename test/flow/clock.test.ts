import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { ClockMender, type ClockStep, originOf } from '../../src/flow/clock.ts';

const MS = 1e6;
const SECOND = 1e9;
const HOUR = 3600 * SECOND;
const DAY = 24 * HOUR;
const YEARS = 46 * 365 * DAY;

/** `stamps` in calls of so many. */
function mend(stamps: readonly number[], perCall = stamps.length) {
  const mender = new ClockMender();
  const times: number[] = [];
  for (let i = 0; i < stamps.length; i += perCall) {
    const at = Float64Array.from(stamps.slice(i, i + perCall));
    mender.mend(at, at.length, i);
    times.push(...at);
  }
  return { times, steps: mender.take(), mender };
}

/** Stamps 20 ms apart, those of the packets in [from, to) wrong by `by`. */
function stamps(count: number, ...wrong: readonly [from: number, to: number, by: number][]): number[] {
  const right = (i: number) => 20 * MS * i;
  return Array.from({ length: count }, (_, i) =>
    wrong.reduce((at, [from, to, by]) => (i >= from && i < to ? at + by : at), right(i)),
  );
}

function jumps(steps: readonly ClockStep[]): [packet: number, seconds: number][] {
  return steps.map(({ packet, jumpNs }) => [packet, Math.round(jumpNs / MS) / 1e3]);
}

describe('steps of a clock are taken out', () => {
  const right = stamps(20);

  test('without a step every time is the stamp', () => {
    for (const perCall of [20, 1]) {
      const { times, steps } = mend(right, perCall);
      assert.deepEqual(times, right);
      assert.deepEqual(steps, []);
    }
  });

  test('set back an hour, or ahead by days, for good', () => {
    for (const by of [-HOUR, -13 * SECOND, -200 * DAY, 2 * DAY, YEARS]) {
      for (const perCall of [20, 3, 1]) {
        const { times, steps } = mend(stamps(20, [10, 20, by]), perCall);
        assert.deepEqual(times, right, `${by} ${perCall}`);
        assert.deepEqual(jumps(steps), [[10, by / SECOND]]);
        assert.deepEqual([steps[0].beforeAt, steps[0].at, steps[0].offset], [right[9], right[10] + by, -by]);
      }
    }
  });

  test('by no whole second: the packet after it comes right behind the one before', () => {
    const { times, steps } = mend(stamps(20, [10, 20, -(1234.5 * SECOND)]));
    assert.equal(times[10], right[9] + 1_000);
    assert.deepEqual(
      times.slice(10),
      right.slice(9, 19).map((at) => at + 1_000),
      'and all later ones by as much earlier',
    );
    assert.equal(steps.length, 1);
  });

  test('packets that are stamped wrongly, and then rightly', () => {
    for (const by of [YEARS, -YEARS, -HOUR, 2 * DAY]) {
      for (const to of [11, 12, 18]) {
        for (const perCall of [20, 1]) {
          const { times, steps } = mend(stamps(20, [10, to, by]), perCall);
          assert.deepEqual(times, right, `${by} until ${to}, ${perCall} a call`);
          assert.deepEqual(jumps(steps), [
            [10, by / SECOND],
            [to, -by / SECOND],
          ]);
        }
      }
    }
  });

  test('packets that are ahead by less than a day, and then right, are found within one call', () => {
    for (const by of [HOUR, 23 * HOUR, 5 * SECOND]) {
      const { times, steps } = mend(stamps(20, [10, 12, by]));
      assert.deepEqual(times, right, `${by}`);
      assert.deepEqual(jumps(steps), [
        [10, by / SECOND],
        [12, -by / SECOND],
      ]);
    }
    const apart = mend(stamps(20, [10, 12, HOUR]), 1);
    assert.ok(apart.times.every((time, i) => i === 0 || time >= apart.times[i - 1]));
  });

  test('two wrong in a row, each by another time', () => {
    for (const perCall of [20, 1]) {
      const { times, steps } = mend(stamps(20, [10, 11, YEARS], [11, 12, -YEARS]), perCall);
      assert.deepEqual(times, right);
      assert.equal(steps.length, 3);
    }
  });

  test('the first is wrong, in any way that times cannot be counted from', () => {
    for (const by of [-YEARS, YEARS]) {
      for (const [to, perCall] of [
        [1, 20],
        [1, 1],
        [3, 20],
      ]) {
        const { times, steps } = mend(stamps(20, [0, to, by]), perCall);
        assert.deepEqual(times, right);
        assert.deepEqual(jumps(steps), [
          [0, by / SECOND],
          [to, -by / SECOND],
        ]);
      }
    }
  });

  test('the first is hours before the others', () => {
    for (const by of [-HOUR, -5 * HOUR, -23 * HOUR]) {
      // Times count from the first packet's second.
      const wrong = stamps(20, [0, 1, by]).map((at) => at - by);
      const { times, steps } = mend(wrong);
      assert.deepEqual(
        times,
        right.map((at) => at - by),
      );
      assert.deepEqual(jumps(steps), [
        [0, by / SECOND],
        [1, -by / SECOND],
      ]);
      assert.deepEqual([steps[0].beforeAt, steps[0].at], [wrong[1], wrong[0]]);
    }
  });

  test('a first packet and few others in the hours after it are not', () => {
    const sparse = [0, 2, 4, 6].map((hour) => hour * HOUR);
    assert.deepEqual(mend(sparse).steps, []);
    assert.deepEqual(mend([0, 59 * 60 * SECOND, 59 * 60 * SECOND + MS]).steps, []);
    assert.deepEqual(mend([0, MS, 5 * HOUR, 5 * HOUR + MS]).steps, []);
  });

  test('the last is wrong', () => {
    assert.deepEqual(mend(stamps(20, [19, 20, YEARS])).times, right);
    assert.deepEqual(mend(stamps(20, [19, 20, -YEARS])).times, right);
  });

  test('a clock that is set back each day for an hour stays where it was', () => {
    const minutes = Array.from({ length: 5 * 24 * 60 }, (_, i) => i * 60 * SECOND);
    const isBack = (at: number) => at % DAY >= 5 * HOUR && at % DAY < 6 * HOUR;
    const stamped = minutes.map((at) => (isBack(at) ? at - HOUR : at));
    for (const perCall of [7, 1]) {
      const { times, steps } = mend(stamped, perCall);
      assert.deepEqual(times, minutes);
      assert.equal(steps.length, 10);
    }
  });

  test('an hour in which nothing was sent is no step, nor is a minute behind a small one', () => {
    const idle = [0, 1, 2].flatMap((hour) => stamps(5).map((at) => at + hour * HOUR));
    assert.deepEqual(mend(idle).steps, []);
    const slow = [0, 10 * SECOND, 5 * SECOND, 70 * SECOND, 140 * SECOND];
    assert.deepEqual(jumps(mend(slow, 1).steps), [[2, -5]]);
  });

  test('a clock that was set back by little is put right', () => {
    for (const by of [-1.5 * SECOND, -10 * SECOND, -300 * SECOND, -HOUR]) {
      for (const perCall of [20, 1]) {
        const { times, steps } = mend(stamps(20, [5, 15, by]), perCall);
        for (const [i, time] of times.entries())
          assert.ok(Math.abs(time - right[i]) <= 20 * MS, `${by}: ${i}`);
        assert.deepEqual(
          steps.map(({ packet }) => packet),
          [5, 15],
        );
        assert.equal(steps[1].offset, 0);
      }
    }
  });

  test('a pause that is not as long as the clock was set back before is no step', () => {
    for (const [by, pause] of [
      [-1.5, 2],
      [-1.5, 1.1],
      [-10, 8],
      [-10, 12.5],
      [-300, 297],
      [-300, 303],
      [-HOUR / SECOND, 900],
    ]) {
      const { steps } = mend(stamps(20, [5, 20, by * SECOND], [15, 20, pause * SECOND]), 1);
      assert.deepEqual(jumps(steps).length, 1, `${pause} s after ${by}`);
    }
  });

  test('packets out of order by less than a second are left alone', () => {
    const shuffled = [0, 500 * MS, 100 * MS, 900 * MS, 600 * MS, 1_400 * MS];
    const { times, steps } = mend(shuffled);
    assert.deepEqual(times, shuffled);
    assert.deepEqual(steps, []);
  });

  test('what the clock shows now is mended as packets are, and is never before one of them', () => {
    const { mender, times } = mend(stamps(20, [10, 20, -HOUR]));
    const newest = times[19];
    assert.equal(mender.now(newest - HOUR + 5 * MS), newest + 5 * MS);
    assert.equal(mender.now(newest - 2 * HOUR), newest);
    assert.equal(new ClockMender().now(7), 7);
  });

  const step = fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: -500 * MS, max: 900 * MS }) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 20 * 3600 }).map((s) => s * SECOND) },
    { weight: 1, arbitrary: fc.integer({ min: -4e9, max: 4e9 }).map((s) => s * SECOND) },
    { weight: 1, arbitrary: fc.integer({ min: -1e13, max: 1e13 }) },
  );
  const steps = fc.array(step, { minLength: 1, maxLength: 80 });

  test('whatever the stamps: times hardly run back, and never a day ahead; offsets tell them all', () => {
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 80 }), (distances, perCall) => {
        let at = 0;
        const raw = distances.map((distance) => {
          at += distance;
          // As pcap has it, whatever the origin.
          if (Math.abs(at) > 4e18) at = 0;
          return at;
        });
        const found = mend(raw, perCall);
        let newest = found.times[0];
        for (const [i, time] of found.times.entries()) {
          assert.ok(time - newest >= -SECOND - 1024, `back at ${i}`);
          if (i > 0) assert.ok(time - newest <= DAY + 1024, `ahead at ${i}`);
          newest = Math.max(newest, time);
        }
        let offset = 0;
        let next = 0;
        for (const [i, stamp] of raw.entries()) {
          while (found.steps[next]?.packet === i) offset = found.steps[next++].offset;
          assert.ok(Math.abs(stamp + offset - found.times[i]) <= 1024, `offset at ${i}`);
        }
        assert.equal(next, found.steps.length);
      }),
      { numRuns: 500 },
    );
  });

  test('neighbours that no step is between are as far apart as they were stamped', () => {
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 80 }), (distances, perCall) => {
        let at = 0;
        const raw = distances.map((distance) => (at += distance % (40 * DAY)));
        const found = mend(raw, perCall);
        const at_ = new Set(found.steps.map(({ packet }) => packet));
        for (let i = 1; i < raw.length; i++) {
          if (at_.has(i)) continue;
          assert.ok(Math.abs(found.times[i] - found.times[i - 1] - (raw[i] - raw[i - 1])) <= 64);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('the second that times count from', () => {
  test('is that of the first packet', () => {
    assert.equal(originOf([100, 101, 99]), 100);
    assert.equal(originOf([100, 100 + 30 * 86_400, 100 + 40 * 86_400]), 100);
    assert.equal(originOf([]), -1);
    assert.equal(originOf([7]), 7);
  });

  test('unless most are years from that', () => {
    assert.equal(originOf([249_344_000, 1_700_000_000, 1_700_000_001, 1_700_000_002]), 1_700_000_000);
    assert.equal(originOf([3_150_656_000, 5, 1_700_000_000, 1_700_000_001, 1_700_000_002]), 1_700_000_000);
    assert.equal(originOf([1_700_000_000, 1_700_000_000, 3_150_656_000]), 1_700_000_000);
  });
});
