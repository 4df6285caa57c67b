/** Counts by cause, and what is common to all counts. */

/** How often each cause came. */
export type Causes = Record<string, number>;

/** Whether `value` is a number of things: whole, and none below zero. */
export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

export function isCauses(value: unknown): value is Causes {
  return isRecord(value) && Object.values(value).every(isCount);
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function totalOf(causes: Causes): number {
  return Object.values(causes).reduce((sum, count) => sum + count, 0);
}

/** By their names. */
export function byName(causes: Causes): Causes {
  return Object.fromEntries(Object.entries(causes).sort(([a], [b]) => (a < b ? -1 : 1)));
}

export function addCause(causes: Causes, cause: string, count = 1): void {
  if (count > 0) causes[cause] = (causes[cause] ?? 0) + count;
}

export function sumOf(a: Causes, b: Causes): Causes {
  const sum: Causes = { ...a };
  for (const [cause, count] of Object.entries(b)) sum[cause] = (sum[cause] ?? 0) + count;
  return sum;
}
