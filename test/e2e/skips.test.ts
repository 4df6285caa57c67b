/** What is recorded and not replayed is skipped by name and counted, and all the rest is replayed. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Recorded } from '../../scripts/lab/path.ts';
import { EXIT } from '../../src/errors.ts';
import { until } from '../support/until.ts';
import { commandObstacle } from './support/capability.ts';
import { assertAddsUp, labTests, runSteps, type TestBed } from './support/path.ts';

const READ = [{ query: 'SELECT c FROM sbtest1 WHERE id = 1' }, { query: 'SELECT 1' }];

/** Replays and asserts that just these sessions were skipped, and that target saw just the others. */
async function replaySkipping(
  bed: TestBed,
  recorded: Recorded,
  skipped: { cause: string; sessions: number; selects: number },
  users = bed.files.users,
): Promise<void> {
  const counts = await bed.counted(async () => {
    const { archive } = recorded;
    const replay = await bed.replayAnyhow({ path: 'local', archive, files: { ...bed.files, users } });
    assert.equal(replay.code, EXIT.invalidRun, replay.stderr);
    const summary = replay.summary();
    const percent = Math.floor((1 - skipped.sessions / (recorded.summary.sessions as number)) * 100);
    assert.match(summary.reasons.join(), new RegExp(`only ${percent}.* % was replayed`));
    assert.deepEqual(summary.sessions.skipped, { [skipped.cause]: skipped.sessions });
    assert.equal(summary.sessions.lost, 0);
    assert.deepEqual(summary.commands.lost, {});
    assertAddsUp(summary);
  });
  assert.deepEqual(
    { connections: counts.Connections, selects: counts.Com_select },
    {
      connections: recorded.online.Connections - skipped.sessions,
      selects: recorded.online.Com_select - skipped.selects,
    },
  );
  await bed.assertNobodyOnTarget();
}

labTests('skips', (it) => {
  it('a user whose password is not known', async (bed) => {
    const recorded = await bed.record(() =>
      Promise.all([
        runSteps(bed.lab, { steps: READ, connections: 3 }),
        runSteps(bed.lab, { steps: READ, connections: 2, user: 'sbtest' }),
      ]),
    );
    const users = bed.fresh('users');
    writeFileSync(users, 'app: app-secret\n', { mode: 0o600 });
    await replaySkipping(bed, recorded, { cause: 'unknown-user', sessions: 2, selects: 4 }, users);
  });

  it('a session that began before the recording', async (bed) => {
    const go = bed.fresh('go');
    const late = runSteps(bed.lab, { steps: [...READ, { untilFile: go }, ...READ] });
    await until('the client is connected', async () => (await bed.online.processlist()).length > 0);
    const recorded = await bed.recordAnyhow(async () => {
      await runSteps(bed.lab, { steps: READ, connections: 3 });
      writeFileSync(go, '');
      await late;
    });
    assert.equal(recorded.summary.sessions, 4);
    // It connected before the counting, so online's connections are the three others already.
    const connections = recorded.online.Connections + 1;
    const all = { ...recorded, online: { ...recorded.online, Connections: connections } };
    await replaySkipping(bed, all, { cause: 'joined-late', sessions: 1, selects: 2 });
  });

  it(
    'a session under TLS',
    async (bed) => {
      const key = join(bed.lab.runFolder, 'server.key');
      const certificate = join(bed.lab.runFolder, 'server.pem');
      const made = spawnSync('openssl', [
        ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=online'],
        ...['-keyout', key, '-out', certificate],
      ]);
      assert.equal(made.status, 0, `openssl: ${made.stderr}`);
      await bed.online.stop();
      await bed.online.start([`--ssl-cert=${certificate}`, `--ssl-key=${key}`]);
      try {
        const recorded = await bed.record(() =>
          Promise.all([
            runSteps(bed.lab, { steps: READ, connections: 3 }),
            runSteps(bed.lab, { steps: READ, connections: 2, tls: true }),
          ]),
        );
        await replaySkipping(bed, recorded, { cause: 'tls', sessions: 2, selects: 4 });
      } finally {
        await bed.online.stop();
        await bed.online.start();
      }
    },
    commandObstacle('openssl'),
  );

  for (const path of ['intercept', 'local'] as const) {
    it(`a statement that could not be prepared is replayed as such, by ${path}`, async (bed) => {
      const recorded = await bed.record(() =>
        runSteps(bed.lab, {
          connections: 4,
          rounds: 3,
          steps: [
            { execute: 'SELECT c FROM sbtest1 WHERE id = ?', values: [1] },
            { execute: 'SELECT c FROM no_such_table WHERE id = ?', values: [1] },
            { execute: 'SELECT k FROM sbtest1 WHERE id = ?', values: [2] },
            { query: 'SELECT nothing FROM sbtest1' },
          ],
        }),
      );
      assert.equal(recorded.online.Com_stmt_execute, 4 * 3 * 2);
      const { divergence } = await bed.replayExactly(recorded, { path, speed: 'max' });
      assert.equal(divergence.error, 0);
    });
  }
});
