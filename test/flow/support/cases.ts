/** Captures as `mytape import`, `mytape show --json` and `mytape ls --json` tell of them. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ROOT } from '../../support/root.ts';

/** What one capture amounts to on the command line. */
export interface Told {
  /** Of the last command that was run: import where that failed, else ls. */
  exitCode: number;
  /** What import printed, and stderr of all. */
  said: string;
  show: ShownObject[];
  ls: ListedSession[];
}

export interface ShownReply {
  kind: string;
  errno: number;
  affected: number;
  rows: number;
  statement?: number;
  latency_ms: number | null;
}

/** A line of `show --json`; fields are those of its type. */
export interface ShownObject {
  type: 'session' | 'command' | 'lost' | 'skipped';
  session: number;
  client: string;
  server: string;
  user: string | null;
  schema: string | null;
  coverage: string;
  close: string;
  refused?: number;
  ordinal: number;
  at_ns: number;
  com: string;
  sql: string | null;
  statement: number | null;
  reply: ShownReply | null;
  cause: string;
  commands: number | null;
}

export interface ListedSession {
  id: number;
  client: string;
  server: string;
  user: string | null;
  schema: string | null;
  coverage: string;
  commands: number | null;
}

export interface Capture {
  file: string;
  port: number;
  keys?: string | undefined;
}

export const CASES_FOLDER = join(ROOT, 'fixtures/cases');
export const CASES_PORT = 3307;

/** The synthetic captures of fixtures/cases, by name: `01-pipelined-prepare-gap`. */
export function caseNames(): string[] {
  return readdirSync(CASES_FOLDER)
    .filter((file) => /\.pcap(ng)?$/.test(file))
    .map((file) => file.replace(/\.pcap(ng)?$/, ''))
    .sort();
}

/** Runs import, show and ls on each of them, in one child process; in their order. */
export function tell(captures: readonly Capture[]): Told[] {
  const folder = mkdtempSync(join(tmpdir(), 'mytape-test-'));
  try {
    const child = fileURLToPath(new URL('./cases-child.js', import.meta.url));
    const args = captures.flatMap(({ file, port, keys = '-' }) => [file, String(port), keys]);
    const output = execFileSync(process.execPath, [child, folder, ...args], {
      encoding: 'utf8',
      timeout: 60_000,
      maxBuffer: 256 * 1024 * 1024,
    });
    return objects<{ exitCode: number; said: string; show: string; ls: string }>(output).map(
      ({ exitCode, said, show, ls }) => ({ exitCode, said, show: objects(show), ls: objects(ls) }),
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function objects<T>(text: string): T[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T);
}
