/**
 * `npm run fuzz -- index`: archives with one bit flipped in their index or a segment (test/archive/flips.ts). Whoever reads them gets what was
 * recorded, or an error that names the damage; verify finds it; and an index that is made anew is whole or says what is lost.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, Option } from '@commander-js/extra-typings';
import { EXIT } from '../../src/errors.ts';
import { parseCount } from '../../src/verbs/replay-options.ts';
import { recordReference, runTrial, trialOf } from '../../test/archive/flips.ts';

const SECONDS = 60;

export async function fuzz(args: readonly string[]): Promise<void> {
  const { seconds, count, seed } = new Command('fuzz index')
    .addOption(
      new Option('--seconds <n>', `how long (default: ${SECONDS}, unless --count is given)`).argParser(
        parseCount,
      ),
    )
    .addOption(new Option('--count <n>', 'how many damaged archives').argParser(parseCount))
    .addOption(
      new Option('--seed <n>', 'of the first one; the next have the numbers after it')
        .argParser(Number)
        .default(1),
    )
    .helpOption('-h, --help', 'show this')
    .parse(args, { from: 'user' })
    .opts();
  const folder = mkdtempSync(join(tmpdir(), 'mytape-fuzz-'));
  let done = 0;
  let failed = 0;
  let isStopped = false;
  process.once('SIGINT', () => {
    isStopped = true;
  });
  try {
    const reference = join(folder, 'reference');
    const right = await recordReference(reference);
    const begun = performance.now();
    const lastMs = 1000 * (seconds ?? (count === undefined ? SECONDS : Number.POSITIVE_INFINITY));
    while (!isStopped && done !== count && performance.now() - begun < lastMs) {
      const number = seed + done++;
      const trial = trialOf(reference, number);
      const failures = await runTrial(reference, right, join(folder, 'damaged'), trial, number);
      if (failures.length === 0) continue;
      failed++;
      const { file, offset, bit } = trial;
      process.stdout.write(`--seed ${number} --count 1: ${file}, octet ${offset}, bit ${bit}\n`);
      for (const failure of failures) process.stdout.write(`  ${failure}\n`);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  process.stdout.write(`${done} damaged archives, ${failed} of them read wrongly\n`);
  process.exitCode = failed > 0 ? EXIT.failed : EXIT.done;
}
