import { fileURLToPath } from 'node:url';
import type { PassFigures } from './decode-passes.ts';
import { makePointSelects, makeResult } from './decode-tapes.ts';
import { round } from './figures.ts';
import { type Bench, tapeOf } from './replay-run.ts';

const SCRIPT = fileURLToPath(new URL('decode-passes.js', import.meta.url));
const COMMANDS = 300_000;
const RESULT_OCTETS = 100e6;
const PASSES = 7;

interface Traffic {
  make(folder: string): void;
  /** What is counted, and how many of it one core is to decode a second. */
  unit: 'commands' | 'octets';
  goal: number;
}

const TRAFFIC: Record<string, Traffic> = {
  'point-selects': {
    make: (folder) => makePointSelects(folder, COMMANDS, false),
    unit: 'commands',
    goal: 300_000,
  },
  'prepared-selects': {
    make: (folder) => makePointSelects(folder, COMMANDS, true),
    unit: 'commands',
    goal: 300_000,
  },
  'result-rows': { make: (folder) => makeResult(folder, RESULT_OCTETS, false), unit: 'octets', goal: 1e9 },
  'result-blobs': { make: (folder) => makeResult(folder, RESULT_OCTETS, true), unit: 'octets', goal: 1e9 },
};

export interface DecodeFigures {
  traffic: string;
  unit: 'commands' | 'octets';
  /** Units a second of CPU, and the goal. */
  rate: number;
  goal: number;
  /** CPU over that of reading the archive's packets alone. */
  over_reading: number;
  /** CPU a packet, µs: reading alone, and all of it. */
  read_us: number;
  decode_us: number;
}

/** What CPU it takes to make an archive commands and answers again: unpack, reassemble, read, and nothing done with them. */
export async function benchDecode(bench: Bench): Promise<DecodeFigures[]> {
  const all: DecodeFigures[] = [];
  for (const [traffic, { make, unit, goal }] of Object.entries(TRAFFIC)) {
    const tape = tapeOf(bench, `decode-${traffic}`, make);
    const run = await bench.lab.run('client', process.execPath, [SCRIPT, tape, String(PASSES)]);
    if (run.code !== 0) throw new Error(`decode-passes: exit code ${run.code}\n${run.stderr}`);
    const passes = JSON.parse(run.stdout) as PassFigures;
    const rate = Math.round((passes[unit] * 1000) / passes.decodeMs);
    const each = (ms: number) => round((ms * 1000) / passes.packets);
    const overReading = round(passes.decodeMs / passes.readMs);
    all.push({
      traffic,
      unit,
      rate,
      goal,
      over_reading: overReading,
      read_us: each(passes.readMs),
      decode_us: each(passes.decodeMs),
    });
    const figure = unit === 'octets' ? `${round(rate / 1e9)} GB/s` : `${rate} commands/s`;
    bench.say(
      `  ${traffic}: ${figure}, ${round(rate / goal)} of the goal; ${overReading} times reading alone, ` +
        `${each(passes.decodeMs)} µs a packet`,
    );
  }
  return all;
}
