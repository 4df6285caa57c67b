/**
 * `npm run fuzz [-- captures --seconds 60]`: captures damaged at random, and what must hold of what is told of them (test/flow/support/property.ts).
 * Prints each kind of failure once, by the fewest changes that make it, and at the end how often each kind of damage was done. Exit
 * code 1 where something failed.
 */
import { EXIT } from '../../src/errors.ts';
import { EACH, KINDS, type Kind } from '../../test/flow/support/mutate.ts';
import { wholeNames } from '../../test/flow/support/reference.ts';
import { nameOf, run, shrink, type Trial, Trials, trialsOfEach } from '../../test/flow/support/trials.ts';
import { Bounds, fuzzCommand } from './bounds.ts';

const EXAMPLES = `
Examples:
  npm run fuzz                                       a minute of it
  npm run fuzz -- --count 20000
  npm run fuzz -- --seed 4711 --count 1              that one again
  npm run fuzz -- --each drop,start                  each packet of each capture dropped, and all before it
  npm run fuzz -- --fixture connector --seconds 600  one capture (of fixtures/ or fixtures/cases/) for ten minutes`;

/** What was done of one kind, and how much was told where nothing else was done. */
interface Tally {
  trials: number;
  failed: number;
  captured: number;
  told: number;
  answered: number;
}

const tallies = new Map<Kind, Tally>(
  KINDS.map((kind) => [kind, { trials: 0, failed: 0, captured: 0, told: 0, answered: 0 }]),
);

/** Failures of one kind by one kind of damage. */
const classes = new Map<string, { count: number; first: string }>();

let trialsDone = 0;
let trialsFailed = 0;

/** Runs one trial and notes what came of it. */
function attempt(trial: Trial): void {
  trialsDone++;
  const { failures, yield: counts } = run(trial);
  const [only, ...more] = trial.mutations;
  for (const { kind } of trial.mutations) (tallies.get(kind) as Tally).trials++;
  if (only !== undefined && more.length === 0) {
    const tally = tallies.get(only.kind) as Tally;
    tally.captured += counts.captured;
    tally.told += counts.told;
    tally.answered += counts.answered;
  }
  if (failures.length === 0) return;
  trialsFailed++;
  for (const kind of new Set(failures.map((failure) => failure.kind))) {
    const smallest = shrink(trial, kind);
    const damage = [...new Set(smallest.mutations.map((mutation) => mutation.kind))].sort();
    for (const each of damage) (tallies.get(each) as Tally).failed++;
    note(`${kind} by ${damage.join(' and ') || 'nothing at all'}`, () => {
      const { failures: found, notes } = run(smallest);
      const what = found.find((failure) => failure.kind === kind)?.what ?? '';
      return `${nameOf(smallest)}: ${notes.join('; ')}\n    ${what}`;
    });
  }
}

function note(name: string, describe: () => string): void {
  const known = classes.get(name);
  if (known !== undefined) {
    known.count++;
    return;
  }
  const first = describe();
  classes.set(name, { count: 1, first });
  process.stdout.write(`${name}\n  ${first}\n`);
}

function summarize(seconds: number): void {
  const lines = [
    '',
    `${trialsDone} damaged captures in ${seconds.toFixed(0)} s, ${trialsFailed} of them read wrongly`,
    '',
    row(['damage', 'done', 'failed', 'commands', 'told', 'answered']),
  ];
  for (const [kind, { trials, failed, captured, told, answered }] of tallies)
    lines.push(row([kind, trials, failed, captured, share(told, captured), share(answered, captured)]));
  lines.push(
    '',
    'Commands are those of captures with no other damage; told and answered are shares of them.',
  );
  if (classes.size > 0) lines.push('', 'Failures, most frequent first:');
  for (const [name, { count, first }] of [...classes].sort((a, b) => b[1].count - a[1].count))
    lines.push(`${String(count).padStart(8)}  ${name}: ${first.split(':')[0]}`);
  process.stdout.write(`${lines.join('\n')}\n`);
}

function row(cells: readonly (string | number)[]): string {
  return cells.map((cell, i) => (i === 0 ? String(cell).padEnd(12) : String(cell).padStart(10))).join('');
}

function share(part: number, whole: number): string {
  return whole === 0 ? '-' : `${((100 * part) / whole).toFixed(1)} %`;
}

export async function fuzz(args: readonly string[]): Promise<void> {
  const { seconds, count, seed, fixture, each } = fuzzCommand('captures', 'damaged captures')
    .option('--fixture <names>', 'only these captures, e.g. connector,03-gap-then-big-commands')
    .option('--each <kinds>', `not at random, but at each packet in turn: ${EACH.join(', ')}`)
    .addHelpText('after', EXAMPLES)
    .parse(args, { from: 'user' })
    .opts();

  const names = wholeNames();
  // A reader that has seen enough.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(EXIT.done);
    throw error;
  });

  const chosen = fixture?.split(',') ?? names;
  for (const name of chosen) {
    if (names.includes(name)) continue;
    process.stderr.write(`fuzz: there is no capture ${name}; there are: ${names.join(', ')}\n`);
    process.exit(EXIT.usage);
  }
  const trials = new Trials(chosen);

  function* atRandom(): Generator<Trial> {
    for (let i = 0; ; i++) yield trials.make(seed + i);
  }

  function* inTurn(kinds: readonly string[]): Generator<Trial> {
    for (const kind of kinds) {
      const known = EACH.find((name) => name === kind);
      if (known === undefined) {
        process.stderr.write(`fuzz: --each knows ${EACH.join(', ')}, not ${kind}\n`);
        process.exit(EXIT.usage);
      }
      yield* trialsOfEach(trials.wholes, [known]);
    }
  }

  const bounds = new Bounds(seconds, count, count !== undefined || each !== undefined);
  for (const trial of each === undefined ? atRandom() : inTurn(each.split(','))) {
    if (!bounds.hasRoom(trialsDone)) break;
    attempt(trial);
    // Lets Ctrl-C through.
    if (trialsDone % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  summarize(bounds.seconds);
  process.exitCode = trialsFailed > 0 ? EXIT.failed : EXIT.done;
}
