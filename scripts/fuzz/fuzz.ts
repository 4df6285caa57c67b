/**
 * `npm run fuzz [-- KIND] [options]`: seeded trials by kind, each in a file of its own. Without a kind: captures. Each kind prints how
 * to repeat a failure, and exits with 1 where something failed.
 */
import { EXIT } from '../../src/errors.ts';

/** A kind of trials: reads its own options, sets the process's exit code. */
type Fuzz = (args: readonly string[]) => Promise<void>;

const KINDS: Readonly<Record<string, () => Promise<{ fuzz: Fuzz }>>> = {
  captures: () => import('./captures.ts'),
  index: () => import('./index.ts'),
  relay: () => import('./relay.ts'),
  target: () => import('./target.ts'),
};

const [first, ...rest] = process.argv.slice(2);
const isKind = first !== undefined && !first.startsWith('-');
const kind = isKind ? first : 'captures';
if (Object.hasOwn(KINDS, kind)) {
  const { fuzz } = await KINDS[kind]();
  await fuzz(isKind ? rest : process.argv.slice(2));
} else {
  process.stderr.write(`fuzz: there is no kind ${kind}; there are: ${Object.keys(KINDS).join(', ')}\n`);
  process.exitCode = EXIT.usage;
}
