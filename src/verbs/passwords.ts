import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { MytapeError } from '../errors.ts';
import { readPrivateFile } from '../replay/accounts/users.ts';
import { say, prompt as showPrompt } from '../report/output.ts';

const VARIABLE = 'MYTAPE_PASSWORD';

export interface PasswordSources {
  /** Holds the password on its first line; mode 0600. */
  file?: string;
  /** Default: the process's own. */
  env?: NodeJS.ProcessEnv;
  /** What the operator is asked with, on a terminal. Without it nobody is asked. */
  prompt?: string;
}

/**
 * A password, from the first that there is: the file, MYTAPE_PASSWORD, the operator; undefined where there is none.
 * Never from the command line, which everybody on the host can see.
 */
export async function readPassword({
  file,
  env = process.env,
  prompt,
}: PasswordSources): Promise<string | undefined> {
  if (file !== undefined) return readPasswordFile(file);
  const set = env[VARIABLE];
  if (set !== undefined) return set;
  return prompt !== undefined && process.stdin.isTTY && process.stderr.isTTY ? ask(prompt) : undefined;
}

function readPasswordFile(path: string): string {
  const form = 'its first line is the password, its mode 0600';
  const text = readPrivateFile(path, { what: 'password file', form, code: 'bad-file' });
  return text.split(/\r?\n/, 1)[0];
}

/** A line from the terminal, without echo. */
function ask(question: string): Promise<string> {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  // `terminal` turns the terminal's own echo off, and this one's goes nowhere.
  const terminal = createInterface({
    input: process.stdin,
    output: nowhere,
    terminal: true,
    historySize: 0,
  });
  showPrompt(question);
  return new Promise((resolve, reject) => {
    terminal.once('line', (line) => {
      resolve(line);
      terminal.close();
    });
    // After a line this comes too late to matter: Ctrl-C, Ctrl-D.
    terminal.once('close', () => {
      say('');
      reject(new MytapeError('usage', `no password was given (or set ${VARIABLE}, or give a file of it)`));
    });
  });
}
