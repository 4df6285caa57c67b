import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeSessions } from '../../src/flow/decode.ts';
import { COM } from '../../src/mysql/command.ts';
import { FIXTURE_PORT, fixture, pcapSource } from '../flow/support/capture.ts';
import { replay, sum } from './support/world.ts';

for (const name of ['mariadb-cli', 'mysql2', 'sysbench-text', 'sysbench-prepared']) {
  for (const speed of [Number.POSITIVE_INFINITY, 3]) {
    test(`${name} at speed ${speed}: all of a real recording arrives, each statement under the target's id`, async () => {
      const decoded = decodeSessions(pcapSource(fixture(name)), { serverPorts: new Set([FIXTURE_PORT]) });
      const any = new Proxy<Record<string, string>>({}, { get: () => 'secret' });
      const run = await replay(
        { batches: () => decoded[Symbol.asyncIterator]() as never },
        {
          copies: 2,
          speed,
          passwords: any,
          target: { users: any },
          fineMs: 60_000,
        },
      );
      const { commands, sessions } = run.summary;
      assert.ok(commands.answered > 0);
      assert.deepEqual(commands.lost, {});
      assert.equal(sessions.lost, 0);
      assert.equal(commands.answered + sum(commands.skipped), 2 * run.summary.captured.commands);
      // The fake target knows its statements, and fails those that it has not prepared.
      for (const { outcome } of run.book.fates) {
        if (outcome?.command.com !== COM.stmtExecute) continue;
        assert.equal(outcome.reply?.errno, outcome.command.reply?.errno === 1243 ? 1243 : 0);
      }
    });
  }
}
