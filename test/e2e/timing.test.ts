/** When what was recorded is replayed, and which part of it. What takes time is judged in factors of three and more. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Recorded } from '../../scripts/lab/path.ts';
import { EXIT } from '../../src/errors.ts';
import type { Summary } from '../../src/report/summary.ts';
import { until } from '../support/until.ts';
import { assertAddsUp, labTests, type ReplayOptions, runSteps, type TestBed } from './support/path.ts';
import type { Step } from './support/steps.ts';
import { clearVisits, makeVisits, type Visit, type VisitPlan, visitsInOrder } from './support/visits.ts';

/** A session of three commands, with its COM_QUIT. */
const READ: Step[] = [{ query: 'SELECT c FROM sbtest1 WHERE id = 1' }, { query: 'SELECT 1' }];

/** More than the clocks of two processes on one host differ by. */
const APART_MS = 100;

/** Moments in a recording, RFC 3339. */
interface Cuts {
  from: string;
  to: string;
}

/** Records what `before` leaves open, then `from`, the rest of it and a session, then `to`, and a session. */
async function recordAround(
  bed: TestBed,
  connections: number,
  before: readonly Step[],
  after: readonly Step[],
): Promise<Recorded & Cuts> {
  const go = bed.fresh('go');
  const moment = async () => {
    await sleep(APART_MS);
    const now = new Date().toISOString();
    await sleep(APART_MS);
    return now;
  };
  let from = '';
  let to = '';
  const recorded = await bed.record(async () => {
    const open = runSteps(bed.lab, {
      connections,
      steps: [...before, { query: 'USE sbtest2' }, { untilFile: go }, ...after],
    });
    const areThere = async () => {
      const rows = await bed.online.processlist();
      return rows.filter(({ db, Command }) => db === 'sbtest2' && Command === 'Sleep').length === connections;
    };
    await until('the clients are connected', areThere);
    await runSteps(bed.lab, { steps: READ });
    from = await moment();
    writeFileSync(go, '');
    await open;
    await runSteps(bed.lab, { steps: READ });
    to = await moment();
    await runSteps(bed.lab, { steps: READ });
  });
  return { ...recorded, from, to };
}

/** Replays a recording of visits onto an empty table; everything adds up, and nothing is lost. */
async function visit(
  bed: TestBed,
  plan: VisitPlan,
  extra: readonly string[],
  options: Partial<ReplayOptions> = {},
): Promise<{ summary: Summary; visits: Visit[]; stderr: string }> {
  const archive = bed.fresh('visits.tape');
  makeVisits(archive, plan);
  const replay = await bed.replayAnyhow({ path: 'socket', archive, extra, ...options });
  assert.equal(replay.code, EXIT.done, replay.stderr + replay.stdout);
  const summary = replay.summary();
  assertAddsUp(summary);
  assert.deepEqual([summary.sessions.lost_by, summary.commands.lost], [{}, {}]);
  return { summary, stderr: replay.stderr, visits: await visitsInOrder(bed) };
}

/** Seconds from the first of these to the last. */
function span(visits: readonly Visit[]): number {
  const times = visits.map(({ at }) => at);
  return Math.max(...times) - Math.min(...times);
}

const names = (visits: readonly Visit[]) => visits.map(({ session, step }) => `${session}.${step}`);

