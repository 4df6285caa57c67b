/**
 * Holds scripts against the kernel of the network namespace that this process is in, side by side, each with a peer of its
 * own: `kernel-child FILE…`. Prints one line of JSON each: the file, and what was wrong or null.
 */
import { readFileSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { runOnKernel } from './kernel.ts';
import { KernelLink } from './kernel-link.ts';

/** Time is real here, and the machine may be busy: what is wrong each time is wrong. */
const TRIES = 3;

/** Between the beginnings of two scripts, so that what they do at the same second of theirs is not at the same time. */
const APART_MS = 15;

const files = process.argv.slice(2);
const link = new KernelLink();
setPriority(constants.priority.PRIORITY_HIGHEST);

async function run(file: string, i: number): Promise<void> {
  const script = readFileSync(file, 'utf8');
  await sleep(i * APART_MS);
  let wrong: string | null = null;
  for (let attempt = 0; attempt < TRIES; attempt++) {
    try {
      await runOnKernel(script, link, i * TRIES + attempt);
      wrong = null;
      break;
    } catch (error) {
      wrong = (error as Error).message;
    }
  }
  process.stdout.write(`${JSON.stringify({ file, wrong })}\n`);
}

await Promise.all(files.map(run));
link.close();
