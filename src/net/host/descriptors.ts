/** How many files a process may have open: each connection by a socket takes one. */
import { readFileSync } from 'node:fs';

/** What a run needs beside its connections: modules, the archive, its folder, stdout … */
const OWN = 64;
/** … and each of its threads. */
const A_THREAD = 16;

/** Node has raised the soft limit to the hard one when it began. Infinity where it is not known. */
export function openFilesLimit(): number {
  try {
    const [, soft] = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1')) ?? [];
    return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

/** Descriptors that are no connections', of a run in so many threads. */
export function ownDescriptors(threads: number): number {
  return OWN + A_THREAD * threads;
}

/** How many connections each of `threads` threads may have at once. */
export function connectionsAThread(threads: number, limit = openFilesLimit()): number {
  return Math.max(1, Math.floor((limit - ownDescriptors(threads)) / threads));
}
