/** The state of online, for a target to begin at: a copy of its data folder, or, between brands, a dump. */
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { MytapeError } from '../../src/errors.ts';
import type { Server } from './server.ts';
import type { Brand } from './servers/brands.ts';

const OWN_SCHEMAS = "('mysql', 'information_schema', 'performance_schema', 'sys')";

/** What one brand writes into a dump that another does not read. */
const REWRITES: readonly [RegExp, string][] = [
  [/^\/\*M?!999999.*sandbox mode.*\n/gm, ''],
  [/utf8mb4_(uca1400|0900)_ai_ci/g, 'utf8mb4_general_ci'],
  [/^CHANGE MASTER .*\n/gm, ''],
];

/** What MySQL alone does not read. */
const REWRITES_FOR_MYSQL: readonly [RegExp, string][] = [[/NO_AUTO_CREATE_USER,?/g, '']];

function isAlike(one: Brand, other: Brand): boolean {
  return one.name === other.name;
}

async function schemasOf(server: Server): Promise<string[]> {
  const rows = await server.sql(
    `SELECT SCHEMA_NAME AS name FROM information_schema.SCHEMATA WHERE SCHEMA_NAME NOT IN ${OWN_SCHEMAS}`,
  );
  return rows.map(({ name }) => String(name));
}

/** Writes online as it is now to `path`; it is restarted where its folder is copied. */
export async function writeStart(online: Server, target: Server, path: string): Promise<void> {
  if (isAlike(online.brand, target.brand)) {
    await online.stop();
    online.snapshot(path);
    await online.start();
    return;
  }
  const schemas = await schemasOf(online);
  const more = online.brand.dump === 'mysqldump' ? ['--set-gtid-purged=OFF', '--no-tablespaces'] : [];
  const options = ['--single-transaction', '--routines', '--hex-blob', ...more];
  const dump = run(online, online.brand.dump, [...options, '--databases', ...schemas]);
  const rewrites = target.brand.name === 'mysql' ? [...REWRITES, ...REWRITES_FOR_MYSQL] : REWRITES;
  writeFileSync(
    path,
    rewrites.reduce((text, [what, by]) => text.replace(what, by), dump),
  );
}

/** Puts target in that state. Its users stay those that it has where the brands differ. */
export async function readStart(online: Server, target: Server, path: string): Promise<void> {
  if (isAlike(online.brand, target.brand)) {
    await target.stop();
    target.restore(path);
    await target.start();
    return;
  }
  for (const schema of await schemasOf(target)) await target.sql(`DROP DATABASE \`${schema}\``);
  run(target, target.brand.client, [], path);
}

function run(server: Server, name: string, args: readonly string[], from?: string): string {
  const input = from === undefined ? 'ignore' : openSync(from, 'r');
  const login = ['--no-defaults', `--socket=${server.socketPath}`, '-uroot', `-p${server.rootPassword}`];
  const { status, stdout, stderr } = spawnSync(server.programs.program(name), [...login, ...args], {
    stdio: [input, 'pipe', 'pipe'],
    encoding: 'utf8',
    maxBuffer: 1 << 30,
  });
  if (typeof input === 'number') closeSync(input);
  if (status !== 0) throw new MytapeError('system-call', `lab: ${name} of ${server.brand.name}: ${stderr}`);
  return stdout;
}
