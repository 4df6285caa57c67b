/**
 * `npm run fuzz -- relay`: conversations of a relay damaged at random, against an intercept and against a replay. Neither may throw, hold
 * more than it may, or send where it may not (test/intercept/hostile). Exit code 1 where something failed.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Option } from '@commander-js/extra-typings';
import { EXIT } from '../../src/errors.ts';
import { interceptTrial, type Outcome } from '../../test/intercept/hostile/intercept-trial.ts';
import { replayTrial, startPolite } from '../../test/intercept/hostile/replay-trial.ts';
import { Bounds, fuzzCommand } from './bounds.ts';

/** A trial needs a few MiB: more than this, and something is kept from one to the next. */
const MOST_OCTETS = 512 * 1024 * 1024;

const ENDS = ['intercept', 'replay'] as const;
type End = (typeof ENDS)[number];

const EXAMPLES = `
Examples:
  npm run fuzz -- relay                                          a minute of it
  npm run fuzz -- relay --count 5000
  npm run fuzz -- relay --end intercept --seed 4711 --count 1    that one again`;

export async function fuzz(args: readonly string[]): Promise<void> {
  const { seconds, count, seed, end } = fuzzCommand('relay', 'conversations')
    .addOption(new Option('--end <end>', 'only against this end (default: both in turn)').choices(ENDS))
    .addHelpText('after', EXAMPLES)
    .parse(args, { from: 'user' })
    .opts();
  const folder = mkdtempSync(join(tmpdir(), 'mytape-fuzz-'));
  const path = join(folder, 'relay.sock');
  const server = await startPolite(path);
  const bounds = new Bounds(seconds, count);
  const total = { done: 0, failed: 0, steps: 0, sent: 0 };
  while (bounds.hasRoom(total.done)) {
    const number = seed + total.done;
    const at: End = end ?? ENDS[number % ENDS.length];
    const outcome = withMemory(at === 'intercept' ? interceptTrial(number) : await replayTrial(number, path));
    total.done++;
    total.steps += outcome.steps;
    total.sent += outcome.sent;
    if (outcome.failure !== undefined) {
      total.failed++;
      process.stdout.write(
        `npm run fuzz -- relay --end ${at} --seed ${number} --count 1\n  ${outcome.failure}\n`,
      );
    }
    // Signals, and sockets that are closed.
    await new Promise((resolve) => setImmediate(resolve));
  }
  server.close();
  rmSync(folder, { recursive: true, force: true });
  const took = bounds.seconds.toFixed(0);
  process.stdout.write(
    `${total.done} damaged conversations of ${total.steps} steps in ${took} s, ${total.sent} segments sent, ${total.failed} failed\n`,
  );
  process.exitCode = total.failed > 0 ? EXIT.failed : EXIT.done;
}

function withMemory(outcome: Outcome): Outcome {
  const { rss } = process.memoryUsage();
  if (rss < MOST_OCTETS || outcome.failure !== undefined) return outcome;
  return { ...outcome, failure: `${Math.round(rss / 1024 / 1024)} MiB of memory are in use` };
}
