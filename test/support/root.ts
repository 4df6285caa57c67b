import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

function find(from: string): string {
  return existsSync(join(from, 'package.json')) ? from : find(dirname(from));
}

/** The package's folder: compiled tests run from dist, what they read lies beside the sources. */
export const ROOT = find(dirname(fileURLToPath(import.meta.url)));
