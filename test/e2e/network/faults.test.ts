/** What dies or falls silent in mid-run: the run goes on, or says by name what it lost; nobody is left on the target. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { cutLink } from '../../../scripts/lab/impair.ts';
import { RELAY_PORT, startIntercept } from '../../../scripts/lab/tape.ts';
import { EXIT } from '../../../src/errors.ts';
import { LEASE_MS } from '../../../src/intercept/flows.ts';
import { assertAddsUp, labTests, runSteps, type TestBed } from '../support/path.ts';

/** Everything of the recording was answered, and the target did it once. */
async function assertNothingLost(
  bed: TestBed,
  replay: {
    ended: Promise<{ code: number | null; stderr: string }>;
    summary: () => import('../../../src/report/summary.ts').Summary;
  },
): Promise<void> {
  const { code, stderr } = await replay.ended;
  const summary = replay.summary();
  assertAddsUp(summary);
  assert.deepEqual([summary.commands.lost, summary.sessions.lost_by], [{}, {}], stderr);
  assert.ok(code === EXIT.done || summary.verdict !== 'valid', stderr);
  await bed.assertNobodyOnTarget();
}

labTests('faults', (it) => {
  it('intercept killed by -9 and started again in mid-run: nothing is lost', async (bed) => {
    const { archive, online } = await bed.recorded('reads');
    const first = await startIntercept(bed.lab, bed.files);
    const counts = await bed.counted(async () => {
      const replay = await bed.replayUnderWay({
        path: 'intercept',
        archive,
        connections: online.Connections,
      });
      await sleep(500);
      await first.stop('SIGKILL');
      const second = await startIntercept(bed.lab, bed.files);
      await assertNothingLost(bed, replay);
      await second.stop();
    });
    assert.deepEqual(counts, online);
  });

  it('intercept killed by -9 in the middle of a result of 100 MB: it is read to its end', async (bed) => {
    const query = 'SELECT seq, REPEAT(CHAR(65 + seq % 26), 1000) FROM seq_1_to_100000';
    const { archive, online } = await bed.record(() =>
      runSteps(bed.lab, { steps: [{ query }, { query: 'SELECT 1' }] }),
    );
    const first = await startIntercept(bed.lab, bed.files);
    const counts = await bed.counted(async () => {
      const before = (await bed.target.counters()).Bytes_sent;
      const replay = await bed.replayUnderWay({ path: 'intercept', archive, connections: 1, speed: '1' });
      while ((await bed.target.counters()).Bytes_sent - before < 20_000_000) await sleep(5);
      await first.stop('SIGKILL');
      const second = await startIntercept(bed.lab, bed.files);
      await assertNothingLost(bed, replay);
      assert.equal(replay.summary().divergence.none, replay.summary().commands.answered);
      await second.stop();
    });
    assert.deepEqual(counts, online);
  });

  it('the link of the relay cut for 5 s: nothing is lost', async (bed) => {
    const { archive, online } = await bed.recorded('reads');
    const intercept = await startIntercept(bed.lab, bed.files);
    const counts = await bed.counted(async () => {
      const replay = await bed.replayUnderWay({
        path: 'intercept',
        archive,
        connections: online.Connections,
      });
      const cut = await cutLink(bed.lab, 'online', 'assistant', RELAY_PORT);
      await sleep(5_000);
      assert.ok((await cut.met()) > 0, 'the cut was met');
      await cut.stop();
      await assertNothingLost(bed, replay);
    });
    await intercept.stop();
    assert.deepEqual(counts, online);
  });

  it('replay killed by -9: intercept resets its connections within the lease, and the next replay goes well', async (bed) => {
    const { archive, online } = await bed.recorded('reads');
    const intercept = await startIntercept(bed.lab, bed.files);
    await bed.replayKilled({ path: 'intercept', archive, connections: online.Connections });
    await bed.assertNobodyOnTarget(LEASE_MS + 3_000);
    const counts = await bed.counted(async () => {
      const replay = await bed.replayAnyhow({ path: 'intercept', archive, speed: '4' });
      assert.equal(replay.code, 0, replay.stderr);
    });
    const { stderr } = await intercept.stop();
    assert.deepEqual(counts, online);
    assert.match(stderr, new RegExp(`\\b${online.Connections} connections`));
    await bed.assertNobodyOnTarget();
  });

  it('a target that accepts and never answers: every session is lost by timeout', async (bed) => {
    const { archive, online } = await bed.recorded('reads');
    // Stopped, not ended: its kernel completes the connections.
    const server = await bed.lab.run('target', 'cat', [bed.target.pidPath]);
    const pid = Number(server.stdout);
    process.kill(pid, 'SIGSTOP');
    try {
      const replay = await bed.replayAnyhow({
        path: 'local',
        archive,
        speed: '4',
        extra: ['--connect-timeout', '3s'],
      });
      assert.equal(replay.code, EXIT.invalidRun, replay.stderr);
      const summary = replay.summary();
      assertAddsUp(summary);
      assert.deepEqual(summary.sessions.lost_by, { timeout: online.Connections });
      assert.deepEqual(summary.commands.lost, { timeout: summary.captured.commands });
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await bed.assertNobodyOnTarget();
  });

  it('a listen queue that overflows: SYNs are sent again until there is room', async (bed) => {
    const recorded = await bed.recorded('short');
    await bed.lab.run('target', 'sh', ['-c', 'echo 64 > /proc/sys/net/core/somaxconn']);
    await bed.restoreTarget();
    try {
      const overflows = () =>
        bed.lines('target', "nstat -asz TcpExtListenOverflows | awk '/ListenOverflows/ { print $2 }'");
      const [before] = await overflows();
      const counts = await bed.counted(async () => {
        const replay = await bed.replayAnyhow({
          path: 'local',
          archive: recorded.archive,
          copies: 20,
          speed: '100',
        });
        const summary = replay.summary();
        assertAddsUp(summary);
        assert.deepEqual(summary.sessions.lost_by, {}, replay.stderr);
      });
      const [after] = await overflows();
      assert.ok(Number(after) > Number(before), 'the queue did overflow');
      assert.equal(counts.Connections, recorded.online.Connections * 20);
      assert.equal(counts.Com_select, recorded.online.Com_select * 20);
    } finally {
      await bed.lab.run('target', 'sh', ['-c', 'echo 8192 > /proc/sys/net/core/somaxconn']);
      await bed.restoreTarget();
    }
  });

  for (const path of ['intercept', 'local'] as const) {
    it(`four threads (-C 4), by ${path}: every command once, at -n 3`, async (bed) => {
      await bed.replayExactly(await bed.recorded('sessions', 'short'), {
        path,
        copies: 3,
        speed: '2',
        extra: ['-C', '4'],
      });
    });
  }
});
