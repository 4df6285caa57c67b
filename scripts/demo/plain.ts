/** The demo without root, or not on Linux: a recording that is there already, replayed by ordinary connections. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EXIT, MytapeError } from '../../src/errors.ts';
import type { Summary } from '../../src/report/summary.ts';
import type { DryReport } from '../../src/run/dry/report.ts';
import { ASKING, lostOf } from '../lab/compare.ts';
import { collect, type RunResult } from '../lab/lab.ts';
import { CLI } from '../lab/tape.ts';
import { command, explain, fact, step, table } from './narrator.ts';
import { startNull } from './plain-null.ts';
import { PlainServer } from './plain-server.ts';

const CAPTURE = fileURLToPath(new URL('../../../fixtures/sysbench-text.pcap', import.meta.url));
/** Where the server of that capture listened. */
const RECORDED_PORT = 33_917;
const ROWS = 10_000;

/** What sysbench makes, and a user who may use it. */
const TABLES = [
  "CREATE USER app@'127.0.0.1' IDENTIFIED BY 'app-secret'",
  'CREATE DATABASE sbtest',
  "GRANT ALL ON sbtest.* TO app@'127.0.0.1'",
  // So that mytape can ask whether it is a replica.
  "GRANT SLAVE MONITOR ON *.* TO app@'127.0.0.1'",
  `CREATE TABLE sbtest.sbtest1 (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, k INT NOT NULL DEFAULT 0,
     c CHAR(120) NOT NULL DEFAULT '', pad CHAR(60) NOT NULL DEFAULT '', KEY k_1 (k))`,
  `INSERT INTO sbtest.sbtest1 (k, c, pad) SELECT seq, REPEAT('c', 119), REPEAT('p', 59) FROM sbtest.seq_1_to_${ROWS}`,
];

const REPLAYS = [
  { title: 'Replay as it was', copies: 1, speed: '1' },
  { title: 'Five clients for each one recorded, as fast as the target answers', copies: 5, speed: 'max' },
] as const;

/** The counter of each kind of statement. */
const COUNTERS = {
  SELECT: 'Com_select',
  INSERT: 'Com_insert',
  UPDATE: 'Com_update',
  DELETE: 'Com_delete',
} as const;
type Kind = keyof typeof COUNTERS;

/** `why`: what the whole demo lacks here. Answers whether every check held. */
export async function plainDemo(why: string): Promise<boolean> {
  const folder = mkdtempSync(join(tmpdir(), 'mytape-demo-'));
  // What was killed a moment ago may still write.
  const clear = () => rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
  process.once('exit', clear);
  for (const [signal, code] of [
    ['SIGINT', EXIT.interrupted],
    ['SIGTERM', 143],
  ] as const)
    process.once(signal, () => process.exit(code));
  let server: PlainServer | undefined;
  let nobody: Awaited<ReturnType<typeof startNull>> | undefined;
  try {
    step('A target');
    explain(
      `The whole demo ${why}. This one needs neither: it replays a recording that is there, by ordinary connections.`,
    );
    server = await PlainServer.start(folder);
    if (server === undefined) nobody = await startNull();
    const port = server?.port ?? (nobody as { port: number }).port;
    if (server === undefined) {
      fact(
        `no mariadbd is installed: the built-in null responder at 127.0.0.1:${port}, which answers everything alike`,
      );
    } else {
      for (const sql of TABLES) await server.sql(sql);
      fact(`mariadbd ${server.version} with a data folder of its own, at 127.0.0.1:${port}`);
    }

    step('An archive');
    explain(
      'Capturing needs root. This capture of sysbench read-write was made before; mytape import makes an archive of it.',
    );
    const tape = join(folder, 'demo.tape');
    await mytape('import', CAPTURE, '-o', tape, '-p', String(RECORDED_PORT));
    await mytape('ls', tape);

    const users = join(folder, 'users');
    writeFileSync(users, 'app: app-secret\n', { mode: 0o600 });
    const replay = [
      'replay',
      tape,
      '-x',
      `${RECORDED_PORT}-127.0.0.1:${port}`,
      '--transport',
      'socket',
      '--users',
      users,
      // The responder has no answer to whether it is a live server.
      ...(server === undefined ? ['--allow-unchecked-target'] : []),
      '--allow-unidentified',
    ];
    step('What would be sent');
    explain(
      'Before a replay mytape asks the target whether it is a live server. An imported capture does not say which server it is from: ' +
        '--allow-unidentified says that this target is another.',
    );
    await mytape(...replay, '--dry-run');
    const { stdout } = await collected(...replay, '--dry-run', '--json');
    const { commands } = JSON.parse(stdout) as DryReport;

    let holds = true;
    for (const { title, copies, speed } of REPLAYS) {
      step(title);
      const before = server && (await countsOf(server));
      const out = join(folder, `run-${copies}`);
      await mytape(...replay, '-n', String(copies), '--speed', speed, '--out', out);
      const summary = JSON.parse(readFileSync(join(out, 'summary.json'), 'utf8')) as Summary;
      const lost = lostOf(summary);
      const answered = summary.commands.answered === summary.captured.commands * copies;
      fact(`${summary.commands.answered} commands answered, once for each copy`, answered);
      fact(lost.length === 0 ? 'nothing lost, nothing skipped' : lost.join('; '), lost.length === 0);
      holds &&= answered && lost.length === 0;
      if (server !== undefined && before !== undefined)
        holds = compare(commands.kinds, before, await countsOf(server), copies) && holds;
    }
    fact(holds ? 'every command of the recording was made on the target' : 'not everything held', holds);
    return holds;
  } finally {
    await server?.stop();
    await nobody?.stop();
    clear();
  }
}

async function countsOf(server: PlainServer): Promise<Map<string, number>> {
  const rows = await server.sql("SHOW GLOBAL STATUS LIKE 'Com\\_%'");
  return new Map(rows.map((row) => [row.Variable_name, Number(row.Value)]));
}

/** The target's own counters against what was recorded; what the replay asked the target beforehand is not of the recording. */
function compare(
  recorded: Record<string, number>,
  before: Map<string, number>,
  after: Map<string, number>,
  copies: number,
): boolean {
  const rows = (Object.keys(COUNTERS) as Kind[]).map((kind) => {
    const counter = COUNTERS[kind];
    const expected = (recorded[kind] ?? 0) * copies;
    const seen = (after.get(counter) ?? 0) - (before.get(counter) ?? 0) - (ASKING[counter] ?? 0);
    return { counter, expected, seen };
  });
  table(
    ['counter', `recorded × ${copies}`, 'target', ''],
    rows.map(({ counter, expected, seen }) => [
      counter,
      String(expected),
      String(seen),
      seen === expected ? 'equal' : 'DIFFERS',
    ]),
  );
  const equal = rows.every(({ expected, seen }) => seen === expected);
  fact('all counters equal', equal);
  return equal;
}

/** Runs a mytape command for people to see; it must go well (or be no valid measurement). */
async function mytape(...args: string[]): Promise<void> {
  command('here', ['mytape', ...args]);
  const child = spawn(process.execPath, [CLI, ...args], { stdio: ['ignore', 'inherit', 'inherit'] });
  process.prependOnceListener('exit', () => child.kill('SIGKILL'));
  const { code } = await collect(child);
  if (code !== EXIT.done && code !== EXIT.invalidRun)
    throw new MytapeError('system-call', `mytape ${args[0]} ended with exit code ${code}`);
}

function collected(...args: string[]): Promise<RunResult> {
  return collect(spawn(process.execPath, [CLI, ...args], { stdio: ['ignore', 'pipe', 'pipe'] }));
}
