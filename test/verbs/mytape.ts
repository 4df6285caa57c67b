import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { HANG_MS } from '../support/until.ts';

export const CLI = fileURLToPath(new URL('../../src/cli.js', import.meta.url));

/** Runs `mytape` to its end; one that does not come to it has `status` null. */
export function mytape(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [CLI, ...args], {
    encoding: 'utf8',
    timeout: HANG_MS,
    env: { ...process.env, NO_COLOR: '1' },
  });
  return { status, stdout, stderr };
}
