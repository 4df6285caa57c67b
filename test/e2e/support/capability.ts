import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { TestContext } from 'node:test';
import { type BrandName, brandObstacle } from '../../../scripts/lab/servers/brands.ts';
import { ROOT } from '../../support/root.ts';

const COMMANDS = ['ip', 'nft', 'mariadbd', 'mariadb-install-db', 'sysbench', 'tcpdump', 'tshark', 'lz4'];

let known: string | undefined | null = null;

/** Why the lab cannot be made on this machine, with what to do; undefined where it can. */
export function labObstacle(): string | undefined {
  if (known === null) known = findObstacle();
  return known;
}

function findObstacle(): string | undefined {
  if (process.platform !== 'linux') return `needs Linux, this is ${process.platform}`;
  if (process.getuid?.() !== 0)
    return 'needs root, for network namespaces and raw packets (try: sudo npm test)';
  const missing = COMMANDS.filter((command) => !isCommand(command));
  if (missing.length > 0) return `needs ${missing.join(', ')} (npm test installs them on Debian)`;
  if (spawnSync('unshare', ['--net', 'true']).status !== 0) return 'may not make network namespaces here';
  return undefined;
}

function isCommand(name: string): boolean {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders.some((folder) => existsSync(join(folder, name)));
}

/** Why a test that calls this command cannot run; undefined where it can. */
export function commandObstacle(name: string): string | undefined {
  return isCommand(name) ? undefined : `needs the command ${name}`;
}

/** Why a lab with these servers cannot be made; undefined where it can. */
export function brandsObstacle(...names: BrandName[]): string | undefined {
  return labObstacle() ?? names.map(brandObstacle).find((why) => why !== undefined);
}

/** The same for an optional dependency, npm's package of this name. */
export function packageObstacle(name: string): string | undefined {
  return existsSync(join(ROOT, 'node_modules', name))
    ? undefined
    : `needs npm's ${name} (npm ci builds it where it finds a compiler)`;
}

/** False, with the test skipped by name, where the lab cannot be made: `if (!needsLab(t)) return;` */
export function needsLab(t: TestContext): boolean {
  const why = labObstacle();
  if (why !== undefined) t.skip(why);
  return why === undefined;
}
