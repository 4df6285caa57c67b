// Debian packages: which are missing, and installing them without starting a service.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** By what a package is known to be there: a command, wherever it came from. */
const COMMANDS = {
  lab: {
    mariadbd: 'mariadb-server',
    'mariadb-install-db': 'mariadb-server',
    sysbench: 'sysbench',
    tcpdump: 'tcpdump',
    tshark: 'tshark',
    editcap: 'wireshark-common',
    openssl: 'openssl',
    lz4: 'lz4',
    ip: 'iproute2',
    nft: 'nftables',
    'redis-server': 'redis-server',
    'redis-cli': 'redis-tools',
    'systemd-analyze': 'systemd',
  },
  build: { 'g++': 'g++', make: 'make', python3: 'python3' },
};

function onPath(command) {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders.some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

export function commandsMissing(group) {
  const missing = Object.entries(COMMANDS[group]).filter(([command]) => !onPath(command));
  return [...new Set(missing.map(([, name]) => name))];
}

/** libpcap compiles capture filters; it is loaded at run time, so the library without headers is enough. */
export function librariesMissing() {
  const known = spawnSync('/sbin/ldconfig', ['-p'], { encoding: 'utf8' }).stdout ?? '';
  return known.includes('libpcap.so') ? [] : ['libpcap0.8'];
}

/** Drivers that npm run test:matrix speaks by, each known by a command that succeeds. */
const DRIVERS = {
  'php-mysql': ['php', '-r', 'exit(class_exists("mysqli") ? 0 : 1);'],
  'libdbd-mariadb-perl': ['perl', '-MDBD::MariaDB', '-e', '1'],
  'libdbd-mysql-perl': ['perl', '-MDBD::mysql', '-e', '1'],
  'python3-pymysql': ['/usr/bin/python3', '-c', 'import pymysql'],
  'python3-mysqldb': ['/usr/bin/python3', '-c', 'import MySQLdb'],
  'php-cli': ['php', '-v'],
  gcc: ['gcc', '--version'],
  'libc6-dev': ['test', '-e', '/usr/include/stdio.h'],
};

export function driversMissing() {
  return Object.entries(DRIVERS)
    .filter(([, [command, ...args]]) => spawnSync(command, args).status !== 0)
    .map(([name]) => name);
}

const POLICY = '/usr/sbin/policy-rc.d';
const MARK = '# by mytape scripts/setup.mjs while it installs packages; remove it if you find it';

/** Debian starts a service when it installs it, unless this file says no. One of somebody else's is left alone. */
function forbidServices() {
  const ours = existsSync(POLICY) && readFileSync(POLICY, 'utf8').includes(MARK);
  if (existsSync(POLICY) && !ours) return () => {};
  writeFileSync(POLICY, `#!/bin/sh\n${MARK}\nexit 101\n`, { mode: 0o755 });
  return () => rmSync(POLICY, { force: true });
}

/** Installs the packages, or throws an error that says what to do by hand. */
export async function installPackages(packages, say) {
  const names = [...new Set(packages)];
  const byHand = `install ${names.join(' ')} (Debian's names) and run this again`;
  if (!onPath('apt-get')) throw new Error(`no apt-get here: ${byHand}`);
  if (process.getuid() !== 0) throw new Error(`installing packages needs root: ${byHand}`);
  const allowServices = forbidServices();
  process.on('exit', allowServices);
  const stop = () => process.exit(130);
  process.on('SIGINT', stop).on('SIGTERM', stop);
  try {
    for (const args of [['update'], ['install', '-y', '--no-install-recommends', ...names]]) {
      say(`apt-get ${args.join(' ')}`);
      const child = spawn('apt-get', ['-q', ...args], {
        stdio: ['ignore', 2, 2],
        env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
      });
      const [code] = await once(child, 'exit');
      if (code !== 0) throw new Error(`apt-get ${args[0]} failed: what it says is above; or ${byHand}`);
    }
  } finally {
    allowServices();
    process.off('exit', allowServices).off('SIGINT', stop).off('SIGTERM', stop);
  }
}
