import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { EXIT, fileTrouble, MytapeError, notCompiled, withRemedy } from './errors.ts';
import { linesOf, muteLibraries, print, say, sayLine } from './report/output.ts';
import { VERBS } from './verbs/verbs.ts';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

const program = new Command('mytape')
  .description('Record production MySQL traffic off the wire, and replay it onto a test server.')
  .version(version, '-V, --version')
  .helpOption('-h, --help', 'show help, with examples')
  .exitOverride()
  .configureOutput({
    writeOut: (text) => print(linesOf(text)),
    writeErr: (text) => say(linesOf(text)),
    // What was typed may hold line ends; Commander's own is in front of its guess.
    outputError: (text) => say(text.trimEnd().split(/\n(?=\(Did you mean )/)),
  })
  .showHelpAfterError('(see --help)');

program.addHelpText(
  'after',
  `
Examples:
  mytape record -i eth0 -p 3306 -o peak.tape --for 1h
  mytape ls peak.tape
  mytape show peak.tape 17
  mytape verify peak.tape
  mytape routes peak.tape --via ASSISTANT          then type on the target what it prints
  mytape doctor -x 3306-TARGET:3306 -s ASSISTANT:36525 --key-file mytape.key --archive peak.tape
  mytape replay peak.tape -x 3306-TARGET:3306 -s ASSISTANT:36525 --key-file mytape.key --users users
  mytape mirror -x 3306-TARGET:3306 -s ASSISTANT:36525 --key-file mytape.key --users users
Run \`mytape COMMAND --help\` for a command's own options. Exit code: 0 done, 1 failed, 2 usage, 3 refused, 5 run not valid, 130 interrupted.
`,
);

/** The verb that is asked for, or whose help is: `mytape help replay`. */
function verbAsked(argv: readonly string[]): string | undefined {
  const [first, second] = argv.slice(2).filter((word) => !word.startsWith('-'));
  return first === 'help' ? second : first;
}

/** Node opens many modules at once. */
function refuseToStart(error: NodeJS.ErrnoException): never {
  if (error.code !== 'EMFILE' && error.code !== 'ENFILE') throw error;
  const limit = error.code === 'EMFILE' ? 'ulimit -n 1024' : 'sysctl fs.file-max';
  throw new MytapeError(
    'system-call',
    `cannot start: no more files can be opened: ${error.code} (raise the limit, then try again: ${limit})`,
  );
}

/** Of all other verbs only the name and the summary are wanted: for the list of commands, and to guess what was meant. */
async function addVerbs(asked: string | undefined): Promise<void> {
  for (const { name, summary, load } of VERBS) {
    const command = name === asked ? await load().catch(refuseToStart) : new Command(name);
    command.summary(summary).copyInheritedSettings(program);
    if (command.description() === '') command.description(summary);
    program.addCommand(command);
  }
}

/** A stack's line ends are Node's own, those in the message it begins with are not. */
function stackLines(error: unknown): string[] {
  if (!(error instanceof Error)) return [String(error)];
  const { name, message, stack = '' } = error;
  const frames = stack.split('\n').filter((line) => /^ +at /.test(line));
  return [`${name}: ${message}`, ...frames];
}

/** Ends with the error's own exit code and one line that says what and what next; a stack only for our own faults. */
function fail(error: unknown): void {
  if (error instanceof MytapeError) {
    sayLine([error.message, ...error.lines]);
    process.exitCode = error.exitCode;
    return;
  }
  const { code, exitCode, message } = error as { code?: string; exitCode?: number; message?: string };
  // better-sqlite3 loads its module only when a database is opened.
  if (code === 'ERR_DLOPEN_FAILED' || message?.startsWith('Could not locate the bindings file')) {
    fail(notCompiled('better-sqlite3', error));
    return;
  }
  if (code?.startsWith('commander.')) {
    // Commander has said it already; help and version are no errors.
    process.exitCode = exitCode === 0 ? EXIT.done : EXIT.usage;
    return;
  }
  const trouble = fileTrouble(error);
  if (trouble !== undefined) {
    sayLine(trouble);
    process.exitCode = EXIT.failed;
    return;
  }
  sayLine(["this is a fault of mytape's own, please report it:", ...stackLines(error)]);
  process.exitCode = EXIT.failed;
}

// `mytape ls … | head`: who closes the pipe has seen enough.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT.done);
  sayLine(`cannot write to stdout: ${withRemedy(error)}`);
  process.exit(EXIT.failed);
});

/** What follows `record --mirror` is the mirror's: for record itself, arguments that are no options. */
function withMirrorApart(argv: readonly string[]): readonly string[] {
  const end = argv.indexOf('--mirror') + 1;
  return argv[2] === 'record' && end > 0 ? [...argv.slice(0, end), '--', ...argv.slice(end)] : argv;
}

/** What a run was started with, where it is one that is to be resumed. */
async function withResumed(argv: readonly string[]): Promise<readonly string[]> {
  if (argv[2] !== 'replay') return argv;
  const { resumedArgs } = await import('./run/checkpoint/run-file.ts');
  return resumedArgs(argv);
}

async function main(): Promise<void> {
  // Our files hold people's data. One that others may read gets its mode where it is made.
  process.umask(0o077);
  muteLibraries();
  const argv = withMirrorApart(process.argv);
  await addVerbs(verbAsked(argv));
  await program.parseAsync(await withResumed(argv));
}

// Thrown where no one catches, as in a timer's callback: Node would print the message as it is.
process.on('uncaughtException', (error) => {
  fail(error);
  process.exit();
});

main().catch(fail);