labTests('timing', (it) => {
  for (const path of ['socket', 'local'] as const) {
    it(`--from sets up the sessions that are open then, and --to ends it; by ${path}`, async (bed) => {
      const prepared = 'SELECT k FROM sbtest1 WHERE id = ?';
      const { archive, from, to } = await recordAround(
        bed,
        2,
        [{ query: 'SET @mark = 41' }, { query: 'SET NAMES latin1' }, { execute: prepared, values: [5] }],
        [
          { query: 'SELECT @mark, @@character_set_client, DATABASE()' },
          { execute: prepared, values: [6] },
          { query: 'SELECT COUNT(*) FROM sbtest1' },
        ],
      );
      let summary: Summary | undefined;
      const seen = await bed.counted(async () => {
        const extra = ['--from', from, '--to', to, '-C', '2'];
        const replay = await bed.replayAnyhow({ path, archive, copies: 2, extra });
        assert.equal(replay.code, EXIT.done, replay.stderr + replay.stdout);
        summary = replay.summary();
      });
      assert.ok(summary !== undefined);
      assertAddsUp(summary);
      const { captured, sessions, commands, divergence } = summary;
      // Two that were open, one before them, one within; five commands, four and three of each.
      assert.deepEqual([captured.sessions, captured.commands], [4, 2 * (5 + 4) + 3 + 3]);
      assert.deepEqual([sessions.skipped, sessions.lost_by], [{ 'out-of-window': 2 }, {}]);
      assert.deepEqual([sessions.completed, sessions.state_lost], [2 * 3, {}]);
      assert.deepEqual([commands.skipped, commands.lost], [{ 'out-of-window': 2 * (2 * 5 + 3) }, {}]);
      assert.deepEqual([divergence.error, divergence.rows, divergence.data], [0, 0, 0]);
      assert.equal(divergence.none, 2 * 3 + 2 * (2 * 3 + 2));
      assert.equal(seen.Connections, 2 * 3);
      await bed.assertNobodyOnTarget();
    });
  }

  it('--from in a transaction, or with a temporary table: named as state that is lost; another user: left out', async (bed) => {
    const { archive, from } = await recordAround(
      bed,
      3,
      [
        { on: 0, step: { query: 'BEGIN' } },
        { on: 0, step: { query: 'UPDATE sbtest1 SET k = k + 1 WHERE id = 2' } },
        { on: 1, step: { query: 'CREATE TEMPORARY TABLE own (i INT)' } },
        { on: 2, step: { changeUser: 'sbtest' } },
      ],
      [
        { on: 0, step: { query: 'SELECT @@in_transaction' } },
        { on: 0, step: { query: 'COMMIT' } },
        { on: 1, step: { query: 'SELECT COUNT(*) FROM sbtest.own' } },
        { on: 2, step: { query: 'SELECT CURRENT_USER()' } },
      ],
    );
    const replay = await bed.replayAnyhow({ path: 'socket', archive, extra: ['--from', from] });
    assert.equal(replay.code, EXIT.invalidRun, replay.stderr + replay.stdout);
    const { sessions, commands, divergence, ...summary } = replay.summary();
    assertAddsUp({ sessions, commands, divergence, ...summary });
    assert.deepEqual(sessions.state_lost, { 'temporary-table': 1, transaction: 1 });
    assert.deepEqual(sessions.skipped, { 'out-of-window': 2 });
    assert.deepEqual([sessions.lost_by, commands.lost], [{}, {}]);
    assert.deepEqual([divergence.error, divergence.data], [1, 1]);
    assert.ok(
      summary.reasons.some((reason) =>
        /was not set up again on its new connection .*: transaction/.test(reason),
      ),
    );
  });

  for (const path of ['socket', 'local'] as const) {
    it(`--skip-idle: a minute with pauses is over in seconds, in order; by ${path}`, async (bed) => {
      await clearVisits(bed);
      const plan = { sessions: 4, steps: 2, everyMs: 20_000, stepMs: 100 };
      const extra = ['--skip-idle', '1s', '-C', '2'];
      const { summary, stderr, visits } = await visit(bed, plan, extra, { path });
      assert.match(stderr, /3 idle stretches, 5\d s of the recording cut/);
      assert.ok(summary.elapsed_s < 20, `${summary.elapsed_s} s`);
      assert.deepEqual(names(visits), ['0.0', '0.1', '1.0', '1.1', '2.0', '2.1', '3.0', '3.1']);
      assert.ok(span(visits) > 2.5, 'nothing is left of the pauses');
    });
  }

  it('--from and --to, together with --skip-idle and --speed', async (bed) => {
    await clearVisits(bed);
    const plan = { sessions: 4, steps: 2, everyMs: 20_000, stepMs: 100 };
    const window = ['--from', '2025-01-01T00:00:15Z', '--to', '2025-01-01T00:00:45Z', '--skip-idle', '2s'];
    const { summary, visits } = await visit(bed, plan, window, { copies: 2, speed: '4' });
    assert.deepEqual(names(visits).sort(), ['1.0', '1.0', '1.1', '1.1', '2.0', '2.0', '2.1', '2.1']);
    assert.deepEqual(summary.sessions.skipped, { 'out-of-window': 2 });
    assert.ok(summary.elapsed_s < 10 / 3, `${summary.elapsed_s} s`);
  });

  it('--speed 0.5 takes eight times as long as --speed 4', async (bed) => {
    const plan = { sessions: 1, steps: 5, everyMs: 0, stepMs: 500 };
    const spans: number[] = [];
    for (const speed of ['4', '0.5']) {
      await clearVisits(bed);
      const { visits } = await visit(bed, plan, [], { speed });
      spans.push(span(visits));
    }
    const [fast, slow] = spans;
    assert.ok(slow > 3.5 && slow > 3 * fast, `${fast} and ${slow} s`);
  });

  it('--connect-time-scale 0: all connect at once, and think as they did', async (bed) => {
    await clearVisits(bed);
    const plan = { sessions: 4, steps: 3, everyMs: 3000, stepMs: 600 };
    const { summary, visits } = await visit(bed, plan, ['--connect-time-scale', '0'], { path: 'local' });
    assert.deepEqual(
      visits.map(({ step }) => step),
      [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2],
    );
    assert.ok(span(visits) > 1 && summary.elapsed_s < 4, `${summary.elapsed_s} s`);
  });

  it('--think-time-scale 0: a closed loop; sessions connect as they did', async (bed) => {
    await clearVisits(bed);
    const plan = { sessions: 3, steps: 4, everyMs: 1500, stepMs: 1200 };
    const { visits } = await visit(bed, plan, ['--think-time-scale', '0'], { copies: 2 });
    assert.deepEqual(
      visits.map(({ session }) => session),
      [0, 1, 2].flatMap((session) => Array<number>(8).fill(session)),
    );
    assert.ok(span(visits) > 2.5);
    for (const one of [0, 1, 2]) assert.ok(span(visits.filter(({ session }) => session === one)) < 1.2);
  });

  it('behind an answer that was long in coming: no think time until it is back on time, or all of it', async (bed) => {
    const plan = { sessions: 1, steps: 6, everyMs: 0, stepMs: 300 };
    const spans: number[] = [];
    for (const extra of [['--think-time-correct'], ['--no-think-time-correct'], []]) {
      await clearVisits(bed);
      await bed.target.sql(
        'CREATE TRIGGER sbtest.slow BEFORE INSERT ON sbtest.visits FOR EACH ROW IF NEW.step = 0 THEN DO SLEEP(2); END IF',
      );
      const { visits } = await visit(bed, plan, extra);
      assert.deepEqual(names(visits), ['0.0', '0.1', '0.2', '0.3', '0.4', '0.5']);
      spans.push(span(visits.slice(1)));
    }
    const [corrected, uncorrected, otherwise] = spans;
    assert.ok(uncorrected > 1.1, `${uncorrected} s`);
    assert.ok(corrected < uncorrected / 3 && otherwise < uncorrected / 3, `${corrected}, ${otherwise} s`);
  });

  it('--loop 3: one after the other, each of it as it was', async (bed) => {
    await clearVisits(bed);
    const plan = { sessions: 3, steps: 2, everyMs: 100, stepMs: 20 };
    const { summary, visits } = await visit(bed, plan, ['--loop', '3', '-C', '2']);
    const once = ['0.0', '0.1', '1.0', '1.1', '2.0', '2.1'];
    for (const pass of [0, 1, 2])
      assert.deepEqual(
        names(visits)
          .slice(6 * pass, 6 * pass + 6)
          .sort(),
        once,
      );
    assert.equal(visits.length, 18);
    assert.deepEqual([summary.loops, summary.captured.sessions], [3, 9]);
  });

  it('--spread: copies begin one after the other, and not all at once', async (bed) => {
    const plan = { sessions: 1, steps: 1, everyMs: 0, stepMs: 20 };
    await clearVisits(bed);
    const together = span((await visit(bed, plan, ['-C', '2'], { copies: 4 })).visits);
    await clearVisits(bed);
    const spread = span((await visit(bed, plan, ['-C', '2', '--spread', '3s'], { copies: 4 })).visits);
    assert.ok(spread > 2 && spread < 3.9 && together < spread / 3, `${together} and ${spread} s`);
  });

  it('--start-at: nothing before', async (bed) => {
    await clearVisits(bed);
    const startAt = Math.ceil((Date.now() + 3000) / 1000) * 1000;
    const plan = { sessions: 2, steps: 1, everyMs: 20, stepMs: 20 };
    const extra = ['--start-at', new Date(startAt).toISOString()];
    const { summary, visits } = await visit(bed, plan, extra);
    assert.equal(visits.length, 2);
    assert.ok(visits.every(({ at }) => at * 1000 >= startAt));
    assert.ok(summary.elapsed_s < 1, 'its time begins with it');
  });
});
