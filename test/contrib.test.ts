/** What contrib/ has for others' programs, shown to them. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { commandObstacle } from './e2e/support/capability.ts';
import { ROOT } from './support/root.ts';
import { mytape } from './verbs/mytape.ts';

const UNITS = join(ROOT, 'contrib/systemd');
const SERVICES = readdirSync(UNITS).filter((name) => name.endsWith('.service'));

describe('units of systemd', () => {
  test('pass its own check', { skip: commandObstacle('systemd-analyze') ?? false }, () => {
    const folder = mkdtempSync(join(tmpdir(), 'mytape-test-'));
    try {
      // A template is checked by an instance of it.
      const paths = SERVICES.map((name) => join(folder, name.replace('@.', '@eth0.')));
      for (const [i, name] of SERVICES.entries()) cpSync(join(UNITS, name), paths[i]);
      const { status, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', ...paths], {
        encoding: 'utf8',
      });
      assert.equal(status, 0, stderr);
      assert.doesNotMatch(stderr, /Unknown|Failed to parse|ignoring/i);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test('have a user each, which sysusers makes', () => {
    const users = SERVICES.map((name) => /^User=(.+)$/m.exec(readFileSync(join(UNITS, name), 'utf8'))?.[1]);
    const made = readFileSync(join(UNITS, 'mytape.sysusers'), 'utf8').match(/(?<=^u )\S+/gm);
    assert.equal(new Set(users).size, SERVICES.length);
    assert.deepEqual(users.sort(), made?.sort());
  });

  for (const name of SERVICES) {
    test(`${name} types options that there are`, () => {
      const [, verb, line] =
        /^ExecStart=.*?\bmytape (\w+) (.*)$/m.exec(readFileSync(join(UNITS, name), 'utf8')) ?? [];
      const { stdout } = mytape(verb, '--help');
      const options: string[] = line.match(/(?<=\s|^)--?[a-z][\w-]*(?=\s)/g) ?? [];
      assert.ok(options.includes('-i'), line);
      // date's.
      for (const option of options.filter((word) => word !== '-u'))
        assert.match(stdout, new RegExp(`^ +(-\\w, )?${option}\\b`, 'm'), option);
    });
  }
});
