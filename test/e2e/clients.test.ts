/**
 * Clients of every kind, as they come, against servers of every brand: what each of them says is recorded, replayed and answered alike.
 * Of one recording for all in `npm test`; of one for each client, and by every transport, in `npm run test:matrix`, which makes docs/tested.md of it.
 */
import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { nameOf, type Pair, parsePair } from '../../scripts/lab/servers/pair.ts';
import { type ReplayPath, startIntercept } from '../../scripts/lab/tape.ts';
import { type Client, clients } from './support/clients.ts';
import { differencesOf } from './support/differences.ts';
import { assertAddsUp, labTests, PAIR, ROWS, runSteps, type TestBed } from './support/path.ts';

/** Where test:matrix wants a line of JSON for each replay. */
const REPORT = process.env.MYTAPE_MATRIX_REPORT;

const TRANSPORTS: readonly ReplayPath[] =
  REPORT === undefined ? ['socket'] : ['intercept', 'local', 'socket'];
/** `npm test` has twelve minutes. */
const SPEED = REPORT === undefined ? '4' : '1';
const PAIRS =
  process.env.MYTAPE_PAIR === undefined ? ['mysql:mysql', 'mariadb11:mariadb11'].map(parsePair) : [PAIR];

interface Recording {
  clients: readonly Client[];
  archive: string;
  sessions: number;
}

async function record(bed: TestBed, group: readonly Client[], keyLog: string): Promise<Recording> {
  const folder = bed.fresh('compiled');
  mkdirSync(folder);
  const recorded = await bed.record(async () => {
    for (const client of group) await client.run({ lab: bed.lab, folder, keyLog });
  });
  return { clients: group, archive: recorded.archive, sessions: recorded.online.Connections };
}

async function replayAlike(
  bed: TestBed,
  path: ReplayPath,
  recording: Recording,
  keyLog: string,
): Promise<void> {
  const { archive, sessions } = recording;
  // Nobody spoke TLS to a server that has none.
  const keys = statSync(keyLog).size > 0 ? ['--keylog', keyLog] : [];
  const replay = await bed.replayAnyhow({ path, archive, extra: keys, speed: SPEED });
  assert.notEqual(replay.stdout, '', replay.stderr);
  const summary = replay.summary();
  const { error, rows, data, unknown } = summary.divergence;
  const names = recording.clients.map(({ name }) => name);
  const { unprepared, ...differing } = differencesOf(bed.online.brand, bed.target.brand, names);
  assert.deepEqual(
    {
      skipped: [summary.sessions.skipped, summary.commands.skipped],
      lost: [summary.sessions.lost_by, summary.commands.lost],
      completed: summary.sessions.completed,
      divergence: { error, rows, data, unknown },
    },
    {
      skipped: [{}, {}],
      lost: [{}, unprepared > 0 ? { unprepared } : {}],
      completed: sessions,
      divergence: { unknown: 0, ...differing },
    },
    `${names.join(', ')}: ${replay.stdout}${replay.stderr}`,
  );
  assertAddsUp(summary);
  await bed.assertNobodyOnTarget();
  if (REPORT === undefined) return;
  const line = {
    ...{ pair: nameOf({ online: bed.online.brand.name, target: bed.target.brand.name }), transport: path },
    ...{ client: names.join(', '), version: recording.clients[0].version() },
    ...{ sessions, commands: summary.commands.answered, differing: error + rows + data + unprepared },
  };
  appendFileSync(REPORT, `${JSON.stringify(line)}\n`);
}

/** Of a group of all, those that are not on this machine are left out. */
function obstacleOf(group: readonly Client[]): string | undefined {
  return group.length > 1 ? undefined : group[0].obstacle?.();
}

function titleOf(pair: Pair, group: readonly Client[]): string {
  return `${nameOf(pair)}, ${group.length > 1 ? `${group.length} clients` : group[0].name}`;
}

for (const [i, pair] of PAIRS.entries()) {
  const all = clients(ROWS).filter(({ servers }) => servers?.includes(pair.online) ?? true);
  const there = all.filter(({ obstacle }) => obstacle?.() === undefined);

  labTests(
    `clients-${i + 1}`,
    (it) => {
      const recordings: Recording[] = [];
      let keyLog = '';
      const groups = REPORT === undefined ? [there] : all.map((client) => [client]);

      for (const [i, group] of groups.entries()) {
        it(
          `${titleOf(pair, group)}: recorded`,
          async (bed) => {
            if (keyLog === '') {
              keyLog = bed.fresh('keys');
              writeFileSync(keyLog, '');
              // MySQL then knows the users' passwords: drivers without RSA may log in.
              await runSteps(bed.lab, { steps: [{ query: 'SELECT 1' }, { changeUser: 'sbtest' }] });
            }
            recordings[i] = await record(bed, group, keyLog);
          },
          obstacleOf(group),
        );
      }
      for (const path of TRANSPORTS) {
        let isRestored = false;
        for (const [i, group] of groups.entries()) {
          it(
            `${titleOf(pair, group)}: answered alike by ${path}`,
            async (bed) => {
              if (!isRestored) await bed.restoreTarget();
              isRestored = true;
              const intercept = path === 'intercept' ? await startIntercept(bed.lab, bed.files) : undefined;
              try {
                assert.ok(recordings[i] !== undefined, 'it was not recorded');
                await replayAlike(bed, path, recordings[i], keyLog);
              } finally {
                await intercept?.stop();
              }
            },
            obstacleOf(group),
          );
        }
      }
    },
    pair,
  );
}
