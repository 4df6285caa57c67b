import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ROOT } from '../support/root.ts';
import { runScenario } from './packetdrill.ts';

const FOLDER = join(ROOT, 'test/tcp/scenarios');

describe('TCP scenarios', () => {
  for (const file of readdirSync(FOLDER).sort()) {
    if (!file.endsWith('.pkt')) continue;
    it(file.replace(/\.pkt$/, ''), () => runScenario(readFileSync(join(FOLDER, file), 'utf8')));
  }
});
