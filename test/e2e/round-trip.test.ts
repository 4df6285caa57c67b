/** A mixed hour in miniature, recorded from real clients and replayed to a clone: every command, every answer, every row. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeStart, type Recorded } from '../../scripts/lab/path.ts';
import { PORT, type Server } from '../../scripts/lab/server.ts';
import type { ReplayPath } from '../../scripts/lab/tape.ts';
import type { Summary } from '../../src/report/summary.ts';
import { certificate } from '../transport/certificate.ts';
import { commandObstacle } from './support/capability.ts';
import { contentsOf } from './support/contents.ts';
import { mixedDifferencesOf } from './support/differences.ts';
import { prepareMixed, runMixed, writeMixedUsers } from './support/mixed.ts';
import { MARKED, type MixedResult } from './support/mixed-job.ts';
import type { DivergingCommand, OutcomesJob } from './support/outcomes.ts';
import { assertAddsUp, labTests, PAIR, type TestBed } from './support/path.ts';

/** A recording with less of a kind is not the mixed hour; commands by their names in COM. */
const LEAST = {
  query: 2000,
  stmtPrepare: 200,
  stmtExecute: 1000,
  // MySQL has none.
  stmtBulkExecute: PAIR.online === 'mysql' ? 0 : 50,
  stmtSendLongData: 10,
  stmtClose: 50,
  // The connector does it with MariaDB alone.
  changeUser: PAIR.online === 'mysql' ? 24 : 25,
  resetConnection: 40,
  initDb: 20,
  ping: 50,
  files: 25,
  compressedSessions: 20,
  encryptedSessions: 16,
};

/** The one recording that the tests share, and what the clients themselves say of it. */
interface Mixed {
  recorded: Recorded;
  clients: MixedResult;
  users: string;
  keyLog: string;
}

let made: Promise<Mixed> | undefined;

/** Online speaks TLS, and gets the schemas; target is put to the same start. */
async function prepare(bed: TestBed): Promise<void> {
  const { key, cert } = certificate();
  const files = { key: join(bed.lab.runFolder, 'server.key'), cert: join(bed.lab.runFolder, 'server.pem') };
  writeFileSync(files.key, key, { mode: 0o600 });
  writeFileSync(files.cert, cert);
  await prepareMixed(bed.online, bed.target);
  await makeStart(bed.lab);
  await bed.online.stop();
  await bed.online.start([`--ssl-cert=${files.cert}`, `--ssl-key=${files.key}`, '--local-infile=1']);
}

function mixed(bed: TestBed): Promise<Mixed> {
  made ??= make(bed);
  return made;
}

async function make(bed: TestBed): Promise<Mixed> {
  await prepare(bed);
  const keyLog = bed.fresh('keys');
  let clients: MixedResult | undefined;
  const recorded = await bed.record(async () => {
    clients = await runMixed(bed.lab, bed.fresh('files'), keyLog);
  });
  assert.ok(clients !== undefined);
  const users = bed.fresh('users');
  writeMixedUsers(users);
  return { recorded, clients, users, keyLog };
}

/** CHECKSUM TABLE of every table that is not the server's own. */
async function checksums(server: Server): Promise<Record<string, unknown>> {
  const tables = await server.sql(
    `SELECT CONCAT('\`', TABLE_SCHEMA, '\`.\`', TABLE_NAME, '\`') AS name FROM information_schema.TABLES
     WHERE TABLE_SCHEMA NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys') ORDER BY name`,
  );
  const rows = await server.sql(`CHECKSUM TABLE ${tables.map(({ name }) => name).join(', ')}`);
  return Object.fromEntries(rows.map(({ Table, Checksum }) => [Table, Checksum]));
}

/** Replays onto a clone of online as it was; answers and tables are online's own. */
async function replayToClone(bed: TestBed, path: ReplayPath, speed: string): Promise<Summary> {
  const { recorded, clients, users, keyLog } = await mixed(bed);
  await bed.restoreTarget();
  const { archive } = recorded;
  const files = { ...bed.files, users };
  const replay = await bed.replayAnyhow({ path, archive, speed, files, extra: ['--keylog', keyLog] });
  const summary = replay.summary();
  assert.deepEqual(
    {
      lost: { sessions: summary.sessions.lost_by, commands: summary.commands.lost },
      skipped: { sessions: summary.sessions.skipped, commands: summary.commands.skipped },
    },
    { lost: { sessions: {}, commands: {} }, skipped: { sessions: {}, commands: {} } },
    replay.stdout,
  );
  // A connection's number may be the same by chance.
  const { none, 'not-comparable': notComparable, ...divergence } = summary.divergence;
  const data = mixedDifferencesOf(bed.online.brand, bed.target.brand).length;
  assert.deepEqual(divergence, { error: 0, rows: 0, data, unknown: 0 }, replay.stdout);
  assert.ok(notComparable <= clients.incomparable.length, replay.stdout);
  assert.equal(none + notComparable + data, summary.captured.commands);
  assert.equal(replay.code, 0, replay.stdout);
  assertAddsUp(summary);
  assert.equal(summary.commands.answered, summary.captured.commands);
  await bed.assertNobodyOnTarget();
  assert.deepEqual(await checksums(bed.target), await checksums(bed.online));
  return summary;
}

labTests('round-trip', (it) => {
  const openssl = commandObstacle('openssl');

  it(
    'at recorded speed, as the clients themselves: everything is replayed, and the clone ends as online did',
    async (bed) => {
      const { recorded, clients, keyLog } = await mixed(bed);
      const summary = await replayToClone(bed, 'local', '1');
      assert.equal(summary.captured.sessions, clients.sessions);
      assert.ok(clients.sessions >= 200, `${clients.sessions} sessions`);
      assert.equal(summary.sessions.refused, clients.refused);
      const { commands, ...sessions } = await contentsOf(
        recorded.archive,
        PORT,
        readFileSync(keyLog, 'latin1'),
      );
      for (const [what, least] of Object.entries(LEAST)) {
        const there = { ...commands, ...sessions }[what] ?? 0;
        assert.ok(there >= least, `${what}: ${there}`);
      }
    },
    openssl,
  );

  it(
    'as fast as it goes, by ordinary connections: the same',
    async (bed) => {
      await replayToClone(bed, 'socket', 'max');
    },
    openssl,
  );

  it(
    'one row that differs on the clone is seen by exactly the commands that read it',
    async (bed) => {
      const { recorded, clients, users, keyLog } = await mixed(bed);
      await bed.restoreTarget();
      await bed.target.sql(`UPDATE fixed.item SET price = price + 1 WHERE id = ${MARKED}`);
      const job: OutcomesJob = {
        archive: recorded.archive,
        recordedPort: PORT,
        target: bed.lab.addresses.target,
        port: PORT,
        users,
        keyLog,
      };
      const script = fileURLToPath(new URL('support/outcomes.js', import.meta.url));
      const { code, stdout, stderr } = await bed.lab.run('assistant', process.execPath, [
        script,
        JSON.stringify(job),
      ]);
      assert.equal(code, 0, stderr);
      const diverging = stdout
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as DivergingCommand);
      const unseen = [...clients.readings, ...mixedDifferencesOf(bed.online.brand, bed.target.brand)];
      const unexplained = diverging.filter(({ text, divergence }) => {
        if (divergence === 'not-comparable') return !clients.incomparable.includes(text);
        const at = divergence === 'data' ? unseen.indexOf(text) : -1;
        if (at >= 0) unseen.splice(at, 1);
        return at < 0;
      });
      assert.deepEqual({ unseen, unexplained }, { unseen: [], unexplained: [] });
    },
    openssl,
  );
});
