#!/usr/bin/env node
import { existsSync } from 'node:fs';

const cli = new URL('../dist/src/cli.js', import.meta.url);
if (!existsSync(cli)) {
  process.stderr.write('mytape: not built yet (run: npm ci && npm run build)\n');
  process.exit(1);
}
await import(cli.href);
