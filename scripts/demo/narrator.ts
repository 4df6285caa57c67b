/** How the demo talks: numbered steps, wrapped text, tables, and something that moves while a long step runs. */

const WIDTH = 96;
const terminal = process.stdout.isTTY === true;
const paint = (code: number, text: string) => (terminal ? `\u001b[${code}m${text}\u001b[0m` : text);

const write = (text: string) => process.stdout.write(text);

let steps = 0;
const began = performance.now();

function clock(): string {
  const seconds = Math.round((performance.now() - began) / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

/** A heading: what comes now. */
export function step(title: string): void {
  steps++;
  write(`\n${paint(1, `${steps}. ${title}`)}  ${paint(2, clock())}\n`);
}

/** A paragraph, wrapped. */
export function explain(...sentences: string[]): void {
  let line = '  ';
  for (const word of sentences.join(' ').split(/\s+/)) {
    if (line.length + word.length > WIDTH) {
      write(line.trimEnd() + '\n');
      line = '  ';
    }
    line += word + ' ';
  }
  write(line.trimEnd() + '\n');
}

/** A command line as one would type it oneself. */
export function command(host: string, line: string | readonly string[]): void {
  const quote = (word: string) => (/^[\w./:=,-]+$/.test(word) ? word : `'${word}'`);
  const text = typeof line === 'string' ? line : line.map(quote).join(' ');
  write(`    ${paint(2, `[${host}]`)} ${paint(36, text)}\n`);
}

/** A result, checked or plain. */
export function fact(text: string, good?: boolean): void {
  const mark = good === undefined ? ' ' : good ? paint(32, '✓') : paint(31, '✗');
  write(`  ${mark} ${text}\n`);
}

export function table(header: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column].length)),
  );
  const line = (cells: readonly string[]) =>
    '    ' +
    cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('   ') +
    '\n';
  write(paint(2, line(header)));
  for (const row of rows) write(line(row));
}

const TERMINAL_MS = 200;
const LOG_MS = 5000;

/** Runs `work` while telling, again and again, what `state` says and how long it has been. */
export async function progress<T>(state: () => string, work: Promise<T>): Promise<T> {
  const from = performance.now();
  const show = () => {
    const text = `    … ${state()}, ${Math.round((performance.now() - from) / 1000)} s`;
    write(terminal ? `\r${text}\u001b[K` : text + '\n');
  };
  const timer = setInterval(show, terminal ? TERMINAL_MS : LOG_MS);
  try {
    return await work;
  } finally {
    clearInterval(timer);
    if (terminal) write('\r\u001b[K');
  }
}
