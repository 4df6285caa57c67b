/**
 * `npm run fuzz -- target`: replays onto targets whose recorded answers are damaged at random. Each run must end within its time-outs,
 * account for every command, throw nothing, and send no file that was not recorded. Exit code 1 where something failed.
 */
import { Option } from '@commander-js/extra-typings';
import { EXIT } from '../../src/errors.ts';
import { attempt, CAPTURES, type Result, type Trial } from '../../test/replay/hostile/trials.ts';
import { Bounds, fuzzCommand } from './bounds.ts';

/** Runs at once: each waits most of its time. */
const AT_ONCE = 16;

/** A trial's time-outs add up to a few seconds. */
const HANGS_MS = 60_000;

/** A length that is believed takes 16 MiB and more; what a run needs, with the test's own, is far below. */
const MOST_OCTETS = 1024 * 1024 * 1024;

const EXAMPLES = `
Examples:
  npm run fuzz -- target                               a minute of it
  npm run fuzz -- target --count 5000
  npm run fuzz -- target --seed 4711 --count 1 --capture php   that one again`;

async function inTime(trial: Trial): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Result>((resolve) => {
    const failure = `did not end within ${HANGS_MS / 1000} s`;
    timer = setTimeout(() => resolve({ trial, failure, damage: [] }), HANGS_MS);
  });
  const result = await Promise.race([attempt(trial), late]);
  clearTimeout(timer);
  const { rss } = process.memoryUsage();
  if (rss < MOST_OCTETS || result.failure !== undefined) return result;
  return { ...result, failure: `${Math.round(rss / 1024 / 1024)} MiB of memory are in use` };
}

function tell({ trial: { capture, seed }, failure, damage }: Result): void {
  const again = `npm run fuzz -- target --capture ${capture} --seed ${seed} --count 1`;
  process.stdout.write(`${again}\n  ${damage.join('; ')}\n  ${failure}\n`);
}

export async function fuzz(args: readonly string[]): Promise<void> {
  const { seconds, count, seed, capture } = fuzzCommand('target', 'targets')
    .addOption(new Option('--capture <name>', 'only this one, of fixtures/').choices(CAPTURES))
    .addHelpText('after', EXAMPLES)
    .parse(args, { from: 'user' })
    .opts();
  const bounds = new Bounds(seconds, count);
  let started = 0;
  let done = 0;
  let failed = 0;
  const worker = async () => {
    while (bounds.hasRoom(started)) {
      const number = seed + started++;
      const result = await inTime({ seed: number, capture: capture ?? CAPTURES[number % CAPTURES.length] });
      done++;
      if (result.failure === undefined) continue;
      failed++;
      tell(result);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  const took = bounds.seconds.toFixed(0);
  process.stdout.write(`${done} damaged targets in ${took} s, ${failed} of them failed\n`);
  process.exitCode = failed > 0 ? EXIT.failed : EXIT.done;
}
