import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FollowedClock } from '../../src/flow/followed-clock.ts';
import { IdleGaps } from '../../src/flow/idle.ts';
import { Timetable, type TimetableOptions } from '../../src/flow/timetable.ts';
import { Tape } from './support/tape.ts';
import { type Run, replay, START_MS } from './support/world.ts';

const MS = 1e6;

function arrivals({ transport }: Run, connection = 0): number[] {
  return transport.connections[connection].received.map(({ at }) => at - START_MS);
}

function openings({ transport }: Run): number[] {
  return transport.connections.map(({ openedAt }) => openedAt - START_MS);
}

function timetable(options: Partial<TimetableOptions>): Timetable {
  return new Timetable({ anchorAt: 0, connectScale: 1, thinkScale: 1, ...options });
}

describe('time, as it is asked for', () => {
  test('connect times are scaled apart from think times', async () => {
    const tape = new Tape();
    tape.session(0).query(100).quit(200);
    tape.session(400).query(500).quit(600);
    const run = await replay(tape, { engine: { timing: { timetable: timetable({ connectScale: 0.5 }) } } });
    assert.deepEqual(openings(run), [0, 200]);
    assert.deepEqual(arrivals(run, 1), [300, 400]);
  });

  test('think times are scaled, the recorded response times are not', async () => {
    const tape = new Tape();
    tape.session(0).query(100, 'SELECT 1', { replyMs: 50 }).query(250).quit(351);
    const run = await replay(tape, { engine: { timing: { timetable: timetable({ thinkScale: 2 }) } } });
    // The login took 100; then 50 of the answer and 2 × 100; then 1 and 2 × 100.
    assert.deepEqual(arrivals(run), [100, 350, 551]);
  });

  test('late, a session goes on at once; without correction it thinks first', async () => {
    const tape = new Tape();
    tape.session(0).query(10).query(110).query(210).quit(310);
    const slow = { users: { app: 'secret' }, reacts: () => ({ reply: {}, afterMs: 80 }) };
    const corrected = await replay(tape, { target: slow });
    assert.deepEqual(arrivals(corrected), [10, 110, 210, 310]);
    const timing = { timetable: timetable({}), catchUp: false };
    const run = await replay(tape, { target: slow, engine: { timing } });
    assert.deepEqual(arrivals(run), [0, 179, 358, 537]);
    assert.equal(run.summary.lateness_ms.max, 0);
  });

  test('idle stretches are cut', async () => {
    const tape = new Tape();
    tape.session(0).query(10).query(10_010).quit(10_020);
    const idle = IdleGaps.from({ from: Float64Array.of(1010 * MS), until: Float64Array.of(10_010 * MS) });
    const run = await replay(tape, { engine: { timing: { timetable: timetable({ idle }) } } });
    assert.deepEqual(arrivals(run), [10, 1010, 1020]);
  });

  test('a clock that was set back and is followed: what comes behind the step is due at once, in its order', async () => {
    const tape = new Tape();
    tape.session(0).query(100).query(600).quit(1_700);
    tape.session(400).query(450).quit(1_650);
    tape.session(700).query(800).quit(1_600);
    const back = { packet: 9, beforeAt: 500 * MS, at: -499 * MS, jumpNs: -1_000 * MS, offset: 1_000 * MS };
    const clock = FollowedClock.of([back]);
    const run = await replay(tape, { engine: { timing: { timetable: timetable({ clock }) } } });
    assert.deepEqual(openings(run), [0, 400, 500]);
    assert.deepEqual(
      [0, 1, 2].map((connection) => arrivals(run, connection)),
      [
        [100, 500, 700],
        [450, 650],
        [500, 600],
      ],
    );
  });

  test('a clock that was set ahead and is followed is waited for, and that nothing is due is known', async () => {
    const tape = new Tape();
    tape.session(0).query(100).query(600).quit(700);
    const ahead = {
      packet: 9,
      beforeAt: 500 * MS,
      at: 90_501 * MS,
      jumpNs: 90_000 * MS,
      offset: -90_000 * MS,
    };
    const clock = FollowedClock.of([ahead]);
    let rest: unknown;
    const run = await replay(tape, {
      engine: { timing: { timetable: timetable({ clock }) } },
      at: [[1_000, ({ engine }) => (rest = engine.rest)]],
    });
    const [first, second] = arrivals(run);
    assert.equal(first, 100);
    assert.ok(second >= 90_600 && second < 90_800, `${second}`);
    assert.deepEqual(rest, { until: START_MS + 90_600, at: undefined });
  });

  test('a run rests while nothing is due, and says until when', async () => {
    const tape = new Tape();
    tape.session(0).query(100, 'SELECT 1', { replyMs: 50 }).query(80_000).quit(80_100);
    const slow = { users: { app: 'secret' }, reacts: () => ({ reply: {}, afterMs: 1_000 }) };
    const rests: unknown[] = [];
    const look = ({ engine }: Run) => rests.push(engine.rest);
    const run = await replay(tape, {
      target: slow,
      at: [
        [500, look],
        [2_000, look],
        [78_000, look],
        [79_000, ({ engine }) => engine.pause()],
        [79_100, look],
        [79_200, ({ engine }) => engine.resume()],
      ],
    });
    assert.deepEqual(rests, [undefined, { until: START_MS + 80_000, at: 80_000 * MS }, undefined, undefined]);
    assert.equal(run.engine.rest, undefined);
    assert.ok(run.engine.isOver);
  });

  test('copies are spread, each with all of its sessions', async () => {
    const tape = new Tape();
    tape.session(0).query(10).quit(20);
    tape.session(50).query(60).quit(70);
    const run = await replay(tape, { copies: 4, engine: { timing: { spreadMs: 1000 } } });
    const first = openings(run).slice(0, 4);
    assert.equal(run.transport.connections.length, 8);
    const offsets = openings(run).sort((a, b) => a - b);
    assert.equal(new Set(offsets).size, 8);
    assert.equal(offsets.filter((at) => offsets.includes(at + 50)).length, 4, String(first));
    assert.equal(offsets[0], 0);
  });

  test('the speed changes while it runs: what lies ahead comes at the new one', async () => {
    const tape = new Tape();
    tape.session(0).query(100).query(300).query(500).quit(900);
    const run = await replay(tape, {
      at: [
        [200, ({ engine }) => engine.setSpeed(2)],
        [300, ({ engine }) => engine.setSpeed(0.5)],
      ],
    });
    // 300 at 200 + 100 / 2; by then 400 is reached at 300; 500 at 300 + 100 × 2.
    assert.deepEqual(arrivals(run), [100, 250, 500, 1300]);
    assert.equal(run.summary.lateness_ms.max, 0);
  });

  test('paused, nothing is sent, and that is nobody’s lateness', async () => {
    const tape = new Tape();
    tape.session(0).query(100).query(300).quit(400);
    tape.session(250).query(260).quit(270);
    const run = await replay(tape, {
      at: [
        [200, ({ engine }) => engine.pause()],
        [1200, ({ engine }) => engine.resume()],
      ],
    });
    assert.deepEqual(arrivals(run, 0), [100, 1300, 1400]);
    assert.deepEqual(openings(run), [0, 1250]);
    assert.equal(run.summary.lateness_ms.max, 0);
    assert.equal(run.summary.verdict, 'valid');
  });

  test('paused at full speed, what was read waits, too', async () => {
    const tape = new Tape();
    const session = tape.session(0);
    for (let i = 0; i < 10; i++) session.query(i * 10, `SELECT ${i}`);
    session.quit(200);
    const run = await replay(tape, {
      speed: Number.POSITIVE_INFINITY,
      target: { users: { app: 'secret' }, reacts: () => ({ reply: {}, afterMs: 10 }) },
      at: [
        [35, ({ engine }) => engine.pause()],
        [535, ({ engine }) => engine.resume()],
      ],
    });
    assert.deepEqual(arrivals(run), [0, 10, 20, 30, 535, 545, 555, 565, 575, 585, 595]);
  });

  test('from full speed down, what was not sent keeps its recorded distances', async () => {
    const tape = new Tape();
    const session = tape.session(0);
    for (let i = 0; i < 6; i++) session.query(i * 100, `SELECT ${i}`);
    session.quit(600);
    const run = await replay(tape, {
      speed: Number.POSITIVE_INFINITY,
      target: { users: { app: 'secret' }, reacts: () => ({ reply: {}, afterMs: 10 }) },
      at: [[25, ({ engine }) => engine.setSpeed(1)]],
    });
    assert.deepEqual(arrivals(run), [0, 10, 20, 125, 225, 325, 425]);
  });
});
