// Node packages: whether node_modules is what package-lock.json says, and `npm ci` where it is not.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { commandsMissing } from './debian.mjs';

/** What an install without its scripts lacks. (cap and raw-socket are optional: we do without.) */
const COMPILED = [
  'better-sqlite3/build/Release/better_sqlite3.node',
  'lz4/build/Release/lz4.node',
  'zstd-napi/build/Release/binding.node',
];

const read = (path) => JSON.parse(readFileSync(path, 'utf8')).packages;

/** Why `npm ci` is due, in a few words; undefined where it is not. By content: a checkout changes times of files. */
export function installReason() {
  if (!existsSync('node_modules/.package-lock.json')) return 'nothing is installed yet';
  const wanted = read('package-lock.json');
  const present = read('node_modules/.package-lock.json');
  for (const [path, entry] of Object.entries(wanted)) {
    // A link is to a folder of our own.
    if (path === '' || entry.link || (entry.optional && !present[path])) continue;
    if (present[path]?.version !== entry.version || present[path]?.integrity !== entry.integrity) {
      return `${path.replace(/^.*node_modules\//, '')} is not at ${entry.version}`;
    }
  }
  const lacking = COMPILED.find((path) => !existsSync(join('node_modules', path)));
  return lacking ? `${lacking} was not built` : undefined;
}

/** Debian packages that compiling the native modules needs and that are missing. */
export function buildNeeds() {
  if (process.platform !== 'linux') return [];
  const missing = commandsMissing('build');
  const canInstall = process.getuid() === 0 && existsSync('/usr/bin/apt-get');
  // Headers for cap, an optional module: worth a package where we can install it, not worth stopping for.
  if (canInstall && !existsSync('/usr/include/pcap/pcap.h')) missing.push('libpcap-dev');
  return missing;
}

/**
 * Runs `npm ci`; resolves with its exit code. better-sqlite3 would first look for a prebuilt binary on the network: we
 * compile it, against the headers beside this very node where there are some, else node-gyp fetches them.
 */
export async function install() {
  const env = { ...process.env, npm_config_build_from_source: 'true', JOBS: process.env.JOBS ?? 'max' };
  const prefix = dirname(dirname(process.execPath));
  if (existsSync(join(prefix, 'include/node/node.h')) && !configuredNodedir())
    env.npm_config_nodedir = prefix;
  const child = spawn('npm', ['ci', '--no-audit', '--no-fund'], { stdio: ['ignore', 2, 2], env });
  const [code] = await once(child, 'exit');
  return code;
}

function configuredNodedir() {
  const answer = spawnSync('npm', ['config', 'get', 'nodedir'], { encoding: 'utf8' }).stdout?.trim();
  return answer !== undefined && answer !== '' && answer !== 'undefined' && answer !== 'null';
}
