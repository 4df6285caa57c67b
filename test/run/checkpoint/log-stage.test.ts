/** What is not on the disk outlives the process, and whoever goes on has it. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { SessionMeta } from '../../../src/flow/events.ts';
import { SummaryObserver } from '../../../src/report/counter.ts';
import { Checkpoints } from '../../../src/run/checkpoint/checkpoint.ts';
import { newRunId } from '../../../src/run/checkpoint/file.ts';
import { readShareLeft } from '../../../src/run/checkpoint/left.ts';
import { carryOver, readLog, SessionLog } from '../../../src/run/checkpoint/log.ts';
import { LogStage, removeStage, staged, stageOf } from '../../../src/run/checkpoint/log-stage.ts';
import { LoggedSessions } from '../../../src/run/checkpoint/logged-sessions.ts';
import { temporaryFolder } from '../../archive/support.ts';
import { until } from '../../support/until.ts';

const ID = { run: '00112233445566778899aabbccddeeff', share: 0, pass: 0 };

describe('the stage of a log', () => {
  /** The highest session of 0 to n of which the files in `folder` know, as one who goes on reads them. */
  function begunIn(folder: string): number[] {
    const path = join(folder, 'log');
    assert.equal(carryOver(path, staged(folder, '.', 'log')!), undefined);
    const sessions = new LoggedSessions(1);
    assert.equal(readLog(path, ID, sessions).damage, undefined);
    return Array.from({ length: 40 }, (_, id) => id).filter((id) => sessions.lostBy(id, 0) !== undefined);
  }

  test('has every record at once, and while it is carried to the disk', async (t) => {
    const folder = temporaryFolder(t);
    const log = SessionLog.create(join(folder, 'log'), ID, '.');
    for (let id = 0; id < 40; id++) {
      log.begun(id, 0);
      const all = Array.from({ length: id + 1 }, (_, one) => one);
      const sync = id % 3 === 0 ? log.sync() : undefined;
      assert.deepEqual(begunIn(folder), all);
      await sync;
      assert.deepEqual(begunIn(folder), all);
    }
    log.syncNow();
    log.close();
    assert.deepEqual(readdirSync(folder), ['log']);
  });

  test('of which the older part is gone leaves a hole that is named', async (t) => {
    const folder = temporaryFolder(t);
    const path = join(folder, 'log');
    const stage = new LogStage(folder, '.', 'log', 0);
    writeFileSync(path, '');
    stage.write(Buffer.from('one'));
    assert.deepEqual(stage.take(3), { octets: Buffer.from('one'), at: 0 });
    stage.write(Buffer.from('two'));
    stage.close();
    assert.equal(carryOver(path, staged(folder, '.', 'log')!), undefined);
    assert.equal(readFileSync(path, 'utf8'), 'onetwo');
    truncateSync(path, 1);
    truncateSync(join(folder, 'log.staged-0'), 0);
    assert.equal(carryOver(path, staged(folder, '.', 'log')!), 'lacks octets 1 to 3');
  });
});

describe('checkpoints whose log has a stage', () => {
  function begun(t: TestContext): {
    checkpoints: Checkpoints;
    of: { folder: string; run: string; share: 0; copies: 1 };
    said: string[];
  } {
    const of = { folder: temporaryFolder(t), run: newRunId(), share: 0, copies: 1 } as const;
    const said: string[] = [];
    const transport = { packetsOut: 0, packetsIn: 0, retransmitted: 0, captureDropped: 0 };
    const count = () => ({ tally: new SummaryObserver(1, true).tally, transport });
    const { folder, run } = of;
    const checkpoints = new Checkpoints({ folder, run, resume: false }, 0, 1, count, (line) =>
      said.push(line),
    );
    t.after(() => removeStage(run));
    return { checkpoints, of, said };
  }

  const begin = (checkpoints: Checkpoints, id: number) => {
    for (const observer of checkpoints.observers) observer.begun?.({ id } as SessionMeta, 0);
  };

  test('a process that is killed loses no record; one whose stage is gone is in doubt', async (t) => {
    const { checkpoints, of } = begun(t);
    begin(checkpoints, 5);
    const left = readShareLeft(of);
    assert.equal(left.doubt, undefined);
    assert.deepEqual(
      [4, 5].map((id) => left.done.lostBy(id, 0)),
      [undefined, 'interrupted'],
    );
    removeStage(of.run);
    assert.match(readShareLeft(of).doubt ?? '', /lacks its last records, which were in/);
    assert.equal(readShareLeft(of).done.lostBy(4, 0), 'unknown-after-crash');
    await checkpoints.close();
    assert.equal(readShareLeft(of).doubt, undefined);
    assert.equal(existsSync(stageOf(of.run)), false);
  });

  test('the reader waits for a horizon, off the thread that sends', async (t) => {
    const { checkpoints, of } = begun(t);
    const opens = Array.from({ length: 500 }, (_, id) => ({ type: 'open', session: { id } }));
    const batch = opens as unknown as Parameters<typeof checkpoints.gate>[0] extends AsyncIterable<infer B>
      ? B
      : never;
    async function* one() {
      yield batch;
    }
    for await (const given of checkpoints.gate(one())) {
      assert.equal(given, batch);
      assert.ok(readShareLeft(of).file.horizon >= 499);
    }
    await checkpoints.close();
  });

  test('a record that can be kept nowhere ends the checkpoints, not the run, and nobody goes on by what is left', async (t) => {
    const { checkpoints, of, said } = begun(t);
    t.mock.method(LogStage.prototype, 'write', () => {
      throw new Error('no room');
    });
    begin(checkpoints, 1);
    assert.match(said.join(), /cannot write a checkpoint into .*: no room: this run can't be resumed/);
    await until('the checkpoint is gone', () => !existsSync(join(of.folder, 'checkpoint-0.json')));
    await checkpoints.close();
    assert.throws(() => readShareLeft(of));
    assert.equal(existsSync(stageOf(of.run)), false);
  });

  const failures: Record<string, (t: TestContext) => void> = {
    'its log': (t) =>
      t.mock.method(SessionLog, 'create', () => {
        throw new Error('no room');
      }),
    'its checkpoint': (t) =>
      t.mock.method(SessionLog.prototype, 'syncNow', () => {
        throw new Error('no room');
      }),
  };
  for (const [what, fail] of Object.entries(failures)) {
    test(`where ${what} can't be written as the next pass begins, nobody goes on by the last one's`, async (t) => {
      const { checkpoints, of, said } = begun(t);
      begin(checkpoints, 1);
      fail(t);
      await checkpoints.passed();
      assert.match(said.join(), /: no room: this run can't be resumed/);
      // Killed before the checkpoint is gone.
      assert.ok(existsSync(join(of.folder, 'checkpoint-0.json')));
      assert.throws(() => readShareLeft(of), /some of what was sent could not be recorded/);
      await checkpoints.close();
      assert.equal(existsSync(join(of.folder, 'checkpoint-0.json')), false);
      assert.equal(existsSync(stageOf(of.run)), false);
    });
  }
});
