#!/usr/bin/env node
import { existsSync } from 'node:fs';

const cli = new URL('../dist/src/cli.js', import.meta.url);
if (!existsSync(cli)) {
  process.stderr.write('mytape: not built yet (run: npm ci && npm run build)\n');
  process.exit(1);
}
try {
  await import(cli.href);
} catch (error) {
  // Node reads many modules at once.
  if (error.code !== 'EMFILE' && error.code !== 'ENFILE') throw error;
  const limit = error.code === 'EMFILE' ? 'ulimit -n 1024' : 'sysctl fs.file-max';
  process.stderr.write(
    `mytape: cannot start: no more files can be opened: ${error.code} (raise the limit, then try again: ${limit})\n`,
  );
  process.exit(1);
}
