import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Catalog } from './index/catalog.ts';
import { INDEX_FILE } from './index/index-file.ts';
import { ArchiveLock } from './lock.ts';

/** Why no archive can be made in the folder `dir`, which is not empty, and what to do. */
export function whyNotEmpty(dir: string): string {
  const notOver = `${dir} is not empty, and nothing is ever written over`;
  if (!existsSync(join(dir, INDEX_FILE))) return `${notOver} (choose another folder)`;
  if (ArchiveLock.isHeld(dir)) return `another mytape is writing ${dir} (choose another folder)`;
  let partial: string | null = null;
  try {
    const catalog = Catalog.open(dir);
    partial = catalog.archive().partial;
    catalog.close();
  } catch {
    // Whatever it is, it is in the way.
  }
  const next = `choose another folder, or remove it: rm -r ${dir}`;
  if (partial !== null) return `${dir} has a partial archive from an earlier try: ${partial} (${next})`;
  return `${dir} has an archive, and nothing is ever written over (${next})`;
}
