/** Whose fault it is that a run falls behind: the process, a disk under --out, or the target. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { collect } from '../../scripts/lab/lab.ts';
import type { Recorded } from '../../scripts/lab/path.ts';
import { CLI, replayHost } from '../../scripts/lab/tape.ts';
import { EXIT } from '../../src/errors.ts';
import { commandObstacle } from './support/capability.ts';
import { assertAddsUp, labTests, readSummary, runSteps, type TestBed } from './support/path.ts';

const CONNECTIONS = 6;
/** Much more than the second that a verdict forgives. */
const STALL_MS = 2_500;

/** 6 s, in which something is due at each moment. */
function record(bed: TestBed): Promise<Recorded> {
  const steps = [{ query: 'SELECT c FROM sbtest1 WHERE id = 7' }, { pauseMs: 100 }];
  return bed.record(() => runSteps(bed.lab, { connections: CONNECTIONS, rounds: 60, steps }));
}

/** A file system of its own at `folder`; undefined where there can be none. */
function mountAt(bed: TestBed, folder: string): (() => void) | undefined {
  const image = bed.fresh('disk');
  writeFileSync(image, '');
  const ran = (command: string, ...args: string[]) => spawnSync(command, args).status === 0;
  mkdirSync(folder, { recursive: true });
  const isMade =
    ran('truncate', '-s', '32M', image) &&
    ran('mkfs.ext4', '-q', image) &&
    ran('mount', '-o', 'loop', image, folder);
  return isMade ? () => void ran('umount', folder) : undefined;
}

labTests('blame', (it) => {
  it('a replay that is stopped for a while is what is late, and not the target', async (bed) => {
    const { archive } = await record(bed);
    const run = await bed.replayUnderWay({ path: 'socket', archive, connections: CONNECTIONS });
    await sleep(700);
    process.kill(run.pid, 'SIGSTOP');
    await sleep(STALL_MS);
    process.kill(run.pid, 'SIGCONT');
    const { code, stderr } = await run.ended;
    const { verdict, reasons, stalls } = run.summary();
    assert.equal(code, EXIT.done, stderr);
    assert.equal(verdict, 'replayer-bound', reasons.join('\n'));
    assert.match(reasons[0], /because the replay host stood still/);
    assert.doesNotMatch(reasons.join(), /waited for the target/);
    assert.ok(stalls.longest_s > 0.9 * (STALL_MS / 1000), JSON.stringify(stalls));
  });

  it("a table lock on the target is the target's", async (bed) => {
    const { archive } = await record(bed);
    const run = await bed.replayUnderWay({ path: 'socket', archive, connections: CONNECTIONS });
    const steps = [{ query: 'LOCK TABLES sbtest1 WRITE' }, { pauseMs: STALL_MS }, { query: 'UNLOCK TABLES' }];
    await runSteps(bed.lab, { steps }, 'target');
    const { code, stderr } = await run.ended;
    const { verdict, reasons } = run.summary();
    assert.equal(code, EXIT.done, stderr);
    assert.equal(verdict, 'server-bound', reasons.join('\n'));
  });

  it(
    'a disk under --out that takes no writes costs the run nothing, and is said',
    async (bed) => {
      const { archive } = await record(bed);
      const { args, out } = bed.replayCommand({ path: 'socket', archive });
      const unmount = mountAt(bed, out);
      assert.ok(unmount !== undefined, 'no loop device to mount');
      const fsfreeze = (how: '-f' | '-u') => assert.equal(spawnSync('fsfreeze', [how, out]).status, 0);
      try {
        const replay = bed.lab.spawn(replayHost('socket'), process.execPath, [CLI, ...args], {
          stdio: ['ignore', 'pipe', 'pipe'],
        });
        const ended = collect(replay);
        await bed.connectionsOnTarget(CONNECTIONS);
        await sleep(500);
        const selects = async () => (await bed.target.counters()).Com_select;
        fsfreeze('-f');
        const before = await selects();
        await sleep(STALL_MS);
        const meanwhile = (await selects()) - before;
        fsfreeze('-u');
        const { code, stderr } = await ended;
        const summary = readSummary(out);
        assertAddsUp(summary);
        assert.equal(code, EXIT.done, stderr);
        // 10 a second of each connection, where the machine is idle.
        assert.ok(meanwhile > CONNECTIONS * 5, `${meanwhile} statements while the disk was frozen`);
        assert.notEqual(summary.verdict, 'server-bound');
        assert.match(stderr, /takes no writes\. The run goes on without it/);
        assert.match(stderr, /takes writes again/);
        assert.match(
          summary.reasons.join(),
          /the disk of the run's folder took no writes 1 time, for 2\.\d s in all/,
        );
        assert.equal(summary.disk_stalls?.count, 1);
      } finally {
        spawnSync('fsfreeze', ['-u', out]);
        unmount();
      }
    },
    commandObstacle('fsfreeze') ?? commandObstacle('mkfs.ext4'),
  );
});
