/** A real C client that prepared its statements, and sent the types of their parameters, before the recording: sysbench. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import type { Server } from '../../scripts/lab/server.ts';
import { runSysbench } from '../../scripts/lab/workload.ts';
import { until } from '../support/until.ts';
import { labTests } from './support/path.ts';

/** Executions as a server logs them, values and all: how often each. */
async function executions(server: Server): Promise<Map<string, number>> {
  const rows = await server.sql(
    "SELECT CONVERT(argument USING utf8mb4) AS text, COUNT(*) AS n FROM mysql.general_log WHERE command_type = 'Execute' GROUP BY 1",
  );
  return new Map(rows.map(({ text, n }) => [String(text), Number(n)]));
}

const ENOUGH = 500;

const LOG = "SET GLOBAL log_output = 'TABLE', general_log = ON";

labTests('adopted-types', (it) => {
  it("the executions of sysbench's statements from before: with the values that production had", async (bed) => {
    await bed.online.stop();
    await bed.online.start(['--performance-schema=ON']);
    await bed.online.sql("CREATE USER monitor@'%' IDENTIFIED BY 'monitor-secret'");
    await bed.online.sql("GRANT PROCESS ON *.* TO monitor@'%'");
    await bed.online.sql("GRANT SELECT ON performance_schema.* TO monitor@'%'");
    await bed.online.sql(LOG);
    await bed.target.sql(LOG);
    // Longer than the recording takes to begin on any machine: it is ended by a KILL.
    const late = runSysbench(
      bed.lab,
      { mode: 'prepared', threads: 2, transactions: 100_000, rate: 60 },
      2000,
    );
    late.catch(() => {});
    const count = async () => [...(await executions(bed.online)).values()].reduce((sum, n) => sum + n, 0);
    const every = async () => {
      const seen = await executions(bed.online);
      return ['DELETE', 'INSERT', 'UPDATE'].every((verb) =>
        [...seen.keys()].some((text) => text.startsWith(verb)),
      );
    };
    await until('sysbench executes all that it prepared', every);
    const pw = bed.fresh('monitor.pw');
    writeFileSync(pw, 'monitor-secret\n', { mode: 0o600 });
    const url = `mysql://monitor@${bed.lab.addresses.online}:3307`;
    const workload = async () => {
      const before = await count();
      await until('it has executed enough', async () => (await count()) > before + ENOUGH);
      await bed.online.sql('KILL USER app');
      await assert.rejects(late);
    };
    const { archive } = await bed.recordAnyhow(workload, ['--snapshot-from', url, '--password-file', pw]);

    const replay = await bed.replayAnyhow({ path: 'local', archive });
    const { sessions, commands } = replay.summary();
    assert.equal(sessions.adopted, 2, replay.stderr);
    const sent = await executions(bed.target);
    const [total, unknown] = [
      [...sent.values()].reduce((sum, n) => sum + n, 0),
      commands.skipped['unknown-types'] ?? 0,
    ];
    assert.ok(total > ENOUGH / 2, `${total} executions`);
    assert.ok(unknown < total / 20, `${unknown} skipped, ${total} sent`);
    const recorded = await executions(bed.online);
    const others = [...sent].filter(([text, n]) => n > (recorded.get(text) ?? 0));
    // Of each session the one that was under way when it was killed, which production did not log.
    assert.ok(others.length <= 2, JSON.stringify(others));
  });
});
