// Makes a fresh machine able to run one of our commands: `node scripts/setup.mjs --for check|test|…` (PURPOSES has all of them).
// Does only what is missing, so it stands in front of every npm script. Plain JavaScript without a dependency, since it is
// what installs the dependencies and the compiler.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { commandsMissing, driversMissing, installPackages, librariesMissing } from './setup/debian.mjs';
import { buildNeeds, install, installReason } from './setup/npm.mjs';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));

const PURPOSES = ['check', 'pack', 'test', 'node-versions', 'matrix', 'fuzz', 'demo', 'lab', 'bench'];
/** Work without namespaces, packets and servers. */
const PLAIN = ['check', 'pack', 'fuzz'];
/** Where something is missing, these skip the tests that need it, and run the others. */
const SKIPPING = ['test', 'node-versions'];
const OLDEST_NODE = 20;

const args = process.argv.slice(2);
const purpose = args[args.indexOf('--for') + 1];
const say = (text) => process.stderr.write(`setup: ${text}\n`);

function fail(text) {
  say(text);
  process.exit(1);
}

if (!PURPOSES.includes(purpose)) fail(`--for ${PURPOSES.join('|')}`);
if (Number.parseInt(process.versions.node, 10) < OLDEST_NODE) {
  fail(
    `Node ${OLDEST_NODE} or newer is needed, this is ${process.versions.node} (see nodejs.org, or your distribution)`,
  );
}

/** Why the real thing (namespaces, packets, MariaDB) cannot run here; undefined where it can. */
function obstacle() {
  if (process.platform !== 'linux')
    return `needs Linux, this is ${process.platform}: run it in a Linux machine or VM`;
  if (process.getuid() !== 0)
    return 'needs root (network namespaces, raw packets): run it with sudo, or in a VM of its own';
  if (spawnSync('unshare', ['--net', 'true']).status !== 0)
    return 'may not make network namespaces here (a container?)';
  return undefined;
}

const real = !PLAIN.includes(purpose);
const why = real ? obstacle() : undefined;
if (why && purpose === 'demo') say(`the small demo, by ordinary connections: the whole one ${why}`);
else if (why && !SKIPPING.includes(purpose)) fail(`npm run ${purpose} ${why}`);
else if (why) say(`the end-to-end tests will be skipped: npm test ${why}`);

async function compile(project) {
  const build = spawn(process.execPath, ['node_modules/typescript/bin/tsc', '-p', project], {
    stdio: ['ignore', 2, 2],
  });
  const [code] = await once(build, 'exit');
  if (code !== 0) fail('the sources do not compile: mend what is named above');
}

const reason = installReason();
const packages = [
  ...(real && !why ? [...commandsMissing('lab'), ...librariesMissing()] : []),
  ...(purpose === 'matrix' ? driversMissing() : []),
  ...(reason || purpose === 'node-versions' ? buildNeeds() : []),
];
if (packages.length > 0) {
  try {
    await installPackages(packages, say);
  } catch (error) {
    fail(error.message);
  }
}
if (reason) {
  say(`npm ci (${reason}); the native modules are compiled here, which takes a minute or two`);
  const code = await install();
  if (code !== 0) fail('npm ci failed: what it says is above');
}
if (purpose === 'pack') {
  // What is packed is what the sources are now: files of deleted sources may still lie in dist.
  rmSync('dist', { recursive: true, force: true });
  await compile('tsconfig.package.json');
} else if (purpose !== 'check') {
  // The compiler believes its notes of what it has written before, even where that was deleted.
  if (!existsSync('dist/src/cli.js')) rmSync('dist/.tsbuildinfo', { force: true });
  await compile('tsconfig.json');
}
// `npm run lab` fetches what it is asked for; tests skip by name what can't be had.
if (real && !why && (purpose === 'test' || purpose === 'matrix')) {
  spawnSync(process.execPath, ['dist/scripts/lab/servers/fetch.js', 'mariadb11', 'mysql'], {
    stdio: ['ignore', 2, 2],
  });
}
