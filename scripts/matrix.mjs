// The end-to-end suites with servers of other brands: `npm run test:matrix`, or `npm run test:matrix -- mysql:mysql clients` for some pairs
// and suites. What they found is kept in docs/tested.json, after each suite, and docs/tested.md is made of it: a run that was ended half-way
// leaves what it did. Exit code 1 where a test failed.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brandObstacle, programsOf } from '../dist/scripts/lab/servers/brands.js';
import { PAIRS, parsePair } from '../dist/scripts/lab/servers/pair.js';
import { CLIENTS, clientTable, suiteTable } from '../dist/scripts/lab/servers/table.js';

/** The longest first. */
const SUITES = ['protocol', CLIENTS, 'pool', 'interlock', 'mirror', 'round-trip', 'snapshot', 'logins'];
/** Clients at full speed, and not one packet of theirs dropped: after the others, by itself. */
const ALONE = 'mirror';
/** Each makes namespaces and servers of its own, and waits more than it works. */
const CONCURRENCY = 3;
const [FOUND, PAGE] = ['docs/tested.json', 'docs/tested.md'];
const [BEGIN, END] = ['<!-- by npm run test:matrix -->', '<!-- end -->'];

const asked = process.argv.slice(2);
const chosen = (all) =>
  all.some((each) => asked.includes(each)) ? all.filter((each) => asked.includes(each)) : all;
const unknown = asked.find((each) => !PAIRS.includes(each) && !SUITES.includes(each));
if (unknown !== undefined) {
  process.stderr.write(
    `test:matrix: no pair and no suite is called ${unknown}: pairs are ${PAIRS.join(', ')}; suites ${SUITES.join(', ')}\n`,
  );
  process.exit(2);
}

const versionOf = (name) => (brandObstacle(name) === undefined ? programsOf(name).version : 'not to be had');

/** A suite's run with a pair, and what its clients' replays report. */
async function runSuite(pair, suite) {
  const folder = mkdtempSync(join(tmpdir(), 'mytape-matrix-'));
  const report = join(folder, 'report');
  const child = spawn(process.execPath, ['scripts/test.mjs', `test/e2e/${suite}.test.ts`], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, MYTAPE_PAIR: pair, MYTAPE_MATRIX_REPORT: report },
  });
  let said = '';
  child.stdout.on('data', (text) => {
    said += text;
  });
  const [code] = await once(child, 'close');
  process.stdout.write(`\n${pair}, ${suite}\n${said}`);
  const lines = (kind) => [...said.matchAll(new RegExp(`^${kind}: (.+)$`, 'gm'))].map(([, title]) => title);
  const { online, target } = parsePair(pair);
  const failed = lines('failed');
  if (code !== 0 && failed.length === 0) failed.push(`the suite itself, by exit code ${code}`);
  const replays = existsSync(report) ? readFileSync(report, 'utf8').trimEnd().split('\n') : [];
  rmSync(folder, { recursive: true });
  const run = {
    ...{ pair, suite, online: versionOf(online), target: versionOf(target) },
    ...{ passed: Number(/^(\d+) passed, /m.exec(said)?.[1] ?? 0), failed, skipped: lines('skipped') },
  };
  return { run, replays: replays.map((line) => JSON.parse(line)) };
}

const found = existsSync(FOUND) ? JSON.parse(readFileSync(FOUND, 'utf8')) : { suites: [], replays: [] };
const tables = () => `${suiteTable(found, SUITES, PAIRS)}\n${clientTable(found, PAIRS)}`;

/** What was found before of this suite with this pair is forgotten. */
function keep({ run, replays }) {
  const { pair, suite } = run;
  found.suites = found.suites.filter((each) => each.pair !== pair || each.suite !== suite);
  found.suites.push(run);
  if (suite === CLIENTS) {
    found.replays = [...found.replays.filter((each) => each.pair !== pair), ...replays];
  }
  writeFileSync(FOUND, `${JSON.stringify(found, null, 2)}\n`);
  const page = readFileSync(PAGE, 'utf8');
  const [before, after] = [page.slice(0, page.indexOf(BEGIN) + BEGIN.length), page.slice(page.indexOf(END))];
  writeFileSync(PAGE, `${before}\n${tables()}${after}`);
  if (run.failed.length > 0) process.exitCode = 1;
}

/** One after another, `concurrency` at a time; no suite beside itself, since its lab has one name. */
async function runAll(cells, concurrency) {
  const waiting = [...cells];
  const running = new Set();
  const work = async () => {
    for (;;) {
      const next = waiting.findIndex(([, suite]) => !running.has(suite));
      // Those that wait for their own suite are taken by who runs it.
      if (next < 0) return;
      const [[pair, suite]] = waiting.splice(next, 1);
      running.add(suite);
      keep(await runSuite(pair, suite));
      running.delete(suite);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
}

const cells = chosen(PAIRS).flatMap((pair) => chosen(SUITES).map((suite) => [pair, suite]));
const isAlone = ([, suite]) => suite === ALONE;
await runAll(
  cells.filter((cell) => !isAlone(cell)),
  CONCURRENCY,
);
await runAll(cells.filter(isAlone), 1);
process.stdout.write(`\n${tables()}`);
