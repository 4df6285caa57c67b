/** Arithmetic of the benches. */

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Sorts `values`. */
export function percentile(values: Float64Array, percent: number): number {
  if (values.length === 0) return 0;
  values.sort();
  return values[Math.min(values.length - 1, Math.floor((values.length * percent) / 100))];
}

export function round(value: number, digits = 2): number {
  const factor = 10 ** digits;
  return Math.round(value * factor) / factor;
}

/** What one run took. */
export interface Cost {
  /** Commands, or sessions. */
  units: number;
  /** CPU time, user and system, of each process that took part, by name. */
  cpuMs: Readonly<Record<string, number>>;
  /** How long it took by the process's own word. */
  elapsedMs: number;
}

/** What a unit costs, starting not counted. */
export interface UnitCost {
  /** µs of CPU, by process … */
  us: Record<string, number>;
  /** … and of all of them together. */
  total_us: number;
  /** Units a second. */
  rate: number;
  /** Cores that each process keeps busy at that rate: near 1, it is the one that the others wait for. */
  cores: Record<string, number>;
}

/**
 * The medians of long runs less those of short ones, which differ only in how many units they have: what starting, logging in and
 * compiling cost is in both.
 */
export function unitCost(long: readonly Cost[], short: readonly Cost[]): UnitCost {
  const more = (of: (cost: Cost) => number) => median(long.map(of)) - median(short.map(of));
  const units = more((cost) => cost.units);
  const rate = (units * 1000) / more((cost) => cost.elapsedMs);
  const us: Record<string, number> = {};
  const cores: Record<string, number> = {};
  let total = 0;
  for (const name of Object.keys(long[0].cpuMs)) {
    const each = (more((cost) => cost.cpuMs[name]) * 1000) / units;
    us[name] = round(each);
    cores[name] = round((each * rate) / 1e6);
    total += each;
  }
  return { us, total_us: round(total), rate: Math.round(rate), cores };
}

/** Something measured against others, in turns, so that the machine's moods hit all alike. */
export interface Contender {
  name: string;
  long(): Promise<Cost>;
  short(): Promise<Cost>;
}

/** Runs them all, short and long, one after the other, `rounds` times over. */
export async function alternate(
  contenders: readonly Contender[],
  rounds: number,
): Promise<Map<string, UnitCost>> {
  const long = contenders.map((): Cost[] => []);
  const short = contenders.map((): Cost[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, contender] of contenders.entries()) {
      short[i].push(await contender.short());
      long[i].push(await contender.long());
    }
  }
  return new Map(contenders.map(({ name }, i) => [name, unitCost(long[i], short[i])]));
}
