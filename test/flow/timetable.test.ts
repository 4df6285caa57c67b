import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { IdleGaps } from '../../src/flow/idle.ts';
import { copyOffset, SessionTimes, Timetable } from '../../src/flow/timetable.ts';

const plain = { anchorAt: 1_000, connectScale: 1, thinkScale: 1 };

/** [command, answer], the first pair the connection's first packet and the end of its login. */
type Exchange = readonly [at: number, reply: number | undefined];

/** When each command of a session is scheduled, and the think time before it. */
function schedule(timetable: Timetable, [login, ...commands]: readonly Exchange[]) {
  const times = new SessionTimes(timetable, login[0], login[1] as number);
  let reply: number | undefined;
  return commands.map(([at, next]) => {
    const scheduled = times.schedule(at, reply);
    reply = next;
    return { scheduled, think: times.thinkNs };
  });
}

const session: readonly Exchange[] = [
  [5_000, 5_100],
  [5_300, 5_350],
  [5_950, 6_950],
  [7_000, undefined],
];

describe('timetable', () => {
  test('with nothing to scale or cut everything is where it was recorded', () => {
    const timetable = new Timetable(plain);
    assert.equal(timetable.openAt(5_000), 5_000);
    assert.deepEqual(
      schedule(timetable, session).map(({ scheduled }) => scheduled),
      [5_300, 5_950, 7_000],
    );
  });

  test('the time from the anchor to a beginning is scaled, and nothing within the session', () => {
    const timetable = new Timetable({ ...plain, connectScale: 0.5 });
    assert.deepEqual([timetable.openAt(1_000), timetable.openAt(5_000)], [1_000, 3_000]);
    assert.deepEqual(
      schedule(timetable, session).map(({ scheduled }) => scheduled - 3_000),
      [300, 950, 2_000],
    );
  });

  test('think times are scaled, the times of answers and of the login are not', () => {
    const timetable = new Timetable({ ...plain, thinkScale: 3 });
    assert.equal(timetable.openAt(5_000), 5_000);
    // Login 100, think 200 × 3, answer 50, think 600 × 3, answer 1000, think 50 × 3.
    assert.deepEqual(schedule(timetable, session), [
      { scheduled: 5_700, think: 600 },
      { scheduled: 7_550, think: 1_800 },
      { scheduled: 8_700, think: 150 },
    ]);
  });

  test('without think times a command is scheduled when the one before it was answered', () => {
    const timetable = new Timetable({ ...plain, thinkScale: 0 });
    assert.deepEqual(
      schedule(timetable, session).map(({ scheduled }) => scheduled),
      [5_100, 5_150, 6_150],
    );
  });

  test('what has no answer is followed by think time, what was sent ahead of an answer has none', () => {
    const timetable = new Timetable({ ...plain, thinkScale: 10 });
    const times = new SessionTimes(timetable, 0, 100);
    assert.equal(times.schedule(100, undefined), 100);
    assert.equal(times.schedule(130, undefined), 400);
    assert.equal(times.thinkNs, 300);
    // Answered only after the next command had been sent.
    assert.equal(times.schedule(150, 180), 420);
    assert.equal(times.thinkNs, 0);
  });

  test('idle stretches are cut before anything is scaled', () => {
    const idle = IdleGaps.from({ from: Float64Array.of(5_400), until: Float64Array.of(5_900) });
    const timetable = new Timetable({ ...plain, connectScale: 2, thinkScale: 2, idle });
    assert.deepEqual([timetable.openAt(5_000), timetable.openAt(6_000)], [9_000, 10_000]);
    assert.deepEqual(
      schedule(timetable, session).map(({ scheduled, think }) => [scheduled - 9_000, think]),
      [
        [500, 400],
        [750, 200],
        [1_850, 100],
      ],
    );
  });

  test('an anchor behind an idle stretch stays where it is', () => {
    const idle = IdleGaps.from({ from: Float64Array.of(200), until: Float64Array.of(900) });
    const timetable = new Timetable({ ...plain, idle });
    assert.deepEqual([timetable.openAt(1_000), timetable.openAt(5_000)], [1_000, 5_000]);
  });

  test('whatever the scales, the commands of a session stay in order', () => {
    const scale = fc.double({ min: 0, max: 100, noNaN: true });
    const exchange = fc.record({
      thinkNs: fc.integer({ min: 0, max: 1e12 }),
      replyNs: fc.option(fc.integer({ min: -1e6, max: 1e12 }), { nil: undefined }),
    });
    fc.assert(
      fc.property(scale, scale, fc.array(exchange), (connectScale, thinkScale, exchanges) => {
        const timetable = new Timetable({ anchorAt: 0, connectScale, thinkScale });
        let at = 1e9;
        const recorded: Exchange[] = [[1e9, 1e9]];
        for (const { thinkNs, replyNs } of exchanges) {
          at += thinkNs;
          const reply = replyNs === undefined ? undefined : at + replyNs;
          recorded.push([at, reply]);
          if (reply !== undefined) at = Math.max(at, reply);
        }
        let last = timetable.openAt(1e9);
        for (const { scheduled, think } of schedule(timetable, recorded)) {
          // To what a double of so many ns has to give.
          assert.ok(scheduled >= last - 0.1 && think >= 0, `${scheduled} after ${last}`);
          last = scheduled;
        }
      }),
    );
  });
});

describe('copies', () => {
  test('the first copy is where it was, the others are spread evenly, the same in every run', () => {
    assert.equal(copyOffset(0, 5e9), 0);
    assert.deepEqual(
      [1, 2, 3, 4].map((copy) => Math.round(copyOffset(copy, 1000))),
      [618, 236, 854, 472],
    );
    for (const copies of [10, 50, 1000]) {
      const offsets = Array.from({ length: copies }, (_, copy) => copyOffset(copy, 1));
      assert.equal(new Set(offsets).size, copies);
      // Between any two neighbours no more than thrice the even distance.
      const sorted = [...offsets, 1].sort((a, b) => a - b);
      const widest = Math.max(...sorted.slice(1).map((offset, i) => offset - sorted[i]));
      assert.ok(widest < 3 / copies && sorted.at(-2)! < 1, `${copies} copies, ${widest} apart`);
    }
  });

  test('without a spread all copies are in step', () => {
    assert.equal(copyOffset(7, 0), 0);
  });
});
