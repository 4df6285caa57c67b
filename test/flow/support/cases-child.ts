/**
 * Imports captures and prints what `show --json` and `ls --json` say of them, all in one process: a process for each would take
 * most of the time. Arguments: a folder for the archives, then for each capture its file, its port, and its key log or `-`.
 * Prints a JSON object (see cases.ts) for each capture.
 */
import { basename, join } from 'node:path';
import { Command } from '@commander-js/extra-typings';
import { MytapeError } from '../../../src/errors.ts';
import { importCommand } from '../../../src/verbs/import.ts';
import { lsCommand } from '../../../src/verbs/ls.ts';
import { showCommand } from '../../../src/verbs/show/show.ts';

let stdout = '';
let stderr = '';
const write = process.stdout.write.bind(process.stdout);
process.stdout.write = (text: string | Uint8Array) => {
  stdout += text;
  return true;
};
process.stderr.write = (text: string | Uint8Array) => {
  stderr += text;
  return true;
};

/** Runs `mytape` with these arguments; answers its stdout. */
async function run(...args: string[]): Promise<string> {
  stdout = '';
  try {
    await new Command()
      .addCommand(importCommand())
      .addCommand(lsCommand())
      .addCommand(showCommand())
      .parseAsync(args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof MytapeError)) throw error;
    stderr += `mytape: ${error.message}\n`;
    process.exitCode = error.exitCode;
  }
  return stdout;
}

const [folder, ...captures] = process.argv.slice(2);
for (let i = 0; i < captures.length; i += 3) {
  const [file, port, keys] = captures.slice(i, i + 3);
  const tape = join(folder, basename(file));
  stderr = '';
  const options = keys === '-' ? [] : ['--keylog', keys];
  const said = await run('import', file, '-o', tape, '-p', port, ...options);
  const imported = (process.exitCode ?? 0) === 0;
  const show = imported ? await run('show', tape, '--json') : '';
  const ls = imported ? await run('ls', tape, '--json') : '';
  const exitCode = Number(process.exitCode ?? 0);
  process.exitCode = 0;
  write(`${JSON.stringify({ file, exitCode, said: said + stderr, show, ls })}\n`);
}
