/** `import`, `ls` and `export` alone, as a process: for tests that signal it and read what it prints. */
import { Command } from '@commander-js/extra-typings';
import { MytapeError } from '../../src/errors.ts';
import { exportCommand } from '../../src/verbs/export.ts';
import { importCommand } from '../../src/verbs/import.ts';
import { lsCommand } from '../../src/verbs/ls.ts';

try {
  await new Command()
    .addCommand(importCommand())
    .addCommand(lsCommand())
    .addCommand(exportCommand())
    .parseAsync();
} catch (error) {
  if (!(error instanceof MytapeError)) throw error;
  process.stderr.write(`${error.code}: ${error.message}\n`);
  process.exitCode = error.exitCode;
}
