// The end-to-end suites with servers of other brands: `npm run test:matrix`, or `npm run test:matrix -- mysql:mysql clients` for some pairs
// and suites. Prints what was tested; a run of all writes it to docs/tested.md, too. Exit code 1 where a test failed.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PAIRS } from '../dist/scripts/lab/servers/pair.js';
import { clientTable, suiteTable } from '../dist/scripts/lab/servers/table.js';

const SUITES = ['clients', 'logins', 'protocol', 'round-trip', 'snapshot', 'interlock', 'mirror', 'pool'];
const PAGE = 'docs/tested.md';
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

const folder = mkdtempSync(join(tmpdir(), 'mytape-matrix-'));
const report = join(folder, 'report');
const suites = [];
for (const pair of chosen(PAIRS)) {
  for (const suite of chosen(SUITES)) {
    process.stdout.write(`\n${pair}, ${suite}\n`);
    const child = spawn(process.execPath, ['scripts/test.mjs', `test/e2e/${suite}.test.ts`], {
      stdio: ['ignore', 'pipe', 2],
      env: { ...process.env, MYTAPE_PAIR: pair, MYTAPE_MATRIX_REPORT: report },
    });
    let said = '';
    child.stdout.on('data', (text) => {
      said += text;
      process.stdout.write(text);
    });
    const [code] = await once(child, 'close');
    const [passed, failed, skipped] = (/(\d+) passed, (\d+) failed, (\d+) skipped/.exec(said) ?? [])
      .slice(1)
      .map(Number);
    suites.push({ pair, suite, code, passed: passed ?? 0, failed: failed ?? 1, skipped: skipped ?? 0 });
  }
}
const replays = existsSync(report)
  ? readFileSync(report, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
  : [];
rmSync(folder, { recursive: true });

const text = `${suiteTable(suites)}\n${clientTable(replays)}`;
process.stdout.write(`\n${text}`);
if (asked.length === 0) {
  const page = readFileSync(PAGE, 'utf8');
  const [before, after] = [page.slice(0, page.indexOf(BEGIN) + BEGIN.length), page.slice(page.indexOf(END))];
  writeFileSync(PAGE, `${before}\n${text}${after}`);
}
if (suites.some(({ code }) => code !== 0)) process.exitCode = 1;
