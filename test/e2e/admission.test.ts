/** Many short sessions at once onto a server with little room. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { runClients } from '../../scripts/lab/workload.ts';
import { ROOT } from '../support/root.ts';
import { mytape } from '../verbs/mytape.ts';
import { assertAddsUp, labTests, type TestBed } from './support/path.ts';

/** Connections that target has had at once since its start, those of the tests included. */
async function mostOnTarget(bed: TestBed): Promise<number> {
  const [row] = await bed.target.sql("SHOW STATUS LIKE 'Max_used_connections'");
  return Number(row.Value);
}

labTests('admission', (it) => {
  const short = (bed: TestBed) =>
    bed.record(() => runClients(bed.lab, { kind: 'short', connections: 60, seconds: 1, rounds: 2 }));

  it('thirty copies of short sessions, where there is room for 20: all get in', async (bed) => {
    const { archive, online } = await short(bed);
    await bed.target.stop();
    await bed.target.start(['--max-connections=20']);
    const replay = await bed.replayAnyhow({ path: 'local', archive, copies: 30 });
    assert.equal(replay.code, 0, replay.stderr);
    const { sessions, commands, admission, ...summary } = replay.summary();
    assertAddsUp({ sessions, commands, admission, ...summary });
    assert.equal(sessions.completed, 30 * online.Connections);
    assert.deepEqual([sessions.lost_by, commands.lost], [{}, {}]);
    assert.ok(admission.turned_away['1040'] > 0 && admission.waited > 0);
    await bed.assertNobodyOnTarget();
  });

  it('the same with --max-connections 10 --connect-rate 500/s: nobody is turned away', async (bed) => {
    const { archive, online } = await short(bed);
    await bed.target.stop();
    await bed.target.start(['--max-connections=20']);
    const extra = ['--max-connections', '10', '--connect-rate', '500/s', '-C', '2'];
    const replay = await bed.replayAnyhow({ path: 'local', archive, copies: 30, extra });
    assert.equal(replay.code, 0, replay.stderr);
    const { sessions, admission, lateness_ms, elapsed_s } = replay.summary();
    assert.equal(sessions.completed, 30 * online.Connections);
    assert.deepEqual(admission.turned_away, {});
    assert.ok(elapsed_s >= (30 * online.Connections) / 500 - 0.2, `${elapsed_s} s`);
    // Waiting for room is no lateness.
    assert.ok(admission.wait_ms.max > 1_000 && lateness_ms.p99 < admission.wait_ms.max / 4);
    // One more is the tests' own.
    assert.ok((await mostOnTarget(bed)) <= 11 + 1, `${await mostOnTarget(bed)} at once`);
  });

  it('logins that production had no room for: the target lets them in, and they end as they were', async (bed) => {
    const archive = join(bed.lab.runFolder, 'no-room.tape');
    const capture = join(ROOT, 'fixtures/cases/23-no-room-behind-login.pcap');
    const imported = mytape('import', capture, '-o', archive, '-p', '3307');
    assert.equal(imported.status, 0, imported.stderr);
    const replay = await bed.replayAnyhow({ path: 'socket', archive, copies: 3 });
    assert.equal(replay.code, 0, replay.stderr);
    const summary = replay.summary();
    assertAddsUp(summary);
    assert.equal(summary.verdict, 'valid');
    const { completed, opened, refused, refused_for_room } = summary.sessions;
    assert.deepEqual([completed, opened, refused], [6, 0, 6]);
    assert.deepEqual(refused_for_room, { 1040: 3, 1203: 3 });
    await bed.assertNobodyOnTarget();
  });

  it('one user with no more than five connections: 1203 or 1226, and all get in', async (bed) => {
    const { archive, online } = await short(bed);
    await bed.restoreTarget();
    await bed.target.sql("GRANT USAGE ON *.* TO app@'%' WITH MAX_USER_CONNECTIONS 5");
    const replay = await bed.replayAnyhow({ path: 'local', archive, copies: 10 });
    assert.equal(replay.code, 0, replay.stderr);
    const { sessions, admission } = replay.summary();
    assert.equal(sessions.completed, 10 * online.Connections);
    assert.ok(admission.turned_away['1226'] > 0, JSON.stringify(admission));
  });
});
