import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { describe, mock, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Alarm, openAlarm, openPlainAlarm, untilAlarm } from '../../src/net/timer.ts';

const skip = process.platform === 'linux' ? false : 'needs Linux';
const CHILD = fileURLToPath(new URL('timer-child.js', import.meta.url));

/** Resolves with `value` when `open`'s alarm goes off as set. */
function after<T>(open: typeof openAlarm, delayMs: number, value: T): Promise<T> {
  return new Promise((resolve) => {
    const alarm = open(() => {
      alarm.close();
      resolve(value);
    });
    alarm.set(delayMs);
  });
}

for (const [name, open] of [
  ['precise', openAlarm],
  ['plain', openPlainAlarm],
] as const) {
  describe(`the ${name} alarm`, () => {
    test('goes off once', async () => {
      let times = 0;
      const alarm = open(() => times++);
      alarm.set(1);
      await sleep(30);
      assert.equal(times, 1);
      alarm.close();
    });

    test('goes off though its time is over, or now', async () => {
      assert.deepEqual(await Promise.all([after(open, -5, 'past'), after(open, 0, 'now')]), ['past', 'now']);
    });

    test('goes off later where it is set later, sooner where it is set sooner', async () => {
      const order: string[] = [];
      await new Promise<void>((resolve) => {
        const alarms: Alarm[] = [];
        const make = (what: string) => {
          const alarm = open(() => {
            order.push(what);
            if (order.length < 3) return;
            for (const one of alarms) one.close();
            resolve();
          });
          alarms.push(alarm);
          return alarm;
        };
        const later = make('later');
        const sooner = make('sooner');
        make('between').set(60);
        later.set(1);
        later.set(120);
        sooner.set(60_000);
        sooner.set(1);
      });
      assert.deepEqual(order, ['sooner', 'between', 'later']);
    });

    test('is silent when cleared, and can be set again', async () => {
      let times = 0;
      const alarm = open(() => times++);
      alarm.set(1);
      alarm.clear();
      await sleep(20);
      assert.equal(times, 0);
      alarm.set(1);
      await sleep(20);
      assert.equal(times, 1);
      alarm.close();
    });

    test('is silent when closed', async () => {
      const alarm = open(() => assert.fail('went off'));
      alarm.set(1);
      alarm.close();
      alarm.close();
      alarm.clear();
      await sleep(20);
    });

    test('can be set by what it calls', async () => {
      let left = 20;
      await new Promise<void>((resolve) => {
        const alarm = open(() => {
          if (left-- > 0) alarm.set(0.3);
          else {
            alarm.close();
            resolve();
          }
        });
        alarm.set(1);
      });
      assert.equal(left, -1);
    });
  });
}

describe('the precise alarm', { skip }, () => {
  test("is none of Node's timers", async () => {
    mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
    try {
      assert.equal(await after(openAlarm, 2.5, 'went off'), 'went off');
    } finally {
      mock.timers.reset();
    }
  });

  test('never goes off early, not by a part of a millisecond', async () => {
    for (let i = 0; i < 60; i++) {
      const delayMs = 0.05 + (i % 12) * 0.27 + (i === 7 ? 1000 : 0);
      const due = performance.now() + delayMs;
      await after(openAlarm, delayMs, undefined);
      assert.ok(performance.now() >= due, `${due - performance.now()} ms early`);
    }
  });

  test('set anew when it was about to go off, it waits for its new time', async () => {
    const alarms: Alarm[] = [];
    // Both have expired when the loop looks; the first to be called puts the other off.
    const order: string[] = [];
    await new Promise<void>((resolve) => {
      const wentOff = (what: string, other: Alarm) => {
        order.push(what);
        other.set(60_000);
        setTimeout(resolve, 20);
      };
      const a: Alarm = openAlarm(() => wentOff('a', b));
      const b: Alarm = openAlarm(() => wentOff('b', a));
      alarms.push(a, b);
      for (const alarm of alarms) alarm.set(1);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    });
    for (const alarm of alarms) alarm.close();
    assert.equal(order.length, 1, order.join());
  });

  test('who would put the thread to sleep is told for how long', async () => {
    const between = (low: number, high: number) => {
      const left = untilAlarm();
      assert.ok(left > low && left <= high, `${left} ms`);
    };
    assert.equal(untilAlarm(), Number.POSITIVE_INFINITY);
    const [later, sooner] = [openAlarm(() => {}), openAlarm(() => {})];
    assert.equal(untilAlarm(), Number.POSITIVE_INFINITY);
    later.set(5_000_000);
    between(0, 5_000_000);
    sooner.set(60_000);
    between(0, 60_000);
    sooner.clear();
    between(60_000, 5_000_000);
    sooner.set(1);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    between(-60_000, 0);
    await sleep(20);
    between(60_000, 5_000_000);
    later.close();
    assert.equal(untilAlarm(), Number.POSITIVE_INFINITY);
    sooner.close();
  });

  for (const [how, said] of [
    ['set', 'went off\n'],
    ['cleared', ''],
    ['gone off', 'went off\n'],
    ['never set', ''],
    ['in a worker', 'went off\n'],
  ] as const) {
    test(`keeps the process alive as long as it is set: ${how}`, async () => {
      const run = promisify(execFile)(process.execPath, [CHILD, how], { timeout: 20_000 });
      assert.deepEqual(await run, { stdout: said, stderr: '' });
    });
  }
});
