/**
 * What verbs print: results on stdout (for people, or as JSON), everything else on stderr. No other file writes to either.
 *
 * Nothing printed is trusted: what comes off the wire may hold escape sequences. The unit is the line. A caller hands over
 * lines, one string each, and whatever in them is unprintable, line feeds included, is escaped here.
 */
import { Console } from 'node:console';
import { once } from 'node:events';
import { writeSync } from 'node:fs';
import { Writable } from 'node:stream';
import { printable, printableJson } from '../printable.ts';

/** One line, or several. */
export type Lines = string | readonly string[];

const STDERR = 2;

/** Back to the begin of the line, and empties it (ECMA-48 EL). */
const ERASE_LINE = '\r\x1b[K';

/** Whether the cursor is at the end of a progress line. */
let progressShown = false;

/** Lines for people on stderr. They take the place of the progress line, where one is shown. */
export function say(lines: Lines): void {
  eraseProgress();
  if (stderrFailed) sayAnyhow(asText(lines));
  else process.stderr.write(asText(lines));
}

/** A log on a full disk, or a reader that is gone: what is said is lost, and the work goes on. */
let stderrFailed = false;
process.stderr.on('error', () => {
  stderrFailed = true;
});

/** A stream of Node's writes nothing after its first error, and there may be room again. */
function sayAnyhow(text: string): void {
  try {
    writeSync(STDERR, text);
  } catch {
    // Not yet.
  }
}

/** The same, in mytape's own name. */
export function sayLine(lines: Lines): void {
  const [first, ...others] = typeof lines === 'string' ? [lines] : lines;
  say([`mytape: ${first}`, ...others]);
}

/** Lines of a result on stdout. */
export function print(lines: Lines): void {
  process.stdout.write(asText(lines));
}

/**
 * Keeps what libraries write by `console` from the terminal: mysql2 prints a stack where a server sends nonsense, as it came. What
 * went wrong reaches us by their errors. For the whole process, once.
 */
export function muteLibraries(): void {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  globalThis.console = new Console(nowhere);
}

/** Text whose line ends are ours, as of help. */
export function linesOf(text: string): string[] {
  return text.replace(/\n$/, '').split('\n');
}

/** A question on stderr; the answer is typed after it. */
export function prompt(question: string): void {
  process.stderr.write(printable(question));
}

/** Lines on stdout, written some 64 KiB at a time: a write for each would cost more than making it. */
export class LineWriter {
  #waiting = '';

  line(text: string): void {
    this.#waiting += `${printable(text)}\n`;
    if (this.#waiting.length > WRITE_CHARACTERS) this.flush();
  }

  json(value: unknown): void {
    this.line(printableJson(value));
  }

  flush(): void {
    if (this.#waiting !== '') process.stdout.write(this.#waiting);
    this.#waiting = '';
  }
}

/**
 * Waits until a reader of stdout that is slower than we are has caught up: what is written to a pipe meanwhile stays in memory, and
 * goes nowhere before the event loop has its turn.
 */
export async function drained(): Promise<void> {
  if (process.stdout.writableNeedDrain) await once(process.stdout, 'drain');
}

const WRITE_CHARACTERS = 64 * 1024;

/** One JSON object as one line on stdout. */
export function printJson(value: unknown): void {
  print(printableJson(value));
}

/** One JSON object as people read it. */
export function jsonLines(value: unknown): string[] {
  return printableJson(value, 2).split('\n');
}

function asText(lines: Lines): string {
  if (typeof lines === 'string') return `${printable(lines)}\n`;
  return lines.map((line) => `${printable(line)}\n`).join('');
}

function eraseProgress(): void {
  if (progressShown) process.stderr.write(ERASE_LINE);
  progressShown = false;
}

export interface Column {
  title: string;
  align: 'left' | 'right';
}

/**
 * A table on stdout, columns as wide as their widest cell. Rows are printed a page at a time, each page with widths of
 * its own, so that a million of them need not be held at once.
 */
export class Table {
  readonly #columns: readonly Column[];
  #rows: string[][] = [];
  #titled = false;

  constructor(columns: readonly Column[]) {
    this.#columns = columns;
  }

  row(cells: string[]): void {
    this.#rows.push(cells.map(printable));
    if (this.#rows.length >= TABLE_PAGE) this.flush();
  }

  flush(): void {
    const rows = this.#titled ? this.#rows : [this.#columns.map((column) => column.title), ...this.#rows];
    this.#titled = true;
    this.#rows = [];
    const widths = this.#columns.map((_, i) => Math.max(0, ...rows.map((row) => row[i].length)));
    for (const row of rows) {
      const cells = row.map((cell, i) =>
        this.#columns[i].align === 'left' ? cell.padEnd(widths[i]) : cell.padStart(widths[i]),
      );
      print(cells.join('  ').trimEnd());
    }
  }
}

const TABLE_PAGE = 1000;

/** A line on stderr that is rewritten in place; nothing where stderr is not a terminal. */
export class Progress {
  show(line: string): void {
    if (!process.stderr.isTTY) return;
    const width = (process.stderr.columns ?? 80) - 1;
    process.stderr.write(ERASE_LINE + printable(line).slice(0, width));
    progressShown = true;
  }

  /** Takes the line away. */
  clear(): void {
    eraseProgress();
  }
}

/** `1.5 MiB`. */
export function formatOctets(octets: number): string {
  if (octets < 1024) return `${octets} B`;
  const units = ['KiB', 'MiB', 'GiB', 'TiB'];
  let value = octets / 1024;
  let unit = 0;
  while (value >= 1023.95 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${value.toFixed(1)} ${units[unit]}`;
}

/** `0.42s`, `12.3s`, `4m05s`, `2h03m`. */
export function formatDuration(ms: number): string {
  if (ms < 10_000) return `${(ms / 1000).toFixed(2)}s`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)}s`;
  const seconds = Math.round(ms / 1000);
  const minutes = Math.floor(seconds / 60);
  const two = (value: number) => String(value).padStart(2, '0');
  return minutes < 60
    ? `${minutes}m${two(seconds % 60)}s`
    : `${Math.floor(minutes / 60)}h${two(minutes % 60)}m`;
}

/** `0.042ms`, `1.23ms`, `12.3ms`, `250ms`, `12.3s`: three digits are enough to compare latencies by. */
export function formatLatency(ms: number): string {
  if (ms >= 1000) return formatDuration(ms);
  if (ms < 1) return `${ms.toFixed(3)}ms`;
  return `${ms.toFixed(ms < 10 ? 2 : ms < 100 ? 1 : 0)}ms`;
}

/** `2026-01-31 09:08:07.123`, local time. */
export function formatTime(unixMs: number): string {
  const date = new Date(unixMs);
  const two = (value: number) => String(value).padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return `${day} ${time}.${String(date.getMilliseconds()).padStart(3, '0')}`;
}
