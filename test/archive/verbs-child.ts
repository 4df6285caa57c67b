/** The archive's verbs alone, as a process: for tests that signal it, kill it, and read what it prints. */
import { Command } from '@commander-js/extra-typings';
import { MytapeError } from '../../src/errors.ts';
import { VERBS } from '../../src/verbs/verbs.ts';

const verb = VERBS.find(({ name }) => name === process.argv[2]);
if (verb === undefined) throw new Error(`no verb is called ${process.argv[2]}`);
try {
  await new Command().addCommand((await verb.load()) as never).parseAsync();
} catch (error) {
  if (!(error instanceof MytapeError)) throw error;
  process.stderr.write(`${error.code}: ${error.message}\n`);
  process.exitCode = error.exitCode;
}
