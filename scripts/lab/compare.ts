/** What a replay must have made the target do, by the servers' own counters. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Summary } from '../../src/report/summary.ts';
import type { ProcessRow, Server } from './server.ts';

export const COMPARED = [
  'Com_select',
  'Com_insert',
  'Com_update',
  'Com_delete',
  'Com_stmt_execute',
  'Connections',
] as const;
export type Compared = (typeof COMPARED)[number];
export type Counts = Record<Compared, number>;

export async function countsOf(server: Server): Promise<Counts> {
  const all = await server.counters();
  return Object.fromEntries(COMPARED.map((name) => [name, all[name]])) as Counts;
}

export function difference(after: Counts, before: Counts): Counts {
  return Object.fromEntries(COMPARED.map((name) => [name, after[name] - before[name]])) as Counts;
}

export interface Comparison {
  counter: Compared;
  online: number;
  expected: number;
  target: number;
  equal: boolean;
}

/** What a MariaDB target counts of the interlock's questions, where the first user can answer them all. */
export const ASKING: Readonly<Partial<Counts>> = { Connections: 1, Com_select: 2 };

/** `isAsked`: before the run, the replay asked its target whether it is a live server. The run is what is compared. */
export function compare(online: Counts, target: Counts, copies: number, isAsked: boolean): Comparison[] {
  return COMPARED.map((counter) => {
    const expected = online[counter] * copies;
    const seen = target[counter] - (isAsked ? (ASKING[counter] ?? 0) : 0);
    return {
      counter,
      online: online[counter],
      expected,
      target: seen,
      equal: seen === expected,
    };
  });
}

/** Connections that are still open on a server after a moment's grace for those that just said goodbye. */
export async function connectionsLeft(server: Server, graceMs = 2000): Promise<ProcessRow[]> {
  const deadline = performance.now() + graceMs;
  while (true) {
    const rows = await server.processlist();
    if (rows.length === 0 || performance.now() > deadline) return rows;
    await sleep(50);
  }
}

/** What a summary says was lost or skipped, by name; empty where all went through. */
export function lostOf({ sessions, commands }: Summary): string[] {
  const named = (what: string, causes: Record<string, number>) =>
    Object.entries(causes)
      .filter(([, count]) => count > 0)
      .map(([cause, count]) => `${count} ${what}: ${cause}`);
  return [
    ...(sessions.lost > 0 ? [`${sessions.lost} sessions lost`] : []),
    ...named('sessions skipped', sessions.skipped),
    ...named('commands lost', commands.lost),
    ...named('commands skipped', commands.skipped),
  ];
}
