/**
 * `npm run fuzz -- index`: archives with one bit flipped in their index or a segment (test/archive/flips.ts). Whoever reads them gets what was
 * recorded, or an error that names the damage; verify finds it; and an index that is made anew is whole or says what is lost.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EXIT } from '../../src/errors.ts';
import { recordReference, runTrial, trialOf } from '../../test/archive/flips.ts';
import { Bounds, fuzzCommand } from './bounds.ts';

export async function fuzz(args: readonly string[]): Promise<void> {
  const { seconds, count, seed } = fuzzCommand('index', 'damaged archives')
    .parse(args, { from: 'user' })
    .opts();
  const folder = mkdtempSync(join(tmpdir(), 'mytape-fuzz-'));
  let done = 0;
  let failed = 0;
  try {
    const reference = join(folder, 'reference');
    const right = await recordReference(reference);
    const bounds = new Bounds(seconds, count);
    while (bounds.hasRoom(done)) {
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
