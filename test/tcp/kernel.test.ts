import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { skip } from '../net/namespaces.ts';
import { ROOT } from '../support/root.ts';
import { notForKernel } from './script.ts';

const FOLDER = join(ROOT, 'test/tcp/scenarios');
const CHILD = fileURLToPath(new URL('kernel-child.js', import.meta.url));
/** Scripts that are for ours only. More would mean that we drift from what a real client does. */
const MOST_OURS_ONLY = 12;

/** The longest script takes half a minute, and may be tried three times. */
const TIMEOUT_MS = 120_000;

describe('TCP scenarios on the Linux kernel', { skip }, () => {
  const scripts = readdirSync(FOLDER).filter((file) => file.endsWith('.pkt'));
  const reasons = scripts.map((file) => notForKernel(readFileSync(join(FOLDER, file), 'utf8')));
  const held = scripts.filter((_, i) => reasons[i] === undefined).sort();
  const wrong = new Map<string, string | null>();

  before(async () => {
    const files = held.map((file) => join(FOLDER, file));
    const command = ['--net', process.execPath, CHILD, ...files];
    const { stdout } = await promisify(execFile)('unshare', command, { timeout: TIMEOUT_MS });
    for (const line of stdout.trim().split('\n')) {
      const result = JSON.parse(line) as { file: string; wrong: string | null };
      wrong.set(result.file, result.wrong);
    }
  });

  for (const file of held) {
    it(file.replace(/\.pkt$/, ''), () => {
      const found = wrong.get(join(FOLDER, file));
      assert.equal(found, null, found ?? 'was not run');
    });
  }

  it('nearly all scripts are held against it', (t) => {
    const ours = scripts.flatMap((file, i) => (reasons[i] === undefined ? [] : [`${file}: ${reasons[i]}`]));
    for (const each of ours) t.diagnostic(each);
    assert.ok(ours.length <= MOST_OURS_ONLY, `${ours.length} are not`);
  });
});
