// Runs the compiled tests: `npm test`, or `npm test -- tcp flow/pacer` for the files whose path has one of these in it.
// Two files at a time; those of the lab after all others, and three: each makes namespaces and servers of its own, and waits more than it works.
// Those that need the machine to themselves come last, one by one.
// With CI=true a skipped test is a failure: what is not tested there is tested nowhere.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { run } from 'node:test';
import { spec as Spec } from 'node:test/reporters';

const LAB = ['test/e2e/', 'test/lab/'];
/** Clients at full speed, and not one packet of theirs dropped. */
const ALONE = ['test/e2e/mirror.test.ts'];
const CONCURRENCY = 2;
const LAB_CONCURRENCY = 3;
const TIMEOUT_MS = 10 * 60_000;

/** From the sources: a test that was deleted may still lie in dist. */
function testFiles(folder) {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.test.ts'))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort();
}

// Tests that are run by sudo are root's own: mytape goes on as who called sudo, and could not write their folders.
for (const name of ['SUDO_UID', 'SUDO_GID', 'DOAS_USER', 'PKEXEC_UID']) delete process.env[name];

const wanted = process.argv.slice(2);
const sources = testFiles('test').filter(
  (file) => wanted.length === 0 || wanted.some((part) => file.includes(part)),
);
if (sources.length === 0) {
  process.stderr.write(`test: no test file has ${wanted.join(' or ')} in its path\n`);
  process.exit(1);
}
const isAlone = (file) => ALONE.includes(file);
const isOfLab = (file) => !isAlone(file) && LAB.some((folder) => file.startsWith(folder));

const total = { passed: 0, failed: [], skipped: [] };

/** Tests are counted where they are leaves: a suite, or a file, is not one more. */
async function runAll(sources, concurrency) {
  if (sources.length === 0) return;
  const files = sources.map((file) => join('dist', file.replace(/\.ts$/, '.js')));
  const events = run({ files, concurrency, timeout: TIMEOUT_MS });
  const count = (passed) => (data) => {
    if (data.details?.type === 'suite') return;
    if (data.skip !== undefined)
      total.skipped.push(data.name + (data.skip === true ? '' : ` (${data.skip})`));
    else if (data.todo !== undefined) return;
    else if (passed) total.passed++;
    else total.failed.push(data.name);
  };
  events.on('test:pass', count(true));
  events.on('test:fail', count(false));
  const report = events.compose(new Spec());
  for await (const text of report) process.stdout.write(text);
}

await runAll(
  sources.filter((file) => !isOfLab(file) && !isAlone(file)),
  CONCURRENCY,
);
await runAll(sources.filter(isOfLab), LAB_CONCURRENCY);
await runAll(sources.filter(isAlone), 1);

for (const name of total.skipped) process.stdout.write(`skipped: ${name}\n`);
for (const name of total.failed) process.stdout.write(`failed: ${name}\n`);
process.stdout.write(
  `${total.passed} passed, ${total.failed.length} failed, ${total.skipped.length} skipped\n`,
);
const strict = process.env.CI === 'true' && total.skipped.length > 0;
if (strict) process.stdout.write('CI=true: a skipped test is a failure\n');
process.exitCode = total.failed.length > 0 || strict ? 1 : 0;
